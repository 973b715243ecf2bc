/** All scores of an evaluation in a table, each with its interval or the reason why it has none. */
import type { ClassificationMetrics } from "../../metrics/classification.js";
import type { ClassificationIntervals } from "../../metrics/classification-intervals.js";
import type { Estimate } from "../../metrics/estimate.js";
import type { ConfidenceIntervals } from "../../metrics/intervals.js";
import type { MultiLabelMetrics } from "../../metrics/multi-label.js";
import type { OrdinalAgreement } from "../../metrics/ordinal.js";
import type { AnyIntervals } from "../evidence.js";
import { decimal, rangeBetween, rangeOf } from "../numbers.js";
import { haveSeveralLabels, labelColumns, labelScores } from "../several-labels.js";
import { Reasons, tableHtml } from "../tables.js";
import type { ReportSection } from "./section.js";

/** Scores with what is known of how sure they are. */
export interface ScoresEvidence {
  readonly metrics: ClassificationMetrics | MultiLabelMetrics;
  /** Of accuracy and AUC alone. */
  readonly intervals?: ConfidenceIntervals | undefined;
  /** Of all scores, in the place of `intervals`. */
  readonly estimates?: AnyIntervals | undefined;
}

type Row = readonly [name: string, value: number, meaning: string, score: string];

/** The section. */
export const scoresSection = (evidence: ScoresEvidence): ReportSection => ({
  id: "scores",
  heading: "Scores",
  body: scoreTable(evidence, `All scores, ${calledIn(evidence)}`),
});

/** How decisions are made that scores are of. */
const calledIn = ({ metrics }: ScoresEvidence): string =>
  haveSeveralLabels(metrics)
    ? "each label called from its threshold on"
    : "where the most probable class is called";

/** @param caption  no other table of the page has it */
export function scoreTable({ metrics, intervals, estimates }: ScoresEvidence, caption: string): string {
  const level = estimates === undefined ? intervals?.level : 0.95;
  const rows = haveSeveralLabels(metrics) ? labelScores(metrics) : classScores(metrics);
  const body = rows.map(([name, value, meaning, score]) => {
    const estimate = estimateOf(estimates, score);
    const interval = score === "accuracy" || score === "auc" ? intervals?.[score] : undefined;
    const range = estimate ? rangeOf(estimate) : interval ? rangeBetween(...interval) : "–";
    const why = estimate ? estimate.reason : interval ? undefined : "none is computed for it";
    const note =
      level === undefined || why === undefined ? meaning : `${meaning}; no interval, because ${why}`;
    return [name, decimal(value), ...(level === undefined ? [] : [range]), note];
  });
  const heading = level === undefined ? [] : [`${Math.round(level * 100)}% interval`];
  return tableHtml({
    caption,
    headings: ["Score", "Value", ...heading, "What it is"],
    rows: body,
    texts: [2 + heading.length],
  });
}

function classScores(metrics: ClassificationMetrics & Partial<OrdinalAgreement>): Row[] {
  const binary = metrics.classes.length === 2;
  const { quadraticKappa, meanAbsoluteError } = metrics;
  const grades: Row[] =
    quadraticKappa === undefined || meanAbsoluteError === undefined
      ? []
      : [
          [
            "Quadratic kappa",
            quadraticKappa,
            "agreement on grades beyond chance, at most 1",
            "quadraticKappa",
          ],
          [
            "Mean distance",
            meanAbsoluteError,
            "between the true and the called grade, in grades",
            "meanAbsoluteError",
          ],
        ];
  return [
    ["Accuracy", metrics.accuracy, "fraction predicted rightly", "accuracy"],
    ["AUC", metrics.auc, binary ? `of ${metrics.classes[1]}` : "mean of each class against the rest", "auc"],
    ...grades,
    ["Balanced accuracy", metrics.balancedAccuracy, "mean sensitivity of the classes", "balancedAccuracy"],
    ["Macro F1", metrics.macroF1, "mean over the classes", "macroF1"],
    ["Macro precision", metrics.macroPrecision, "mean over the classes", "macroPrecision"],
    ["Macro specificity", metrics.macroSpecificity, "mean over the classes", "macroSpecificity"],
    ["Matthews correlation", metrics.mcc, "−1 to 1, 0 is chance", "mcc"],
    ["Cohen’s kappa", metrics.cohenKappa, "agreement beyond chance, at most 1", "cohenKappa"],
    ["Cross-entropy", metrics.crossEntropy, "nats, lower is better", "crossEntropy"],
    ["Brier score", metrics.brier, "0 to 2, lower is better", "brier"],
    [
      "Calibration error",
      metrics.ece,
      "expected, of the called class, in 15 bins of equal width, lower is better",
      "ece",
    ],
  ];
}

/** That of a score by its name, or of a class's. */
function estimateOf(estimates: AnyIntervals | undefined, name: string, index?: number): Estimate | undefined {
  const found = (estimates as Readonly<Record<string, Estimate | readonly Estimate[]>> | undefined)?.[name];
  return isList(found) ? found[index ?? 0] : found;
}

const isList = (value: unknown): value is readonly Estimate[] => Array.isArray(value);

/** Scores of each class, a row a class. */
export function classTable({ metrics, estimates }: ScoresEvidence): string {
  const [samples, columns] = haveSeveralLabels(metrics)
    ? [metrics.positives, labelColumns(metrics)]
    : [samplesPerClass(metrics), classColumns(metrics)];
  const reasons = new Reasons();
  const rows = metrics.classes.map((name, index) => [
    name,
    String(samples[index]),
    ...columns.map(([, list, score]) => {
      const estimate = score && estimateOf(estimates, score, index);
      return estimate
        ? reasons.cell({ ...estimate, value: list[index]! } as Estimate)
        : decimal(list[index]!);
    }),
  ]);
  const headings = [
    haveSeveralLabels(metrics) ? "Label" : "Class",
    "Images",
    ...columns.map(([name]) => name),
  ];
  const caption = haveSeveralLabels(metrics)
    ? "Scores of each label, called from its threshold on"
    : "Scores of each class, where the most probable class is called";
  return tableHtml({ caption, headings, rows, reasons });
}

const samplesPerClass = ({ confusionMatrix }: ClassificationMetrics): number[] =>
  confusionMatrix.map((row) => row.reduce((total, count) => total + count, 0));

function classColumns(
  metrics: ClassificationMetrics,
): (readonly [string, readonly number[], keyof ClassificationIntervals])[] {
  return [
    ["Sensitivity", metrics.sensitivity, "sensitivity"],
    ["Specificity", metrics.specificity, "specificity"],
    ["Precision", metrics.precision, "precision"],
    ["F1", metrics.f1, "f1"],
    ["AUC", metrics.aucPerClass, "aucPerClass"],
    ["Average precision", metrics.averagePrecisionPerClass, "averagePrecisionPerClass"],
  ];
}
