/**
 * What of a divided data set makes its scores too good: patients with images in two splits, and images that are there more
 * than once. The quick part of an audit, which every data set that is opened goes through.
 */
import { DataError } from "../../errors.js";
import { fingerprintsOf } from "../contents.js";
import { type LabelledImages, subset } from "../dataset.js";
import { labelsPerImage } from "../labels.js";
import { type SplitName, splitNames } from "./split-names.js";

/** Splits that there are. */
export type Splits = Partial<Record<SplitName, LabelledImages>>;

/** Images of one split that are identical to images of an earlier one. */
export interface Copies {
  readonly split: SplitName;
  readonly of: SplitName;
  /** Numbers of the images in `split`. */
  readonly images: readonly number[];
  /** Numbers of those in `of` that they are identical to. */
  readonly originals: readonly number[];
}

/** What is found by comparing images, patients and groups for being the same. */
export interface Leaks {
  readonly copies: readonly Copies[];
  /** Identical images of which two have other labels: how many there are, and the names of two. */
  readonly conflicts: { readonly images: number; readonly example: readonly string[] };
  /** Patients, or groups that are to stay together, of which several splits have images. */
  readonly shared: readonly Shared[];
}

/** Patients or groups that several splits have images of. */
export interface Shared {
  readonly unit: "patient" | "group";
  readonly count: number;
  /** Images of theirs, by split. */
  readonly images: Partial<Record<SplitName, number>>;
}

/** Compares all images by what was decoded of them. @throws DataError if an image cannot be read */
export async function findLeaks(splits: Splits, signal?: AbortSignal): Promise<Leaks> {
  const first = new Map<string, Map<SplitName, number[]>>();
  for (const split of splitNames) {
    const dataset = splits[split];
    if (!dataset) continue;
    for (const [index, print] of (await fingerprintsOf(dataset, signal)).entries()) {
      const places = first.get(print) ?? new Map<SplitName, number[]>();
      const known = places.get(split);
      if (known) known.push(index);
      else places.set(split, [index]);
      first.set(print, places);
    }
  }
  const shared = (["patient", "group"] as const).flatMap((unit) => sharedUnits(splits, unit) ?? []);
  return { copies: copiesAmong(first.values()), conflicts: conflictsAmong(first.values(), splits), shared };
}

/** Where identical images stand: their numbers in each split. */
type Places = ReadonlyMap<SplitName, readonly number[]>;

function copiesAmong(images: Iterable<Places>): Copies[] {
  const found = new Map<string, Copies & { images: number[]; originals: number[] }>();
  for (const places of images) {
    const here = splitNames.filter((split) => places.has(split));
    for (const [at, split] of here.entries()) {
      for (const of of here.slice(0, at)) {
        const copies = found.get(`${of} ${split}`) ?? { split, of, images: [], originals: [] };
        copies.images.push(...places.get(split)!);
        copies.originals.push(...places.get(of)!);
        found.set(`${of} ${split}`, copies);
      }
    }
  }
  const order = splitNames.flatMap((split) => splitNames.map((of) => `${of} ${split}`));
  return order.flatMap((key) => found.get(key) ?? []);
}

function conflictsAmong(images: Iterable<Places>, splits: Splits): Leaks["conflicts"] {
  let count = 0;
  let example: string[] = [];
  for (const places of images) {
    const all = [...places].flatMap(([split, indices]) => indices.map((index) => ({ split, index })));
    const labels = ({ split, index }: (typeof all)[0]) => labelsAt(splits[split] as LabelledImages, index);
    const [first] = all;
    const other = all.find((place) => labels(place) !== labels(first!));
    if (!first || !other) continue;
    count += 1;
    if (count === 1) example = [first, other].map(({ split, index }) => splits[split]!.name(index));
  }
  return { images: count, example };
}

