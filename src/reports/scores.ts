/** The figures of merit of an evaluation as plain JSON. */
import type { Evaluation } from "../inference/evaluate.js";
import type { ClassificationMetrics } from "../metrics/classification.js";
import { atThreshold, type ThresholdMetrics } from "../metrics/threshold.js";
import { expectNumbers } from "../settings/given.js";
import {
  type CalibrationEvidence,
  calibrationOf,
  type LabelIntervals,
  type OperatingEvidence,
  ofSecondClass,
  operatingEvidence,
  type ScoreIntervals,
  scoreIntervals,
} from "./evidence.js";
import { expectAnyEvaluation, expectEvaluation } from "./given.js";
import { type AnyEvaluation, isOfSeveralLabels } from "./several-labels.js";

/** What `scoresOf` gives. */
export interface Scores extends Pick<ClassificationMetrics, "accuracy" | "auc" | "classes" | "samples"> {
  /** Of every score, by its name: both ends, or why there are none. */
  readonly intervals: ScoreIntervals | LabelIntervals;
  /** Whether probabilities come true; not of several labels an image. */
  readonly calibration?: CalibrationEvidence;
  /** Of a two-class checkpoint with a threshold. */
  readonly operatingPoint?: OperatingEvidence;
  readonly [name: string]: unknown;
}

/** What the threshold of a two-class checkpoint does to these images. */
export function operatingPoint(evaluation: Evaluation, threshold: number): ThresholdMetrics {
  expectEvaluation("operatingPoint", evaluation);
  return atThreshold(evaluation.labels, ofSecondClass(evaluation), threshold);
}

/** All scores as plain JSON: the keys that every reader can count on first, then what is useful beside them. */
export function scoresOf(evaluation: AnyEvaluation, threshold: number | undefined): Scores {
  expectAnyEvaluation("scoresOf", evaluation);
  if (isOfSeveralLabels(evaluation)) return { ...evaluation.metrics, intervals: scoreIntervals(evaluation) };
  if (threshold !== undefined) expectNumbers("scoresOf", { threshold });
  const { metrics } = evaluation;
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
    intervals: scoreIntervals(evaluation),
    calibration: calibrationOf(evaluation),
    ...(threshold !== undefined && {
      threshold,
      atThreshold: operatingPoint(evaluation, threshold),
      operatingPoint: operatingEvidence(evaluation, threshold),
    }),
  };
}
