/** The figures of merit of an evaluation as tables for people. */
import type { Evaluation } from "../../inference/evaluate.js";
import type { ClassificationMetrics } from "../../metrics/classification.js";
import type { ClassificationIntervals } from "../../metrics/classification-intervals.js";
import type { Estimate } from "../../metrics/estimate.js";
import type { MultiLabelMetrics } from "../../metrics/multi-label.js";
import { estimatesOf, operatingEvidence } from "../../reports/evidence.js";
import { originWords, type ThresholdOrigin } from "../../reports/sections/seal.js";
import {
  type AnyEvaluation,
  isOfSeveralLabels,
  labelColumns,
  labelScores,
} from "../../reports/several-labels.js";
import { columns, decimals, lineWidth, wrapped } from "./wording.js";

/** By which rule all scores are but those of the threshold. */
const mostProbable = "the most probable class is called";

/**
 * Tables of 80 columns; under them, why a score has no interval.
 *
 * @param threshold  of two classes, if there is one
 * @param from       who chose it
 */
export function scoreLines(
  evaluation: AnyEvaluation,
  threshold: number | undefined,
  from: ThresholdOrigin = "unknown",
): string[] {
  if (isOfSeveralLabels(evaluation)) return labelLines(evaluation);
  const { metrics } = evaluation;
  const estimates = estimatesOf(evaluation);
  return [
    `  All scores, where ${mostProbable}:`,
    ...indented(columns(summaryRows(metrics, estimates))),
    ...reasonLines(scores.map((score) => [names[score], estimates[score]])),
    ...(threshold === undefined ? [] : ["", ...thresholdLines(evaluation, threshold, from)]),
    "",
    `  Each class, where ${mostProbable}:`,
    ...indented(columns(classRows(metrics, estimates))),
    ...confusionLines(metrics),
  ];
}

function labelLines(evaluation: Evaluation<MultiLabelMetrics>): string[] {
  const { metrics } = evaluation;
  const estimates = estimatesOf(evaluation);
  const rows = labelColumns(metrics);
  const whole = labelScores(metrics).map(
    ([name, value, , score]) => [name, decimals(value), estimates[score] as Estimate] as const,
  );
  const own = (score: keyof typeof estimates | undefined, label: number): string =>
    score === undefined ? "" : under((estimates[score] as readonly Estimate[])[label]!);
  return [
    ...indented(
      columns([
        ["", "value", "95 % interval"],
        ...whole.map(([name, value, estimate]) => [name, value, range(estimate)]),
      ]),
    ),
    ...reasonLines(whole.map(([name, , estimate]) => [name, estimate])),
    "",
    ...indented(
      columns([
        [
          "label",
          "images",
          ...rows.map(([name]) => name.toLowerCase().replace(/^(f1|auc)$/, (word) => word.toUpperCase())),
        ],
        ...metrics.classes.flatMap((name, i) => [
          [name, String(metrics.positives[i]), ...rows.map(([, list]) => decimals(list[i]))],
          ["", "", ...rows.map(([, , score]) => own(score, i))],
        ]),
      ]),
    ),
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

/** Why there are no intervals, of which there are none; each reason once. */
export function reasonLines(estimates: readonly (readonly [string, Estimate])[]): string[] {
  const without = new Map<string, string[]>();
  for (const [name, { reason }] of estimates) {
    if (reason !== undefined) without.set(reason, [...(without.get(reason) ?? []), name]);
  }
  return [...without].flatMap(([reason, missing]) => [
    ...indented(
      wrapped(
        `no interval of ${missing.slice(0, 2).join(", ")}${missing.length > 2 ? " and others" : ""}, because`,
        lineWidth - 2,
      ),
    ),
    ...wrapped(reason, lineWidth - 4).map((line) => `    ${line}`),
  ]);
}

function thresholdLines(evaluation: Evaluation, threshold: number, from: ThresholdOrigin): string[] {
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
    ...indented(
      wrapped(
        `Called ${positive} from a probability of ${decimals(threshold)} on (${originWords[from]}), as predict does:`,
        lineWidth - 2,
      ),
    ),
    ...indented(columns(rows.map(([name, estimate]) => [name, decimals(estimate.value), range(estimate)]))),
  ];
}

const short = (end: number): string => decimals(end, 2).replace(/^0/, "");
const under = ({ lower, upper, reason }: Estimate): string =>
  reason === undefined ? `${short(lower)}-${short(upper)}` : "";

/** Two rows a class: the values, and their intervals under them. */
function classRows(metrics: ClassificationMetrics, estimates: ClassificationIntervals): string[][] {
  const { classes, confusionMatrix } = metrics;
  const lists = ["sensitivity", "specificity", "precision", "f1", "aucPerClass"] as const;
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
    ? ["", `  Images by class, where ${mostProbable}:`, ...lines]
    : ["", `  The confusion matrix of ${classes.length} classes is in the report (--report).`];
}
