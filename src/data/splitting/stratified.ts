/** Dividing images among the three parts of a data set where the source does not say, each class by itself. */
import { crc32 } from "node:zlib";
import { ArgumentError } from "../../errors.js";
import { inWords } from "../../settings/given.js";
import { RandomStream } from "../../tensor/random.js";
import { streams } from "../streams.js";
import type { SplitName } from "./split-names.js";

/** How images are divided that the source does not divide. */
export interface SplitOptions {
  /** Part of the images that goes to `val`; 0.15 unless told. */
  readonly validationFraction: number;
  /** Part of the images that goes to `test`; 0.15 unless told. */
  readonly testFraction: number;
  /** The same seed divides the same images the same way. */
  readonly seed: number;
  /** Whether images of a patient, or of a group, stay in one part; true unless told. */
  readonly keepTogether?: boolean;
}

export function checkSplitOptions({ validationFraction, testFraction }: SplitOptions): void {
  for (const [name, value] of Object.entries({ validationFraction, testFraction })) {
    if (typeof value !== "number" || !(value >= 0 && value <= 1))
      throw new ArgumentError(`openDataset: ${name} ${inWords(value)} is not from 0 to 1.`);
  }
  if (validationFraction + testFraction > 1) {
    throw new ArgumentError(
      `openDataset: validationFraction ${validationFraction} and testFraction ${testFraction} add up to more than 1.`,
    );
  }
}

/**
 * Divides items so that every class has its share in every split. A fraction above 0 gets at least one image of a
 * class that has three or more. The order within a split is the order given.
 */
export function stratifiedSplit<T extends { readonly labels: readonly number[] }>(
  items: readonly T[],
  { validationFraction, testFraction, seed }: SplitOptions,
): Record<SplitName, T[]> {
  const byClass = new Map<number, number[]>();
  items.forEach(({ labels }, index) => {
    const key = classKey(labels);
    const members = byClass.get(key);
    if (members) members.push(index);
    else byClass.set(key, [index]);
  });
  const assigned = new Array<SplitName>(items.length).fill("train");
  for (const [label, members] of byClass) {
    new RandomStream(seed, streams.split, label).shuffle(members);
    const share = (fraction: number): number =>
      Math.max(Math.round(members.length * fraction), fraction > 0 && members.length >= 3 ? 1 : 0);
    const test = share(testFraction);
    const val = Math.min(share(validationFraction), members.length - test);
    for (const index of members.slice(0, test)) assigned[index] = "test";
    for (const index of members.slice(test, test + val)) assigned[index] = "val";
  }
  const parts: Record<SplitName, T[]> = { train: [], val: [], test: [] };
  for (const [index, item] of items.entries()) parts[assigned[index] ?? "train"].push(item);
  return parts;
}

/** A number for a class, its own; for several together, or none, one that no class has. */
function classKey(labels: readonly number[]): number {
  const [label] = labels;
  return label !== undefined && labels.length === 1 ? label : 2 ** 32 + crc32(labels.join());
}
