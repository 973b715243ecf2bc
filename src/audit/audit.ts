/**
 * Auditing a data set before anything is learned from it: what leaks from train to test, what contradicts itself, what cannot be
 * read, and what else than the finding gives the label away.
 */
import { expectDataset, type LabelledImages } from "../data/dataset.js";
import { type SplitName, splitNames } from "../data/splitting/split-names.js";
import { DataError } from "../errors.js";
import {
  expectCounts,
  expectFlags,
  expectFunction,
  expectNamed,
  expectSignal,
  expectText,
  type NamesOf,
  optionsOf,
} from "../settings/given.js";
import { nameWithin } from "./names.js";
import { findAlike, identical, identicalPairs, labelText, type Pair } from "./pairs.js";
import type { AuditedImage, AuditReport, Counts, SimilarPair, Some } from "./report.js";

import { findShortcuts } from "./shortcuts.js";
import { type Surveyed, type SurveyOptions, survey } from "./survey.js";
import { warningsOf } from "./warnings.js";

/** What is audited: the splits of a data set, or one that is not divided. */
export type Audited = LabelledImages | Readonly<Record<SplitName, LabelledImages>>;

/** How a data set is audited. */
export interface AuditOptions extends SurveyOptions {
  /** Whether it is asked how well labels follow from what is no finding; true unless told. */
  readonly shortcuts?: boolean;
  /** Of the folds and permutations behind the shortcuts; 0 unless told. */
  readonly seed?: number;
  /** Images and pairs of each kind that are listed, beside their number; 200 unless told. */
  readonly listed?: number;
}

const optionNames: NamesOf<AuditOptions> = {
  shortcuts: true,
  seed: true,
  listed: true,
  onProgress: true,
  signal: true,
};

/** Shorter sides than this leave nothing to a network. */
const tinySide = 32;

/**
 * Looks at every image of a data set, once.
 *
 * Finds what makes scores too good (patients in two splits, identical and nearly identical images across splits), what
 * contradicts itself (the same image under two labels), what cannot be seen (unreadable, blank, tiny or clipped images), classes
 * too small for an interval, mixtures of sizes and depths, and shortcuts: how well labels follow from what is no finding.
 *
 * @param dataset  what `openDataset` gives, or any data set; with `openDataset(path, { check: false })` images that cannot be
 *   read are found here, and none is decoded twice
 * @throws ArgumentError for what is no data set; DataError if there are no images
 */
export async function audit(dataset: Audited, options: AuditOptions = {}): Promise<AuditReport> {
  const {
    seed = 0,
    listed = 200,
    shortcuts = true,
    onProgress,
    signal,
  } = optionsOf("audit", options, optionNames);
  expectCounts("audit", { seed, listed }, 0);
  expectFlags("audit", { shortcuts });
  if (onProgress !== undefined) expectFunction("audit", onProgress, "onProgress");
  expectSignal("audit", signal);
  expectAudited("audit", dataset);
  const parts = partsOf(dataset);
  const images = await survey(parts, options);
  if (images.length === 0) throw new DataError("audit: the data set has no images.");
  const alike = await findAlike(images, signal);
  const { classes, task } = parts[0]![1];
  const names = images.map(({ dataset: own, index }) => own.name(index));
  for (const name of names) expectText("audit", "the name of an image", name);
  const nameOf = nameWithin(names);
  const refer = (at: number): AuditedImage => ({
    split: images[at]!.split ?? null,
    index: images[at]!.index,
    name: nameOf(at),
    labels: images[at]!.labels.map((label) => classes[label] ?? String(label)),
  });
  const some = <T>(places: readonly number[], make: (at: number) => T): Some<T> => ({
    count: places.length,
    first: places.slice(0, listed).map(make),
  });
  const where = (test: (image: Surveyed) => boolean) =>
    images.flatMap((image, at) => (test(image) ? [at] : []));
  const pair = ({ first, second, similarity, how }: Pair): SimilarPair => ({
    images: [refer(first), refer(second)],
    similarity,
    how,
  });
  const somePairs = (pairs: readonly Pair[]): Some<SimilarPair> => ({
    count: pairs.length,
    first: pairs.slice(0, listed).map(pair),
  });
  const pairs = [...identicalPairs(alike.identical, images), ...alike.near];
  const across = pairs.filter(({ first, second }) => images[first]!.split !== images[second]!.split);
  const copies = across.flatMap(({ first, second }) => (images[first]!.split === "train" ? [second] : []));
  const conflicts = pairs.filter(
    ({ first, second }) => labelText(images[first]!) !== labelText(images[second]!),
  );
  const report: Omit<AuditReport, "warnings" | "ok"> = {
    images: {
      count: images.length,
      unreadable: some(
        where(({ picture }) => !picture),
        (at) => ({ ...refer(at), reason: images[at]!.reason ?? "" }),
      ),
      constant: some(
        where(({ picture }) => picture?.constant === true),
        refer,
      ),
      blank: some(
        where(({ picture }) => picture?.blank === true && !picture.constant),
        refer,
      ),
      tiny: some(
        where(({ picture }) => picture !== undefined && Math.min(picture.width, picture.height) < tinySide),
        refer,
      ),
      clipped: some(where(isClipped), refer),
      sizes: counted(images, ({ picture }) => picture && `${picture.width} x ${picture.height}`),
      bitDepths: counted(images, ({ picture }) => picture && String(picture.bitDepth)),
      channels: counted(images, ({ picture }) => picture && (picture.channels === 1 ? "grey" : "color")),
      photometrics: counted(images, ({ dicom }) => dicom?.photometric),
      burnedIn: some(
        where(({ dicom }) => dicom?.burnedIn === true),
        refer,
      ),
      spacings: counted(images, ({ picture }) => spacingText(picture?.spacing)),
    },
    patients: patientsOf(images),
    splits: splitsOf(images, classes),
    duplicates: {
      count: alike.identical.length,
      first: alike.identical.slice(0, listed).map((set) => ({ images: set.slice(0, listed).map(refer) })),
    },
    nearDuplicates: somePairs(alike.near),
    crossSplit: {
      ...somePairs(across),
      identical: across.filter(({ how }) => how === identical).length,
      copiesOfTrain: new Set(copies).size,
    },
    labelConflicts: somePairs(conflicts),
    shortcuts: findShortcuts(shortcuts ? images : [], { classes, multiLabel: task === "multi-label", seed }),
  };
  const { patients, crossSplit, labelConflicts } = report;
  const ok =
    report.images.unreadable.count + patients.acrossSplits + patients.groupsAcrossSplits === 0 &&
    crossSplit.count + labelConflicts.count === 0;
  return { ...report, warnings: warningsOf(report), ok };
}

