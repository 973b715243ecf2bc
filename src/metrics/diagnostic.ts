/**
 * A yes-or-no test against the truth, in the numbers that medicine knows: how many of the ill it finds (sensitivity), how many
 * of the well it lets go (specificity), what a call is worth (predictive values), and how far a call shifts the odds of being
 * ill (likelihood ratios). Predictive values depend on how common the finding is; likelihood ratios do not, so they carry over
 * to a place where it is rarer: odds after = odds before x ratio (Bayes), which is what `predictiveValuesAt` does.
 *
 * Intervals of ratios are normal on the scale of logarithms, and predictive values at another prevalence inherit them.
 *
 * @see Altman and Bland, BMJ 309 (1994) 102; Simel et al., J. Clin. Epidemiol. 44 (1991) 763, for intervals of ratios;
 *   Mercaldo et al., Stat. Med. 26 (2007) 2170, for predictive values at another prevalence
 */

import { ArgumentError } from "../errors.js";
import { expectNamed, inWords } from "../settings/given.js";
import { type Clusters, clustersOf } from "./clusters.js";
import { type ConfidenceLevel, quantile } from "./confidence-level.js";
import { varianceOfSum } from "./delong.js";
import {
  type Estimate,
  estimated,
  expectEstimate,
  type IntervalOptions,
  intervalNames,
  levelOf,
  notEstimated,
  transformed,
} from "./estimate.js";
import { proportion } from "./proportion.js";
import {
  type Classes,
  checkSamples,
  type Labels,
  oneVersusRest,
  type Probabilities,
  topClasses,
} from "./samples.js";
import { checkBinary, expectThreshold } from "./threshold.js";

/** What a test is worth. */
export interface DiagnosticMetrics {
  /** Positives called positive. */
  readonly truePositives: number;
  /** Negatives called positive. */
  readonly falsePositives: number;
  /** Negatives called negative. */
  readonly trueNegatives: number;
  /** Positives called negative. */
  readonly falseNegatives: number;
  /** Share of the samples that is positive, 0 to 1. */
  readonly prevalence: Estimate;
  /** Share called rightly. */
  readonly accuracy: Estimate;
  /** Of the positives, the share called positive. */
  readonly sensitivity: Estimate;
  /** Of the negatives, the share called negative. */
  readonly specificity: Estimate;
  /** Of the positive calls, the share that is right, at the prevalence among these samples. */
  readonly positivePredictiveValue: Estimate;
  /** Of the negative calls, the share that is right, at the prevalence among these samples. */
  readonly negativePredictiveValue: Estimate;
  /** Sensitivity / (1 - specificity): a positive call multiplies the odds by this. */
  readonly positiveLikelihoodRatio: Estimate;
  /** (1 - sensitivity) / specificity: a negative call multiplies the odds by this. */
  readonly negativeLikelihoodRatio: Estimate;
}

/** What calls are worth where the finding is more common, or rarer. */
export interface PredictiveValues {
  /** Share of those tested that has the finding. */
  readonly prevalence: number;
  /** Of the positive calls, the share that is right. */
  readonly positivePredictiveValue: Estimate;
  /** Of the negative calls, the share that is right. */
  readonly negativePredictiveValue: Estimate;
}

/**
 * A probability with a threshold, as a test.
 *
 * @param labels     (n) 0 or 1
 * @param scores     (n) probability of class 1
 * @param threshold  probability from which class 1 is called
 * @throws EvaluationError if the samples are malformed or the threshold is no number
 */
export function diagnosticMetrics(
  labels: Labels,
  scores: ArrayLike<number>,
  threshold: number,
  options: IntervalOptions = {},
): DiagnosticMetrics {
  const level = levelOf("diagnosticMetrics", options, intervalNames);
  const { positive, scores: checked } = checkBinary("diagnosticMetrics", labels, scores);
  expectThreshold("diagnosticMetrics", threshold);
  const called = Uint8Array.from(checked, (score) => Number(score >= threshold));
  return judge(positive, called, clustersOf("diagnosticMetrics", labels.length, options), level);
}

/**
 * Each class against the rest, where the most probable class is called: one entry for each class.
 *
 * @param labels         (n) class indices
 * @param probabilities  (n, classes)
 * @throws EvaluationError if the samples are malformed
 */
export function diagnosticMetricsPerClass(
  labels: Labels,
  probabilities: Probabilities,
  classes: Classes,
  options: IntervalOptions = {},
): DiagnosticMetrics[] {
  const level = levelOf("diagnosticMetricsPerClass", options, intervalNames);
  const samples = checkSamples("diagnosticMetricsPerClass", labels, probabilities, classes);
  const clusters = clustersOf("diagnosticMetricsPerClass", samples.count, options);
  const { index: predicted } = topClasses(samples);
  return samples.classes.map((_, index) => {
    const called = Uint8Array.from(predicted, (one) => Number(one === index));
    return judge(oneVersusRest(samples, index), called, clusters, level);
  });
}

