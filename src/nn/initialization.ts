/** Initial values of parameters, as in the published model; all from the generator that `manualSeed` seeds. */
import { random, tensor } from "../tensor/creation.js";
import type { DeviceLike } from "../tensor/devices.js";
import { currentSeed, nextOffset } from "../tensor/generator.js";
import { philox4x32 } from "../tensor/random.js";
import type { Tensor } from "../tensor/tensor.js";

/** Normal with mean 0, cut off at -2 and 2 (absolute, as PyTorch's `trunc_normal_` does). */
export function truncatedNormal(shape: readonly number[], std: number, device?: DeviceLike): Tensor {
  return random(shape, "truncatedNormal", 0, std, { device });
}

/** Normal with variance 2 / fan (https://arxiv.org/abs/1502.01852, for layers followed by a ReLU). */
export function kaimingNormal(shape: readonly number[], fan: number, device?: DeviceLike): Tensor {
  return random(shape, "normal", 0, Math.sqrt(2 / fan), { device });
}

/** Uniform from -bound to bound. */
export function uniform(shape: readonly number[], bound: number, device?: DeviceLike): Tensor {
  return random(shape, "uniform", -bound, bound, { device });
}

/**
 * Biases whose softplus is log-uniform between 1e-3 and 1e-1: the step sizes that a state-space model starts with
 * (https://arxiv.org/abs/2312.00752, section 3.6).
 */
export function stepBias(shape: readonly number[], device?: DeviceLike): Tensor {
  const size = shape.reduce((product, extent) => product * extent, 1);
  const offset = nextOffset(size);
  const biases = Float32Array.from({ length: size }, (_, i) => {
    const word = philox4x32(currentSeed(), offset + Math.floor(i / 4))[i % 4] ?? 0;
    const u = (word >>> 8) * 2 ** -24;
    const step = Math.max(1e-4, Math.exp(u * Math.log(100) + Math.log(1e-3)));
    return step + Math.log(-Math.expm1(-step));
  });
  return tensor(biases, shape, { device });
}

/** log(1), log(2), ..., log(states) in each of `rows` rows: -A of S4D-real (https://arxiv.org/abs/2206.11893). */
export function stateLogs(rows: number, states: number, device?: DeviceLike): Tensor {
  const logs = Float32Array.from({ length: rows * states }, (_, i) => Math.log((i % states) + 1));
  return tensor(logs, [rows, states], { device });
}
