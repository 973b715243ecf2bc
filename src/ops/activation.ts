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

/** max(x, 0) */
export function relu(x: Tensor): Tensor {
  return unary("relu", x);
}

/** x * sigmoid(x), also called swish (arXiv 1702.03118). */
export function silu(x: Tensor): Tensor {
  return unary("silu", x);
}

/** x * Phi(x) with the normal distribution's Phi, exact (arXiv 1606.08415). */
export function gelu(x: Tensor): Tensor {
  return unary("gelu", x);
}

/** 1 / (1 + exp(-x)) */
export function sigmoid(x: Tensor): Tensor {
  return unary("sigmoid", x);
}

/** e^x */
export function exp(x: Tensor): Tensor {
  return unary("exp", x);
}

/** Natural logarithm. */
export function log(x: Tensor): Tensor {
  return unary("log", x);
}
