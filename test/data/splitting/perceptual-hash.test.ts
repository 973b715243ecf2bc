/** Hashes and textures of pictures, compared with scipy's. */
import { describe, expect, it } from "vitest";
import { HashIndex, hammingDistance } from "../../../src/data/splitting/hash-index.js";
import {
  cosineHash,
  differenceHash,
  symmetries,
  textureOf,
  textureSimilarity,
  thumbnailOf,
  turned,
} from "../../../src/data/splitting/perceptual-hash.js";
import { RandomStream } from "../../../src/tensor/random.js";
import { golden } from "../../support/audit-golden.js";

const { pictures, correlations } = golden.hashes;
const thumbnails = pictures.map((picture) => thumbnailOf(picture.values, picture));
const hexadecimal = (hash: Uint16Array) =>
  Array.from(hash, (word) => word.toString(16).padStart(4, "0")).join("");

describe("a picture's hashes", () => {
  it("are those of ImageHash's formulas, by scipy", () => {
    for (const [at, { difference, cosine, turned: quarter, mirrored, means }] of pictures.entries()) {
      const thumbnail = thumbnails[at]!;
      const places = [0, 5 * 32 + 17, 31 * 32 + 31];
      for (const [i, place] of places.entries()) expect(thumbnail[place]).toBeCloseTo(means[i]!, 5);
      expect(hexadecimal(differenceHash(thumbnail))).toBe(difference);
      expect(hexadecimal(cosineHash(thumbnail))).toBe(cosine);
      expect(hexadecimal(differenceHash(turned(thumbnail, 1)))).toBe(quarter);
      expect(hexadecimal(cosineHash(turned(thumbnail, 4)))).toBe(mirrored);
    }
  });

  it("have textures that correlate as scipy's do", () => {
    const [a, b, c] = thumbnails.map(textureOf) as [Int8Array, Int8Array, Int8Array];
    const pairs = [textureSimilarity(a, b), textureSimilarity(b, c), textureSimilarity(a, a)];
    for (const [at, value] of pairs.entries()) expect(value).toBeCloseTo(correlations[at]!, 2);
  });

  it("have nothing in common with those of an empty picture", () => {
    expect(textureSimilarity(textureOf(new Float64Array(1024)), textureOf(thumbnails[0]!))).toBe(0);
  });
});

it("the eight symmetries are different, and each is undone by another", () => {
  const square = Float64Array.from({ length: 1024 }, (_, at) => at);
  const views = symmetries.map((_, symmetry) => turned(square, symmetry));
  expect(new Set(views.map((view) => view.join())).size).toBe(8);
  for (const view of views)
    expect(symmetries.some((_, symmetry) => turned(view, symmetry).join() === square.join())).toBe(true);
});

it("an index finds what comparing all with all finds", () => {
  const random = new RandomStream(1);
  const hashes = Uint16Array.from({ length: 4 * 500 }, () => random.integer(2 ** 16));
  for (let i = 0; i < 200; ++i) {
    const [from, to] = [random.integer(500), random.integer(500)];
    hashes.copyWithin(to * 4, from * 4, from * 4 + 4);
    for (let flips = random.integer(12); flips > 0; --flips)
      hashes[to * 4 + random.integer(4)]! ^= 1 << random.integer(16);
  }
  const index = new HashIndex(hashes, 8);
  for (let query = 0; query < 500; ++query) {
    const found: number[] = [];
    index.search(hashes, query * 4, query, (other) => found.push(other));
    const all = Array.from({ length: query }, (_, other) => other);
    const expected = all.filter((other) => hammingDistance(hashes, query * 4, hashes, other * 4) <= 8);
    expect(found.sort((a, b) => a - b)).toEqual(expected);
  }
});
