/** The figures of merit of an evaluation as tables for people. */
import type { Evaluation } from "../../inference/evaluate.js";
import type { ClassificationMetrics } from "../../metrics/classification.js";
import type { ClassificationIntervals } from "../../metrics/classification-intervals.js";
import type { Estimate } from "../../metrics/estimate.js";
import { estimatesOf, operatingEvidence } from "../../reports/evidence.js";
import { columns, decimals } from "./wording.js";

/** Tables of 80 columns; under them, why a score has no interval. */
export function scoreLines(evaluation: Evaluation, threshold: number | undefined): string[] {
  const { metrics } = evaluation;
  const estimates = estimatesOf(evaluation);
  return [
    ...indented(columns(summaryRows(metrics, estimates))),
    ...reasonLines(estimates),
    ...(threshold === undefined ? [] : ["", ...thresholdLines(evaluation, threshold)]),
    "",
    ...indented(columns(classRows(metrics, estimates))),
    ...confusionLines(metrics),
  ];
}

const indented = (lines: readonly string[]): string[] => lines.map((line) => `  ${line}`.trimEnd());

const range = ({ lower, upper, reason }: Estimate): string =>
  reason === undefined ? `${decimals(lower)} to ${decimals(upper)}` : "-";

const names = {
  accuracy: "accuracy",
  auc: "AUC",
  balancedAccuracy: "balanced accuracy",
  macroF1: "macro F1",
  mcc: "Matthews correlation",
  cohenKappa: "Cohen's kappa",
  crossEntropy: "cross-entropy",
  brier: "Brier score",
  ece: "calibration error",
} as const;
const scores = Object.keys(names) as (keyof typeof names)[];

function summaryRows(metrics: ClassificationMetrics, estimates: ClassificationIntervals): string[][] {
  return [
    ["", "value", "95 % interval"],
    ...scores.map((score) => [names[score], decimals(metrics[score]), range(estimates[score])]),
  ];
}

function reasonLines(estimates: ClassificationIntervals): string[] {
  const without = new Map<string, string[]>();
  for (const score of scores) {
    const { reason } = estimates[score];
    if (reason !== undefined) without.set(reason, [...(without.get(reason) ?? []), names[score]]);
  }
  return [...without].flatMap(([reason, missing]) => [
    `  no interval of ${missing.slice(0, 2).join(", ")}${missing.length > 2 ? " and others" : ""}, because`,
    `    ${reason}`,
  ]);
}

function thresholdLines(evaluation: Evaluation, threshold: number): string[] {
  const found = operatingEvidence(evaluation, threshold);
  const positive = evaluation.metrics.classes[1];
  const rows: [string, Estimate][] = [
    ["sensitivity", found.sensitivity],
    ["specificity", found.specificity],
    ["accuracy", found.accuracy],
    ["predictive value of a call", found.positivePredictiveValue],
    ["predictive value of no call", found.negativePredictiveValue],
  ];
  return [
    `  Called ${positive} from a probability of ${decimals(threshold)} on (chosen in training):`,
    ...indented(columns(rows.map(([name, estimate]) => [name, decimals(estimate.value), range(estimate)]))),
  ];
}

/** Two rows a class: the values, and their intervals under them. */
function classRows(metrics: ClassificationMetrics, estimates: ClassificationIntervals): string[][] {
  const { classes, confusionMatrix } = metrics;
  const lists = ["sensitivity", "specificity", "precision", "f1", "aucPerClass"] as const;
  const short = (end: number) => decimals(end, 2).replace(/^0/, "");
  const under = ({ lower, upper, reason }: Estimate) =>
    reason === undefined ? `${short(lower)}-${short(upper)}` : "";
  return [
    ["class", "images", "sensitivity", "specificity", "precision", "F1", "AUC"],
    ...classes.flatMap((name, i) => [
      [
        name,
        String((confusionMatrix[i] ?? []).reduce((sum, count) => sum + count, 0)),
        ...lists.map((list) => decimals(metrics[list][i])),
      ],
      ["", "", ...lists.map((list) => under(estimates[list][i]!))],
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
