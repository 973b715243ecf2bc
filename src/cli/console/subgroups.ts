/** What `evaluate --subgroups` says: whether a checkpoint is as good for everyone, by columns of a table. */
import type { LabelledImages } from "../../data/index.js";
import type { Estimate } from "../../metrics/estimate.js";
import type { SubgroupEvidence } from "../../reports/evidence.js";
import { nearest } from "../../settings/nearest.js";
import { type Groups, groupsOf } from "../../study/groups.js";
import { CommandError } from "./failure.js";
import { reasonLines } from "./score-lines.js";
import { columns, decimals, lineWidth, plural, wrapped } from "./wording.js";

/**
 * The groups of named columns.
 *
 * @throws CommandError with the nearest title, or all, if there is no such column
 */
export function groupsBy(names: readonly string[], dataset: LabelledImages): Groups {
  // `split` writes a hash of each image, which is no group.
  const titles = Object.keys(dataset.attributes ?? {}).filter((title) => title.toLowerCase() !== "hash");
  const chosen = names.map((name) => {
    const title = titles.find((known) => known.toLowerCase() === name.toLowerCase());
    if (title !== undefined) return title;
    const meant = nearest(name, titles);
    const rest =
      meant !== undefined
        ? `did you mean ${meant}?`
        : titles.length > 0
          ? `there are ${titles.join(", ")}.`
          : "these data have none beside labels. A table says by further columns whom and what images are of.";
    throw new CommandError(`--subgroups: there is no column ${name}; ${rest}`);
  });
  return groupsOf(chosen, dataset);
}

const named: Readonly<Record<string, string>> = { accuracy: "accuracy", auc: "AUC" };

/** A table an attribute, and a label of several, within 80 columns; then why to take numbers with care. */
export function subgroupLines(found: readonly SubgroupEvidence[], groups: Groups): string[] {
  return Object.entries(groups).flatMap(([attribute, texts]) => {
    const own = found.filter((group) => group.attribute === attribute);
    const labels = [...new Set(own.map(({ label }) => label))];
    const unknown = texts.filter((text) => !text).length;
    return [
      ...labels.flatMap((label) =>
        tableOf(
          `By ${attribute}${label === undefined ? "" : `, ${label}`}, each group beside all other images:`,
          own.filter((group) => group.label === label),
        ),
      ),
      ...(labels.length === 0 ? ["", `  By ${attribute}: no image says it.`] : []),
      ...(unknown > 0 && labels.length > 0
        ? inLines(`${plural(unknown, "image")} without a value of ${attribute}: in no group`)
        : []),
    ];
  });
}

const inLines = (text: string): string[] => wrapped(text, lineWidth - 2).map((line) => `  ${line}`);

function tableOf(heading: string, groups: readonly SubgroupEvidence[]): string[] {
  const rows = groups.flatMap(({ value, samples, scores }) =>
    Object.entries(scores).map(([metric, score]) => ({
      value,
      samples,
      name: named[metric] ?? metric,
      score,
    })),
  );
  const range = ({ lower, upper, reason }: Estimate): string =>
    reason === undefined ? `${decimals(lower, 2)} to ${decimals(upper, 2)}` : "-";
  const cells = rows.map(({ value, samples, name, score: { inside, difference } }) => [
    value,
    String(samples),
    name,
    decimals(inside.value),
    range(inside),
    decimals(difference.value),
    range(difference),
  ]);
  const head = ["", "images", "score", "value", "95 % interval", "differs", "95 % interval"];
  return [
    "",
    ...inLines(heading),
    ...columns([head, ...cells], { longest: 12 }).map((line) => `  ${line}`.trimEnd()),
    ...reasonLines(
      rows.flatMap(({ value, name, score: { inside, difference } }) => [
        [`${value} ${name}`, inside] as const,
        [`the difference of ${value} ${name}`, difference] as const,
      ]),
    ),
    ...groups.flatMap(({ value, warning }) => (warning === undefined ? [] : inLines(`${value}: ${warning}`))),
  ];
}
