/** Dividing a data set once and for all: a table that says of each image in which split it is, and by a hash which image it is. */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { hashOf } from "../data/contents.js";
import { type OpenDatasetOptions, splitNames } from "../data/index.js";
import { listImages } from "../data/sources/open.js";
import type { ImageEntry, Listing } from "../data/sources/source.js";
import { groupedFolds, groupedSplit } from "../data/splitting/grouped.js";
import { ArgumentError, DataError, StudyError } from "../errors.js";
import { replaceText } from "../weights/atomic-file.js";
import { type DividedImage, divisionTable } from "./division-table.js";

/** How a data set is divided. */
export interface DivideOptions extends Pick<OpenDatasetOptions, "task" | "labels" | "groups" | "signal"> {
  /** Part of the images to validate on; 0.15 unless told. With folds, each of them in its turn. */
  readonly validationFraction?: number | undefined;
  /** Part of the images to test on; 0.15 unless told. */
  readonly testFraction?: number | undefined;
  /** Parts that what is not tested on is divided into, to be validated on in turn; none unless told. */
  readonly folds?: number | undefined;
  /** Of the division; 0 unless told. */
  readonly seed?: number | undefined;
  /** Whether data that are divided already are divided anew. */
  readonly again?: boolean | undefined;
  readonly onWarning?: (message: string) => void;
  readonly onProgress?: (progress: { done: number; total: number }) => void;
}

/** What came out of a part. */
export interface Part {
  readonly images: number;
  /** Of all images. */
  readonly share: number;
  /** The share that was asked for. */
  readonly asked: number;
  /** Patients or groups; null where none is known. */
  readonly patients: number | null;
  readonly classes: Readonly<Record<string, number>>;
}

/** What came out of a division. */
export interface Division {
  readonly images: number;
  /** Patients or groups that were kept together; null where none is known. */
  readonly patients: number | null;
  readonly splits: Readonly<Record<string, Part>>;
  readonly folds: readonly Part[];
  /** The column that images were kept together by, where it is not the patient: `patients` count its groups. */
  readonly groups?: string;
  /** What could not be as it was asked for. */
  readonly notes: readonly string[];
}

/**
 * Divides a data set by patient and class, and writes the table.
 *
 * @param out  a .csv file that is not there yet
 * @throws StudyError if `out` is there; DataError if the data cannot be read, or are divided already
 */
export async function divideDataset(
  data: string,
  out: string,
  options: DivideOptions = {},
): Promise<Division> {
  const { validationFraction = 0.15, testFraction = 0.15, folds = 0, seed = 0, again = false } = options;
  if (existsSync(out)) throw new StudyError(`${out} is there already: choose another name with --out.`);
  if (folds === 1) throw new ArgumentError("1 fold leaves nothing to train on: choose 2 or more.");
  const listing = await listImages(data, options);
  const entries = entriesOf(data, listing, again);
  const hashes = await hashFiles(entries, options);
  const groups = groupsBeside(entries, options.groups);
  const rows = named(entries, hashes, groups !== undefined);
  const items = rows.map(({ entry, hash, unit }) => ({ key: hash, group: unit, labels: entry.labels }));
  const shares = folds > 0 ? [1 - testFraction, 0, testFraction] : sharesOf(validationFraction, testFraction);
  for (const [at, part] of groupedSplit(items, { shares, seed }).entries())
    rows[at]!.split = splitNames[part]!;
  if (folds > 0) {
    const learned = rows.flatMap(({ split }, at) => (split === "test" ? [] : [at]));
    const parts = groupedFolds(
      learned.map((at) => items[at]!),
      { folds, seed: seed + 1 },
    );
    for (const [i, at] of learned.entries()) {
      rows[at]!.fold = parts[i]! + 1;
      rows[at]!.split = parts[i] === 0 ? "val" : "train";
    }
  }
  const asked = folds > 0 ? foldShares(folds, testFraction) : shares;
  const division = summary(rows, listing.classes, { asked, folds });
  await replaceText(out, divisionTable(out, rows, listing, groups));
  if (groups === undefined) return division;
  return { ...division, groups, notes: [...division.notes, ...notesOnPatients(rows, groups)] };
}

/** Patients whose groups came into several parts, which training refuses. */
function notesOnPatients(rows: readonly DividedImage[], groups: string): string[] {
  const parts = new Map<string, Set<string>>();
  for (const { patient, split } of rows)
    if (patient !== undefined) parts.set(patient, (parts.get(patient) ?? new Set()).add(split));
  const torn = [...parts.values()].filter(({ size }) => size > 1).length;
  if (torn === 0) return [];
  return [
    `images of ${torn} patients are in several parts, since ${groups} keeps images together and not the patient: train refuses that unless told --allow-leaks; divide by patient where you can.`,
  ];
}

/** The column of groups, unless it is the patient under its own title. */
function groupsBeside(entries: readonly ImageEntry[], groups: string | undefined): string | undefined {
  const isPatient = entries.every(({ group, patient }) => group === undefined || group === patient);
  return isPatient ? undefined : groups;
}

function sharesOf(validationFraction: number, testFraction: number): number[] {
  const train = 1 - validationFraction - testFraction;
  if (!(train >= -1e-9 && validationFraction >= 0 && testFraction >= 0))
    throw new ArgumentError(`split: ${validationFraction} and ${testFraction} are no shares of the images.`);
  return [Math.max(train, 0), validationFraction, testFraction];
}

