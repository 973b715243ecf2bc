/** The table that a division is written as: a CSV file whose columns the package reads again. */
import { dirname, isAbsolute, relative, resolve, sep } from "node:path";
import type { ImageEntry, Listing } from "../data/sources/source.js";
import type { SplitName } from "../data/splitting/split-names.js";

/** One image, divided. */
export interface DividedImage {
  readonly entry: ImageEntry;
  readonly hash: string;
  /** The patient or group that it stays together with, under a name that says nothing of it. */
  readonly unit: string | undefined;
  /** The patient, likewise; the unit where no column of groups was named. */
  readonly patient: string | undefined;
  split: SplitName;
  /** From 1; undefined of images to test on, and where there are no folds. */
  fold: number | undefined;
}

/** What is kept of other columns: not pseudonyms, which would be others the next time. */
function keptAttributes(
  rows: readonly DividedImage[],
  { attributes = [] }: Listing,
  written: readonly string[],
): { title: string; at: number }[] {
  const ours = new Set(["hash", "fold", ...written]);
  const isPseudonym = (text: string | undefined) => text === undefined || /^[0-9a-f]{16}$/.test(text);
  return attributes
    .map((title, at) => ({ title, at }))
    .filter(({ title, at }) => {
      return (
        !ours.has(title.toLowerCase()) && !rows.every(({ entry }) => isPseudonym(entry.attributes?.[at]))
      );
    });
}

/**
 * The table, as RFC 4180 has it; paths lead from its folder.
 *
 * @param groups  title of the column that images stay together by, where it is not the patient: kept as it is, or with names in
 *   it that say nothing where what it holds may be somebody's
 */
export function divisionTable(
  out: string,
  rows: readonly DividedImage[],
  listing: Listing,
  groups?: string,
): string {
  const { classes, task } = listing;
  const some = (value: (row: DividedImage) => unknown) => rows.some((row) => value(row) !== undefined);
  const columns: [title: string, text: (row: DividedImage) => string | number | undefined][] = [
    ["path", ({ entry }) => pathFrom(out, entry.file)],
  ];
  if (task === "multi-label")
    for (const [label, name] of classes.entries())
      columns.push([name, ({ entry }) => Number(entry.labels.includes(label))]);
  else columns.push(["label", ({ entry }) => classes[entry.labels[0] ?? 0]]);
  columns.push(["split", ({ split }) => split]);
  if (some(({ patient }) => patient)) columns.push(["patient", ({ patient }) => patient]);
  if (some(({ entry }) => entry.frame)) columns.push(["frame", ({ entry }) => entry.frame]);
  if (some(({ entry }) => entry.weight)) columns.push(["weight", ({ entry }) => entry.weight ?? 1]);
  const kept = keptAttributes(
    rows,
    listing,
    columns.map(([title]) => title.toLowerCase()),
  );
  for (const { title, at } of kept) columns.push([title, ({ entry }) => entry.attributes?.[at]]);
  if (groups !== undefined && !columns.some(([title]) => title.toLowerCase() === groups.toLowerCase()))
    columns.push([groups, ({ entry, unit }) => (entry.group === undefined ? undefined : unit)]);
  if (some(({ fold }) => fold)) columns.push(["fold", ({ fold }) => fold]);
  columns.push(["hash", ({ hash }) => hash]);
  const lines = [columns.map(([title]) => title), ...rows.map((row) => columns.map(([, text]) => text(row)))];
  return lines.map((line) => `${line.map((cell) => quoted(String(cell ?? ""))).join(",")}\r\n`).join("");
}

const quoted = (text: string): string =>
  /[",\r\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;

/** With slashes on all systems; a place on another drive as it is. */
function pathFrom(out: string, file: string): string {
  const way = relative(dirname(resolve(out)), resolve(file));
  return (isAbsolute(way) ? file : way).split(sep).join("/");
}
