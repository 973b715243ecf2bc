/**
 * Do probabilities come true as often as they say? Samples are put in bins by probability, and each bin's mean probability
 * is compared with the share of it that came true. The bins hold equally many samples (equal mass), so that none is judged by
 * three of them; samples of the same probability stay together.
 *
 * For two classes what comes true is the second class; for more, that the most probable class is the true one.
 *
 * The error found is never below 0, so chance alone makes it larger than it is, the more so the fewer samples; its interval
 * reaches down by as much. Whether a classifier is off systematically is better asked of `calibrationLine`.
 *
 * @see Nguyen and O'Connor, EMNLP 2015, for equal mass; Nixon et al., https://arxiv.org/abs/1904.01685
 */

import { ArgumentError } from "../errors.js";
import { inWords } from "../settings/given.js";
import { type Clusters, clustersOf } from "./clusters.js";
import type { ConfidenceLevel } from "./confidence-level.js";
import { type Estimate, levelOf } from "./estimate.js";
import { proportion } from "./proportion.js";
import {
  bootstrappedDistance,
  once,
  type ResamplingOptions,
  resample,
  resamplingNames,
} from "./resampling.js";
import { type Classes, checkSamples, type Labels, type Probabilities, topClasses } from "./samples.js";
import { checkBinary } from "./threshold.js";

/** One bin of a calibration, which has at least one sample. */
export interface CalibrationBin {
  /** Lowest probability in the bin. */
  readonly lowest: number;
  /** Highest probability in the bin. */
  readonly highest: number;
  /** Samples in the bin. */
  readonly count: number;
  /** Their mean probability. */
  readonly predicted: number;
  /** The share of them that came true. */
  readonly observed: Estimate;
}

/** Calibration in bins of equal mass. */
export interface BinnedCalibration {
  /** By rising probability. */
  readonly bins: readonly CalibrationBin[];
  /** Expected calibration error: mean over samples of |observed - predicted| of their bin. 0 is perfect. */
  readonly error: Estimate;
}

/** How a calibration is binned. */
export interface CalibrationOptions extends ResamplingOptions {
  /** Number of bins of equal mass, 1 to 1000; default 15. Fewer come out where many samples have the same probability. */
  readonly bins?: number;
}

/**
 * Of the probability of class 1.
 *
 * @param labels  (n) 0 or 1
 * @param scores  (n) probability of class 1
 * @throws EvaluationError if the samples are malformed
 * @throws ArgumentError if the number of bins cannot be
 */
export function binaryCalibration(
  labels: Labels,
  scores: ArrayLike<number>,
  options: CalibrationOptions = {},
): BinnedCalibration {
  const { positive, scores: checked } = checkBinary("binaryCalibration", labels, scores);
  return binned("binaryCalibration", positive, checked, options);
}

/**
 * Of the probability of the most probable class.
 *
 * @param labels         (n) class indices
 * @param probabilities  (n, classes)
 * @throws EvaluationError if the samples are malformed
 * @throws ArgumentError if the number of bins cannot be
 */
export function topClassCalibration(
  labels: Labels,
  probabilities: Probabilities,
  classes: Classes,
  options: CalibrationOptions = {},
): BinnedCalibration {
  const samples = checkSamples("topClassCalibration", labels, probabilities, classes);
  const { index, probability } = topClasses(samples);
  const right = Uint8Array.from(index, (called, sample) => Number(called === samples.labels[sample]));
  return binned("topClassCalibration", right, probability, options);
}

function binned(
  operation: string,
  outcome: Uint8Array,
  scores: Float64Array,
  options: CalibrationOptions,
): BinnedCalibration {
  const level = levelOf(operation, options, { ...resamplingNames, bins: true });
  const { bins: wanted = 15 } = options;
  const bins = equalMass(operation, scores, wanted);
  const clusters = clustersOf(operation, scores.length, options);
  const statistic = (weights: Uint16Array, into: Float64Array): void => {
    const excess = new Float64Array(bins.count);
    let count = 0;
    for (let sample = 0; sample < weights.length; sample++) {
      const weight = weights[sample]!;
      excess[bins.of[sample]!]! += weight * (outcome[sample]! - scores[sample]!);
      count += weight;
    }
    into[0] = excess.reduce((total, value) => total + Math.abs(value), 0) / count;
  };
  const [value] = once(scores.length, 1, statistic);
  const [drawn] = resample(operation, clusters, 1, statistic, options);
  return {
    bins: Array.from({ length: bins.count }, (_, bin) =>
      describe(bin, bins.of, outcome, scores, clusters, level),
    ),
    error: bootstrappedDistance(value!, drawn!, level, "there are no samples"),
  };
}

function describe(
  bin: number,
  binOf: Uint32Array,
  outcome: Uint8Array,
  scores: Float64Array,
  clusters: Clusters,
  level: ConfidenceLevel,
): CalibrationBin {
  const inside = Uint8Array.from(binOf, (one) => Number(one === bin));
  const members = scores.filter((_, sample) => inside[sample]);
  return {
    lowest: members.reduce((least, score) => Math.min(least, score), Number.POSITIVE_INFINITY),
    highest: members.reduce((most, score) => Math.max(most, score), 0),
    count: members.length,
    predicted: members.reduce((total, score) => total + score, 0) / members.length,
    observed: proportion(inside, outcome, clusters, level, "the bin is empty"),
  };
}

/**
 * @internal Bins of equally many samples, none empty, by rising score; samples of one score are in one bin.
 *
 * @throws ArgumentError if `bins` is not a whole number from 1 to 1000
 */
export function equalMass(
  operation: string,
  scores: Float64Array,
  bins: number,
): { of: Uint32Array; count: number } {
  if (!Number.isSafeInteger(bins) || bins < 1 || bins > 1000) {
    throw new ArgumentError(`${operation}: ${inWords(bins)} is not a number of bins; use 1 to 1000.`);
  }
  const order = Uint32Array.from(scores, (_, sample) => sample).sort((a, b) => scores[a]! - scores[b]!);
  const of = new Uint32Array(scores.length);
  let [bin, quota] = [-1, -1];
  for (const [place, sample] of order.entries()) {
    const before = place === 0 ? Number.NaN : scores[order[place - 1]!]!;
    const share = Math.floor((place * bins) / scores.length);
    if (share > quota && scores[sample] !== before) {
      bin += 1;
      quota = share;
    }
    of[sample] = bin;
  }
  return { of, count: bin + 1 };
}
