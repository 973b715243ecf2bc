/** Which columns a manifest has, and what the words in those mean that it knows. All others are kept as they are. */
import { DataError } from "../../errors.js";
import { isWeight } from "../dataset.js";
import { parseSplitName, type SplitName, splitWords } from "../splitting/split-names.js";
import { lineError } from "./problems.js";
import { listed, type SourceOptions } from "./source.js";

/** What a column's words mean; `refuse` ends the reading of the line with what is wrong. */
type Column<T> = (text: string, refuse: (reason: string) => never) => T;

const path: Column<string> = (value, refuse) => (value === "" ? refuse("the path is empty") : value);

/** Letters composed of several characters, as macOS writes them, are the same word. */
const label: Column<string> = (value, refuse) =>
  value === "" ? refuse("the label is empty") : value.normalize("NFC");

const split: Column<SplitName> = (value, refuse) =>
  parseSplitName(value) ??
  refuse(`split "${value}" is not one of train, val, test; the words are ${splitWords}`);

/** Left empty where it is not known. Nothing is said of what it holds. */
const patient: Column<string | undefined> = (value) => value || undefined;

const weight: Column<number> = (value, refuse) =>
  value !== "" && isWeight(Number(value))
    ? Number(value)
    : refuse(`weight "${value}" is not a number above 0`);

/** Left empty where the file has one picture, or the usual choice is meant. */
const frame: Column<number | undefined> = (value, refuse) => {
  if (value === "") return undefined;
  const index = Number(value);
  return Number.isSafeInteger(index) && index >= 0
    ? index
    : refuse(`frame "${value}" is not a whole number from 0 up`);
};

const known = { path, label, split, patient, weight, frame };

type Known = typeof known;
type KnownName = keyof Known;

/** What a line says in the columns that are known; the label is none where columns of 0 and 1 are labels. */
export type KnownCells = { readonly path: string } & {
  readonly [Name in Exclude<KnownName, "path">]?: ReturnType<Known[Name]>;
};

/** What matters only where images are learned from. */
const ofTraining: readonly KnownName[] = ["label", "split", "weight"];

/** Other titles of the column `patient`. */
const patientTitles = [
  "patient_id",
  "patientid",
  "patient id",
  "patient-id",
  "subject",
  "subject_id",
  "subjectid",
];

/** Where the columns are. */
export interface Columns {
  /** Of the titles. */
  readonly line: number;
  readonly known: ReadonlyMap<KnownName, number>;
  /** By their titles, as they are written. */
  readonly others: ReadonlyMap<string, number>;
  /** Titles of the labels, among `others`, where they were named. */
  readonly labels: readonly string[] | undefined;
  /** The column that says which images stay together, if one was named. */
  readonly groups: number | undefined;
}

/** @throws DataError naming the columns that are missing, or there twice */
export function columnsOf(
  file: string,
  line: number,
  header: readonly string[],
  options: SourceOptions,
): Columns {
  const titles = header.map((title) => title.toLowerCase());
  const patientAt = patientColumn(file, header, options);
  const positions = new Map<KnownName, number>();
  const others = new Map<string, number>();
  const labels = namedLabels(header, options);
  for (const [at, title] of titles.entries()) {
    const original = (header[at] ?? "").normalize("NFC");
    const name = at === patientAt ? "patient" : (title as KnownName);
    const isOther = options.unlabelled ? ofTraining.includes(name) : labels !== undefined && name === "label";
    const isKnown = Object.hasOwn(known, name) && !isOther;
    if (isKnown ? positions.has(name) : others.has(original) && original !== "")
      throw lineError(file, line, `two columns are called ${header[at]}`);
    if (isKnown) positions.set(name, at);
    else if (original !== "") others.set(original, at);
  }
  const areColumns = labels !== undefined || options.task !== undefined;
  expectNeeded(file, line, header, positions, areColumns || options.unlabelled === true);
  for (const title of labels ?? []) expectColumn(file, title, others);
  return { line, known: positions, others, labels, groups: groupColumn(file, header, options) };
}

/**
 * Labels that are columns because somebody says so: by their names, or by the classes of several an image. The classes of
 * a checkpoint may be columns, too, where there is no column `label`.
 */
function namedLabels(
  header: readonly string[],
  { task, labels, classes }: SourceOptions,
): readonly string[] | undefined {
  const titles = header.map((title) => title.normalize("NFC"));
  const hasNames = titles.some((title) => title.toLowerCase() === "label");
  const areColumns = !hasNames && classes?.every((name) => titles.includes(name.normalize("NFC")));
  const names = task === "multi-label" || labels || areColumns ? (classes ?? labels) : undefined;
  return names?.map((name) => name.normalize("NFC"));
}

function patientColumn(
  file: string,
  header: readonly string[],
  { onWarning, groups }: SourceOptions,
): number | undefined {
  const titles = header.map((title) => title.toLowerCase());
  const at = titles.findIndex((title) => patientTitles.includes(title));
  if (at < 0 || titles.includes("patient")) return undefined;
  if (groups === undefined) onWarning(`${file}: the column ${header[at]} is taken for the patient.`);
  return at;
}

function groupColumn(file: string, header: readonly string[], { groups }: SourceOptions): number | undefined {
  if (groups === undefined) return undefined;
  const wanted = groups.normalize("NFC").toLowerCase();
  const at = header.findIndex((title) => title.normalize("NFC").toLowerCase() === wanted);
  if (at < 0) {
    const reason = `it has no column ${groups} to keep images together by; it has ${header.join(", ")}`;
    throw new DataError(`${file}: ${reason}.`, { file, column: groups, reason });
  }
  return at;
}

function expectNeeded(
  file: string,
  line: number,
  header: readonly string[],
  positions: ReadonlyMap<KnownName, number>,
  areColumns: boolean,
): void {
  if (positions.has("path") && (positions.has("label") || areColumns)) return;
  const may = listed(
    Object.keys(known).filter((name) => name !== "path" && name !== "label"),
    "and",
  );
  const instead = positions.has("path")
    ? ". If the labels are columns of 0 and 1, say which task they are (--task): multi-label, or multi-class where each image has one of them"
    : "";
  throw lineError(
    file,
    line,
    `found the columns ${header.join(", ")}; path and label are needed, ${may} may be there${instead}`,
  );
}

function expectColumn(file: string, title: string, others: ReadonlyMap<string, number>): void {
  if (others.has(title)) return;
  const reason = `it has no column ${title} of 0 and 1; it has ${[...others.keys()].join(", ")}`;
  throw new DataError(`${file}: ${reason}.`, { file, label: title, reason });
}

/** @returns what is wrong with the line, if something is */
export function readKnown(cells: readonly string[], columns: Columns): KnownCells | string {
  const values: Record<string, unknown> = {};
  const refuse = (reason: string): never => {
    throw new Refusal(reason);
  };
  try {
    for (const [name, at] of columns.known) values[name] = known[name](cells[at] ?? "", refuse);
  } catch (error) {
    if (error instanceof Refusal) return error.message;
    throw error;
  }
  return values as unknown as KnownCells;
}

/** Ends the reading of a line. */
class Refusal extends Error {}
