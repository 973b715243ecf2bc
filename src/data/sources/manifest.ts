/**
 * CSV manifests: a header with the columns `path` and `label`, `split` if the images are divided already, and `patient`
 * and `weight` if there is something to say of each image.
 *
 *     path,label,split,patient,weight
 *     images/0001.png,benign,train,p17,1.5
 *
 * Paths are relative to the manifest. Columns that are not in the table below are ignored.
 */
import { createReadStream } from "node:fs";
import { dirname, isAbsolute, join } from "node:path";
import { CsvError, parse } from "csv-parse";
import { DataError } from "../../errors.js";
import { isWeight } from "../dataset.js";
import { parseSplitName, type SplitName } from "../splitting/split-names.js";
import {
  expectSeveralClasses,
  type ImageEntry,
  type Listing,
  listed,
  type SourceOptions,
  unknownLabel,
} from "./source.js";
import { sortedNames } from "./walk.js";

/** What a column's words mean; `refuse` ends the reading with a sentence about the line. */
type Column<T> = (text: string, refuse: (reason: string) => never) => T;

const text =
  (name: string): Column<string> =>
  (value, refuse) =>
    value === "" ? refuse(`the ${name} is empty`) : value;

const split: Column<SplitName> = (value, refuse) =>
  parseSplitName(value) ?? refuse(`split "${value}" is not one of train, val, test`);

const weight: Column<number> = (value, refuse) =>
  value !== "" && isWeight(Number(value))
    ? Number(value)
    : refuse(`weight "${value}" is not a number above 0`);

/** Columns that have to be there. */
const needed = { path: text("path"), label: text("label") };
/** Columns that may be there. Of an image whose patient is not known, that is left empty. */
const optional = { split, patient: ((value) => value || undefined) as Column<string | undefined>, weight };
const columns = { ...needed, ...optional };

type Columns = typeof columns;
type ColumnName = keyof Columns;
type Cells<Names extends ColumnName> = { [Name in Names]: ReturnType<Columns[Name]> };

/** A line of the manifest, its path resolved. */
type Row = Cells<keyof typeof needed> & Partial<Cells<keyof typeof optional>> & { readonly line: number };

export async function listManifest(path: string, options: SourceOptions): Promise<Listing> {
  const rows = await readRows(path);
  const classes = options.classes ?? findClasses(rows);
  const numbers = new Map(classes.map((name, label) => [name, label]));
  const splits: Partial<Record<SplitName, ImageEntry[]>> = {};
  const undivided: ImageEntry[] = [];
  for (const { line, path: file, label: name, split, patient, weight } of rows) {
    const label = numbers.get(name);
    if (label === undefined) {
      const advice = options.classes ? "" : " If it is a class of its own, list all classes explicitly.";
      throw unknownLabel({ file: path, line, label: name, classes }, advice);
    }
    if (split) splits[split] ??= [];
    (split ? splits[split] : undivided)?.push({ file, label, patient, weight });
  }
  expectSeveralClasses(path, classes);
  if (undivided.length > 0) return { classes, splits: {}, undivided };
  if (!splits.train && options.split === undefined) {
    throw new DataError(`${path} has no line whose split is train.`);
  }
  return { classes, splits };
}

