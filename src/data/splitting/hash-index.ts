/**
 * Finding hashes of 64 bits that differ in few bits, without comparing all with all.
 *
 * A hash is cut into four bands of 16 bits. Two hashes that differ in r bits at most have a band in which they differ in
 * r / 4 at most, so it is enough to look into the bands' tables under the query's band with up to r / 4 bits turned over.
 *
 * @see Norouzi, Punjani, Fleet, "Fast search in Hamming space with multi-index hashing", CVPR 2012
 */

/** Words of 16 bits in a hash. */
export const hashWords = 4;

const bandSize = 2 ** 16;

/** Bits that are set, of every word of 16. */
const setBits = new Uint8Array(bandSize);
for (let word = 1; word < bandSize; ++word) setBits[word] = setBits[word >> 1]! + (word & 1);

/** Words by the number of their set bits: those that a band is combined with to find its neighbors. */
const masks = (most: number): number[] => {
  const found = Array.from({ length: bandSize }, (_, word) => word).filter((word) => setBits[word]! <= most);
  return found.sort((a, b) => setBits[a]! - setBits[b]!);
};

/** Bits in which two hashes differ, each of four words from a place in an array on. */
export function hammingDistance(a: Uint16Array, at: number, b: Uint16Array, bAt: number): number {
  let distance = 0;
  for (let word = 0; word < hashWords; ++word) distance += setBits[a[at + word]! ^ b[bAt + word]!]!;
  return distance;
}

/** An index of hashes. */
export class HashIndex {
  readonly #hashes: Uint16Array;
  readonly #radius: number;
  readonly #masks: readonly number[];
  /** For each band, where the list of a value begins in `#members`. */
  readonly #starts: Uint32Array[] = [];
  readonly #members: Uint32Array[] = [];
  readonly #met: Uint32Array;
  #query = 0;

  /**
   * @param hashes  (n, 4) words
   * @param radius  bits in which what is found may differ, 0 to 15
   */
  constructor(hashes: Uint16Array, radius: number) {
    this.#hashes = hashes;
    this.#radius = radius;
    this.#masks = masks(Math.floor(radius / hashWords));
    const count = hashes.length / hashWords;
    this.#met = new Uint32Array(count);
    for (let band = 0; band < hashWords; ++band) {
      const starts = new Uint32Array(bandSize + 1);
      for (let i = 0; i < count; ++i) starts[hashes[i * hashWords + band]! + 1]! += 1;
      for (let value = 0; value < bandSize; ++value) starts[value + 1]! += starts[value]!;
      const next = starts.slice();
      const members = new Uint32Array(count);
      for (let i = 0; i < count; ++i) members[next[hashes[i * hashWords + band]!]!++] = i;
      this.#starts.push(starts);
      this.#members.push(members);
    }
  }

  /** Calls `found` once for each of the first `before` hashes that is within the radius of four words of `query`. */
  search(query: Uint16Array, at: number, before: number, found: (index: number) => void): void {
    this.#query += 1;
    for (let band = 0; band < hashWords; ++band) {
      const starts = this.#starts[band]!;
      const members = this.#members[band]!;
      const own = query[at + band]!;
      for (const mask of this.#masks) {
        const value = own ^ mask;
        for (let k = starts[value]!; k < starts[value + 1]!; ++k) {
          const index = members[k]!;
          if (index >= before) break; // members of a list are in order
          if (this.#met[index] === this.#query) continue;
          this.#met[index] = this.#query;
          if (hammingDistance(query, at, this.#hashes, index * hashWords) <= this.#radius) found(index);
        }
      }
    }
  }
}
