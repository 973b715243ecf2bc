import { describe, expect, it } from "vitest";
import { ArgumentError, EvaluationError } from "../../src/errors.js";
import { conformalCoverage, conformalSet, fitConformalSets } from "../../src/metrics/conformal.js";
import { Random } from "../../src/metrics/random.js";

/** A classifier that is wrong often, too certain, and worse on the rare third class. */
function simulated(count: number, random: Random): { labels: Int32Array; probabilities: Float64Array } {
  const labels = Int32Array.from({ length: count }, () => {
    const draw = random.uniform();
    return draw < 0.6 ? 0 : draw < 0.9 ? 1 : 2;
  });
  const probabilities = new Float64Array(count * 3);
  for (const [sample, label] of labels.entries()) {
    const row = probabilities.subarray(sample * 3, sample * 3 + 3);
    for (let index = 0; index < 3; index++) {
      const pull = index === label ? (label === 2 ? 1 : 2.5) : 0;
      row[index] = Math.exp(2 * (pull + 3 * (random.uniform() + random.uniform() - 1)));
    }
    const sum = row.reduce((total, value) => total + value, 0);
    for (let index = 0; index < 3; index++) row[index]! /= sum;
  }
  return { labels, probabilities };
}

describe("conformal sets", () => {
  it.each([0.05, 0.1, 0.2])(
    "keep their promise at risk %s within 2 % over 200 resplits, for each class",
    (risk) => {
      const random = Random.seeded("", 9);
      const { labels, probabilities } = simulated(2000, random);
      const order = Int32Array.from(labels.keys());
      const covered = { all: 0, perClass: [0, 0, 0], marginal: 0, marginalRare: 0 };
      const splits = 200;
      for (let split = 0; split < splits; split++) {
        for (let i = order.length - 1; i > 0; i--) {
          const j = random.below(i + 1);
          [order[i], order[j]] = [order[j]!, order[i]!];
        }
        const part = (from: number, to: number) => {
          const members = order.subarray(from, to);
          const rows = Float64Array.from(
            { length: members.length * 3 },
            (_, i) => probabilities[members[Math.floor(i / 3)]! * 3 + (i % 3)]!,
          );
          return { labels: members.map((sample) => labels[sample]!), rows };
        };
        const [validation, test] = [part(0, 1000), part(1000, 2000)];
        const coverage = (perClass: boolean) => {
          const sets = fitConformalSets(validation.labels, validation.rows, 3, { risk, perClass });
          return conformalCoverage(test.labels, test.rows, 3, sets, { resamples: 1 });
        };
        const [own, together] = [coverage(true), coverage(false)];
        covered.all += own.coverage.value! / splits;
        covered.marginal += together.coverage.value! / splits;
        covered.marginalRare += together.coveragePerClass[2]!.value! / splits;
        for (const index of [0, 1, 2])
          covered.perClass[index]! += own.coveragePerClass[index]!.value! / splits;
      }
      for (const share of [covered.all, covered.marginal, ...covered.perClass]) {
        expect(Math.abs(share - (1 - risk))).toBeLessThan(0.02);
      }
      // What the promise for each class is for.
      expect(covered.marginalRare).toBeLessThan(1 - risk - 0.05);
    },
  );

  it("take the k-th largest probability, and all classes where there are too few images", () => {
    const labels = new Array<number>(9).fill(0);
    const rows = labels.map((_, i) => [(i + 1) / 10, 1 - (i + 1) / 10]);
    // k = ceil(10 x 0.9) = 9 of 9; at 0.05 it would be the 10th.
    expect(fitConformalSets(labels, rows, 2, { risk: 0.1 })).toEqual({
      risk: 0.1,
      perClass: true,
      leastProbability: [0.1, 0],
      images: [9, 0],
    });
    expect(fitConformalSets(labels, rows, 2, { risk: 0.05 }).leastProbability).toEqual([0, 0]);
    expect(fitConformalSets(labels, rows, 2, { risk: 0.2, perClass: false }).leastProbability).toEqual([
      0.2, 0.2,
    ]);
  });

  it("list classes by falling probability, or none", () => {
    const sets = { risk: 0.1, perClass: true, leastProbability: [0.2, 0.3, 0.6], images: [9, 9, 9] };
    expect(conformalSet([0.3, 0.5, 0.2], sets)).toEqual([1, 0]);
    expect(conformalSet([0.19, 0.29, 0.52], sets)).toEqual([]);
    expect(
      conformalCoverage(
        [0, 2],
        [
          [0.3, 0.5, 0.2],
          [0.19, 0.29, 0.52],
        ],
        3,
        sets,
      ),
    ).toMatchObject({
      coverage: { value: 0.5 },
      coveragePerClass: [{ value: 1 }, { reason: "no label names the class" }, { value: 0 }],
      size: { value: 1 },
      single: { value: 0 },
      empty: { value: 0.5 },
    });
  });

  it("refuse a risk that is none, and rows of another width", () => {
    for (const risk of [0, 1, Number.NaN])
      expect(() => fitConformalSets([0], [[1, 0]], 2, { risk })).toThrow(ArgumentError);
    const sets = fitConformalSets([0], [[1, 0]], 2);
    expect(() => conformalSet([1, 0, 0], sets)).toThrow(EvaluationError);
  });
});
