/**
 * The bootstrap: what would the number have been with other patients? As many patients as there are are drawn from them with
 * replacement, the number is computed from these, and after 2,000 such draws the middle 95 % of the results are the interval.
 * A patient is drawn with all samples or not at all, because samples of one patient are not independent.
 *
 * A draw is a weight for each sample, how often its patient was drawn, so that statistics sort their samples once and are
 * evaluated by counting.
 *
 * Percentiles, not BCa: they stay within the range of the number and ask nothing of its distribution, and BCa's acceleration
 * would need the number anew without each patient in turn, at five times the cost for 10,000 patients; for the proportions
 * and areas, where it would matter most, closed formulas are used anyway.
 *
 * @see Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapters 8 (clusters) and 13 (percentiles)
 */
import { ArgumentError } from "../errors.js";
import { inWords, type NamesOf } from "../settings/given.js";
import type { Clusters } from "./clusters.js";
import type { ConfidenceLevel, Interval } from "./confidence-level.js";
import { type Estimate, estimated, type IntervalOptions, intervalNames, notEstimated } from "./estimate.js";
import { Random } from "./random.js";

/** How patients are drawn. */
export interface ResamplingOptions extends IntervalOptions {
  /** Draws; default 2000. */
  readonly resamples?: number;
  /** Of the random numbers; the same seed gives the same interval. Default 0. */
  readonly seed?: number;
}

/**
 * @internal Several numbers at once, from weighted samples.
 *
 * @param weights  (samples) how often each counts
 * @param into     (numbers) where they go; NaN for one that is not defined
 */
export type Statistic = (weights: Uint16Array, into: Float64Array) => void;

/** @internal Names of the options. */
export const resamplingNames: NamesOf<ResamplingOptions> = { ...intervalNames, resamples: true, seed: true };

const most = 100_000;
/** What is kept of all draws: 400 MB. */
const mostValues = 50_000_000;
/** If more of the draws leave a number undefined than this, those that remain are no fair sample of what could have been. */
const mostUndefined = 0.05;

/**
 * @internal
 * @returns for each number its values over all draws
 * @throws ArgumentError if the number of draws or the seed cannot be
 */
export function resample(
  operation: string,
  clusters: Clusters,
  numbers: number,
  statistic: Statistic,
  { resamples = 2000, seed = 0 }: ResamplingOptions = {},
): Float64Array[] {
  if (!Number.isSafeInteger(resamples) || resamples < 1 || resamples > most) {
    throw new ArgumentError(
      `${operation}: ${inWords(resamples)} is not a number of resamples; use 1 to ${most}.`,
    );
  }
  if (numbers * resamples > mostValues) {
    throw new ArgumentError(
      `${operation}: ${resamples} resamples of ${numbers} numbers do not fit in memory; use at most ${Math.floor(mostValues / numbers)}.`,
    );
  }
  const random = Random.seeded(operation, seed);
  // A patient is hardly ever drawn ten times; 16 bits keep the weights of 10,000 samples in a processor's first cache.
  const drawn = new Uint16Array(clusters.count);
  const weights = clusters.repeated ? new Uint16Array(clusters.of.length) : drawn;
  const result = new Float64Array(numbers);
  const values = Array.from({ length: numbers }, () => new Float64Array(resamples));
  for (let draw = 0; draw < resamples; draw++) {
    random.tally(drawn);
    if (weights !== drawn)
      for (let sample = 0; sample < weights.length; sample++) weights[sample] = drawn[clusters.of[sample]!]!;
    statistic(weights, result);
    for (let number = 0; number < numbers; number++) values[number]![draw] = result[number]!;
  }
  return values;
}

/** @internal The samples as they are: what a statistic of all of them is. */
export function once(samples: number, numbers: number, statistic: Statistic): Float64Array {
  const into = new Float64Array(numbers);
  statistic(new Uint16Array(samples).fill(1), into);
  return into;
}

/**
 * @internal The number with the interval of its values over all draws.
 *
 * @param undefinedBecause  why the number is not defined, where it is not
 */
export function bootstrapped(
  value: number,
  values: Float64Array,
  level: ConfidenceLevel,
  undefinedBecause: string,
): Estimate {
  if (!Number.isFinite(value)) return notEstimated(undefinedBecause);
  const defined = values.filter((drawn) => Number.isFinite(drawn));
  const lost = values.length - defined.length;
  if (lost > mostUndefined * values.length) {
    return notEstimated(
      `too few samples: it is not defined in ${lost} of ${values.length} draws of patients`,
      value,
    );
  }
  const interval = percentiles(defined, level);
  if (interval[0] === interval[1]) {
    return notEstimated("all draws of patients give the same: too few errors to tell", value);
  }
  return estimated(value, interval, "bootstrap");
}

/**
 * @internal The same for a distance that chance makes larger, such as a calibration error: it is never below 0, and resampled
 * patients add their chance to that of the sample, so that percentiles would lie above the truth. As far as the draws lie above
 * the number, so far may the number lie above the truth: the percentiles are reflected at the number (the basic bootstrap),
 * cut off at 0, and widened to hold the number where they do not.
 *
 * @see Davison and Hinkley, Bootstrap Methods and their Application (1997), 5.2
 */
export function bootstrappedDistance(
  value: number,
  values: Float64Array,
  level: ConfidenceLevel,
  undefinedBecause: string,
): Estimate {
  const estimate = bootstrapped(value, values, level, undefinedBecause);
  if (estimate.reason !== undefined) return estimate;
  const { lower, upper } = estimate;
  const reflected = [
    Math.max(0, Math.min(value, 2 * value - upper)),
    Math.max(value, 2 * value - lower),
  ] as const;
  return estimated(value, reflected, "bootstrap");
}

/** @internal The middle share of values, interpolated as numpy's `quantile` does by default. */
export function percentiles(values: Float64Array, level: ConfidenceLevel): Interval {
  const sorted = values.toSorted();
  const quantile = (share: number): number => {
    const place = share * (sorted.length - 1);
    const below = sorted[Math.floor(place)]!;
    return below + (sorted[Math.ceil(place)]! - below) * (place - Math.floor(place));
  };
  return [quantile((1 - level) / 2), quantile((1 + level) / 2)];
}
