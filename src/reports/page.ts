/**
 * A report of an evaluation as one HTML page that stands alone: no scripts, nothing loaded from elsewhere, so that it
 * can be mailed, archived and opened years later.
 */

import type { ClassificationMetrics } from "../metrics/classification.js";
import type { ClassificationIntervals } from "../metrics/classification-intervals.js";
import { type Estimate, expectEstimate } from "../metrics/estimate.js";
import type { ConfidenceIntervals } from "../metrics/intervals.js";
import type { MultiLabelMetrics } from "../metrics/multi-label.js";
import { expectList, expectNamed, expectText } from "../settings/given.js";
import type { AnyIntervals } from "./evidence.js";
import { escapeMarkup } from "./figures/svg.js";
import { expectMetrics } from "./given.js";
import { expectSections, type ReportSection, sectionOrder } from "./sections/section.js";
import { haveSeveralLabels, labelColumns, labelScores } from "./several-labels.js";

/** A figure of a report. */
export interface ReportFigure {
  /** An SVG of this package's figures; it is put into the page as it is. */
  readonly svg: string;
  /** One line under it. */
  readonly caption: string;
}

/** What `reportHtml` puts on the page. */
export interface PageContents {
  /** Heading of the page. */
  readonly title: string;
  /** A sentence or two under the title: which data, which checkpoint. */
  readonly description?: string;
  /** Facts for the record, such as the checkpoint's file name or the date, in order. */
  readonly facts?: Readonly<Record<string, string>>;
  /** The scores, which the tables are made of. */
  readonly metrics: ClassificationMetrics | MultiLabelMetrics;
  /** Confidence intervals beside accuracy and AUC. */
  readonly intervals?: ConfidenceIntervals;
  /** 95 % intervals beside all scores, in the place of `intervals`. */
  readonly estimates?: AnyIntervals;
  /** In their order; none unless given. */
  readonly figures?: readonly ReportFigure[];
  /** Further parts of the page, in any order; one of the same id as a part that the page makes takes its place. */
  readonly sections?: readonly ReportSection[];
}

type Row = readonly [name: string, value: number, meaning: string, score: keyof ClassificationIntervals];

/** The page. All text is escaped; figures and the bodies of sections are not, since they are markup already. */
export function reportHtml(contents: PageContents): string {
  expectContents(contents);
  const { title, description, facts = {}, metrics, sections = [] } = contents;
  const parts = new Map([...ownSections(contents), ...sections].map((section) => [section.id, section]));
  return pageHtml(
    title,
    `${description === undefined ? "" : `<p class="lead">${escapeMarkup(description)}</p>`}
${factList({ ...facts, Samples: String(metrics.samples), Classes: String(metrics.classes.length) })}
${sectionOrder
  .flatMap((id) => parts.get(id) ?? [])
  .map(sectionHtml)
  .join("\n")}`,
  );
}

/** What follows from the scores and the figures alone. */
function ownSections({ metrics, intervals, estimates, figures = [] }: PageContents): ReportSection[] {
  const pictures = figures.map(
    ({ svg, caption }) => `<figure>${svg}<figcaption>${escapeMarkup(caption)}</figcaption></figure>`,
  );
  return [
    { id: "scores", heading: "Metrics", body: summaryTable(metrics, intervals, estimates) },
    { id: "classes", heading: "By class", body: classTable(metrics, estimates) },
    ...(figures.length === 0
      ? []
      : [{ id: "curves", heading: "Figures", body: pictures.join("\n") } as const]),
  ];
}

const sectionHtml = ({ id, heading, body }: ReportSection): string =>
  `<section id="${id}" aria-labelledby="${id}-heading"><h2 id="${id}-heading">${escapeMarkup(heading)}</h2>\n${body}</section>`;

