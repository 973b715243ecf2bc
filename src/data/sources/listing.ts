/** What a folder or a manifest boils down to before any image is opened: files with labels, perhaps divided already. */
import { DataError } from "../../errors.js";
import type { SplitName } from "../splitting/stratified.js";

export interface ImageEntry {
  readonly file: string;
  readonly label: number;
}

export interface Listing {
  readonly classes: readonly string[];
  /** By split as far as the source divides; `undivided` otherwise. */
  readonly splits: Partial<Record<SplitName, ImageEntry[]>>;
  readonly undivided?: ImageEntry[];
}

/** Names in the order of their code units, which no locale changes; whole numbers by value. */
export function sortedNames(names: Iterable<string>): string[] {
  const sorted = [...new Set(names)].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  return sorted.every((name) => /^\d+$/.test(name)) ? sorted.sort((a, b) => Number(a) - Number(b)) : sorted;
}

/** A class that is not one of those expected. */
export function unknownLabel(
  { file, line, label, classes }: { file: string; line?: number; label: string; classes: readonly string[] },
  advice = "",
): DataError {
  const [place, what] = line === undefined ? [file, ""] : [`${file} line ${line}`, "label "];
  const reason = `${what}"${label}" is not one of ${classes.join(", ")}`;
  return new DataError(`${place}: ${reason}.${advice}`, { file, line, label, reason });
}

export function expectSeveralClasses(path: string, classes: readonly string[]): void {
  if (classes.length > 1) return;
  const found = classes.length === 1 ? `only one class, "${classes[0]}"` : "no classes";
  throw new DataError(`${path} has ${found}; a classifier needs at least two.`);
}
