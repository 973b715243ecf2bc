/** All benchmarks of some networks, and a row of results for each. */
import { withBatchAdvice } from "../inference/batch-memory.js";
import { medMambaConfig, type Variant } from "../models/config.js";
import type { Device, Precision } from "../tensor/device.js";
import type { Benchmark, Opened } from "./benchmark.js";
import { kernelBenchmarks } from "./kernels.js";
import { type Bound, type Limits, leastTime } from "./limits.js";
import { measure, type Pace } from "./measure.js";
import { blockBenchmarks, modelBenchmarks } from "./networks.js";
import { stagesOf } from "./work.js";

/** One measurement. Rates are undefined where there is nothing to count. */
export interface Row {
  readonly name: string;
  readonly shape: string;
  readonly batch: number;
  /** How the device multiplies. */
  readonly precision: Precision;
  /** Median of one run. */
  readonly seconds: number;
  /** The middle half of the samples lies within this share of the median. */
  readonly spread: number;
  readonly samples: number;
  readonly imagesPerSecond: number;
  /** Two for each multiply-add. */
  readonly gigaflops?: number;
  readonly gigabytesPerSecond?: number;
  readonly gigaexponentialsPerSecond?: number;
  /** The least time at this machine's rates, and what it is bound by. */
  readonly leastSeconds: number;
  readonly bound: Bound;
  /** `leastSeconds / seconds` */
  readonly ofLimit: number;
}

/** Kernel by kernel, then blocks, of the first variant; then all variants as a whole. */
export function allBenchmarks(
  variants: readonly [Variant, ...Variant[]],
  imageSize: number,
  batch: number,
): Benchmark[] {
  const stages = stagesOf(medMambaConfig({ variant: variants[0] }), imageSize);
  const kernels = stages.map((stage) => kernelBenchmarks(stage, batch));
  const blocks = stages.map((stage) => blockBenchmarks(stage, batch));
  const models = variants.map((variant) =>
    modelBenchmarks(variant, medMambaConfig({ variant }), imageSize, batch),
  );
  return [...byName(kernels), ...byName(blocks), ...models.flat()];
}

/** The stages' lists, which have the same names, with one name's stages together. */
function byName(stages: readonly Benchmark[][]): Benchmark[] {
  return (stages[0] ?? []).flatMap((_, i) => stages.flatMap((stage) => stage[i] ?? []));
}

export async function runBenchmark(
  benchmark: Benchmark,
  device: Device,
  precision: Precision,
  limits: Limits,
  pace: Pace,
): Promise<Row> {
  const { name, shape, images, cost } = benchmark;
  let opened: Opened | undefined;
  try {
    opened = benchmark.open(device);
    const { seconds, spread, samples } = await measure(device, opened, pace);
    const { seconds: leastSeconds, bound } = leastTime(cost, limits);
    return {
      name,
      shape,
      batch: images,
      precision,
      seconds,
      spread,
      samples,
      imagesPerSecond: images / seconds,
      ...(cost.multiplyAdds ? { gigaflops: (2e-9 * cost.multiplyAdds) / seconds } : {}),
      ...(cost.bytes ? { gigabytesPerSecond: (1e-9 * cost.bytes) / seconds } : {}),
      ...(cost.exponentials ? { gigaexponentialsPerSecond: (1e-9 * cost.exponentials) / seconds } : {}),
      leastSeconds,
      bound,
      ofLimit: leastSeconds / seconds,
    };
  } catch (error) {
    throw withBatchAdvice(error, { device, batchSize: images });
  } finally {
    opened?.close();
  }
}
