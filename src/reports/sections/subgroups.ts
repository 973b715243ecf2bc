/** Whether it is as good for everyone: each group beside all others, with the interval of the difference. */
import type { SubgroupMetric } from "../../metrics/subgroups.js";
import type { SubgroupEvidence } from "../evidence.js";
import { type ForestRow, forestPlot } from "../figures/forest-plot.js";
import { escapeMarkup } from "../figures/svg.js";
import { figuresHtml, type ReportFigure } from "../page-figure.js";
import { type Cell, Reasons, tableHtml } from "../tables.js";
import type { ReportSection } from "./section.js";

/** Metrics that more of is better, by what they are called. */
const better: Readonly<Partial<Record<SubgroupMetric, string>>> = {
  auc: "AUC",
  accuracy: "Accuracy",
  balancedAccuracy: "Balanced accuracy",
  macroSensitivity: "Sensitivity",
  macroSpecificity: "Specificity",
  macroPrecision: "Precision",
  macroF1: "F1",
  mcc: "Matthews correlation",
  cohenKappa: "Kappa",
};
const names: Readonly<Partial<Record<string, string>>> = {
  ...better,
  crossEntropy: "Cross-entropy",
  brier: "Brier score",
  ece: "Calibration error",
};

/** Rows of the forest plot: more would not be read. */
const mostRows = 40;

/** The forest plot, of AUC where it was compared; undefined where nothing was that more of is better. */
export function subgroupFigure(groups: readonly SubgroupEvidence[]): ReportFigure | undefined {
  const compared = Object.keys(groups[0]?.scores ?? {}) as SubgroupMetric[];
  const metric = (Object.keys(better) as SubgroupMetric[]).find((name) => compared.includes(name));
  if (metric === undefined) return undefined;
  const rows = groups.slice(0, mostRows).flatMap((group): ForestRow[] => {
    const score = group.scores[metric];
    if (!score) return [];
    const { samples, warning } = group;
    return [{ name: nameOf(group), samples, difference: score.difference, few: warning !== undefined }];
  });
  const left = groups.length > mostRows ? ` The first ${mostRows} of ${groups.length} groups.` : "";
  return {
    svg: forestPlot(rows, better[metric]!),
    caption: `${better[metric]} of each group less that of all others, with 95 % intervals; hollow: without an interval, or, with a dashed one, of fewer than 20 images.${left}`,
  };
}

const nameOf = ({ attribute, value, label }: SubgroupEvidence): string =>
  `${label === undefined ? "" : `${label}: `}${attribute} ${value}`;

/** The section. */
export function subgroupsSection(
  groups: readonly SubgroupEvidence[],
  figure = subgroupFigure(groups),
): ReportSection {
  const metrics = [...new Set(groups.flatMap(({ scores }) => Object.keys(scores)))] as SubgroupMetric[];
  const reasons = new Reasons();
  const rows = groups.map((group): Cell[] => [
    group.warning === undefined
      ? nameOf(group)
      : { markup: `${escapeMarkup(nameOf(group))} <b class="bad">(few)</b>` },
    String(group.samples),
    ...metrics.flatMap((metric): Cell[] => {
      const score = group.scores[metric];
      if (!score) return ["–", "–", "–"];
      return [score.inside, score.outside, score.difference].map((estimate) => reasons.cell(estimate));
    }),
  ]);
  const warned = groups.filter(({ warning }) => warning !== undefined).length;
  const care =
    warned === 0
      ? ""
      : `<p class="bad">${warned === 1 ? "One group has" : `${warned} groups have`} fewer than 20 images: ${warned === 1 ? "it says" : "they say"} little.</p>`;
  const groupCount = groups.length;
  const chance =
    groupCount < 5
      ? ""
      : ` Of ${groupCount} groups without any difference, ${groupCount < 20 ? "fewer than 1" : `about ${Math.round(groupCount / 20)}`} would look different by chance.`;
  return {
    id: "subgroups",
    heading: "Subgroups",
    body: `<p>An interval of a difference that holds 0 is no proof that the groups are treated alike, only that these images do not show otherwise.${chance}</p>
${care}
${figure ? figuresHtml([figure]) : ""}
${tableHtml({
  caption: "Each group, all others, and the difference",
  headings: [
    "Group",
    "Images",
    ...metrics.flatMap((metric) => {
      const name = names[metric] ?? metric;
      return [name, "All others", "Difference"];
    }),
  ],
  rows,
  reasons,
})}`,
  };
}
