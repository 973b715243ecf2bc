/**
 * Pairs of pictures that are nearly the same: candidates by two hashes under all turns and mirror images, confirmed by the
 * texture of their thumbnails.
 */
import { breathe } from "../concurrency.js";
import { HashIndex, hashWords } from "./hash-index.js";
import {
  cosineHash,
  differenceHash,
  symmetries,
  textureLength,
  textureOf,
  textureSimilarity,
  turned,
} from "./perceptual-hash.js";

/**
 * Textures that correlate by more are taken for copies. Between different images of seven public sets at most 0.903 was seen,
 * but for one pair of smooth lesions (0.926); the least of known repetitions is 0.927: docs/audit.md has the table.
 */
export const copySimilarity = 0.925;

/** Bits in which a candidate may differ in one of the two hashes. */
const radius = 8;

/** Pairs beyond these are counted with no place among them: films have millions. */
const mostPairs = 100_000;

/** What is kept of a picture to find its copies: about a kilobyte. */
export interface Look {
  /** (8 symmetries, 2 hashes, 4 words) */
  readonly hashes: Uint16Array;
  /** (32, 32) */
  readonly texture: Int8Array;
}

/** Two pictures that are nearly the same. */
export interface NearPair {
  /** The earlier one. */
  readonly first: number;
  readonly second: number;
  /** Correlation of their textures, at most 1. */
  readonly similarity: number;
  /** How the second is to be turned to lie on the first: an index into `symmetries`. */
  readonly symmetry: number;
}

const perSymmetry = 2 * hashWords;

/** What a picture with this thumbnail looks like. */
export function lookOf(thumbnail: Float64Array): Look {
  const hashes = new Uint16Array(symmetries.length * perSymmetry);
  for (let symmetry = 0; symmetry < symmetries.length; ++symmetry) {
    const view = symmetry === 0 ? thumbnail : turned(thumbnail, symmetry);
    differenceHash(view, hashes, symmetry * perSymmetry);
    cosineHash(view, hashes, symmetry * perSymmetry + hashWords);
  }
  return { hashes, texture: textureOf(thumbnail) };
}

/**
 * All pairs of pictures that are nearly the same, most similar first; up to 100,000 of them.
 *
 * @param looks      undefined for what is not to be compared: pictures without contents, and copies of others
 * @param threshold  `copySimilarity` unless told
 */
export async function nearDuplicates(
  looks: readonly (Look | undefined)[],
  { threshold = copySimilarity, signal }: { threshold?: number; signal?: AbortSignal | undefined } = {},
): Promise<NearPair[]> {
  const compared = looks.flatMap((look, index) => (look ? [{ look, index }] : []));
  const indexes = [0, hashWords].map((offset) => {
    const hashes = new Uint16Array(compared.length * hashWords);
    for (const [at, { look }] of compared.entries())
      hashes.set(look.hashes.subarray(offset, offset + hashWords), at * hashWords);
    return { offset, index: new HashIndex(hashes, radius) };
  });
  const lengths = Float64Array.from(compared, ({ look }) => textureLength(look.texture));
  const pairs: NearPair[] = [];
  for (const [at, { look, index: second }] of compared.entries()) {
    signal?.throwIfAborted();
    await breathe();
    const best = new Map<number, NearPair>();
    for (let symmetry = 0; symmetry < symmetries.length; ++symmetry) {
      const view = turned(look.texture, symmetry);
      const judge = (other: number): void => {
        const { look: theirs, index: first } = compared[other]!;
        const similarity = textureSimilarity(view, theirs.texture, lengths[at]! * lengths[other]!);
        if (similarity < Math.max(threshold, best.get(first)?.similarity ?? 0)) return;
        best.set(first, { first, second, similarity, symmetry });
      };
      for (const { offset, index } of indexes)
        index.search(look.hashes, symmetry * perSymmetry + offset, at, judge);
    }
    for (const pair of best.values()) if (pairs.length < mostPairs) pairs.push(pair);
  }
  return pairs.sort((a, b) => b.similarity - a.similarity || a.second - b.second || a.first - b.first);
}
