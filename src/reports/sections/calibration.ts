/** Whether probabilities come true: of the images given 80 %, do 80 of 100 have it? */

import type { BrierParts } from "../../metrics/brier.js";
import { type BinnedCalibration, binaryCalibration } from "../../metrics/calibration-bins.js";
import { type CalibrationLine, calibrationLine } from "../../metrics/calibration-line.js";
import type { Estimate } from "../../metrics/estimate.js";
import type { CalibrationEvidence } from "../evidence.js";
import { type CalibrationSeries, calibrationFigure } from "../figures/calibration-figure.js";
import { escapeMarkup } from "../figures/svg.js";
import { type Finding, type TaskKind, whose } from "../findings.js";
import { decimal, rangeOf } from "../numbers.js";
import { figuresHtml, type ReportFigure } from "../page-figure.js";
import type { AnyEvaluation } from "../several-labels.js";
import { type Cell, Reasons, tableHtml } from "../tables.js";
import type { ReportSection } from "./section.js";

/** Calibration of each label, where an image has several. */
export interface LabelCalibration extends BinnedCalibration {
  readonly name: string;
  readonly line: CalibrationLine;
}

/** What the section tells. */
export interface CalibrationSectionEvidence {
  readonly kind: TaskKind;
  /** Of classes that exclude each other. */
  readonly calibration?: CalibrationEvidence | undefined;
  /** Of several labels. */
  readonly labels?: readonly LabelCalibration[] | undefined;
  /** The diagram. */
  readonly figure?: ReportFigure | undefined;
}

/** Each label by itself. */
export const labelCalibrations = (
  evaluation: AnyEvaluation,
  findings: readonly Finding[],
): LabelCalibration[] =>
  findings.map(({ name, positive, scores }) => ({
    name,
    ...binaryCalibration(positive, scores, { ...whose(evaluation), bins: 10 }),
    line: calibrationLine(positive, scores, whose(evaluation)),
  }));

/** As many labels have a diagram; of more, those that are off most. */
const mostPanels = 12;

/** The diagram. @param name  of the finding, where there are two classes */
export function calibrationDiagram(
  { kind, calibration, labels = [] }: Omit<CalibrationSectionEvidence, "figure">,
  name: string,
): ReportFigure {
  const series: CalibrationSeries[] = calibration
    ? [{ name: kind === "two classes" ? name : "the called class", calibration }]
    : labels
        .toSorted((a, b) => (b.error.value ?? 0) - (a.error.value ?? 0))
        .slice(0, mostPanels)
        .map((label) => ({ name: label.name, calibration: label }));
  const axis =
    kind === "several classes"
      ? { predicted: "Probability of the called class", observed: "Share called rightly" }
      : { predicted: kind === "two classes" ? `Probability` : "Probability", observed: "Share that has it" };
  return {
    svg: calibrationFigure(series, axis),
    caption: `Calibration: how often what is given a probability comes true. Points under the line are probabilities that are too high.${labels.length > mostPanels ? ` Of ${labels.length} labels, the ${mostPanels} that are off most.` : ""}`,
  };
}

/** The section. */
export function calibrationSection({
  kind,
  calibration,
  labels,
  figure,
}: CalibrationSectionEvidence): ReportSection {
  const parts = [
    `<p>${escapeMarkup(questions[kind])}</p>`,
    figure ? figuresHtml([figure]) : "",
    calibration ? calibrationTable(calibration) : "",
    labels ? labelTable(labels) : "",
    calibration ? brierTable(calibration.brier) : "",
  ];
  return { id: "calibration", heading: "Calibration", body: parts.filter(Boolean).join("\n") };
}

const questions: Readonly<Record<TaskKind, string>> = {
  "two classes": "Of the images that are given a probability, does that share of them have it?",
  "several classes":
    "Of the images whose class is called with a probability, is that share of them called rightly?",
  "several labels":
    "Of the images that are given a label with a probability, does that share of them have it?",
};

type Row = readonly [string, Estimate, string];

function estimateTable(caption: string, rows: readonly Row[]): string {
  return tableHtml({
    caption,
    headings: ["Measure", "Value", "95% interval", "What it is"],
    rows: rows.map(([name, estimate, meaning]) => [
      name,
      decimal(estimate.value),
      rangeOf(estimate),
      estimate.reason === undefined ? meaning : `${meaning}; no interval, because ${estimate.reason}`,
    ]),
    texts: [3],
  });
}

function calibrationTable({ error, line, bins }: CalibrationEvidence): string {
  const rows: Row[] = [
    [
      "Expected calibration error",
      error,
      `mean distance from the truth, in ${bins.length} bins of equally many images; chance alone makes it more than 0`,
    ],
  ];
  if (line)
    rows.push(
      ["Slope", line.slope, "1 is right; below, probabilities are too extreme, above too timid"],
      ["Intercept", line.intercept, "beside that slope; 0 is right"],
      [
        "In the large",
        line.inTheLarge,
        "0 is right; above, probabilities are too low on the whole, below too high",
      ],
    );
  return estimateTable("How far off probabilities are", rows);
}

function brierTable({ brier, reliability, resolution, uncertainty, withinBins }: BrierParts): string {
  return estimateTable("The Brier score and its parts", [
    ["Brier score", brier, "mean squared error of all probabilities, 0 to 2; less is better"],
    ["Reliability", reliability, "how far probabilities are from what comes true; less is better"],
    ["Resolution", resolution, "how well they tell images apart; more is better"],
    ["Uncertainty", uncertainty, "what no one could know: a property of the images"],
    ["Within bins", withinBins, "what the bins leave out"],
  ]);
}

function labelTable(labels: readonly LabelCalibration[]): string {
  const reasons = new Reasons();
  const rows = labels.map(({ name, error, line }): Cell[] => [
    name,
    reasons.cell(error),
    reasons.cell(line.slope, 2),
    reasons.cell(line.inTheLarge, 2),
  ]);
  return tableHtml({
    caption: "Calibration of each label: error, 0 is right; slope, 1 is right; in the large, 0 is right",
    headings: ["Label", "Expected calibration error", "Slope", "In the large"],
    rows,
    reasons,
  });
}
