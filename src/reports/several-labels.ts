/** Evaluations of several labels an image: telling them from those of one class, their scores, their curves, their tables. */
import type { Evaluation } from "../inference/evaluate.js";
import type { ClassificationMetrics } from "../metrics/classification.js";
import type { MultiLabelMetrics } from "../metrics/multi-label.js";
import { areaUnderRoc, rocCurve } from "../metrics/ranking.js";
import type { RocSeries } from "./figures/roc-curves.js";

/** An evaluation of either kind. */
export type AnyEvaluation = Evaluation | Evaluation<MultiLabelMetrics>;

/** Whether scores are of several labels an image. */
export const haveSeveralLabels = (
  metrics: ClassificationMetrics | MultiLabelMetrics,
): metrics is MultiLabelMetrics => "subsetAccuracy" in metrics;

/** Whether an evaluation is of several labels an image. */
export const isOfSeveralLabels = (evaluation: AnyEvaluation): evaluation is Evaluation<MultiLabelMetrics> =>
  haveSeveralLabels(evaluation.metrics);

/** A curve a label, of those who have it against the others. */
export function labelCurves({ labels, probabilities, metrics }: Evaluation<MultiLabelMetrics>): RocSeries[] {
  const { classes } = metrics;
  return classes.map((name, at) => {
    const own = (_: unknown, image: number) => image * classes.length + at;
    const samples = { length: labels.length / classes.length };
    const positive = Uint8Array.from(samples, (_, image) => labels[own(_, image)] ?? 0);
    const scores = Float64Array.from(samples, (_, image) => probabilities[own(_, image)] ?? 0);
    return { name, auc: areaUnderRoc(positive, scores), curve: rocCurve(positive, scores) };
  });
}

/** Scores of all labels together: what it is called, its value, what it means. */
export function labelScores(metrics: MultiLabelMetrics): (readonly [string, number, string])[] {
  return [
    ["AUC", metrics.auc, "mean of the labels"],
    ["Mean average precision", metrics.meanAveragePrecision, "mean of the labels"],
    ["Accuracy", metrics.accuracy, "fraction of all labels of all images called rightly"],
    ["Subset accuracy", metrics.subsetAccuracy, "fraction of images with all labels called rightly"],
    ["Balanced accuracy", metrics.balancedAccuracy, "mean of the labels"],
    ["Macro F1", metrics.macroF1, "mean of the labels"],
    ["Micro F1", metrics.microF1, "of all decisions together"],
    ["Cross-entropy", metrics.crossEntropy, "nats, lower is better"],
    ["Brier score", metrics.brier, "0 to 1, lower is better"],
  ];
}

/** Columns of a table with a row a label. */
export function labelColumns(metrics: MultiLabelMetrics): (readonly [string, readonly number[]])[] {
  return [
    ["Threshold", metrics.thresholds],
    ["Sensitivity", metrics.sensitivity],
    ["Specificity", metrics.specificity],
    ["Precision", metrics.precision],
    ["F1", metrics.f1],
    ["AUC", metrics.aucPerClass],
  ];
}
