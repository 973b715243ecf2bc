/** Where the generator stands in a step of training: by seed, step and rank alone, and apart from all others. */
import { describe, expect, it } from "vitest";
import { ArgumentError, rand, setGeneratorState } from "../../src/index.js";
import { generatorAt } from "../../src/tensor/generator.js";

const numbers = (at: { seed: number; step: number; rank?: number }) => {
  setGeneratorState(generatorAt(at));
  return rand([64]).data();
};

describe("generatorAt", () => {
  it("is where a process that trains alone stands, for rank 0: 2^24 counters from step to step", () => {
    for (const seed of [0, 7, Number.MAX_SAFE_INTEGER]) {
      for (const step of [0, 1, 1000, 2 ** 29 - 1]) {
        const alone = { seed, offset: step * 2 ** 24 };
        expect(generatorAt({ seed, step })).toEqual(alone);
        expect(generatorAt({ seed, step, rank: 0 })).toEqual(alone);
      }
    }
  });

  it("keeps ranks apart however much they draw: each has a key of its own", () => {
    const ranks = Array.from({ length: 10_000 }, (_, rank) => generatorAt({ seed: 1, step: 3, rank }));
    expect(new Set(ranks.map(({ seed }) => seed)).size).toBe(ranks.length);
    for (const { seed, offset } of ranks) {
      expect(Number.isSafeInteger(seed) && seed >= 0).toBe(true);
      expect(offset).toBe(3 * 2 ** 24);
    }
  });

  it("is the same whenever it is asked, and another for another seed, step or rank", async () => {
    const places = [
      { seed: 5, step: 2 },
      { seed: 5, step: 3 },
      { seed: 6, step: 2 },
      { seed: 5, step: 2, rank: 1 },
      { seed: 5, step: 2, rank: 2 },
      { seed: 6, step: 2, rank: 1 },
    ];
    const drawn = [];
    for (const place of places) drawn.push((await numbers(place)).join());
    expect(new Set(drawn).size).toBe(places.length);
    for (const [i, place] of places.entries()) expect((await numbers(place)).join()).toBe(drawn[i]);
  });

  it("refuses what is no place", () => {
    for (const bad of [-1, 0.5, Number.NaN, 2 ** 53]) {
      expect(() => generatorAt({ seed: bad, step: 0 })).toThrow(ArgumentError);
      expect(() => generatorAt({ seed: 0, step: bad })).toThrow(/generatorAt: step/);
      expect(() => generatorAt({ seed: 0, step: 0, rank: bad })).toThrow(/generatorAt: rank/);
    }
    expect(() => generatorAt({ seed: 0, step: 2 ** 29 })).toThrow("more than the 2^29");
  });
});