/**
 * What the calls would be worth if the finding had another prevalence, and the test were as sensitive and specific there.
 *
 * @param prevalence  above 0 and below 1
 * @throws ArgumentError if it is not
 */
export function predictiveValuesAt(metrics: DiagnosticMetrics, prevalence: number): PredictiveValues {
  const operation = "predictiveValuesAt";
  const { positiveLikelihoodRatio, negativeLikelihoodRatio } = expectNamed(operation, "metrics", metrics);
  expectEstimate(operation, "positiveLikelihoodRatio", positiveLikelihoodRatio);
  expectEstimate(operation, "negativeLikelihoodRatio", negativeLikelihoodRatio);
  if (typeof prevalence !== "number" || !(prevalence > 0 && prevalence < 1)) {
    throw new ArgumentError(`${operation}: ${inWords(prevalence)} is not a prevalence above 0 and below 1.`);
  }
  const odds = prevalence / (1 - prevalence);
  return {
    prevalence,
    positivePredictiveValue: transformed(
      positiveLikelihoodRatio,
      (ratio) => (odds * ratio) / (1 + odds * ratio),
    ),
    negativePredictiveValue: transformed(negativeLikelihoodRatio, (ratio) => 1 / (1 + odds * ratio)),
  };
}

/** @internal */
export function judge(
  positive: Uint8Array,
  called: Uint8Array,
  clusters: Clusters,
  level: ConfidenceLevel,
): DiagnosticMetrics {
  const negative = positive.map((flag) => 1 - flag);
  const passed = called.map((flag) => 1 - flag);
  const both = (a: Uint8Array, b: Uint8Array) =>
    a.reduce((total, flag, sample) => total + (flag & b[sample]!), 0);
  const share = (counted: Uint8Array, hits: Uint8Array, nothing: string) =>
    proportion(counted, hits, clusters, level, nothing);
  const all = new Uint8Array(positive.length).fill(1);
  const right = positive.map((flag, sample) => Number(flag === called[sample]));
  const ratio = (of: Uint8Array, names: readonly [string, string]) =>
    ratioOfShares(positive, of, clusters, level, names);
  return {
    truePositives: both(positive, called),
    falsePositives: both(negative, called),
    trueNegatives: both(negative, passed),
    falseNegatives: both(positive, passed),
    prevalence: share(all, positive, "there are no samples"),
    accuracy: share(all, right, "there are no samples"),
    sensitivity: share(positive, called, "no sample is positive"),
    specificity: share(negative, passed, "no sample is negative"),
    positivePredictiveValue: share(called, positive, "nothing is called positive"),
    negativePredictiveValue: share(passed, negative, "nothing is called negative"),
    positiveLikelihoodRatio: ratio(called, ["no positive is called", "no negative is called"]),
    negativeLikelihoodRatio: ratio(passed, ["no positive is missed", "no negative is let go"]),
  };
}

/** Share of the positives that is flagged by that of the negatives. */
function ratioOfShares(
  positive: Uint8Array,
  flagged: Uint8Array,
  clusters: Clusters,
  level: ConfidenceLevel,
  [above, below]: readonly [string, string],
): Estimate {
  const counts: [number, number] = [0, 0];
  const flags: [number, number] = [0, 0];
  for (const [sample, kind] of positive.entries()) {
    counts[kind]! += 1;
    flags[kind]! += flagged[sample]!;
  }
  if (counts[0] === 0 || counts[1] === 0) {
    return notEstimated(counts[1] === 0 ? "no sample is positive" : "no sample is negative");
  }
  if (flags[0] === 0) return notEstimated(`${below}, so that the ratio has no upper end`);
  if (flags[1] === 0) return notEstimated(`${above}, so that the ratio has no lower end above 0`, 0);
  const value = flags[1] / counts[1] / (flags[0] / counts[0]);
  const deviation = Math.sqrt(
    clusters.repeated
      ? clusteredVariance(positive, flagged, flags, counts, clusters)
      : 1 / flags[1] - 1 / counts[1] + 1 / flags[0] - 1 / counts[0],
  );
  if (Number.isNaN(deviation)) return notEstimated("one patient alone has a kind of samples", value);
  if (deviation === 0) return notEstimated("all samples are called alike, which leaves no spread", value);
  const reach = Math.exp(quantile(level) * deviation);
  return estimated(value, [value / reach, value * reach], "log");
}

/** Of ln(share of positives) - ln(share of negatives): what each sample moves it by, added up by patient. */
function clusteredVariance(
  positive: Uint8Array,
  flagged: Uint8Array,
  flags: readonly number[],
  counts: readonly number[],
  clusters: Clusters,
): number {
  const moves = Float64Array.from(positive, (kind, sample) => {
    const share = flags[kind]! / counts[kind]!;
    return ((kind ? 1 : -1) * (flagged[sample]! - share)) / flags[kind]!;
  });
  return varianceOfSum(moves, positive, clusters);
}