/** @throws ArgumentError unless it is a data set, or one for each split */
export function expectAudited(operation: string, dataset: Audited): void {
  for (const [split, part] of partsOf(expectNamed(operation, "the data set", dataset)))
    expectDataset(operation, split ?? "the data set", part);
}

function partsOf(dataset: Audited): (readonly [SplitName | undefined, LabelledImages])[] {
  if ("sample" in dataset) return [[undefined, dataset]];
  return splitNames.map((name) => [name, dataset[name]] as const);
}

/** White in a tenth of a picture, or black in a third of it where no border is, is where values were cut off. */
function isClipped({ picture }: Surveyed): boolean {
  if (!picture || picture.blank) return false;
  const { white, black, border } = picture.measures;
  return white > 0.1 || black - border > 1 / 3;
}

const spacingText = (spacing: { rows: number; columns: number } | undefined): string | undefined =>
  spacing && `${+spacing.rows.toFixed(3)} x ${+spacing.columns.toFixed(3)} mm`;

const mostValues = 12;

function counted(images: readonly Surveyed[], value: (image: Surveyed) => string | undefined): Counts {
  const counts = new Map<string, number>();
  for (const image of images) {
    const key = value(image);
    if (key !== undefined) counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  const sorted = [...counts].sort(([, a], [, b]) => b - a);
  const rest = sorted.slice(mostValues).reduce((sum, [, count]) => sum + count, 0);
  return Object.fromEntries([
    ...sorted.slice(0, mostValues),
    ...(rest > 0 ? [["others", rest] as const] : []),
  ]);
}

function patientsOf(images: readonly Surveyed[]): AuditReport["patients"] {
  const across = (unit: (image: Surveyed) => string | undefined): number => {
    const splits = new Map<string, Set<SplitName | undefined>>();
    for (const image of images) {
      const name = unit(image);
      if (name !== undefined) splits.set(name, (splits.get(name) ?? new Set()).add(image.split));
    }
    return [...splits.values()].filter(({ size }) => size > 1).length;
  };
  const known = images.flatMap(({ patient }) => patient ?? []);
  return {
    count: known.length > 0 ? new Set(known).size : null,
    images: known.length,
    acrossSplits: across(({ patient }) => patient),
    groupsAcrossSplits: across(({ group }) => group),
  };
}

function splitsOf(images: readonly Surveyed[], classes: readonly string[]): AuditReport["splits"] {
  const names = [...new Set(images.map(({ split }) => split))];
  return Object.fromEntries(
    names.map((name) => {
      const own = images.filter(({ split }) => split === name);
      const patients = new Set(own.flatMap(({ patient }) => patient ?? []));
      const counts = classes.map((label, at) => [
        label,
        own.filter(({ labels }) => labels.includes(at)).length,
      ]);
      const about = {
        images: own.length,
        patients: patients.size || null,
        classes: Object.fromEntries(counts),
      };
      return [name ?? "all", about];
    }),
  );
}
