/** The selective scan of a sequence, with mamba_ssm's arguments and layouts. */
import { ShapeError } from "../errors.js";
import { constants } from "../native/constants.js";
import { expectFlags, expectNamed, optionsOf } from "../settings/given.js";
import { isRecorded, record } from "../tensor/tape.js";
import { Tensor } from "../tensor/tensor.js";
import { expectFloats, expectShape, extents } from "./check.js";
import { reshape } from "./shape.js";

/** The tensors of a selective scan: b sequences of l steps, d channels, n states; all float32. */
export interface SelectiveScanInputs {
  /** (b, d, l) */
  u: Tensor;
  /** (b, d, l) step sizes, before bias and softplus */
  delta: Tensor;
  /** (d, n) negative */
  A: Tensor;
  /** (b, n, l), or (b, g, n, l) with g groups of d / g channels */
  B: Tensor;
  /** as `B` */
  C: Tensor;
  /** (d) skip connection */
  D?: Tensor | undefined;
  /** (b, d, l) gate: the result is multiplied by silu(z) */
  z?: Tensor | undefined;
  /** (d) */
  deltaBias?: Tensor | undefined;
}

const inputNames = {
  u: true,
  delta: true,
  A: true,
  B: true,
  C: true,
  D: true,
  z: true,
  deltaBias: true,
} as const;

/** Options of `selectiveScan`. */
export interface SelectiveScanOptions {
  /** Apply softplus to delta + deltaBias; default false. */
  deltaSoftplus?: boolean;
  /** Also return the state after the last step; default false. */
  returnLastState?: boolean;
}

/**
 * Selective scan (arXiv 2312.00752, section 3): with delta' = softplus(delta + deltaBias),
 * `h[t] = exp(delta'[t] A) h[t-1] + delta'[t] B[t] u[t]`, `y[t] = (C[t] . h[t] + D u[t]) * silu(z[t])`.
 *
 * @returns  (b, d, l); with `returnLastState`, `{ y, lastState }` where lastState (b, d, n) has no gradient
 * @throws ShapeError, DTypeError
 * @see https://github.com/state-spaces/mamba (selective_scan_fn, whose argument layouts these are)
 */
export function selectiveScan(
  inputs: SelectiveScanInputs,
  options: SelectiveScanOptions & { returnLastState: true },
): {
  /** (b, d, l) */
  y: Tensor;
  /** (b, d, n) the state after the last step, without gradient */
  lastState: Tensor;
};
export function selectiveScan(inputs: SelectiveScanInputs, options?: SelectiveScanOptions): Tensor;
export function selectiveScan(
  inputs: SelectiveScanInputs,
  options: SelectiveScanOptions = {},
): Tensor | { y: Tensor; lastState: Tensor } {
  const operation = "selectiveScan";
  const named = expectNamed(operation, "inputs", inputs, inputNames);
  const { u, delta, A, B: givenB, C: givenC, D, z, deltaBias } = named;
  const { deltaSoftplus = false, returnLastState = false } = optionsOf(operation, options, {
    deltaSoftplus: true,
    returnLastState: true,
  });
  expectFlags(operation, { deltaSoftplus, returnLastState });
  expectFloats(operation, { u, delta, A, B: givenB, C: givenC }, { D, z, deltaBias });
  const [batch, channels, length] = extents(operation, "u", u, ["b", "d", "l"]);
  const [, states] = extents(operation, "A", A, ["d", "n"]);
  const B = grouped(givenB);
  const C = grouped(givenC);
  const groups = B.shape[1] ?? 0;
  expectShape(operation, { delta, z }, [batch, channels, length]);
  expectShape(operation, { A }, [channels, states]);
  expectShape(operation, { B, C }, [batch, groups, states, length]);
  expectShape(operation, { D, deltaBias }, [channels]);
  if (length === 0 || groups === 0 || channels % groups !== 0) {
    throw new ShapeError(
      `${operation}: ${channels} channels do not divide into ${groups} groups of a ${length}-step sequence.`,
    );
  }

  const sizes = { batch, channels, length, states, groups, delta_softplus: deltaSoftplus };
  const tensors = { u, delta, A, B, C, D, z, delta_bias: deltaBias };
  const y = Tensor.like(u);
  const lastState = returnLastState ? Tensor.empty([batch, channels, states], u) : undefined;
  const recorded = isRecorded(...Object.values(tensors));
  const checkpoints = recorded
    ? Tensor.empty([batch, channels, Math.ceil(length / constants().scanChunk), states], u)
    : undefined;
  u.device.call("selective_scan_forward", { ...sizes, ...tensors, y, last_state: lastState, checkpoints });
  const result = record(operation, y, tensors, { ...tensors, checkpoints }, (dy, saved, into) => {
    const target = (name: keyof typeof tensors) =>
      into(name) ?? (saved[name] ? Tensor.like(saved[name]) : undefined);
    const gradients = {
      u: target("u"),
      delta: target("delta"),
      A: target("A"),
      B: target("B"),
      C: target("C"),
      D: target("D"),
      z: target("z"),
      delta_bias: target("delta_bias"),
    };
    dy.device.call("selective_scan_backward", { ...sizes, ...saved, dy, ...prefixed("d", gradients) });
    return gradients;
  });
  if (B !== givenB) B.dispose();
  if (C !== givenC) C.dispose();
  return lastState ? { y: result, lastState } : result;
}

/** (b, n, l) as (b, 1, n, l). */
function grouped(x: Tensor): Tensor {
  const [batch = 0, states = 0, length = 0] = x.shape;
  return x.shape.length === 3 ? reshape(x, [batch, 1, states, length]) : x;
}

/** { A: t } as { dA: t }: the names that backend.h gives to gradients. @internal */
export function prefixed<T>(prefix: string, fields: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [prefix + name, value]));
}
