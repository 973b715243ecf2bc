/**
 * ROC and precision-recall curves with bands: at each place of the horizontal axis, the middle 95 % of the curves of resampled
 * patients. A band is pointwise: it holds the true curve at one place with that certainty, not along its whole length.
 *
 * @see Fawcett, Pattern Recognit. Lett. 27 (2006) 861, for averaging at fixed false positive rates; Davis and Goadrich,
 *   ICML 2006, for why precision is not interpolated by lines
 */

import { ArgumentError, EvaluationError } from "../errors.js";
import { inWords } from "../settings/given.js";
import { clustersOf } from "./clusters.js";
import { type Estimate, levelOf } from "./estimate.js";
import { averagePrecision, rocCurve } from "./ranking.js";
import {
  bootstrapped,
  once,
  percentiles,
  type ResamplingOptions,
  resample,
  resamplingNames,
} from "./resampling.js";
import type { Labels } from "./samples.js";
import { checkBinary } from "./threshold.js";
import { WeightedRanking } from "./weighted-ranking.js";

/** A curve and its band, at places of its horizontal axis. */
export interface CurveBand {
  /** (places) from 0 to 1 */
  readonly x: readonly number[];
  /** (places) the curve of the samples as they are */
  readonly y: readonly number[];
  /** (places) the band: lower edge; equal to `y` where no draw of patients moves the curve */
  readonly lower: readonly number[];
  /** (places) the band: upper edge */
  readonly upper: readonly number[];
}

/** How a curve is drawn. */
export interface CurveOptions extends ResamplingOptions {
  /** Places along the horizontal axis, both ends included; default 101. */
  readonly places?: number;
}

/**
 * Sensitivity (y) at false positive rates (x) from 0 to 1, by lines between thresholds.
 *
 * @param labels  (n) 0 or 1
 * @param scores  (n) probability of class 1
 * @throws EvaluationError if the samples are malformed or of one class
 * @throws ArgumentError if `places` is not a whole number from 2 to 10001
 */
export function rocBand(labels: Labels, scores: ArrayLike<number>, options: CurveOptions = {}): CurveBand {
  return band("rocBand", labels, scores, options, (falsePositives, truePositives, x) => {
    // The last point at or left of the place, and the first right of it; of points above each other the highest.
    let after = 0;
    return x.map((place) => {
      while (after < falsePositives.length && falsePositives[after]! <= place) after += 1;
      const [left, right] = [falsePositives[after - 1] ?? 0, falsePositives[after]];
      const from = truePositives[after - 1] ?? 0;
      return right === undefined
        ? from
        : from + ((truePositives[after]! - from) * (place - left)) / (right - left);
    });
  });
}

/**
 * Precision (y) at recalls (x) from 0 to 1: that of the highest threshold which reaches the recall. At recall 0 it is that of
 * the highest score.
 *
 * @param labels  (n) 0 or 1
 * @param scores  (n) probability of class 1
 * @throws EvaluationError if the samples are malformed or of one class
 * @throws ArgumentError if `places` is not a whole number from 2 to 10001
 */
export function precisionRecallBand(
  labels: Labels,
  scores: ArrayLike<number>,
  options: CurveOptions = {},
): CurveBand {
  return band(
    "precisionRecallBand",
    labels,
    scores,
    options,
    (falsePositives, truePositives, x, [negatives, positives]) => {
      let at = 0;
      return x.map((place) => {
        while (at < truePositives.length - 1 && truePositives[at]! < place - 1e-12) at += 1;
        const hits = truePositives[at]! * positives;
        return hits / (hits + falsePositives[at]! * negatives);
      });
    },
  );
}

/**
 * Average precision, the area under the precision-recall curve by the step rule, with its interval.
 *
 * @param labels  (n) 0 or 1
 * @param scores  (n) probability of class 1
 * @throws EvaluationError if the samples are malformed
 */
