/**
 * Updates of many tensors in place, one call to the device for all of them: steps of the optimisers, moving averages, and
 * the joint norm. Nothing here is recorded on the tape.
 *
 * Numbers that change from step to step are given by functions, which are asked at the call, and again for each launch of a
 * graph that captures it.
 */
import { DTypeError, ShapeError } from "../errors.js";
import type { Device } from "../tensor/device.js";
import { Tensor } from "../tensor/tensor.js";

/** Parameters and what moves them, list by list in the same order. All are float32 and on one device. */
export interface Update {
  readonly parameters: readonly Tensor[];
  readonly gradients: readonly Tensor[];
  /** Scalar that all gradients are multiplied with, such as `clippingScale` gives; default 1. */
  readonly gradientScale?: Tensor | undefined;
}

/** What a step of `sgd` does with a gradient; see `SGDSettings`. */
export interface SgdStep {
  readonly learningRate: number;
  readonly momentum: number;
  readonly dampening: number;
  readonly weightDecay: number;
  readonly nesterov: boolean;
  /** Counted from 1: in the first, the momentum becomes the gradient, as in PyTorch. */
  readonly step: number;
}

/** What a step of `adam` does with a gradient; see `AdamSettings`. */
export interface AdamStep {
  readonly learningRate: number;
  readonly betas: readonly [number, number];
  readonly eps: number;
  readonly weightDecay: number;
  /** Counted from 1. */
  readonly step: number;
}

/** Both norms and clipping: a scalar each. */
export interface ClippedNorm {
  /** The joint Euclidean norm. */
  readonly norm: Tensor;
  /** `min(1, maxNorm / (norm + 1e-6))` */
  readonly scale: Tensor;
}

/**
 * A step of stochastic gradient descent, by PyTorch's formulas.
 *
 * @param momentumBuffers  of the parameters; needed where the momentum is not 0
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.SGD.html
 */
export function sgd(
  { parameters, gradients, gradientScale }: Update,
  momentumBuffers: readonly Tensor[] | undefined,
  now: () => SgdStep,
): void {
  expectAlike("sgd", parameters, { gradients, momentumBuffers });
  deviceOf(parameters)?.call(
    "sgd",
    {
      counts: sizes(parameters),
      parameters,
      gradients,
      momentum_buffers: momentumBuffers,
      gradient_scale: gradientScale,
    },
    () => {
      const { learningRate, momentum, dampening, weightDecay, nesterov, step } = now();
      return {
        learning_rate: learningRate,
        momentum,
        dampening,
        weight_decay: weightDecay,
        nesterov,
        first_step: step === 1,
      };
    },
  );
}

/**
 * A step of Adam (https://arxiv.org/abs/1412.6980), or, decoupled, of AdamW (https://arxiv.org/abs/1711.05101), by PyTorch's
 * formulas.
 *
 * @param moments  of the parameters, decayed by the first and the second of `betas`
 */
export function adam(
  { parameters, gradients, gradientScale }: Update,
  moments: { readonly first: readonly Tensor[]; readonly second: readonly Tensor[] },
  { decoupled }: { readonly decoupled: boolean },
  now: () => AdamStep,
): void {
  expectAlike("adam", parameters, { gradients, first: moments.first, second: moments.second });
  deviceOf(parameters)?.call(
    "adam",
    {
      counts: sizes(parameters),
      parameters,
      gradients,
      first_moments: moments.first,
      second_moments: moments.second,
      gradient_scale: gradientScale,
      decoupled,
    },
    () => {
      const { learningRate, betas, eps, weightDecay, step } = now();
      return {
        learning_rate: learningRate,
        beta1: betas[0],
        beta2: betas[1],
        eps,
        weight_decay: weightDecay,
        step,
      };
    },
  );
}

/** `average = decay * average + (1 - decay) * parameter`, of each pair. */
export function movingAverage(
  parameters: readonly Tensor[],
  averages: readonly Tensor[],
  decay: () => number,
): void {
  expectAlike("movingAverage", parameters, { averages });
  deviceOf(parameters)?.call("moving_average", { counts: sizes(parameters), parameters, averages }, () => ({
    decay: decay(),
  }));
}

/**
 * The joint Euclidean norm of float32 tensors, and the factor that brings it down to `maxNorm`.
 *
 * @param device  where they are: there need not be any
 */
export function clippedNorm(device: Device, tensors: readonly Tensor[], maxNorm: number): ClippedNorm {
  const [norm, scale] = [Tensor.empty([], { device }), Tensor.empty([], { device })];
  // backend.h calls them gradients, after their main use.
  device.call("gradient_norm", {
    counts: sizes(tensors),
    gradients: tensors,
    max_norm: maxNorm,
    norm,
    scale,
  });
  return { norm, scale };
}

/**
 * The joint Euclidean norm of float32 tensors, a scalar: finite if all of their elements are, and their squares do not
 * overflow.
 */
export function norm(device: Device, tensors: readonly Tensor[]): Tensor {
  const { norm, scale } = clippedNorm(device, tensors, 1);
  scale.dispose();
  return norm;
}

/** Kernels walk the lists side by side by the parameters' sizes; a program may have set a `grad` of another one. */
function expectAlike(
  operation: string,
  parameters: readonly Tensor[],
  lists: Readonly<Record<string, readonly Tensor[] | undefined>>,
): void {
  for (const name in lists) {
    const list = lists[name];
    for (const [i, parameter] of list ? parameters.entries() : []) {
      const other = list?.[i];
      if (other?.size !== parameter.size)
        throw new ShapeError(`${operation}: ${name} has ${other?.describe()} for ${parameter.describe()}.`);
      if (other.dtype !== "float32" || parameter.dtype !== "float32")
        throw new DTypeError(`${operation}: ${name} and parameters are float32, not ${other.dtype}.`);
    }
  }
}

function deviceOf(tensors: readonly Tensor[]): Device | undefined {
  return tensors[0]?.device;
}

function sizes(tensors: readonly Tensor[]): number[] {
  return tensors.map(({ size }) => size);
}
