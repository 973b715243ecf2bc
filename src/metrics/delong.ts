/**
 * How far an area under the ROC curve can be trusted, and whether two classifiers differ in it. The area is a mean over
 * pairs of a positive and a negative sample. Each sample has a share in it, the fraction of the other kind that it is ranked
 * rightly against, and the variance of the area is that of the mean of these shares, over positives and over negatives
 * (DeLong). Two classifiers judged on the same samples are compared by the difference of each sample's shares, which takes
 * care of their correlation.
 *
 * Samples of one patient vary together: their shares are added before they are squared (Obuchowski), which for one sample a
 * patient is DeLong's formula itself. The mean of several one-versus-rest areas is treated alike, with as many kinds of samples
 * as there are classes: a sample of one class is a positive in one area and a negative in all others.
 *
 * The interval of one area is taken on the scale of log odds, so that it stays within (0, 1); that of a difference as it is.
 *
 * @see DeLong et al., Biometrics 44 (1988) 837; Obuchowski, Biometrics 53 (1997) 567; Sun and Xu, IEEE Signal Process. Lett.
 *   21 (2014) 1389, for its cost of one sort; Pepe, The Statistical Evaluation of Medical Tests (2003), 5.2.5, for log odds
 */
import { type Clusters, clustersOf } from "./clusters.js";
import { type ConfidenceLevel, type Interval, quantile } from "./confidence-level.js";
import {
  type Estimate,
  estimated,
  type IntervalOptions,
  intervalNames,
  levelOf,
  notEstimated,
} from "./estimate.js";
import { twoSidedTail } from "./normal.js";
import { areaUnderRoc, placements } from "./ranking.js";
import {
  type Classes,
  checkSamples,
  column,
  type Labels,
  oneVersusRest,
  type Probabilities,
  type Samples,
} from "./samples.js";
import { checkBinary } from "./threshold.js";

/** Two classifiers on the same samples. */
export interface AreaComparison {
  /** Area of the first. */
  readonly first: Estimate;
  /** Area of the second. */
  readonly second: Estimate;
  /** First less second, from -1 to 1. */
  readonly difference: Estimate;
  /** How often a difference as large would come by chance between two that are alike; undefined where that has no answer. */
  readonly pValue?: number | undefined;
}

/** @internal An area and what each sample adds to it. */
export interface AreaShares {
  readonly area: number;
  /** (samples) */
  readonly shares: Float64Array;
  /** (samples) the kind of each: its class */
  readonly kinds: ArrayLike<number>;
  /** Why there is no area, where there is none. */
  readonly reason?: string;
}

/**
 * Area under the ROC curve of one score, with its interval.
 *
 * @param labels  (n) 0 or 1
 * @param scores  (n) probability of class 1
 * @throws EvaluationError if the samples are malformed
 */
export function areaEstimate(
  labels: Labels,
  scores: ArrayLike<number>,
  options: IntervalOptions = {},
): Estimate {
  const level = levelOf("areaEstimate", options, intervalNames);
  const binary = checkBinary("areaEstimate", labels, scores);
  const clusters = clustersOf("areaEstimate", labels.length, options);
  return estimateArea(binaryShares(binary.positive, binary.scores), clusters, level);
}

/**
 * Compares the areas of two classifiers on the same samples: with two classes that of the second class, with more the mean
 * of the one-versus-rest areas.
 *
 * @param labels  (n) class indices
 * @param first   (n, classes) probabilities of one classifier
 * @param second  (n, classes) probabilities of the other
 * @throws EvaluationError if the samples are malformed
 */
export function compareAreas(
  labels: Labels,
  first: Probabilities,
  second: Probabilities,
  classes: Classes,
  options: IntervalOptions = {},
): AreaComparison {
  const level = levelOf("compareAreas", options, intervalNames);
  const [a, b] = [first, second].map((probabilities) =>
    meanShares(checkSamples("compareAreas", labels, probabilities, classes)),
  ) as [AreaShares, AreaShares];
  return compareShares(a, b, clustersOf("compareAreas", labels.length, options), level);
}

/**
 * The same for one score each.
 *
 * @param labels  (n) 0 or 1
 * @param first   (n) probability of class 1 by one classifier
 * @param second  (n) by the other
 * @throws EvaluationError if the samples are malformed
 */
export function compareBinaryAreas(
  labels: Labels,
  first: ArrayLike<number>,
  second: ArrayLike<number>,
  options: IntervalOptions = {},
): AreaComparison {
  const level = levelOf("compareBinaryAreas", options, intervalNames);
  const [a, b] = [first, second].map((given) => {
    const { positive, scores } = checkBinary("compareBinaryAreas", labels, given);
    return binaryShares(positive, scores);
  }) as [AreaShares, AreaShares];
  return compareShares(a, b, clustersOf("compareBinaryAreas", labels.length, options), level);
}

/** @internal */
export function binaryShares(positive: Uint8Array, scores: Float64Array): AreaShares {
  const positives = positive.reduce((total, value) => total + value, 0);
  const counts = [positive.length - positives, positives];
  if (positives === 0 || positives === positive.length) {
    const none = positives === 0 ? "positive" : "negative";
    return { area: Number.NaN, shares: new Float64Array(0), kinds: positive, reason: `no sample is ${none}` };
  }
  const shares = placements(positive, scores).map((placement, i) => placement / counts[positive[i]!]!);
  return { area: areaUnderRoc(positive, scores), shares, kinds: positive };
}

