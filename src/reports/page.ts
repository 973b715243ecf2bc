/**
 * A report of an evaluation as one HTML page that stands alone: no scripts, nothing loaded from elsewhere, so that it
 * can be mailed, archived and opened years later.
 */

import type { ClassificationMetrics } from "../metrics/classification.js";
import type { ClassificationIntervals } from "../metrics/classification-intervals.js";
import type { Estimate } from "../metrics/estimate.js";
import type { ConfidenceIntervals, Interval } from "../metrics/intervals.js";
import { escapeMarkup } from "./figures/svg.js";

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
  readonly metrics: ClassificationMetrics;
  /** Confidence intervals beside accuracy and AUC. */
  readonly intervals?: ConfidenceIntervals;
  /** 95 % intervals beside all scores, in the place of `intervals`. */
  readonly estimates?: ClassificationIntervals;
  /** In their order; none unless given. */
  readonly figures?: readonly ReportFigure[];
}

type Row = readonly [name: string, score: Score, meaning: string, interval?: Interval | undefined];
type Score = {
  [score in keyof ClassificationIntervals]: ClassificationIntervals[score] extends Estimate ? score : never;
}[keyof ClassificationIntervals];

/** The page. All text is escaped; figures are not, since they are markup already. */
export function reportHtml({
  title,
  description,
  facts = {},
  metrics,
  intervals,
  estimates,
  figures = [],
}: PageContents): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${escapeMarkup(title)}</title>
<style>${style}</style>
</head>
<body>
<main>
<h1>${escapeMarkup(title)}</h1>
${description === undefined ? "" : `<p class="lead">${escapeMarkup(description)}</p>`}
${factList({ ...facts, Samples: String(metrics.samples), Classes: String(metrics.classes.length) })}
<h2>Metrics</h2>
${summaryTable(metrics, intervals, estimates)}
<h2>By class</h2>
${classTable(metrics, estimates)}
${figures.length === 0 ? "" : "<h2>Figures</h2>"}
${figures.map(({ svg, caption }) => `<figure>${svg}<figcaption>${escapeMarkup(caption)}</figcaption></figure>`).join("\n")}
</main>
</body>
</html>
`;
}

function factList(facts: Readonly<Record<string, string>>): string {
  const items = Object.entries(facts).map(
    ([name, value]) => `<dt>${escapeMarkup(name)}</dt><dd>${escapeMarkup(value)}</dd>`,
  );
  return `<dl>${items.join("")}</dl>`;
}

function summaryTable(
  metrics: ClassificationMetrics,
  intervals: ConfidenceIntervals | undefined,
  estimates: ClassificationIntervals | undefined,
): string {
  const binary = metrics.classes.length === 2;
  const rows: Row[] = [
    ["Accuracy", "accuracy", "fraction predicted rightly", intervals?.accuracy],
    [
      "AUC",
      "auc",
      binary ? `of ${metrics.classes[1]}` : "mean of each class against the rest",
      intervals?.auc,
    ],
    ["Balanced accuracy", "balancedAccuracy", "mean sensitivity of the classes"],
    ["Macro F1", "macroF1", "mean over the classes"],
    ["Macro precision", "macroPrecision", "mean over the classes"],
    ["Macro specificity", "macroSpecificity", "mean over the classes"],
    ["Matthews correlation", "mcc", "−1 to 1, 0 is chance"],
    ["Cohen’s kappa", "cohenKappa", "agreement beyond chance, at most 1"],
    ["Cross-entropy", "crossEntropy", "nats, lower is better"],
    ["Brier score", "brier", "0 to 2, lower is better"],
    ["Calibration error", "ece", "expected, in 15 bins, lower is better"],
  ];
  const level = estimates === undefined ? intervals?.level : 0.95;
  const heading = level === undefined ? "" : `<th class="number">${Math.round(level * 100)}% interval</th>`;
  const body = rows.map(([name, score, meaning, interval]) => {
    const estimate = estimates?.[score];
    const range = estimate ? rangeOf(estimate) : interval ? rangeBetween(...interval) : "";
    const cell = level === undefined ? "" : `<td class="number">${range}</td>`;
    const note =
      estimate?.reason === undefined ? meaning : `${meaning}; no interval, because ${estimate.reason}`;
    return `<tr><th scope="row">${name}</th><td class="number">${decimal(metrics[score])}</td>${cell}<td class="note">${escapeMarkup(note)}</td></tr>`;
  });
  return table(`<th>Metric</th><th class="number">Value</th>${heading}<th></th>`, body);
}

const rangeBetween = (lower: number, upper: number): string => `${decimal(lower)} – ${decimal(upper)}`;
const rangeOf = ({ lower, upper, reason }: Estimate): string =>
  reason === undefined ? rangeBetween(lower, upper) : "–";

function classTable(metrics: ClassificationMetrics, estimates: ClassificationIntervals | undefined): string {
  const columns = [
    ["Sensitivity", "sensitivity"],
    ["Specificity", "specificity"],
    ["Precision", "precision"],
    ["F1", "f1"],
    ["AUC", "aucPerClass"],
    ["Average precision", "averagePrecisionPerClass"],
  ] as const;
  const headings = ["Samples", ...columns.map(([name]) => name)]
    .map((name) => `<th class="number">${name}</th>`)
    .join("");
  const body = metrics.classes.map((name, index) => {
    const samples = metrics.confusionMatrix[index]!.reduce((total, count) => total + count, 0);
    const values = columns
      .map(([, list]) => {
        const estimate = estimates?.[list][index];
        const under = estimate === undefined ? "" : `<br><span class="note">${rangeOf(estimate)}</span>`;
        return `<td class="number">${decimal(metrics[list][index]!)}${under}</td>`;
      })
      .join("");
    return `<tr><th scope="row">${escapeMarkup(name)}</th><td class="number">${samples}</td>${values}</tr>`;
  });
  return table(`<th>Class</th>${headings}`, body);
}

const table = (headings: string, rows: string[]): string =>
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
@media print { main { padding: 0; } }
`;
