/**
 * CSV manifests: a header with the columns `path` and `label`, and `split` if the images are divided already.
 *
 *     path,label,split
 *     images/0001.png,benign,train
 *
 * Paths are relative to the manifest. Other columns are ignored.
 */
import { createReadStream } from "node:fs";
import { dirname, isAbsolute, join } from "node:path";
import { CsvError, parse } from "csv-parse";
import { DataError } from "../../errors.js";
import { parseSplitName, type SplitName } from "../splitting/stratified.js";
import type { ListingOptions } from "./folder.js";
import { expectSeveralClasses, type ImageEntry, type Listing, sortedNames, unknownLabel } from "./listing.js";

interface Row {
  readonly line: number;
  readonly file: string;
  readonly label: string;
  readonly split: SplitName | undefined;
}

export async function listManifest(path: string, options: ListingOptions): Promise<Listing> {
  const rows = await readRows(path);
  const classes = options.classes ?? findClasses(rows);
  const numbers = new Map(classes.map((name, label) => [name, label]));
  const splits: Partial<Record<SplitName, ImageEntry[]>> = {};
  const undivided: ImageEntry[] = [];
  for (const { line, file, label: name, split } of rows) {
    const label = numbers.get(name);
    if (label === undefined) {
      const advice = options.classes ? "" : " If it is a class of its own, list all classes explicitly.";
      throw unknownLabel({ file: path, line, label: name, classes }, advice);
    }
    if (split) splits[split] ??= [];
    (split ? splits[split] : undivided)?.push({ file, label });
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
  let columns: Columns | undefined;
  const parser = parse({ bom: true, trim: true, skip_empty_lines: true, info: true });
  createReadStream(path)
    .on("error", (error) => parser.destroy(error))
    .pipe(parser);
  try {
    for await (const item of parser) {
      const { record, info } = item as { record: string[]; info: { lines: number } };
      if (columns === undefined) {
        columns = findColumns(path, record);
        continue;
      }
      const row = readRow(path, info.lines, record, columns);
      const twin = seen.get(row.file);
      if (twin !== undefined) {
        throw new DataError(`${path} line ${row.line}: ${record[columns.path]} is on line ${twin} already.`);
      }
      seen.set(row.file, row.line);
      rows.push(row);
    }
  } catch (error) {
    if (error instanceof CsvError && error.code.startsWith("CSV_RECORD_INCONSISTENT")) {
      const line = /on line (\d+)/.exec(error.message)?.[1];
      throw new DataError(
        `${path} line ${line}: it has more or fewer columns than the first line; a comma within a value needs quotes around it.`,
        { cause: error },
      );
    }
    if (error instanceof CsvError) throw new DataError(`${path}: ${error.message}.`, { cause: error });
    throw error;
  }
  if (rows.length === 0) throw new DataError(`${path} lists no images.`);
  return rows;
}

interface Columns {
  readonly path: number;
  readonly label: number;
  readonly split: number;
}

function findColumns(path: string, header: readonly string[]): Columns {
  const position = (name: string): number => header.findIndex((title) => title.toLowerCase() === name);
  const columns = { path: position("path"), label: position("label"), split: position("split") };
  if (columns.path < 0 || columns.label < 0) {
    throw new DataError(
      `${path} line 1: found the columns ${header.join(", ")}; path and label are needed, split may be there.`,
    );
  }
  return columns;
}

function readRow(path: string, line: number, record: readonly string[], columns: Columns): Row {
  const file = record[columns.path] ?? "";
  const label = record[columns.label] ?? "";
  if (file === "") throw new DataError(`${path} line ${line}: the path is empty.`);
  if (label === "") throw new DataError(`${path} line ${line}: the label is empty.`);
  const word = columns.split < 0 ? undefined : (record[columns.split] ?? "");
  const split = word === undefined ? undefined : parseSplitName(word);
  if (word !== undefined && split === undefined) {
    throw new DataError(`${path} line ${line}: split "${word}" is not one of train, val, test.`);
  }
  return { line, file: isAbsolute(file) ? file : join(dirname(path), file), label, split };
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
