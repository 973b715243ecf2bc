/**
 * Timing of queued work by the device's own clock: a CUDA device's events, the clock of the CPU's executor. Work that
 * takes microseconds is queued many times between two waits, so that what is measured is the work and not the way to
 * the device and back.
 */
import type { Device } from "../tensor/device.js";

/** How long to look. */
export interface Pace {
  /** Least duration of one sample. */
  readonly sampleSeconds: number;
  /** Of all samples together, warm-up included. */
  readonly seconds: number;
  readonly fewestSamples: number;
}

export const paces = {
  thorough: { sampleSeconds: 0.01, seconds: 0.6, fewestSamples: 5 },
  /** A GPU is steady, and its suite is six times as long. */
  gpu: { sampleSeconds: 0.004, seconds: 0.12, fewestSamples: 5 },
  quick: { sampleSeconds: 0.001, seconds: 0.02, fewestSamples: 2 },
} as const satisfies Record<string, Pace>;

/** In one sample: a call that does nothing to speak of must not fill the queue. */
const mostCalls = 10_000;

export interface Timing {
  /** Median over the samples. */
  readonly seconds: number;
  readonly fastest: number;
  /** The middle half of the samples lies within this share of the median. */
  readonly spread: number;
  readonly samples: number;
}

/** Work to be timed; `before` and `after` are run around it, untimed. */
export interface Timed {
  readonly run: () => void;
  readonly before?: () => void;
  readonly after?: () => void;
}

/** Warms up, then takes samples until the time is over. */
export async function measure(device: Device, work: Timed, pace: Pace): Promise<Timing> {
  const alone = work.before !== undefined || work.after !== undefined;
  const sample = async (calls: number): Promise<number> => {
    work.before?.();
    await device.synchronize();
    const seconds = await device.time(() => {
      for (let i = 0; i < calls; ++i) work.run();
    });
    work.after?.();
    return seconds / calls;
  };
  const begin = performance.now();
  const elapsed = () => (performance.now() - begin) / 1000;
  await sample(1); // touches the memory for the first time
  const estimate = await sample(1);
  const calls = alone ? 1 : Math.max(1, Math.min(mostCalls, Math.ceil(pace.sampleSeconds / estimate)));
  while (elapsed() < pace.seconds / 4) await sample(calls);
  const samples: number[] = [];
  while (samples.length < pace.fewestSamples || elapsed() < pace.seconds) samples.push(await sample(calls));
  await device.synchronize();
  return summary(samples);
}

export function summary(samples: readonly number[]): Timing {
  const sorted = [...samples].sort((a, b) => a - b);
  const seconds = quantile(sorted, 0.5);
  const spread = (quantile(sorted, 0.75) - quantile(sorted, 0.25)) / seconds;
  return { seconds, fastest: sorted[0] ?? Number.NaN, spread, samples: sorted.length };
}

function quantile(sorted: readonly number[], share: number): number {
  const place = share * (sorted.length - 1);
  const below = sorted[Math.floor(place)] ?? Number.NaN;
  const above = sorted[Math.ceil(place)] ?? Number.NaN;
  return below + (above - below) * (place - Math.floor(place));
}