function sharedUnits(splits: Splits, unit: Shared["unit"]): Shared | undefined {
  const images = new Map<string, Map<SplitName, number>>();
  for (const split of splitNames) {
    const units = unit === "patient" ? splits[split]?.patients : splits[split]?.groups;
    for (const name of units ?? []) {
      if (name === undefined) continue;
      const counts = images.get(name) ?? new Map<SplitName, number>();
      images.set(name, counts.set(split, (counts.get(split) ?? 0) + 1));
    }
  }
  const several = [...images.values()].filter(({ size }) => size > 1);
  if (several.length === 0) return undefined;
  const total = (split: SplitName) => several.reduce((sum, counts) => sum + (counts.get(split) ?? 0), 0);
  const counts = splitNames.map((split) => [split, total(split)] as const).filter(([, count]) => count > 0);
  return { unit, count: several.length, images: Object.fromEntries(counts) };
}

/** An image's labels as a text, to be compared. */
export function labelsAt({ labels, task, classes }: LabelledImages, index: number): string {
  const width = labelsPerImage(task, classes.length);
  return labels.subarray(index * width, (index + 1) * width).join();
}

const are = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? " is" : "s are"}`;

/** A sentence for each kind of leak. */
export function leakWarnings(path: string, { copies, conflicts, shared }: Leaks, splits: Splits): string[] {
  const sentences = shared.map((found) => `${sharedSentence(path, found)}: what is measured is too good.`);
  for (const { split, of, images } of copies) {
    const total = splits[split]?.length;
    sentences.push(
      `${path}: ${images.length} of ${total} ${split} images ${images.length === 1 ? "is" : "are"} identical to images of ${of}: what is measured on them is too good. Keep one of each.`,
    );
  }
  return [...sentences, ...conflictWarnings(path, conflicts)];
}

function conflictWarnings(path: string, { images, example }: Leaks["conflicts"]): string[] {
  if (images === 0) return [];
  const there = `${are(images, "image")} there under two labels, as identical pictures`;
  return [`${path}: ${there}: ${example.join(" and ")}, for one.`];
}

function sharedSentence(path: string, { unit, count, images }: Shared): string {
  const places = Object.entries(images).map(([split, number]) => `${number} in ${split}`);
  const have = count === 1 ? `1 ${unit} has` : `${count} ${unit}s have`;
  return `${path}: ${have} images in more than one split (${places.join(", ")})`;
}

/**
 * The splits to train with: without those images of train that are identical to an image to validate or test on, which a
 * warning counts.
 *
 * @throws DataError if a patient, or a group, has images in two splits
 */
export function withoutLeaks(
  path: string,
  leaks: Leaks,
  splits: Splits,
  onWarning: (message: string) => void,
): Splits {
  const [first] = leaks.shared;
  if (first) {
    throw new DataError(
      `${sharedSentence(path, first)}, so its scores would be too good: divide it anew with \`medmamba split --again\`, or train all the same with --allow-leaks.`,
    );
  }
  const { train } = splits;
  const learned = leaks.copies.filter(({ of }) => of === "train");
  const out = new Set(learned.flatMap(({ originals }) => originals));
  const kept = leaks.copies.filter(({ of }) => of !== "train");
  for (const sentence of leakWarnings(path, { ...leaks, copies: kept }, splits)) onWarning(sentence);
  if (!train || out.size === 0) return splits;
  const others = learned.map(({ split, images }) => `${images.length} of ${split}`).join(" and ");
  onWarning(
    `${path}: ${out.size} of ${train.length} train images ${out.size === 1 ? "is" : "are"} left out, identical to ${others}: they would be asked about what was learned. --allow-leaks keeps them.`,
  );
  const left = Array.from({ length: train.length }, (_, index) => index).filter((index) => !out.has(index));
  if (left.length === 0)
    throw new DataError(
      `${path}: all train images are identical to images of val or test, so none is left to learn from: divide the data anew with \`medmamba split --again\`.`,
    );
  return { ...splits, train: subset(train, left) };
}
