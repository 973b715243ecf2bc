/**
 * Every metric of `classificationMetrics` with its interval, or the reason why it has none. Proportions (accuracy,
 * sensitivity, specificity, precision) have Wilson's, areas under ROC curves DeLong's, by patient where patients are known;
 * all else is resampled.
 */
import { expectFlags } from "../settings/given.js";
import type { ClassificationMetrics } from "./classification.js";
import { type Clusters, clustersOf } from "./clusters.js";
import type { ConfidenceLevel } from "./confidence-level.js";
import { binaryShares, estimateArea, meanShares } from "./delong.js";
import { type Estimate, type EstimatesOf, levelOf } from "./estimate.js";
import { proportion } from "./proportion.js";
import {
  bootstrapped,
  bootstrappedDistance,
  once,
  type ResamplingOptions,
  resample,
  resamplingNames,
} from "./resampling.js";
import {
  type Classes,
  checkSamples,
  column,
  type Labels,
  oneVersusRest,
  type Probabilities,
  type Samples,
  topClasses,
} from "./samples.js";
import { classScores, WeightedScores, wholeScores } from "./weighted-scores.js";

/** What `classificationIntervals` gives: the metrics of `ClassificationMetrics`, by the same names. */
export type ClassificationIntervals = EstimatesOf<
  Omit<ClassificationMetrics, "classes" | "samples" | "confusionMatrix">
>;

/** How intervals of a classification are made. */
export interface ClassificationIntervalOptions extends ResamplingOptions {
  /** Resample proportions and areas as well, in the place of Wilson's and DeLong's formulas; default false. */
  readonly resampleAll?: boolean;
}

/**
 * All metrics with their intervals. 2,000 resamples of 10,000 samples of 9 classes take about two seconds of one
 * core, those of 100,000 samples of 2 classes four, in which nothing else runs.
 *
 * @param labels         (n) class indices
 * @param probabilities  (n, classes)
 * @throws EvaluationError if the samples are malformed, or the patients are not as many
 * @throws ArgumentError if the level, the number of resamples or the seed cannot be
 */
export function classificationIntervals(
  labels: Labels,
  probabilities: Probabilities,
  classes: Classes,
  options: ClassificationIntervalOptions = {},
): ClassificationIntervals {
  const operation = "classificationIntervals";
  const level = levelOf(operation, options, { ...resamplingNames, resampleAll: true });
  const { resampleAll = false } = options;
  expectFlags(operation, { resampleAll });
  const samples = checkSamples(operation, labels, probabilities, classes);
  const clusters = clustersOf(operation, samples.count, options);
  const resampled = resampledScores(operation, samples, clusters, level, options);
  return resampleAll ? resampled : { ...resampled, ...closedForms(samples, clusters, level) };
}

function resampledScores(
  operation: string,
  samples: Samples,
  clusters: Clusters,
  level: ConfidenceLevel,
  options: ClassificationIntervalOptions,
): ClassificationIntervals {
  const scores = new WeightedScores(samples, { ranks: true });
  const values = once(samples.count, scores.numbers, scores.statistic);
  const drawn = resample(operation, clusters, scores.numbers, scores.statistic, options);
  const at = (place: number, reason: string): Estimate => {
    const interval = wholeScores[place] === "ece" ? bootstrappedDistance : bootstrapped;
    return interval(values[place]!, drawn[place]!, level, reason);
  };
  const reasons = samples.classes.map((_, index) => whyUndefined(samples, index));
  const whole = wholeScores.map((score, place) => [score, at(place, "all labels name one class")]);
  const perClass = classScores.map((score) => [
    score,
    samples.classes.map((_, index) => at(scores.placeOf(score, index), reasons[index]!)),
  ]);
  return Object.fromEntries([...whole, ...perClass]) as ClassificationIntervals;
}

/** Metrics for which resampling is not needed. */
function closedForms(
  samples: Samples,
  clusters: Clusters,
  level: ConfidenceLevel,
): Pick<
  ClassificationIntervals,
  "accuracy" | "auc" | "aucPerClass" | "precision" | "sensitivity" | "specificity"
> {
  const { index: predicted } = topClasses(samples);
  const all = new Uint8Array(samples.count).fill(1);
  const right = Uint8Array.from(predicted, (called, sample) => Number(called === samples.labels[sample]));
  const share = (counted: Uint8Array, hits: Uint8Array, nothing: string) =>
    proportion(counted, hits, clusters, level, nothing);
  const perClass = samples.classes.map((_, index) => {
    const positive = oneVersusRest(samples, index);
    const called = Uint8Array.from(predicted, (one) => Number(one === index));
    const judged = positive.includes(1);
    return {
      aucPerClass: estimateArea(binaryShares(positive, column(samples, index)), clusters, level),
      precision: judged
        ? share(called, positive, "no sample is called this class")
        : { reason: whyUndefined(samples, index) },
      sensitivity: share(positive, called, whyUndefined(samples, index)),
      specificity: judged
        ? share(opposite(positive), opposite(called), whyUndefined(samples, index))
        : { reason: whyUndefined(samples, index) },
    };
  });
  return {
    accuracy: share(all, right, "there are no samples"),
    auc: estimateArea(meanShares(samples), clusters, level),
    aucPerClass: perClass.map(({ aucPerClass }) => aucPerClass),
    precision: perClass.map(({ precision }) => precision),
    sensitivity: perClass.map(({ sensitivity }) => sensitivity),
    specificity: perClass.map(({ specificity }) => specificity),
  };
}

const opposite = (flags: Uint8Array): Uint8Array => flags.map((flag) => 1 - flag);

const whyUndefined = ({ labels }: Samples, index: number): string =>
  labels.includes(index) ? "all labels name the class" : "no label names the class";
