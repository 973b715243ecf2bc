/** Matrix products. */
import { ShapeError } from "../errors.js";
import { tidy } from "../tensor/scope.js";
import { record } from "../tensor/tape.js";
import { sizeOf, Tensor } from "../tensor/tensor.js";
import { expectFloats, expectShape, lastExtent, sameShape } from "./check.js";
import { reshape } from "./shape.js";

interface Product {
  readonly batch?: number;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly transposeA?: boolean;
  readonly transposeB?: boolean;
  readonly bias?: Tensor | undefined;
  /** Floats from one matrix of the batch to the next; 0 shares one matrix. */
  readonly aBatch?: number;
  readonly bBatch?: number;
}

/** c[i] = op(a[i]) op(b[i]) + bias, with (m, k) and (k, n) matrices after transposition. @internal */
export function product(a: Tensor, b: Tensor, c: Tensor, { batch = 1, m, n, k, ...rest }: Product): void {
  const { transposeA = false, transposeB = false, bias, aBatch = m * k, bBatch = k * n } = rest;
  c.device.call("matmul", {
    batch,
    m,
    n,
    k,
    transpose_a: transposeA,
    transpose_b: transposeB,
    accumulate: false,
    relu: false,
    a_row: 0,
    b_row: 0,
    c_row: 0,
    a_batch: aBatch,
    b_batch: bBatch,
    c_batch: m * n,
    a,
    b,
    bias,
    c,
  });
}

/** y[i] = sum of the rows of x (rows, channels). @internal */
export function columnSums(x: Tensor, rows: number, channels: number, y: Tensor): void {
  x.device.call("reduce", { outer: 1, reduced: rows, inner: channels, scale: 1, x, y });
}

/**
 * Matrix product of the last two axes.
 *
 * @param a  (..., m, k)
 * @param b  (..., k, n) with the same leading axes, or (k, n), shared by all
 * @returns  (..., m, n)
 * @throws ShapeError
 */
export function matmul(a: Tensor, b: Tensor): Tensor {
  expectFloats("matmul", { a, b });
  const leading = a.shape.slice(0, -2);
  const [m, k] = a.shape.slice(-2);
  const [bk, n] = b.shape.slice(-2);
  const shared = b.shape.length === 2;
  if (
    m === undefined ||
    k === undefined ||
    n === undefined ||
    k !== bk ||
    !(shared || sameShape(leading, b.shape.slice(0, -2)))
  ) {
    throw new ShapeError(`matmul: (${a.shape.join(", ")}) and (${b.shape.join(", ")}) do not multiply.`);
  }
  if (shared && leading.length) {
    return tidy(() => reshape(matmul(reshape(a, [sizeOf(leading) * m, k]), b), [...leading, m, n]));
  }
  const batch = sizeOf(leading);
  const y = Tensor.empty([...leading, m, n], a);
  product(a, b, y, { batch, m, n, k });
  return record("matmul", y, { a, b }, { a, b }, (dy, saved, into) => {
    const [da, db] = [into("a"), into("b")];
    if (da) product(dy, saved.b, da, { batch, m, n: k, k: n, transposeB: true });
    if (db) product(saved.a, dy, db, { batch, m: k, n, k: m, transposeA: true });
    return { a: da, b: db };
  });
}

/**
 * x weight^T + bias, over the last axis.
 *
 * @param x       (..., in)
 * @param weight  (out, in), as PyTorch stores it
 * @param bias    (out), optional
 * @returns       (..., out)
 * @throws ShapeError
 */
export function linear(x: Tensor, weight: Tensor, bias?: Tensor): Tensor {
  expectFloats("linear", { x, weight }, { bias });
  const k = lastExtent("linear", x);
  const n = weight.shape[0] ?? 0;
  expectShape("linear", { weight }, [n, k]);
  expectShape("linear", { bias }, [n]);
  const m = x.size / k;
  const y = Tensor.empty([...x.shape.slice(0, -1), n], x);
  product(x, weight, y, { m, n, k, transposeB: true, bias });
  return record("linear", y, { x, weight, bias }, { x, weight }, (dy, saved, into) => {
    const [dx, dweight, dbias] = [into("x"), into("weight"), into("bias")];
    if (dx) product(dy, saved.weight, dx, { m, n: k, k: n });
    if (dweight) product(dy, saved.x, dweight, { m: n, n: k, k: m, transposeA: true });
    if (dbias) columnSums(dy, m, n, dbias);
    return { x: dx, weight: dweight, bias: dbias };
  });
}
