/**
 * CSV manifests: a header with the columns `path` and `label`, `split` if the images are divided already, and `patient`
 * and `weight` if there is something to say of each image.
 *
 *     path,label,split,patient,weight
 *     images/0001.png,benign,train,p17,1.5
 *
 * Paths are relative to the manifest. Columns that are not in the table below are ignored.
 */
import { access } from "node:fs/promises";
import { dirname, isAbsolute, join, sep } from "node:path";
import { DataError } from "../../errors.js";
import { isWeight } from "../dataset.js";
import { parseSplitName, type SplitName, splitWords } from "../splitting/split-names.js";
import { companionsAmong } from "./companions.js";
import {
  ambiguousClasses,
  expectSeveralClasses,
  type ImageEntry,
  type Listing,
  listed,
  type SourceOptions,
  unknownLabel,
} from "./source.js";
import { lineError, readTable } from "./table.js";
import { sortedNames } from "./walk.js";

/** What a column's words mean; `refuse` ends the reading with a sentence about the line. */
type Column<T> = (text: string, refuse: (reason: string) => never) => T;

const text =
  (name: string): Column<string> =>
  (value, refuse) =>
    value === "" ? refuse(`the ${name} is empty`) : value;

/** Letters composed of several characters, as macOS writes them, are the same word. */
const label: Column<string> = (value, refuse) => text("label")(value, refuse).normalize("NFC");

const split: Column<SplitName> = (value, refuse) =>
  parseSplitName(value) ??
  refuse(`split "${value}" is not one of train, val, test; the words are ${splitWords}`);

const weight: Column<number> = (value, refuse) =>
  value !== "" && isWeight(Number(value))
    ? Number(value)
    : refuse(`weight "${value}" is not a number above 0`);

/** Columns that have to be there. */
const needed = { path: text("path"), label };
/** Columns that may be there. Of an image whose patient is not known, that is left empty. */
const optional = { split, patient: ((value) => value || undefined) as Column<string | undefined>, weight };
const columns = { ...needed, ...optional };

type Columns = typeof columns;
type ColumnName = keyof Columns;
type Cells<Names extends ColumnName> = { [Name in Names]: ReturnType<Columns[Name]> };

/** A line of the manifest. */
type Row = Cells<keyof typeof needed> & Partial<Cells<keyof typeof optional>> & { readonly line: number };

export async function listManifest(path: string, options: SourceOptions): Promise<Listing> {
  const rows = await readRows(path);
  const classes = options.classes ?? findClasses(path, rows);
  const numbers = new Map(classes.map((name, label) => [name.normalize("NFC"), label]));
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
  warnOfCompanions(path, rows, options.onWarning);
  if (undivided.length > 0) return { classes, splits: {}, undivided };
  if (!splits.train && options.split === undefined) {
    throw new DataError(`${path} has no line whose split is train.`);
  }
  return { classes, splits };
}

/** Whoever lists a mask may mean it; whoever listed a folder's files with a program may not. */
function warnOfCompanions(path: string, rows: readonly Row[], onWarning: (message: string) => void): void {
  const found = companionsAmong(
    rows.map((row) => row.path),
    dirname(path),
  );
  const first = rows.find((row) => found.has(row.path));
  if (!first) return;
  onWarning(
    `${path}: ${found.size} of the images are by name masks or thumbnails of others in the table, first on line ${first.line}. They are taken, because the table lists them; remove their lines if they are no images of their own.`,
  );
}

async function readRows(path: string): Promise<Row[]> {
  const rows: Row[] = [];
  const seen = new Map<string, number>();
  let positions: Positions | undefined;
  for await (const { line, cells } of readTable(path)) {
    if (positions === undefined) {
      positions = findColumns(path, line, cells);
      continue;
    }
    const row = readRow(path, line, cells, positions);
    const file = await findFile(path, row);
    const twin = seen.get(file);
    if (twin !== undefined) throw lineError(path, line, `${row.path} is on line ${twin} already`);
    seen.set(file, line);
    rows.push({ ...row, path: file });
  }
  if (rows.length === 0) throw new DataError(`${path} lists no images.`);
  return rows;
}

/**
 * The file that a line means. Where there is none of that very name, backslashes are taken for the separators of a table
 * that Windows wrote, and composed letters for the same ones in several characters, and the other way round.
 */
async function findFile(manifest: string, { path, line }: Row): Promise<string> {
  const resolve = (name: string): string => (isAbsolute(name) ? name : join(dirname(manifest), name));
  const isPlain = /^[\x20-\x7e]*$/.test(path) && (sep === "\\" || !path.includes("\\"));
  if (isPlain && (sep === "\\" || !/^[a-z]:/i.test(path))) return resolve(path);
  const spellings = [path, path.replaceAll("\\", "/")];
  for (const form of [undefined, "NFC", "NFD"]) {
    for (const name of spellings) {
      const file = resolve(form ? name.normalize(form) : name);
      if (await exists(file)) return file;
    }
  }
  if (sep !== "\\" && /^([a-z]:[\\/]|\\\\)/i.test(path)) {
    throw lineError(
      manifest,
      line,
      `"${path}" is a place on a Windows computer and not on this one: write paths that begin at the folder of the table`,
    );
  }
  return resolve(path.replaceAll("\\", "/"));
}

const exists = (file: string): Promise<boolean> =>
  access(file).then(
    () => true,
    () => false,
  );

/** Where the columns are that there are. */
type Positions = ReadonlyMap<ColumnName, number>;

function findColumns(path: string, line: number, header: readonly string[]): Positions {
  const titles = header.map((title) => title.toLowerCase());
  const names = Object.keys(columns) as ColumnName[];
  const positions = new Map(
    names.map((name) => [name, titles.indexOf(name)] as const).filter(([, at]) => at >= 0),
  );
  if (!Object.keys(needed).every((name) => positions.has(name as ColumnName))) {
    const [must, may] = [needed, optional].map((group) => listed(Object.keys(group), "and"));
    throw lineError(
      path,
      line,
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
  return { ...(cells as unknown as Omit<Row, "line">), line };
}

/**
 * The classes that the manifest itself means: the labels of its train lines (of all lines if it is not divided),
 * except a label that stands on one line only and is a slip of the pen away from one that many lines have.
 */
function findClasses(path: string, rows: readonly Row[]): string[] {
  const alike = ambiguousClasses(rows.map(({ label }) => label));
  if (alike) {
    const [first, second] = alike.map((name) => rows.find(({ label }) => label === name)?.line);
    const reason = `label "${alike[1]}" differs from "${alike[0]}" on line ${first} in case or spaces only`;
    throw lineError(
      path,
      second ?? 1,
      `${reason}. Write one of the two, or list all classes explicitly if they are two`,
    );
  }
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