/** A page that stands alone, with its title as a heading. @param body  markup, in which all text is escaped */
export function pageHtml(title: string, body: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<title>${escapeMarkup(title)}</title>
<style>${style}</style>
</head>
<body>
<main>
<h1>${escapeMarkup(title)}</h1>
${body}
</main>
</body>
</html>
`;
}

function expectContents(contents: PageContents): void {
  const {
    title,
    description,
    facts = {},
    metrics,
    estimates = {},
    figures = [],
    sections = [],
  } = expectNamed("reportHtml", "contents", contents, {
    title: true,
    description: true,
    facts: true,
    metrics: true,
    intervals: true,
    estimates: true,
    figures: true,
    sections: true,
  });
  expectText("reportHtml", "title", title);
  if (description !== undefined) expectText("reportHtml", "description", description);
  for (const [name, fact] of Object.entries(expectNamed("reportHtml", "facts", facts)))
    expectText("reportHtml", `the fact ${name}`, fact);
  if (!haveSeveralLabels(metrics)) expectMetrics("reportHtml", metrics);
  for (const [name, found] of Object.entries(expectNamed("reportHtml", "estimates", estimates)))
    for (const one of Array.isArray(found) ? found : [found])
      expectEstimate("reportHtml", `estimates.${name}`, one);
  expectList("reportHtml", "figures", figures);
  for (const figure of figures) {
    const { svg, caption } = expectNamed("reportHtml", "a figure", figure);
    expectText("reportHtml", "the svg of a figure", svg);
    expectText("reportHtml", "the caption of a figure", caption);
  }
  expectSections("reportHtml", sections);
}

/** Facts under each other. */
export function factList(facts: Readonly<Record<string, string>>): string {
  const items = Object.entries(facts).map(
    ([name, value]) => `<dt>${escapeMarkup(name)}</dt><dd>${escapeMarkup(value)}</dd>`,
  );
  return `<dl>${items.join("")}</dl>`;
}

function summaryTable(
  metrics: ClassificationMetrics | MultiLabelMetrics,
  intervals: ConfidenceIntervals | undefined,
  estimates: AnyIntervals | undefined,
): string {
  const level = estimates === undefined ? intervals?.level : 0.95;
  const heading = level === undefined ? "" : `<th class="number">${Math.round(level * 100)}% interval</th>`;
  const rows = haveSeveralLabels(metrics) ? labelScores(metrics) : classScores(metrics);
  const body = rows.map(([name, value, meaning, score]) => {
    const estimate = estimateOf(estimates, score);
    const interval = score === "accuracy" || score === "auc" ? intervals?.[score] : undefined;
    const range = estimate ? rangeOf(estimate) : interval ? rangeBetween(...interval) : "";
    const cell = level === undefined ? "" : `<td class="number">${range}</td>`;
    const note =
      estimate?.reason === undefined ? meaning : `${meaning}; no interval, because ${estimate.reason}`;
    return `<tr><th scope="row">${name}</th><td class="number">${decimal(value)}</td>${cell}<td class="note">${escapeMarkup(note)}</td></tr>`;
  });
  return table(`<th>Metric</th><th class="number">Value</th>${heading}<th></th>`, body);
}

function classScores(metrics: ClassificationMetrics): Row[] {
  const binary = metrics.classes.length === 2;
  return [
    ["Accuracy", metrics.accuracy, "fraction predicted rightly", "accuracy"],
    ["AUC", metrics.auc, binary ? `of ${metrics.classes[1]}` : "mean of each class against the rest", "auc"],
    ["Balanced accuracy", metrics.balancedAccuracy, "mean sensitivity of the classes", "balancedAccuracy"],
    ["Macro F1", metrics.macroF1, "mean over the classes", "macroF1"],
    ["Macro precision", metrics.macroPrecision, "mean over the classes", "macroPrecision"],
    ["Macro specificity", metrics.macroSpecificity, "mean over the classes", "macroSpecificity"],
    ["Matthews correlation", metrics.mcc, "−1 to 1, 0 is chance", "mcc"],
    ["Cohen’s kappa", metrics.cohenKappa, "agreement beyond chance, at most 1", "cohenKappa"],
    ["Cross-entropy", metrics.crossEntropy, "nats, lower is better", "crossEntropy"],
    ["Brier score", metrics.brier, "0 to 2, lower is better", "brier"],
    ["Calibration error", metrics.ece, "expected, in 15 bins, lower is better", "ece"],
  ];
}

const rangeBetween = (lower: number, upper: number): string => `${decimal(lower)} – ${decimal(upper)}`;
const rangeOf = ({ lower, upper, reason }: Estimate): string =>
  reason === undefined ? rangeBetween(lower, upper) : "–";

/** That of a score by its name, or of a class's. */
function estimateOf(estimates: AnyIntervals | undefined, name: string, index?: number): Estimate | undefined {
  const found = (estimates as Readonly<Record<string, Estimate | readonly Estimate[]>> | undefined)?.[name];
  return isList(found) ? found[index ?? 0] : found;
}

const isList = (value: unknown): value is readonly Estimate[] => Array.isArray(value);

function classTable(
  metrics: ClassificationMetrics | MultiLabelMetrics,
  estimates: AnyIntervals | undefined,
): string {
  const [samples, columns] = haveSeveralLabels(metrics)
    ? [metrics.positives, labelColumns(metrics)]
    : [samplesPerClass(metrics), classColumns(metrics)];
  const headings = ["Samples", ...columns.map(([name]) => name)]
    .map((name) => `<th class="number">${name}</th>`)
    .join("");
  const body = metrics.classes.map((name, index) => {
    const values = columns
      .map(([, list, score]) => {
        const estimate = score && estimateOf(estimates, score, index);
        const under = estimate ? `<br><span class="note">${rangeOf(estimate)}</span>` : "";
        return `<td class="number">${decimal(list[index]!)}${under}</td>`;
      })
      .join("");
    return `<tr><th scope="row">${escapeMarkup(name)}</th><td class="number">${samples[index]}</td>${values}</tr>`;
  });
  return table(`<th>Class</th>${headings}`, body);
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

/** @param headings  cells of the head, @param rows  rows with their cells: markup */
export const table = (headings: string, rows: readonly string[]): string =>
  `<div class="scroll"><table><thead><tr>${headings}</tr></thead><tbody>${rows.join("")}</tbody></table></div>`;

/** Three decimals, with a true minus sign; a dash for what is undefined. */
const decimal = (value: number): string =>
  Number.isFinite(value) ? value.toFixed(3).replace("-", "−") : "–";

const style = `
:root { color-scheme: light; }
body { margin: 0; background: #fff; color: #1f2328; font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; font-variant-numeric: tabular-nums; }
main { max-width: 900px; margin: 0 auto; padding: 40px 24px 64px; }
h1 { font-size: 26px; line-height: 1.25; margin: 0 0 8px; overflow-wrap: anywhere; }
h2 { font-size: 18px; margin: 36px 0 12px; }
.lead { margin: 0 0 16px; color: #59636e; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 2px 16px; margin: 0; font-size: 14px; }
dt { color: #59636e; }
dd { margin: 0; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 14px; }
th, td { padding: 5px 14px 5px 0; text-align: left; vertical-align: baseline; border-bottom: 1px solid #e4e7eb; }
thead th { border-bottom: 1px solid #8c959f; color: #59636e; font-weight: 500; white-space: nowrap; }
tbody th { font-weight: 500; }
.number { text-align: right; white-space: nowrap; }
.note { color: #59636e; }
figure { margin: 0 0 32px; break-inside: avoid; }
figure svg { display: block; max-width: 100%; height: auto; }
figcaption { margin-top: 6px; color: #59636e; font-size: 14px; }
.pairs { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 270px), 1fr)); gap: 20px; }
.pair { border: 1px solid #e4e7eb; border-radius: 6px; padding: 10px; break-inside: avoid; }
.pair .pictures { display: grid; grid-template-columns: 1fr 1fr; gap: 6px; }
.pair img { display: block; width: 100%; aspect-ratio: 1; object-fit: contain; background: #1f2328; image-rendering: auto; }
.pair p { margin: 6px 0 0; font-size: 13px; line-height: 1.4; overflow-wrap: anywhere; }
.findings li { margin: 0 0 8px; overflow-wrap: anywhere; }
.bad { color: #a84a00; }
.good { color: #00704f; }
@media print { main { padding: 0; } }
`;