const foldShares = (folds: number, testFraction: number): number[] => {
  const each = (1 - testFraction) / folds;
  return [each * (folds - 1), each, testFraction];
};

function entriesOf(data: string, { splits, undivided }: Listing, again: boolean): ImageEntry[] {
  const found = splitNames.filter((name) => (splits[name]?.length ?? 0) > 0);
  if (found.length > 0 && !again) {
    throw new DataError(
      `${data} is divided already (${found.join(", ")}): train on it as it is, or divide it anew with --again.`,
    );
  }
  return [...(undivided ?? []), ...found.flatMap((name) => splits[name] ?? [])];
}

const atOnce = 16;

/** A hash of each file's bytes: the beginning of its SHA-256; of a later picture in it, of that and its number. */
async function hashFiles(
  entries: readonly ImageEntry[],
  { signal, onProgress = () => {} }: DivideOptions,
): Promise<string[]> {
  const hashes: string[] = [];
  while (hashes.length < entries.length) {
    signal?.throwIfAborted();
    const group = entries.slice(hashes.length, hashes.length + atOnce);
    hashes.push(...(await Promise.all(group.map(hashFile))));
    onProgress({ done: hashes.length, total: entries.length });
  }
  return hashes;
}

async function hashFile({ file, frame = 0 }: ImageEntry): Promise<string> {
  const bytes = await readFile(file).catch((cause: NodeJS.ErrnoException) => {
    const reason = cause.code === "ENOENT" ? "there is no such file" : cause.message;
    throw new DataError(`${file} could not be read: ${reason}.`, { file, reason, cause });
  });
  return hashOf(frame === 0 ? bytes : Buffer.concat([bytes, Buffer.from(`frame ${frame}`)]));
}

/** Whom images are of, and what stays together, under names that say nothing. @param byGroup  whether a column was named */
function named(entries: readonly ImageEntry[], hashes: readonly string[], byGroup: boolean): DividedImage[] {
  const units = pseudonymsOf(
    entries.map(({ group, patient }) => group ?? patient),
    hashes,
  );
  const patients = byGroup
    ? pseudonymsOf(
        entries.map(({ patient }) => patient),
        hashes,
      )
    : units;
  return entries.map((entry, at) => ({
    entry,
    hash: hashes[at]!,
    unit: units[at],
    patient: patients[at],
    split: "train",
    fold: undefined,
  }));
}

/**
 * Names that follow from the images of each unit alone: the same each time that the data are divided, and nothing of who
 * they are.
 */
function pseudonymsOf(
  units: readonly (string | undefined)[],
  hashes: readonly string[],
): (string | undefined)[] {
  const images = new Map<string, string[]>();
  for (const [at, unit] of units.entries()) {
    if (unit === undefined) continue;
    const known = images.get(unit);
    if (known) known.push(hashes[at]!);
    else images.set(unit, [hashes[at]!]);
  }
  const names = new Map([...images].map(([unit, own]) => [unit, hashOf(Buffer.from(own.sort().join()))]));
  return units.map((unit) => names.get(unit ?? ""));
}

function summary(
  rows: readonly DividedImage[],
  classes: readonly string[],
  { asked, folds }: { asked: readonly number[]; folds: number },
): Division {
  const unitsOf = (some: readonly DividedImage[]) =>
    new Set(some.flatMap(({ unit }) => unit ?? [])).size || null;
  const part = (some: readonly DividedImage[], share: number): Part => ({
    images: some.length,
    share: some.length / rows.length,
    asked: share,
    patients: unitsOf(some),
    classes: Object.fromEntries(
      classes.map((name, label) => [name, some.filter(({ entry }) => entry.labels.includes(label)).length]),
    ),
  });
  const splits = Object.fromEntries(
    splitNames.map((name, at) => [
      name,
      part(
        rows.filter(({ split }) => split === name),
        asked[at]!,
      ),
    ]),
  );
  const parts = Array.from({ length: folds }, (_, at) => {
    return part(
      rows.filter(({ fold }) => fold === at + 1),
      asked[1]!,
    );
  });
  const notes = [...Object.entries(splits), ...parts.map((fold, at) => [`fold ${at + 1}`, fold] as const)];
  return {
    images: rows.length,
    patients: unitsOf(rows),
    splits,
    folds: parts,
    notes: notes.flatMap(([name, found]) => notesOn(name, found, rows, classes)),
  };
}

/** Further from what was asked for than this is said. */
const notable = 0.01;

function notesOn(
  name: string,
  part: Part,
  rows: readonly DividedImage[],
  classes: readonly string[],
): string[] {
  const notes: string[] = [];
  const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
  if (Math.abs(part.share - part.asked) > Math.max(notable, 1 / rows.length)) {
    notes.push(
      `${name} has ${percent(part.share)} of the images where ${percent(part.asked)} were asked for: patients, groups and copies stay together.`,
    );
  }
  const missing = part.asked > 0 ? classes.filter((label) => part.classes[label] === 0) : [];
  if (missing.length > 0) notes.push(`${name} has no images of ${missing.join(", ")}.`);
  return notes;
}
