/** The figures of merit of an evaluation as tables for people. */
import type { Evaluation } from "../../inference/evaluate.js";
import type { ClassificationMetrics } from "../../metrics/classification.js";
import { type ConfidenceIntervals, confidenceIntervals, type Interval } from "../../metrics/intervals.js";
import type { MultiLabelMetrics } from "../../metrics/multi-label.js";
import { operatingPoint } from "../../reports/scores.js";
import {
  type AnyEvaluation,
  isOfSeveralLabels,
  labelColumns,
  labelScores,
} from "../../reports/several-labels.js";
import { columns, decimals } from "./wording.js";

/** Tables of 80 columns. */
export function scoreLines(evaluation: AnyEvaluation, threshold: number | undefined): string[] {
  if (isOfSeveralLabels(evaluation)) return labelLines(evaluation.metrics);
  const { metrics, labels, probabilities } = evaluation;
  const intervals = confidenceIntervals(labels, probabilities, metrics.classes);
  return [
    ...indented(columns(summaryRows(metrics, intervals))),
    ...(threshold === undefined ? [] : ["", ...thresholdLines(evaluation, threshold)]),
    "",
    ...indented(columns(classRows(metrics))),
    ...confusionLines(metrics),
  ];
}

function labelLines(metrics: MultiLabelMetrics): string[] {
  const rows = labelColumns(metrics);
  return [
    ...indented(columns(labelScores(metrics).map(([name, value]) => [name, decimals(value)]))),
    "",
    ...indented(
      columns([
        [
          "label",
          "images",
          ...rows.map(([name]) => name.toLowerCase().replace(/^(f1|auc)$/, (word) => word.toUpperCase())),
        ],
        ...metrics.classes.map((name, i) => [
          name,
          String(metrics.positives[i]),
          ...rows.map(([, list]) => decimals(list[i])),
        ]),
      ]),
    ),
  ];
}

const indented = (lines: readonly string[]): string[] => lines.map((line) => `  ${line}`.trimEnd());

function summaryRows(metrics: ClassificationMetrics, intervals: ConfidenceIntervals): string[][] {
  const range = ([low, high]: Interval) => `${decimals(low)} to ${decimals(high)}`;
  return [
    ["", "value", "95 % interval"],
    ["accuracy", decimals(metrics.accuracy), range(intervals.accuracy)],
    ["AUC", decimals(metrics.auc), range(intervals.auc)],
    ["balanced accuracy", decimals(metrics.balancedAccuracy)],
    ["macro F1", decimals(metrics.macroF1)],
    ["Matthews correlation", decimals(metrics.mcc)],
    ["Cohen's kappa", decimals(metrics.cohenKappa)],
    ["cross-entropy", decimals(metrics.crossEntropy)],
    ["Brier score", decimals(metrics.brier)],
    ["calibration error", decimals(metrics.ece)],
  ];
}

function thresholdLines(evaluation: Evaluation, threshold: number): string[] {
  const { sensitivity, specificity, accuracy } = operatingPoint(evaluation, threshold);
  const positive = evaluation.metrics.classes[1];
  return [
    `  Called ${positive} from a probability of ${decimals(threshold)} on (chosen in training):`,
    `  sensitivity ${decimals(sensitivity)}, specificity ${decimals(specificity)}, accuracy ${decimals(accuracy)}`,
  ];
}

function classRows(metrics: ClassificationMetrics): string[][] {
  const { classes, confusionMatrix, sensitivity, specificity, precision, f1, aucPerClass } = metrics;
  return [
    ["class", "images", "sensitivity", "specificity", "precision", "F1", "AUC"],
    ...classes.map((name, i) => [
      name,
      String((confusionMatrix[i] ?? []).reduce((sum, count) => sum + count, 0)),
      ...[sensitivity, specificity, precision, f1, aucPerClass].map((list) => decimals(list[i])),
    ]),
  ];
}

/** The matrix, if it is narrow enough. */
function confusionLines({ classes, confusionMatrix }: ClassificationMetrics): string[] {
  const short = classes.map((name) => (name.length > 14 ? `${name.slice(0, 11)}...` : name));
  const rows = [
    ["true \\ called", ...short],
    ...confusionMatrix.map((row, i) => [classes[i] ?? "", ...row.map(String)]),
  ];
  const lines = indented(columns(rows));
  const fits = lines.every((line) => line.length <= 80);
  return fits
    ? ["", ...lines]
    : ["", `  The confusion matrix of ${classes.length} classes is in the report (--report).`];
}
