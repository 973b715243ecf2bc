/**
 * Is a test worth acting on? At a threshold probability t a doctor says: I would rather act on 1 / t patients of whom one is
 * ill than miss that one. A false alarm then costs t / (1 - t) of what finding an ill patient gains, and the net benefit of
 * acting on all whose probability is at least t is
 *
 *     true positives / n  -  false positives / n  x  t / (1 - t)
 *
 * A test that is of use lies above both acting on everyone and acting on no one (which is 0 throughout).
 *
 * @see Vickers and Elkin, Med. Decis. Making 26 (2006) 565; Vickers et al., Diagn. Progn. Res. 3 (2019) 18
 */

import { ArgumentError } from "../errors.js";
import { clustersOf } from "./clusters.js";
import { levelOf } from "./estimate.js";
import { once, percentiles, type ResamplingOptions, resample, resamplingNames } from "./resampling.js";
import type { Labels } from "./samples.js";
import { numbersOf } from "./samples.js";
import { checkBinary } from "./threshold.js";

/** Net benefits at threshold probabilities: lists of equal length. Acting on no one is 0 at all of them. */
export interface DecisionCurve {
  /** From which probability one acts. */
  readonly thresholds: readonly number[];
  /** Of acting on those that the classifier gives at least that probability, in true positives a sample. */
  readonly netBenefit: readonly number[];
  /** Its pointwise interval: lower ends. */
  readonly lower: readonly number[];
  /** Its pointwise interval: upper ends. */
  readonly upper: readonly number[];
  /** Of acting on everyone. */
  readonly treatAll: readonly number[];
}

/** How a decision curve is drawn. */
export interface DecisionCurveOptions extends ResamplingOptions {
  /** Rising, each from 0 on and below 1; default 0.01, 0.02, ... 0.99. */
  readonly thresholds?: readonly number[];
}

const everyPercent = Array.from({ length: 99 }, (_, percent) => (percent + 1) / 100);

/**
 * @param labels  (n) 0 or 1
 * @param scores  (n) probability of class 1, calibrated: a decision curve takes it at its word
 * @throws EvaluationError if the samples are malformed
 * @throws ArgumentError if the thresholds are
 */
export function decisionCurve(
  labels: Labels,
  scores: ArrayLike<number>,
  options: DecisionCurveOptions = {},
): DecisionCurve {
  const level = levelOf("decisionCurve", options, { ...resamplingNames, thresholds: true });
  const { thresholds = everyPercent } = options;
  const limits = numbersOf("decisionCurve", "thresholds", thresholds);
  const rising = limits.every((t, i) => t >= 0 && t < 1 && (i === 0 || t > thresholds[i - 1]!));
  if (thresholds.length === 0 || !rising) {
    throw new ArgumentError("decisionCurve: thresholds have to rise, each from 0 on and below 1.");
  }
  const { positive, scores: checked } = checkBinary("decisionCurve", labels, scores);
  // How many of the thresholds each sample reaches.
  const reached = Uint32Array.from(checked, (score) => {
    const above = thresholds.findIndex((threshold) => threshold > score);
    return above < 0 ? thresholds.length : above;
  });
  const statistic = (weights: Uint16Array, into: Float64Array): void => {
    const gains = [new Float64Array(thresholds.length + 1), new Float64Array(thresholds.length + 1)] as const;
    let count = 0;
    for (let sample = 0; sample < weights.length; sample++) {
      gains[positive[sample] as 0 | 1][reached[sample]!]! += weights[sample]!;
      count += weights[sample]!;
    }
    let [alarms, hits] = [0, 0];
    for (let at = thresholds.length - 1; at >= 0; at--) {
      alarms += gains[0][at + 1]!;
      hits += gains[1][at + 1]!;
      into[at] = benefit(hits / count, alarms / count, thresholds[at]!);
    }
  };
  const clusters = clustersOf("decisionCurve", labels.length, options);
  const drawn = resample("decisionCurve", clusters, thresholds.length, statistic, options);
  const ends = drawn.map((values) => percentiles(values, level));
  const prevalence = positive.reduce((total, flag) => total + flag, 0) / positive.length;
  return {
    thresholds: [...thresholds],
    netBenefit: Array.from(once(positive.length, thresholds.length, statistic)),
    lower: ends.map(([lower]) => lower),
    upper: ends.map(([, upper]) => upper),
    treatAll: thresholds.map((threshold) => benefit(prevalence, 1 - prevalence, threshold)),
  };
}

const benefit = (hits: number, alarms: number, threshold: number): number =>
  hits - (alarms * threshold) / (1 - threshold);