/** @internal Of the second of two classes; of more, of the mean over those that a label names. */
export function meanShares(samples: Samples): AreaShares {
  const present = new Set(samples.labels);
  if (present.size < 2) {
    const shares = new Float64Array(0);
    return { area: Number.NaN, shares, kinds: samples.labels, reason: "all labels name one class" };
  }
  const averaged = samples.classes.length === 2 ? [1] : [...present].sort((a, b) => a - b);
  const shares = new Float64Array(samples.count);
  let area = 0;
  for (const index of averaged) {
    const one = binaryShares(oneVersusRest(samples, index), column(samples, index));
    area += one.area / averaged.length;
    one.shares.forEach((share, sample) => {
      shares[sample]! += share / averaged.length;
    });
  }
  return { area, shares, kinds: samples.labels };
}

/** @internal */
export function estimateArea(parts: AreaShares, clusters: Clusters, level: ConfidenceLevel): Estimate {
  const { area, shares, kinds, reason } = parts;
  if (reason !== undefined) return notEstimated(reason);
  if (area === 0 || area === 1) {
    const which = area === 1 ? "rightly" : "wrongly";
    return notEstimated(`all pairs are ranked ${which}, which leaves no spread to measure`, area);
  }
  const deviation = Math.sqrt(varianceOfSum(shares, kinds, clusters));
  if (Number.isNaN(deviation)) return notEstimated(tooFew, area);
  if (deviation < rounding) return notEstimated("all samples are ranked alike, which leaves no spread", area);
  return estimated(area, logitInterval(area, deviation ** 2, level), "delong");
}

/** @internal The interval of an area of that variance, taken on the logit scale so that it stays within (0, 1). */
export function logitInterval(area: number, variance: number, level: ConfidenceLevel): Interval {
  const z = quantile(level);
  if (area === 0 || area === 1) return [area, area];
  const logit = Math.log(area / (1 - area));
  const reach = (z * Math.sqrt(variance)) / (area * (1 - area));
  return [logistic(logit - reach), logistic(logit + reach)];
}

/** Deviations below this are rounding: one pair of a million positives and negatives ranked otherwise makes 1e-12. */
const rounding = 1e-13;
const tooFew = "a class has fewer than two patients, which say nothing of their spread";

function compareShares(
  a: AreaShares,
  b: AreaShares,
  clusters: Clusters,
  level: ConfidenceLevel,
): AreaComparison {
  const first = estimateArea(a, clusters, level);
  const second = estimateArea(b, clusters, level);
  if (a.reason !== undefined) return { first, second, difference: notEstimated(a.reason) };
  const value = a.area - b.area;
  const differences = a.shares.map((share, sample) => share - b.shares[sample]!);
  const deviation = Math.sqrt(varianceOfSum(differences, a.kinds, clusters));
  if (Number.isNaN(deviation)) return { first, second, difference: notEstimated(tooFew, value) };
  if (deviation < rounding) {
    const reason = "both rank these samples alike";
    return { first, second, difference: notEstimated(reason, value) };
  }
  const reach = quantile(level) * deviation;
  const ends = [Math.max(-1, value - reach), Math.min(1, value + reach)] as const;
  return {
    first,
    second,
    difference: estimated(value, ends, "delong"),
    pValue: twoSidedTail(value / deviation),
  };
}

/**
 * @internal Variance of a sum of shares over patients, each drawn anew: squares of a patient's deviations from the mean of
 * their kind. With I patients in all and I_k that have samples of kind k, products within a kind count I_k / (I_k - 1) times,
 * products of two kinds I / (I - 1) times. NaN if a kind is of one patient alone.
 *
 * @param shares  (samples)
 * @param kinds   (samples) whole numbers from 0 on
 */
export function varianceOfSum(shares: Float64Array, kinds: ArrayLike<number>, clusters: Clusters): number {
  const members = new Map<number, number[]>();
  for (let sample = 0; sample < kinds.length; sample++) {
    const list = members.get(kinds[sample]!);
    if (list) list.push(sample);
    else members.set(kinds[sample]!, [sample]);
  }
  const unbiased = (count: number): number => (count > 1 ? count / (count - 1) : Number.NaN);
  const ofAll = unbiased(clusters.count);
  const sums = new Float64Array(clusters.count);
  const inKind = new Float64Array(clusters.count);
  let variance = 0;
  for (const samples of members.values()) {
    const mean = samples.reduce((total, sample) => total + shares[sample]!, 0) / samples.length;
    const patients = new Set<number>();
    for (const sample of samples) {
      const patient = clusters.of[sample]!;
      inKind[patient]! += shares[sample]! - mean;
      patients.add(patient);
    }
    let squares = 0;
    for (const patient of patients) {
      squares += inKind[patient]! ** 2;
      sums[patient]! += inKind[patient]!;
      inKind[patient] = 0;
    }
    variance += (unbiased(patients.size) - ofAll) * squares;
  }
  return variance + ofAll * sums.reduce((total, sum) => total + sum ** 2, 0);
}

const logistic = (x: number): number => 1 / (1 + Math.exp(-x));
