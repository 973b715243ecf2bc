/** Dividing what a source lists among train, val and test: by patient or group where one is known, image by image otherwise. */
import { groupedSplit } from "./grouped.js";
import { type SplitName, splitNames } from "./split-names.js";
import { type SplitOptions, stratifiedSplit } from "./stratified.js";

/** An image as a source lists it. */
export interface Listed {
  readonly labels: readonly number[];
  readonly patient?: string | undefined;
  readonly group?: string | undefined;
}

/**
 * The items of each split, in the order given.
 *
 * @param keyOf  what an image is known by wherever the data are, such as its path within them
 */
export function divided<T extends Listed>(
  items: readonly T[],
  { validationFraction, testFraction, seed, keepTogether = true }: SplitOptions,
  keyOf: (item: T) => string,
): Record<SplitName, T[]> {
  const grouped = keepTogether && items.some(({ patient, group }) => (group ?? patient) !== undefined);
  if (!grouped) return stratifiedSplit(items, { validationFraction, testFraction, seed });
  const shares = [1 - validationFraction - testFraction, validationFraction, testFraction];
  const parts = groupedSplit(
    items.map((item) => ({ key: keyOf(item), group: item.group ?? item.patient, labels: item.labels })),
    { shares: shares.map((share) => Math.max(share, 0)), seed },
  );
  const result: Record<SplitName, T[]> = { train: [], val: [], test: [] };
  for (const [at, item] of items.entries()) result[splitNames[parts[at]!]!].push(item);
  return result;
}
