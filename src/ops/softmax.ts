/** Softmax and its logarithm over the last axis. */
import { record } from "../tensor/tape.js";
import { Tensor } from "../tensor/tensor.js";
import { expectFloats, lastExtent } from "./check.js";

function softmaxOver(x: Tensor, logarithm: boolean): Tensor {
  const operation = logarithm ? "logSoftmax" : "softmax";
  expectFloats(operation, { x });
  const channels = lastExtent(operation, x);
  const sizes = { rows: x.size / channels, channels, logarithm };
  const y = Tensor.like(x);
  x.device.call("softmax_forward", { ...sizes, x, y });
  return record(operation, y, { x }, { y }, (dy, saved, into) => {
    const dx = into("x");
    if (dx) dy.device.call("softmax_backward", { ...sizes, y: saved.y, dy, dx });
    return { x: dx };
  });
}

/**
 * `exp(x) / sum of exp(x)` over the last axis.
 *
 * @param x  (..., c) float32
 * @returns  the same shape; each row adds up to 1
 * @throws ShapeError, DTypeError
 */
export function softmax(x: Tensor): Tensor {
  return softmaxOver(x, false);
}

/**
 * Logarithm of `softmax(x)`, exact where the softmax itself would round to zero.
 *
 * @param x  (..., c) float32
 * @returns  the same shape
 * @throws ShapeError, DTypeError
 */
export function logSoftmax(x: Tensor): Tensor {
  return softmaxOver(x, true);
}