async function readRows(path: string): Promise<Row[]> {
  const rows: Row[] = [];
  const seen = new Map<string, number>();
  let positions: Positions | undefined;
  const parser = parse({ bom: true, trim: true, skip_empty_lines: true, info: true });
  createReadStream(path)
    .on("error", (error) => parser.destroy(error))
    .pipe(parser);
  try {
    for await (const item of parser) {
      const { record, info } = item as { record: string[]; info: { lines: number } };
      if (positions === undefined) {
        positions = findColumns(path, record);
        continue;
      }
      const row = readRow(path, info.lines, record, positions);
      const twin = seen.get(row.path);
      if (twin !== undefined)
        throw lineError(path, row.line, `${record[positions.get("path") ?? 0]} is on line ${twin} already`);
      seen.set(row.path, row.line);
      rows.push(row);
    }
  } catch (error) {
    if (error instanceof CsvError && error.code.startsWith("CSV_RECORD_INCONSISTENT")) {
      const line = /on line (\d+)/.exec(error.message)?.[1];
      const reason = "it has more or fewer columns than the first line";
      const advice = "a comma within a value needs quotes around it";
      throw lineError(path, Number(line), `${reason}; ${advice}`, error);
    }
    if (error instanceof CsvError) throw new DataError(`${path}: ${error.message}.`, { cause: error });
    throw error;
  }
  if (rows.length === 0) throw new DataError(`${path} lists no images.`);
  return rows;
}

/** Where the columns are that there are. */
type Positions = ReadonlyMap<ColumnName, number>;

function findColumns(path: string, header: readonly string[]): Positions {
  const titles = header.map((title) => title.toLowerCase());
  const names = Object.keys(columns) as ColumnName[];
  const positions = new Map(
    names.map((name) => [name, titles.indexOf(name)] as const).filter(([, at]) => at >= 0),
  );
  if (!Object.keys(needed).every((name) => positions.has(name as ColumnName))) {
    const [must, may] = [needed, optional].map((group) => listed(Object.keys(group), "and"));
    throw lineError(
      path,
      1,
      `found the columns ${header.join(", ")}; ${must} are needed, ${may} may be there`,
    );
  }
  return positions;
}

function readRow(path: string, line: number, record: readonly string[], positions: Positions): Row {
  const refuse = (reason: string): never => {
    throw lineError(path, line, reason);
  };
  const cells: Record<string, unknown> = {};
  for (const [name, position] of positions) cells[name] = columns[name](record[position] ?? "", refuse);
  const row = cells as unknown as Omit<Row, "line">;
  return { ...row, line, path: isAbsolute(row.path) ? row.path : join(dirname(path), row.path) };
}

function lineError(file: string, line: number, reason: string, cause?: unknown): DataError {
  return new DataError(`${file} line ${line}: ${reason}.`, { file, line, reason, cause });
}

/**
 * The classes that the manifest itself means: the labels of its train lines (of all lines if it is not divided),
 * except a label that stands on one line only and is a slip of the pen away from one that many lines have.
 */
function findClasses(rows: readonly Row[]): string[] {
  const training = rows.filter(({ split }) => split === "train");
  const counts = new Map<string, number>();
  for (const { label } of training.length > 0 ? training : rows)
    counts.set(label, (counts.get(label) ?? 0) + 1);
  const isSlip = (label: string): boolean =>
    counts.get(label) === 1 &&
    [...counts].some(([other, count]) => count >= 5 && isMisspelling(label, other));
  return sortedNames([...counts.keys()].filter((label) => !isSlip(label)));
}

/**
 * Whether two words differ in case only, or by one lower-case letter that was replaced, added, lost or swapped with
 * its neighbour. Digits and capitals are what classes are told apart by ("grade 1", "type B"), so they count as meant.
 */
function isMisspelling(word: string, other: string): boolean {
  if (word === other) return false;
  if (word.toLowerCase() === other.toLowerCase()) return true;
  if (Math.min(word.length, other.length) < 5) return false;
  let start = 0;
  while (start < word.length && word[start] === other[start]) start += 1;
  let end = 0;
  while (end < Math.min(word.length, other.length) - start && word.at(-1 - end) === other.at(-1 - end))
    end += 1;
  const [a, b] = [word.slice(start, word.length - end), other.slice(start, other.length - end)];
  const lowerCase = /^\p{Ll}*$/u.test(a + b);
  const swapped = a.length === 2 && b.length === 2 && a[0] === b[1] && a[1] === b[0];
  return lowerCase && (swapped || Math.max(a.length, b.length) === 1);
}
