/** Elementwise arithmetic with broadcasting, as in NumPy: shapes are aligned at their ends, extents of 1 repeat. */
import { ShapeError } from "../errors.js";
import type { NativeConstants } from "../native/addon.js";
import { constants } from "../native/constants.js";
import { noGrad, record } from "../tensor/tape.js";
import { Tensor } from "../tensor/tensor.js";
import { denseStrides, expectFloats, padded } from "./check.js";
import { sumTo } from "./reduction.js";

function broadcastShape(operation: string, a: Tensor, b: Tensor): number[] {
  const axes = Math.max(a.shape.length, b.shape.length);
  return Array.from({ length: axes }, (_, i) => {
    const left = a.shape[i - axes + a.shape.length] ?? 1;
    const right = b.shape[i - axes + b.shape.length] ?? 1;
    if (left !== right && left !== 1 && right !== 1) {
      throw new ShapeError(
        `${operation}: (${a.shape.join(", ")}) and (${b.shape.join(", ")}) do not broadcast.`,
      );
    }
    return left === 1 ? right : left;
  });
}

/** Strides of `x` along the axes of the broadcast shape: 0 where it repeats. */
function broadcastStrides(x: Tensor, shape: readonly number[]): number[] {
  const strides = denseStrides(x.shape);
  const missing = shape.length - x.shape.length;
  return shape.map((_, i) => (i < missing || x.shape[i - missing] === 1 ? 0 : (strides[i - missing] ?? 0)));
}

function compute(operation: keyof NativeConstants["binary"], a: Tensor, b: Tensor): Tensor {
  expectFloats(operation, { a, b });
  const shape = broadcastShape(operation, a, b);
  const extents = padded(operation, shape, 1);
  const y = Tensor.empty(shape, a);
  a.device.call("binary", {
    op: constants().binary[operation],
    dimensions: shape.length,
    shape: extents,
    a_strides: padded(operation, broadcastStrides(a, shape), 0),
    b_strides: padded(operation, broadcastStrides(b, shape), 0),
    a,
    b,
    y,
  });
  return y;
}

/** scale * x + shift. */
export function affine(x: Tensor, scale: number, shift: number): Tensor {
  expectFloats("affine", { x });
  const y = Tensor.like(x);
  x.device.call("affine", { count: x.size, scale, shift, x, y });
  return record("affine", y, { x }, {}, (dy) => ({ x: noGrad(() => affine(dy, scale, 0)) }));
}

/**
 * `a + b`, elementwise. Shapes are broadcast as in NumPy: aligned at their ends, extents of 1 repeat.
 *
 * @param a  float32
 * @param b  float32, or a number
 * @throws ShapeError if the shapes do not fit, DTypeError if one is not float32
 */
export function add(a: Tensor, b: Tensor | number): Tensor {
  if (typeof b === "number") return affine(a, 1, b);
  const y = compute("add", a, b);
  const [left, right] = [a.shape, b.shape];
  return record("add", y, { a, b }, {}, (dy) => ({
    a: sumTo(dy, left),
    b: sumTo(dy, right),
  }));
}

/**
 * `a - b`, elementwise. Shapes are broadcast as in NumPy: aligned at their ends, extents of 1 repeat.
 *
 * @param a  float32
 * @param b  float32, or a number
 * @throws ShapeError if the shapes do not fit, DTypeError if one is not float32
 */
export function sub(a: Tensor, b: Tensor | number): Tensor {
  if (typeof b === "number") return affine(a, 1, -b);
  const y = compute("sub", a, b);
  const [left, right] = [a.shape, b.shape];
  return record("sub", y, { a, b }, {}, (dy, _, into) => ({
    a: sumTo(dy, left),
    b: into.wants("b") ? sumTo(affine(dy, -1, 0), right) : undefined,
  }));
}

/**
 * `a * b`, elementwise. Shapes are broadcast as in NumPy: aligned at their ends, extents of 1 repeat.
 *
 * @param a  float32
 * @param b  float32, or a number
 * @throws ShapeError if the shapes do not fit, DTypeError if one is not float32
 */
export function mul(a: Tensor, b: Tensor | number): Tensor {
  if (typeof b === "number") return affine(a, b, 0);
  return record("mul", compute("mul", a, b), { a, b }, { a, b }, (dy, saved, into) => ({
    a: into.wants("a") ? sumTo(compute("mul", dy, saved.b), saved.a.shape) : undefined,
    b: into.wants("b") ? sumTo(compute("mul", dy, saved.a), saved.b.shape) : undefined,
  }));
}

/**
 * `a / b`, elementwise. Shapes are broadcast as in NumPy: aligned at their ends, extents of 1 repeat.
 *
 * @param a  float32
 * @param b  float32, or a number
 * @throws ShapeError if the shapes do not fit, DTypeError if one is not float32
 */
export function div(a: Tensor, b: Tensor | number): Tensor {
  if (typeof b === "number") return affine(a, 1 / b, 0);
  const y = compute("div", a, b);
  const left = a.shape;
  // d(a/b)/db = -(a/b) / b
  return record("div", y, { a, b }, { y, b }, (dy, saved, into) => {
    const da = compute("div", dy, saved.b);
    return {
      a: into.wants("a") ? sumTo(da, left) : undefined,
      b: into.wants("b") ? sumTo(affine(compute("mul", da, saved.y), -1, 0), saved.b.shape) : undefined,
    };
  });
}

/**
 * `-x`.
 *
 * @param x  any shape, float32
 * @throws DTypeError
 */
export function neg(x: Tensor): Tensor {
  return affine(x, -1, 0);
}
