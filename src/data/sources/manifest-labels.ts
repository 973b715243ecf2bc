/** What the labels of a manifest are: names in one column, or a column of 0 and 1 for each. */
import type { ManifestRow } from "./manifest.js";
import type { Columns } from "./manifest-columns.js";
import { type LineProblems, lineError } from "./problems.js";
import { ambiguousClasses, type SourceOptions } from "./source.js";
import { sortedNames } from "./walk.js";

/** The labels of all lines. */
export interface Labelling {
  readonly classes: readonly string[];
  /** Of each row, numbers of classes. */
  readonly labels: readonly (readonly number[])[];
  /** What to do about labels that are none. */
  readonly advice?: string;
}

interface Reading {
  readonly columns: Columns;
  readonly options: SourceOptions;
  readonly problems: LineProblems;
}

/** 0 and 1, also as "0.0" and "1.0", which programs make of columns that once had gaps. */
export const isOneOrZero = (text: string): boolean =>
  text !== "" && (Number(text) === 0 || Number(text) === 1);

/** The column `label`: the name of the class. */
export function labelsOfNames(
  path: string,
  rows: readonly ManifestRow[],
  { columns, options, problems }: Reading,
): Labelling {
  const named = rows.map(({ label, split, line }) => ({ label: label ?? "", split, line }));
  if (options.task === "multi-label") {
    const reason =
      "several labels an image are columns of 0 and 1, and this table has a column label: name the others by the option labels";
    throw lineError(path, columns.line, reason);
  }
  const classes = options.classes ?? findClasses(path, named);
  const numbers = new Map(classes.map((name, label) => [name.normalize("NFC"), label]));
  const labels = named.map(({ label: name, line }) => {
    const label = numbers.get(name);
    if (label !== undefined) return [label];
    problems.add(line, `label "${name}" is not one of ${classes.join(", ")}`, name);
    return [];
  });
  const advice = "If it is a class of its own, list all classes explicitly.";
  return { classes, labels, ...(!options.classes && { advice }) };
}

/**
 * A column a label, of those `named`. Where classes exclude each other, each line has one 1; the classes are the columns, in their order.
 *
 * @throws DataError if there is no such column
 */
export function labelsOfColumns(
  path: string,
  rows: readonly ManifestRow[],
  { columns, named, options, problems }: Reading & { readonly named: readonly string[] },
): Labelling {
  if (named.length === 0) {
    const titles = [...columns.others.keys()].join(", ") || "none besides the path";
    throw lineError(
      path,
      columns.line,
      `no column has only 0 and 1 in it, for labels (there are ${titles}): write such columns, or a column label`,
    );
  }
  const several = options.task === "multi-label";
  const order = several ? named : (options.classes?.map((name) => name.normalize("NFC")) ?? named);
  const numbers = named.map((title) => order.indexOf(title));
  const missing = named[numbers.indexOf(-1)];
  if (missing !== undefined)
    problems.add(
      columns.line,
      `the column ${missing} is not one of the classes ${order.join(", ")}`,
      missing,
    );
  const labels = rows.map(({ cells, line }) => {
    const values = named.map((title) => cells[columns.others.get(title) ?? 0] ?? "");
    const wrong = values.findIndex((value) => !isOneOrZero(value));
    if (wrong >= 0) {
      const held = values[wrong] === "" ? "is empty" : `holds "${values[wrong]}"`;
      problems.add(
        line,
        `${named[wrong]} ${held}, where 0 or 1 is expected (if it is no label, name the columns that are by the option labels)`,
      );
      return [];
    }
    const own = numbers.filter((_, i) => Number(values[i]) === 1).sort((a, b) => a - b);
    if (!several && own.length !== 1) {
      const count = own.length === 0 ? "none" : "more than one";
      problems.add(
        line,
        `${count} of ${named.join(", ")} is 1: if an image may have any number of them, the task is multi-label`,
      );
    }
    return own;
  });
  return { classes: options.classes ?? order, labels };
}

type NamedRow = { readonly label: string; readonly split?: string | undefined; readonly line: number };

/**
 * The classes that the manifest itself means: the labels of its train lines (of all lines if it is not divided),
 * except a label that stands on one line only and is a slip of the pen away from one that many lines have.
 */
function findClasses(path: string, rows: readonly NamedRow[]): string[] {
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
