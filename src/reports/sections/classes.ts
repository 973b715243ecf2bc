/**
 * What calls are worth, class by class: how many are found, how many are let go, what a call means at the bedside, and what it
 * would mean where the finding is rarer or more common.
 */
import { type DiagnosticMetrics, predictiveValuesAt } from "../../metrics/diagnostic.js";
import type { Estimate } from "../../metrics/estimate.js";
import { confusionMatrixFigure } from "../figures/confusion-matrix.js";
import type { Finding, TaskKind } from "../findings.js";
import { decimal, rangeOf } from "../numbers.js";
import { figureHtml, type ReportFigure } from "../page-figure.js";
import { type Cell, Reasons, tableHtml } from "../tables.js";
import type { ReportSection } from "./section.js";

/** What calls are worth. */
export interface ClassesEvidence {
  readonly kind: TaskKind;
  readonly findings: readonly Pick<Finding, "name" | "threshold" | "diagnostic">[];
  /** Tables and figures before it, as markup: scores of each class. */
  readonly before?: string;
  /** The confusion matrix, where classes exclude each other. */
  readonly confusion?: ReportFigure | undefined;
}

/** Shares of those tested that have the finding. */
export const prevalences = [0.01, 0.05, 0.1, 0.3, 0.5] as const;

/** Measures of a test, with what they mean of 100. */
export const measures: readonly (readonly [string, keyof DiagnosticMetrics, string])[] = [
  ["Sensitivity", "sensitivity", "of those with it, the share that is called"],
  ["Specificity", "specificity", "of those without it, the share that is let go"],
  [
    "Positive predictive value",
    "positivePredictiveValue",
    "of those called, the share that has it, if it is as common as here",
  ],
  [
    "Negative predictive value",
    "negativePredictiveValue",
    "of those let go, the share that does not have it, if it is as common as here",
  ],
  [
    "Positive likelihood ratio",
    "positiveLikelihoodRatio",
    "a call multiplies the odds of having it by this; above 10 decides",
  ],
  [
    "Negative likelihood ratio",
    "negativeLikelihoodRatio",
    "letting go multiplies the odds by this; below 0.1 decides",
  ],
  ["Accuracy", "accuracy", "the share called rightly"],
  ["Prevalence", "prevalence", "the share that has it, among these images"],
];

/** The section. */
export function classesSection({ kind, findings, before = "", confusion }: ClassesEvidence): ReportSection {
  const parts = kind === "two classes" ? [measureTable(findings[0]!)] : [measuresByClass(findings, kind)];
  return {
    id: "classes",
    heading: kind === "several labels" ? "By label" : "By class",
    body: [
      ...parts,
      before,
      confusion ? figureHtml(confusion) : "",
      "<h3>Where it is rarer or more common</h3>",
      elsewhere(findings),
    ]
      .filter(Boolean)
      .join("\n"),
  };
}

const calledWords = (threshold: number | undefined): string =>
  threshold === undefined
    ? "where it is the more probable class"
    : `from a probability of ${decimal(threshold)} on`;

/** Of two classes: a row a measure, with its meaning. */
function measureTable({ name, threshold, diagnostic }: ClassesEvidence["findings"][number]): string {
  const rows = measures.map(([measure, key, meaning]) => {
    const estimate = diagnostic[key] as Estimate;
    const note =
      estimate.reason === undefined ? meaning : `${meaning}; no interval, because ${estimate.reason}`;
    return [measure, decimal(estimate.value), rangeOf(estimate), note];
  });
  return tableHtml({
    caption: `What calls of ${name} are worth, called ${calledWords(threshold)}`,
    headings: ["Measure", "Value", "95% interval", "What it is"],
    rows,
    texts: [3],
  });
}

/** Of several: a row a class. */
function measuresByClass(findings: ClassesEvidence["findings"], kind: TaskKind): string {
  const reasons = new Reasons();
  const shown = measures.slice(0, 6);
  const rows = findings.map(({ name, diagnostic }): Cell[] => [
    name,
    String(diagnostic.truePositives + diagnostic.falseNegatives),
    ...shown.map(([, key]) => reasons.cell(diagnostic[key] as Estimate)),
  ]);
  const called =
    kind === "several labels" ? "each from its threshold on" : "the most probable one of each image";
  return tableHtml({
    caption: `What calls of each ${kind === "several labels" ? "label" : "class"} are worth, called ${called}`,
    headings: [kind === "several labels" ? "Label" : "Class", "Images", ...shown.map(([name]) => name)],
    rows,
    reasons,
  });
}

/** Predictive values at other prevalences. */
function elsewhere(findings: ClassesEvidence["findings"]): string {
  const note = `<p class="note">As it would be if the classifier were as sensitive and as specific there, which is not known until it is measured there.</p>`;
  const percent = (prevalence: number) => `${+(prevalence * 100).toFixed(2)} %`;
  const headings = prevalences.map((prevalence) => `${percent(prevalence)} have it`);
  if (findings.length === 1) {
    const reasons = new Reasons();
    const { name, diagnostic } = findings[0]!;
    const at = prevalences.map((prevalence) => predictiveValuesAt(diagnostic, prevalence));
    const rows: Cell[][] = [
      [
        "Of those called, the share that has it",
        ...at.map((values) => reasons.cell(values.positivePredictiveValue)),
      ],
      [
        "Of those let go, the share without it",
        ...at.map((values) => reasons.cell(values.negativePredictiveValue)),
      ],
    ];
    const caption = `Predictive values of ${name} at other prevalences`;
    return note + tableHtml({ caption, headings: ["", ...headings], rows, reasons });
  }
  const byKind = (["positive", "negative"] as const).map((sign) => {
    const reasons = new Reasons();
    const rows = findings.map(({ name, diagnostic }): Cell[] => [
      name,
      ...prevalences.map((prevalence) =>
        reasons.cell(predictiveValuesAt(diagnostic, prevalence)[`${sign}PredictiveValue`]),
      ),
    ]);
    const meaning =
      sign === "positive"
        ? "of those called, the share that has it"
        : "of those let go, the share without it";
    const caption = `${sign === "positive" ? "Positive" : "Negative"} predictive values at other prevalences: ${meaning}`;
    return tableHtml({ caption, headings: ["Class", ...headings], rows, reasons });
  });
  return note + byKind.join("\n");
}

/** The confusion matrix as a figure of the section. */
export const confusionFigure = (
  matrix: readonly (readonly number[])[],
  classes: readonly string[],
): ReportFigure => ({
  svg: confusionMatrixFigure(matrix, classes),
  caption:
    "Confusion matrix, where the most probable class is called: a row is a true class, a column a called one.",
});
