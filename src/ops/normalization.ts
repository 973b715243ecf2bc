/** Layer and batch normalisation. */
import { DTypeError } from "../errors.js";
import { expectFlags, expectNamed, expectNumbers, optionsOf } from "../settings/given.js";
import { record } from "../tensor/tape.js";
import { Tensor } from "../tensor/tensor.js";
import { expectFloats, expectShape, expectTensor, lastExtent } from "./check.js";

/**
 * Layer normalisation over the last axis: `(x - mean) / sqrt(variance + eps) * weight + bias`, optionally times
 * `silu(gate)`.
 *
 * @param x       (..., c)
 * @param weight  (c)
 * @param bias    (c)
 * @param options.gate  same shape as `x`, optional
 * @returns       same shape as `x`
 * @throws ShapeError if `weight` or `bias` is not (c)
 * @see https://arxiv.org/abs/1607.06450
 */
export function layerNorm(
  x: Tensor,
  weight: Tensor,
  bias: Tensor,
  options: { eps?: number; gate?: Tensor } = {},
): Tensor {
  const { eps = 1e-5, gate } = optionsOf("layerNorm", options, { eps: true, gate: true });
  expectNumbers("layerNorm", { eps });
  expectFloats("layerNorm", { x, weight, bias }, { gate });
  const channels = lastExtent("layerNorm", x);
  expectShape("layerNorm", { weight, bias }, [channels]);
  expectShape("layerNorm", { gate }, x.shape);
  const rows = x.size / channels;
  const y = Tensor.like(x);
  const statistics = Tensor.empty([rows, 2], x);
  const sizes = { rows, channels, x_row: 0, gate_row: 0 };
  x.device.call("layer_norm_forward", { ...sizes, y_row: 0, eps, x, weight, bias, gate, y, statistics });
  return record(
    "layerNorm",
    y,
    { x, weight, bias, gate },
    { x, weight, bias, gate, statistics },
    (dy, saved, into) => {
      const dx = into("x") ?? Tensor.like(dy);
      const [dweight, dbias] = [into("weight"), into("bias")];
      const dgate = into("gate") ?? (gate ? Tensor.like(dy) : undefined);
      const rows = { dy_row: 0, dx_row: 0, dgate_row: 0, accumulate_dx: false };
      dy.device.call("layer_norm_backward", { ...sizes, ...rows, ...saved, dy, dx, dweight, dbias, dgate });
      return { x: dx, weight: dweight, bias: dbias, gate: dgate };
    },
  );
}

/** The running statistics of a batch normalisation; updated in place during training. */
export interface RunningStatistics {
  /** (c) */
  readonly mean: Tensor;
  /** (c) unbiased */
  readonly variance: Tensor;
  /** () int64: batches seen */
  readonly batchesTracked?: Tensor | undefined;
}

/** @internal @throws ShapeError, DTypeError, ArgumentError unless kernels may read them and write to them */
export function expectRunning(operation: string, running: RunningStatistics, channels: number): void {
  const { mean, variance, batchesTracked } = expectNamed(operation, "the running statistics", running, {
    mean: true,
    variance: true,
    batchesTracked: true,
  });
  expectFloats(operation, { running_mean: mean, running_variance: variance });
  expectShape(operation, { running_mean: mean, running_variance: variance }, [channels]);
  if (batchesTracked === undefined) return;
  expectTensor(operation, "batchesTracked", batchesTracked);
  expectShape(operation, { batchesTracked }, []);
  if (batchesTracked.dtype !== "int64")
    throw new DTypeError(`${operation}: batchesTracked is ${batchesTracked.dtype}, int64 is needed.`);
}

/**
 * Batch normalisation per channel (the last axis).
 *
 * @param x         (..., c)
 * @param weight    (c)
 * @param bias      (c)
 * @param running   used in evaluation, moved towards the batch's by `momentum` in training
 * @param options.training  normalise by the batch's statistics; default false
 * @throws ShapeError if a parameter is not (c)
 * @see https://arxiv.org/abs/1502.03167
 */
export function batchNorm(
  x: Tensor,
  weight: Tensor,
  bias: Tensor,
  running: RunningStatistics,
  options: { training?: boolean; momentum?: number; eps?: number } = {},
): Tensor {
  const names = { training: true, momentum: true, eps: true } as const;
  const { training = false, momentum = 0.1, eps = 1e-5 } = optionsOf("batchNorm", options, names);
  expectNumbers("batchNorm", { momentum, eps });
  expectFlags("batchNorm", { training });
  expectFloats("batchNorm", { x, weight, bias });
  const channels = lastExtent("batchNorm", x);
  expectShape("batchNorm", { weight, bias }, [channels]);
  expectRunning("batchNorm", running, channels);
  const { mean: running_mean, variance: running_variance, batchesTracked: batches_tracked } = running;
  const rows = x.size / channels;
  const statistics = Tensor.empty([2, channels], x);
  const scale = Tensor.empty([channels], x);
  const shift = Tensor.empty([channels], x);
  const common = { channels, eps, weight, bias, running_mean, running_variance, statistics, scale, shift };
  if (training)
    x.device.call("batch_norm_statistics", { ...common, rows, x_row: 0, momentum, x, batches_tracked });
  else x.device.call("batch_norm_fold", common);
  const y = Tensor.like(x);
  x.device.call("channel_affine", { rows, channels, x_row: 0, y_row: 0, relu: false, x, scale, shift, y });
  return record("batchNorm", y, { x, weight, bias }, { x, statistics, scale, shift }, (dy, saved, into) => {
    const dx = into("x") ?? Tensor.like(dy);
    const [dweight, dbias] = [into("weight"), into("bias")];
    const flags = { x_row: 0, dy_row: 0, dx_row: 0, training, relu: false, accumulate_dx: false };
    dy.device.call("batch_norm_backward", { rows, channels, ...flags, ...saved, dy, dx, dweight, dbias });
    return { x: dx, weight: dweight, bias: dbias };
  });
}
