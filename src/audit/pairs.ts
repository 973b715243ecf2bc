/** Images that are the same, or nearly: sets of identical ones, and pairs of all kinds with what is wrong about them. */
import { labelsAt } from "../data/splitting/leaks.js";
import { nearDuplicates } from "../data/splitting/near-duplicates.js";
import { symmetries } from "../data/splitting/perceptual-hash.js";
import type { Surveyed } from "./survey.js";

/** How one image lies on another of the same pixels. */
export const identical = "identical";

/** Two images, by their places in a survey. */
export interface Pair {
  readonly first: number;
  readonly second: number;
  readonly similarity: number;
  readonly how: string;
}

/** What is alike among the images of a survey. */
export interface Alike {
  /** Places of images with identical pixels, two and more. */
  readonly identical: readonly (readonly number[])[];
  /** Pairs of images that are nearly the same. Of identical ones the first stands for all. */
  readonly near: readonly Pair[];
}

export async function findAlike(images: readonly Surveyed[], signal?: AbortSignal): Promise<Alike> {
  const sets = new Map<string, number[]>();
  for (const [at, { picture }] of images.entries()) {
    if (!picture) continue;
    const known = sets.get(picture.fingerprint);
    if (known) known.push(at);
    else sets.set(picture.fingerprint, [at]);
  }
  const firsts = new Set([...sets.values()].map(([first]) => first));
  const looks = images.map(({ picture }, at) => (firsts.has(at) ? picture?.look : undefined));
  const near = await nearDuplicates(looks, { signal });
  return {
    identical: [...sets.values()].filter(({ length }) => length > 1),
    near: near.map(({ first, second, similarity, symmetry }) => ({
      first,
      second,
      similarity,
      how: symmetries[symmetry] ?? "",
    })),
  };
}

/** Pairs of identical images: each with the first of its set, and with the first of every other split and label in it. */
export function identicalPairs(sets: Alike["identical"], images: readonly Surveyed[]): Pair[] {
  return sets.flatMap((set) => {
    const kinds = new Map<string, number>();
    return set.flatMap((second) => {
      const kind = `${images[second]!.split} ${labelText(images[second]!)}`;
      const others = [...kinds].filter(([other]) => other !== kind).map(([, first]) => first);
      const own = kinds.get(kind);
      if (own === undefined) kinds.set(kind, second);
      return [...others, ...(own === undefined ? [] : [own])].map((first) => ({
        first,
        second,
        similarity: 1,
        how: identical,
      }));
    });
  });
}

/** The labels of an image as a text to be compared. */
export const labelText = ({ dataset, index }: Surveyed): string => labelsAt(dataset, index);
