/** Evaluations of several labels an image: telling them from those of one class, their scores, their curves, their tables. */
import type { Evaluation } from "../inference/evaluate.js";
import type { ClassificationMetrics } from "../metrics/classification.js";
import type { MultiLabelMetrics } from "../metrics/multi-label.js";
import type { MultiLabelIntervals } from "../metrics/multi-label-intervals.js";
import { areaUnderRoc, rocCurve } from "../metrics/ranking.js";
import type { RocSeries } from "./figures/roc-curves.js";

/** An evaluation of either kind. */
export type AnyEvaluation = Evaluation | Evaluation<MultiLabelMetrics>;

/** Whether scores are of several labels an image. */
export const haveSeveralLabels = (
  metrics: ClassificationMetrics | MultiLabelMetrics,
): metrics is MultiLabelMetrics => Object(metrics) === metrics && "subsetAccuracy" in metrics;

/** Whether an evaluation is of several labels an image. */
export const isOfSeveralLabels = (evaluation: AnyEvaluation): evaluation is Evaluation<MultiLabelMetrics> =>
  haveSeveralLabels(Object(evaluation).metrics);

/** Each label by itself: which images have it, and how probable it is of each. */
export function labelsApart({ labels, probabilities, metrics }: Evaluation<MultiLabelMetrics>) {
  const { classes } = metrics;
  const samples = { length: labels.length / classes.length };
  return classes.map((name, at) => ({
    name,
    positive: Uint8Array.from(samples, (_, image) => labels[image * classes.length + at] ?? 0),
    scores: Float64Array.from(samples, (_, image) => probabilities[image * classes.length + at] ?? 0),
  }));
}

/** A curve a label, of those who have it against the others. */
export function labelCurves(evaluation: Evaluation<MultiLabelMetrics>): RocSeries[] {
  return labelsApart(evaluation).map(({ name, positive, scores }) => ({
    name,
    auc: areaUnderRoc(positive, scores),
    curve: rocCurve(positive, scores),
  }));
}

/** Scores of all labels together: what it is called, its value, what it means, its name among the metrics. */
export function labelScores(
  metrics: MultiLabelMetrics,
): (readonly [string, number, string, keyof MultiLabelIntervals])[] {
  return [
    ["AUC", metrics.auc, "mean of the labels", "auc"],
    ["Mean average precision", metrics.meanAveragePrecision, "mean of the labels", "meanAveragePrecision"],
    ["Accuracy", metrics.accuracy, "fraction of all labels of all images called rightly", "accuracy"],
    [
      "Subset accuracy",
      metrics.subsetAccuracy,
      "fraction of images with all labels called rightly",
      "subsetAccuracy",
    ],
    ["Balanced accuracy", metrics.balancedAccuracy, "mean of the labels", "balancedAccuracy"],
    ["Macro F1", metrics.macroF1, "mean of the labels", "macroF1"],
    ["Micro F1", metrics.microF1, "of all decisions together", "microF1"],
    ["Cross-entropy", metrics.crossEntropy, "nats, lower is better", "crossEntropy"],
    ["Brier score", metrics.brier, "0 to 1, lower is better", "brier"],
  ];
}

/** Columns of a table with a row a label: what it is called, its values, their name among the metrics if they are estimates. */
export function labelColumns(
  metrics: MultiLabelMetrics,
): (readonly [string, readonly number[], (keyof MultiLabelIntervals)?])[] {
  return [
    ["Threshold", metrics.thresholds],
    ["Sensitivity", metrics.sensitivity, "sensitivity"],
    ["Specificity", metrics.specificity, "specificity"],
    ["Precision", metrics.precision, "precision"],
    ["F1", metrics.f1, "f1"],
    ["AUC", metrics.aucPerClass, "aucPerClass"],
  ];
}
