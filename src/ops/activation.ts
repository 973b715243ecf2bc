/** Elementwise functions of one tensor. */
import type { NativeConstants } from "../native/addon.js";
import { constants } from "../native/constants.js";
import { record } from "../tensor/tape.js";
import { Tensor } from "../tensor/tensor.js";
import { expectFloats } from "./check.js";

function unary(operation: keyof NativeConstants["unary"], x: Tensor): Tensor {
  expectFloats(operation, { x });
  const op = constants().unary[operation];
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
