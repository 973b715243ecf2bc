/** Draws with replacement: fast ones are the draws that they stand for, and weights mean what repeating samples does. */
import { expect, it } from "vitest";
import { Random } from "../../src/metrics/random.js";
import { areaUnderRoc, averagePrecision } from "../../src/metrics/ranking.js";
import { WeightedRanking } from "../../src/metrics/weighted-ranking.js";

it("a tally counts the numbers that single draws give, and goes on where they do", () => {
  for (const patients of [1, 7, 1000]) {
    const [fast, single] = [Random.seeded("test", 5), Random.seeded("test", 5)];
    const tally = new Uint16Array(patients).fill(9); // of an earlier draw
    for (let draw = 0; draw < 3; ++draw) {
      const expected = new Uint16Array(patients);
      for (let left = patients; left > 0; --left) expected[single.below(patients)]! += 1;
      fast.tally(tally);
      expect(tally).toEqual(expected);
    }
    expect(fast.word()).toBe(single.word());
  }
});

it("areas of weighted samples are those of samples that stand there as often", () => {
  const random = Random.seeded("test", 1);
  for (let round = 0; round < 50; ++round) {
    const scores = Float64Array.from({ length: 30 }, () => random.below(12) / 12); // many are equal
    const positive = Uint8Array.from(scores, () => random.below(2));
    const weights = new Uint16Array(30);
    random.tally(weights);
    const repeated = [...weights].flatMap((weight, sample) => Array<number>(weight).fill(sample));
    const into = { auc: 0, averagePrecision: 0 };
    new WeightedRanking(positive, scores).areas(weights, into);
    const [labels, values] = [
      Uint8Array.from(repeated, (sample) => positive[sample]!),
      Float64Array.from(repeated, (sample) => scores[sample]!),
    ];
    expect(into.auc).toBeCloseTo(areaUnderRoc(labels, values), 12);
    expect(into.averagePrecision).toBeCloseTo(averagePrecision(labels, values), 12);
  }
  const nothing = { auc: 0, averagePrecision: 0 };
  new WeightedRanking(Uint8Array.of(1, 0), Float64Array.of(0.5, 0.5)).areas(new Uint16Array(2), nothing);
  expect(nothing).toEqual({ auc: Number.NaN, averagePrecision: Number.NaN });
});