export function averagePrecisionEstimate(
  labels: Labels,
  scores: ArrayLike<number>,
  options: ResamplingOptions = {},
): Estimate {
  const operation = "averagePrecisionEstimate";
  const level = levelOf(operation, options, resamplingNames);
  const { positive, scores: checked } = checkBinary(operation, labels, scores);
  const ranking = new WeightedRanking(positive, checked);
  const areas = { auc: Number.NaN, averagePrecision: Number.NaN };
  const clusters = clustersOf(operation, labels.length, options);
  const [drawn] = resample(
    operation,
    clusters,
    1,
    (weights, into) => {
      ranking.areas(weights, areas);
      into[0] = areas.averagePrecision;
    },
    options,
  );
  return bootstrapped(averagePrecision(positive, checked), drawn!, level, "no sample is positive");
}

/**
 * The curve at places from what is called at falling thresholds, one point for each distinct score that is there.
 *
 * @param falsePositives  rates, rising to 1
 * @param truePositives   rates, rising to 1
 * @param counts          of negatives and positives
 */
type Drawing = (
  falsePositives: readonly number[],
  truePositives: readonly number[],
  x: readonly number[],
  counts: readonly [number, number],
) => number[];

function band(
  operation: string,
  labels: Labels,
  scores: ArrayLike<number>,
  options: CurveOptions,
  draw: Drawing,
): CurveBand {
  const level = levelOf(operation, options, { ...resamplingNames, places: true });
  const { places = 101 } = options;
  if (!Number.isSafeInteger(places) || places < 2 || places > 10_001) {
    throw new ArgumentError(`${operation}: ${inWords(places)} is not a number of places; use 2 to 10001.`);
  }
  const { positive, scores: checked } = checkBinary(operation, labels, scores);
  if (!positive.includes(0) || !positive.includes(1)) {
    throw new EvaluationError(`${operation}: a curve needs samples of both classes.`);
  }
  const x = Array.from({ length: places }, (_, place) => place / (places - 1));
  const groupOf = groupsOf(positive, checked);
  const statistic = (weights: Uint16Array, into: Float64Array): void => {
    const counts = countsOf(positive, groupOf, weights);
    if (counts === undefined) into.fill(Number.NaN);
    else into.set(draw(counts.falsePositives, counts.truePositives, x, counts.totals));
  };
  const y = Array.from(once(positive.length, places, statistic));
  const clusters = clustersOf(operation, labels.length, options);
  const drawn = resample(operation, clusters, places, statistic, options);
  const ends = drawn.map((values, place) => {
    const defined = values.filter(Number.isFinite); // Draws of one class have no curve.
    return defined.length === 0 ? [y[place]!, y[place]!] : percentiles(defined, level);
  });
  return { x, y, lower: ends.map(([lower]) => lower!), upper: ends.map(([, upper]) => upper!) };
}

/** (samples) the number of each sample's score among the distinct ones, by falling score. */
function groupsOf(positive: Uint8Array, scores: Float64Array): { of: Uint32Array; count: number } {
  const { thresholds } = rocCurve(positive, scores);
  const numbers = new Map(thresholds.map((threshold, point) => [threshold, point - 1]));
  return { of: Uint32Array.from(scores, (score) => numbers.get(score)!), count: thresholds.length - 1 };
}

function countsOf(positive: Uint8Array, groups: { of: Uint32Array; count: number }, weights: Uint16Array) {
  const called = [new Float64Array(groups.count), new Float64Array(groups.count)] as const;
  for (let sample = 0; sample < weights.length; sample++) {
    called[positive[sample] as 0 | 1][groups.of[sample]!]! += weights[sample]!;
  }
  const falsePositives: number[] = [];
  const truePositives: number[] = [];
  let [alarms, hits] = [0, 0];
  for (let group = 0; group < groups.count; group++) {
    if (called[0][group] === 0 && called[1][group] === 0) continue;
    alarms += called[0][group]!;
    hits += called[1][group]!;
    falsePositives.push(alarms);
    truePositives.push(hits);
  }
  if (alarms === 0 || hits === 0) return undefined;
  return {
    falsePositives: falsePositives.map((count) => count / alarms),
    truePositives: truePositives.map((count) => count / hits),
    totals: [alarms, hits] as const,
  };
}
