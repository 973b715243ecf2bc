/** The figures of merit of an evaluation as plain JSON. */
import type { Evaluation } from "../inference/evaluate.js";
import type { ClassificationMetrics } from "../metrics/classification.js";
import { type ConfidenceIntervals, confidenceIntervals } from "../metrics/intervals.js";
import { atThreshold, type ThresholdMetrics } from "../metrics/threshold.js";
import { type AnyEvaluation, isOfSeveralLabels } from "./several-labels.js";

/** What `scoresOf` gives. */
export interface Scores extends Pick<ClassificationMetrics, "accuracy" | "auc" | "classes" | "samples"> {
  /** Of accuracy and AUC; not of several labels an image. */
  readonly intervals?: ConfidenceIntervals;
  readonly [name: string]: unknown;
}

/** What the threshold of a two-class checkpoint does to these images. */
export function operatingPoint({ labels, probabilities }: Evaluation, threshold: number): ThresholdMetrics {
  const positive = probabilities.filter((_, i) => i % 2 === 1);
  return atThreshold(labels, positive, threshold);
}

/** All scores as plain JSON: the keys that every reader can count on first, then what is useful beside them. */
export function scoresOf(evaluation: AnyEvaluation, threshold: number | undefined): Scores {
  if (isOfSeveralLabels(evaluation)) return { ...evaluation.metrics };
  const { metrics, labels, probabilities } = evaluation;
  return {
    accuracy: metrics.accuracy,
    balancedAccuracy: metrics.balancedAccuracy,
    auc: metrics.auc,
    aucPerClass: metrics.aucPerClass,
    macroF1: metrics.macroF1,
    macroPrecision: metrics.macroPrecision,
    macroSensitivity: metrics.macroSensitivity,
    macroSpecificity: metrics.macroSpecificity,
    mcc: metrics.mcc,
    cohenKappa: metrics.cohenKappa,
    crossEntropy: metrics.crossEntropy,
    brier: metrics.brier,
    ece: metrics.ece,
    confusionMatrix: metrics.confusionMatrix,
    classes: metrics.classes,
    samples: metrics.samples,
    intervals: confidenceIntervals(labels, probabilities, metrics.classes),
    ...(threshold !== undefined && { threshold, atThreshold: operatingPoint(evaluation, threshold) }),
  };
}
