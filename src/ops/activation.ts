/** Elementwise functions of one tensor. */
import { record } from "../tensor/tape.js";
import { Tensor } from "../tensor/tensor.js";
import { expectFloats } from "./check.js";

const codes = { relu: 0, silu: 1, gelu: 2, sigmoid: 3, exp: 4, log: 5 } as const;

function unary(operation: keyof typeof codes, x: Tensor): Tensor {
  expectFloats(operation, { x });
  const op = codes[operation];
  const y = Tensor.like(x);
  x.device.call("unary", { op, count: x.size, x, y });
  return record(operation, y, { x }, { x }, (dy, saved, into) => {
    const dx = into("x");
    if (dx) x.device.call("unary_backward", { op, count: dy.size, x: saved.x, dy, dx });
    return { x: dx };
  });
}

/**
 * `max(x, 0)`.
 *
 * @param x  any shape, float32
 * @returns  the same shape
 * @throws DTypeError
 */
export function relu(x: Tensor): Tensor {
  return unary("relu", x);
}

/**
 * `x * sigmoid(x)`, also called swish (arXiv 1702.03118).
 *
 * @param x  any shape, float32
 * @returns  the same shape
 * @throws DTypeError
 */
export function silu(x: Tensor): Tensor {
  return unary("silu", x);
}

/**
 * `x * Phi(x)` with the normal distribution's Phi, exact (arXiv 1606.08415).
 *
 * @param x  any shape, float32
 * @returns  the same shape
 * @throws DTypeError
 */
export function gelu(x: Tensor): Tensor {
  return unary("gelu", x);
}

/**
 * `1 / (1 + exp(-x))`.
 *
 * @param x  any shape, float32
 * @returns  the same shape
 * @throws DTypeError
 */
export function sigmoid(x: Tensor): Tensor {
  return unary("sigmoid", x);
}

/**
 * `e^x`.
 *
 * @param x  any shape, float32
 * @returns  the same shape
 * @throws DTypeError
 */
export function exp(x: Tensor): Tensor {
  return unary("exp", x);
}

/**
 * Natural logarithm; NaN of negative numbers.
 *
 * @param x  any shape, float32
 * @returns  the same shape
 * @throws DTypeError
 */
export function log(x: Tensor): Tensor {
  return unary("log", x);
}
