/**
 * What a data set is opened from. Whatever the form, a source gives its classes, and either files with labels (a listing)
 * or pixels that are in memory then, divided into splits as far as the source divides them.
 */
import type { Stats } from "node:fs";
import { DataError } from "../../errors.js";
import type { TaskName } from "../labels.js";
import type { SplitName } from "../splitting/split-names.js";
import type { PixelBlocks } from "./arrays.js";

/** One image of a listing. */
export interface ImageEntry {
  readonly file: string;
  /** Which picture of a file that has several, from 0; those that are asked for unless told. */
  readonly frame?: number | undefined;
  /** Numbers of its classes: one, or where classes do not exclude each other, any number of them. */
  readonly labels: readonly number[];
  /** Whom the image is of, as a pseudonym, where it is known. */
  readonly patient?: string | undefined;
  /** Images of a group stay together in one split, as a pseudonym; those of a patient unless told. */
  readonly group?: string | undefined;
  /** What else is known, in the order of the listing's `attributes`. */
  readonly attributes?: readonly (string | undefined)[];
  /** Factor in the loss, above 0; 1 unless told. */
  readonly weight?: number | undefined;
}

/** Files with labels, before any of them is opened. */
export interface Listing {
  readonly classes: readonly string[];
  /** What its labels are, where the source knows. */
  readonly task?: TaskName | undefined;
  /** Titles of what else is known of the images. */
  readonly attributes?: readonly string[];
  /** By split as far as the source divides; `undivided` otherwise. */
  readonly splits: Partial<Record<SplitName, ImageEntry[]>>;
  readonly undivided?: ImageEntry[];
}

/** Images of one size with their labels, in memory. */
export interface LabelledPixels {
  readonly pixels: PixelBlocks;
  readonly labels: Int32Array;
}

/** Splits that are in memory. */
export interface Archive {
  readonly classes: readonly string[];
  /** What its labels are, where the source knows; of "multi-label" they are a 0 or 1 for each class. */
  readonly task?: TaskName | undefined;
  readonly arrays: Partial<Record<SplitName, LabelledPixels>>;
}

/** What a source is asked for. */
export interface SourceOptions {
  /** The classes to expect, in order; found out from the source unless given. */
  readonly classes: readonly string[] | undefined;
  /** What is asked; found out from the source unless given. */
  readonly task?: TaskName | undefined;
  /** Columns of a table that are the labels. */
  readonly labels?: readonly string[] | undefined;
  /** Whether a table need not say what its images are. */
  readonly unlabelled?: boolean;
  /** Column of a table whose values say which images stay together. */
  readonly groups?: string | undefined;
  /** The only split that is going to be used, if there is one: then a missing train is no error. */
  readonly split: SplitName | undefined;
  readonly onWarning: (message: string) => void;
  readonly signal: AbortSignal | undefined;
}

/** A form in which data sets come. */
export interface Source {
  /** With its article, as in "expected a .csv file". */
  readonly name: string;
  recognizes(path: string, found: Stats): boolean;
  /** @throws DataError naming the file, and the line where it has one */
  open(path: string, options: SourceOptions): Promise<Listing | Archive>;
}

/** A class that is not one of those expected. */
export function unknownLabel({
  file,
  label,
  classes,
}: {
  file: string;
  label: string;
  classes: readonly string[];
}): DataError {
  const reason = `"${label}" is not one of ${classes.join(", ")}`;
  return new DataError(`${file}: ${reason}.`, { file, label, reason });
}

export function expectSeveralClasses(path: string, classes: readonly string[]): void {
  if (classes.length > 1) return;
  const found = classes.length === 1 ? `only one class, "${classes[0]}"` : "no classes";
  throw new DataError(`${path} has ${found}; a classifier needs at least two.`);
}

/** The first two class names that differ in case, spaces or the composition of their letters only, if there are such. */
export function ambiguousClasses(classes: Iterable<string>): [string, string] | undefined {
  const seen = new Map<string, string>();
  for (const name of classes) {
    const key = name.normalize("NFC").toLowerCase().replace(/\s+/g, " ").trim();
    const twin = seen.get(key);
    if (twin !== undefined && twin !== name) return [twin, name];
    seen.set(key, name);
  }
  return undefined;
}

/** "a, b or c", for sentences about what can be given. */
export function listed(words: readonly string[], conjunction: "and" | "or"): string {
  return words.length < 2 ? words.join() : `${words.slice(0, -1).join(", ")} ${conjunction} ${words.at(-1)}`;
}
