import { describe, expect, it } from "vitest";

import { philox4x32, RandomStream } from "../../src/tensor/random.js";

/** Philox4x32-10 in bigints, as the paper writes it. */
function philoxInBigints(seed: bigint, counter: bigint): number[] {
  const word = (value: bigint) => value & 0xffffffffn;
  let x = [word(counter), word(counter >> 32n), 0n, 0n];
  let key = [word(seed), word(seed >> 32n)];
  for (let round = 0; round < 10; ++round) {
    const [x0, x1, x2, x3] = x as [bigint, bigint, bigint, bigint];
    const [key0, key1] = key as [bigint, bigint];
    const a = 0xd2511f53n * x0;
    const b = 0xcd9e8d57n * x2;
    x = [(b >> 32n) ^ x1 ^ key0, word(b), (a >> 32n) ^ x3 ^ key1, word(a)];
    key = [word(key0 + 0x9e3779b9n), word(key1 + 0xbb67ae85n)];
  }
  return x.map(Number);
}

describe("philox4x32", () => {
  it("gives the published words for key 0 and counter 0", () => {
    // Random123, kat_vectors, philox4x32 10. Its other vectors use all four words of the counter.
    expect([...philox4x32(0, 0)]).toEqual([0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
  });

  it("agrees with the paper's formula on 64-bit seeds and counters", () => {
    const values = [0n, 1n, 5n, 0xffffffffn, 0x100000000n, 0x243f6a8885a308d3n, 0xffffffffffffffffn];
    for (const seed of values) {
      for (const counter of values) {
        expect([...philox4x32(seed, counter)]).toEqual(philoxInBigints(seed, counter));
      }
    }
  });

  it("takes a number as the bigint of the same value, negative ones in two's complement", () => {
    expect(philox4x32(-5, Number.MAX_SAFE_INTEGER)).toEqual(philox4x32(-5n, BigInt(Number.MAX_SAFE_INTEGER)));
    expect(philox4x32(-5, -2)).toEqual(philox4x32(2n ** 64n - 5n, 2n ** 64n - 2n));
  });

  it("refuses numbers that are not safe integers", () => {
    for (const bad of [0.5, NaN, Infinity, 2 ** 53]) {
      expect(() => philox4x32(bad, 0)).toThrow(RangeError);
      expect(() => philox4x32(0, bad)).toThrow("is not a safe integer");
      expect(() => new RandomStream(1, bad)).toThrow(RangeError);
    }
  });
});

describe("RandomStream", () => {
  it("gives the kernels' uniforms at offset 0 when it has no keys", () => {
    const stream = new RandomStream(42);
    for (let counter = 0; counter < 5; ++counter) {
      for (const word of philox4x32(42, counter)) expect(stream.uniform()).toBe((word >>> 8) / 2 ** 24);
    }
  });

  it("depends on the seed and every key, in order", () => {
    const first = (...keys: [number, ...number[]]) => new RandomStream(...keys).integer(2 ** 32);
    const streams = [[1], [2], [1, 0], [1, 1], [1, 0, 0], [1, 0, 1], [1, 1, 0], [0, 1]] as [
      number,
      ...number[],
    ][];
    expect(new Set(streams.map((keys) => first(...keys))).size).toBe(streams.length);
    for (const keys of streams) expect(first(...keys)).toBe(first(...keys));
  });

  it("is uniform", () => {
    const stream = new RandomStream(7, 3);
    const draws = 40_000;
    const bins = new Array<number>(16).fill(0);
    let sum = 0;
    let wrong = 0;
    for (let i = 0; i < draws; ++i) {
      const value = stream.uniform();
      if (value < 0 || value >= 1 || Math.fround(value) !== value) ++wrong;
      sum += value;
      const bin = Math.floor(value * 16);
      bins[bin] = (bins[bin] ?? 0) + 1;
    }
    expect(wrong).toBe(0);
    expect(Math.abs(sum / draws - 0.5)).toBeLessThan(0.005);
    const chiSquared = bins.reduce((total, seen) => total + (seen - draws / 16) ** 2 / (draws / 16), 0);
    expect(chiSquared).toBeLessThan(40); // 15 degrees of freedom: exceeded once in 2000 seeds
  });

  it("draws every integer below n equally often, and no other", () => {
    const stream = new RandomStream(9);
    const seen = new Array<number>(7).fill(0);
    for (let i = 0; i < 7000; ++i) {
      const value = stream.integer(7);
      seen[value] = (seen[value] ?? 0) + 1;
    }
    for (const count of seen) expect(Math.abs(count - 1000)).toBeLessThan(150);
    expect(stream.integer(1)).toBe(0);
    const large = Array.from({ length: 100 }, () => stream.integer(3 * 2 ** 30));
    expect(large.every((value) => value >= 0 && value < 3 * 2 ** 30)).toBe(true);
    for (const bad of [0, -1, 1.5, NaN, 2 ** 32 + 1]) expect(() => stream.integer(bad)).toThrow(RangeError);
  });

  it("shuffles arrays and typed arrays in place, every order equally often", () => {
    const values = Int32Array.from({ length: 1000 }, (_, i) => i);
    const shuffled = new RandomStream(5, 1).shuffle(values);
    expect(shuffled).toBe(values);
    expect([...shuffled]).not.toEqual([...shuffled].sort((a, b) => a - b));
    expect([...shuffled].sort((a, b) => a - b)).toEqual(Array.from({ length: 1000 }, (_, i) => i));
    expect(new RandomStream(5, 1).shuffle(Int32Array.from({ length: 1000 }, (_, i) => i))).toEqual(shuffled);
    expect(new RandomStream(5).shuffle([])).toEqual([]);

    const orders = new Map<string, number>();
    for (let i = 0; i < 6000; ++i) {
      const order = new RandomStream(5, i).shuffle(["a", "b", "c"]).join("");
      orders.set(order, (orders.get(order) ?? 0) + 1);
    }
    expect(orders.size).toBe(6);
    for (const count of orders.values()) expect(Math.abs(count - 1000)).toBeLessThan(150);
  });
});
