import { describe, expect, it } from "vitest";
import { ArgumentError, EvaluationError } from "../../src/errors.js";
import { classificationMetrics } from "../../src/metrics/classification.js";
import { classificationIntervals } from "../../src/metrics/classification-intervals.js";
import { clustersOf } from "../../src/metrics/clusters.js";
import type { Estimate } from "../../src/metrics/estimate.js";
import { multiLabelMetrics } from "../../src/metrics/multi-label.js";
import { multiLabelIntervals } from "../../src/metrics/multi-label-intervals.js";
import { twoSidedTail } from "../../src/metrics/normal.js";
import { proportion, wilsonInterval } from "../../src/metrics/proportion.js";
import { Random } from "../../src/metrics/random.js";
import { drawnAlike, endsOf, evidence, expectNear, partsOf } from "../support/evidence.js";

const { labels, probabilities, patients, multi } = evidence;
const names = ["a", "b", "c"];

describe("Wilson's interval", () => {
  it("is statsmodels'", () => {
    for (const [hits, count, level, lower, upper] of evidence.wilson) {
      expectNear(wilsonInterval(hits, count, level), [lower, upper], 1e-14);
    }
  });

  it("counts patients where they have several images, as statsmodels' sandwich does", () => {
    const ones = new Uint8Array(labels.length).fill(1);
    const of = (whose?: number[]) =>
      partsOf(
        proportion(ones, evidence.sharedHits, clustersOf("", labels.length, { patients: whose }), 0.95, ""),
      );
    const [value, lower, upper] = of(patients);
    expectNear([value, lower, upper], evidence.clusteredWilson, 1e-14);
    const [, from, to] = of();
    expect((upper - lower) / (to - from)).toBeGreaterThan(1.2);
  });

  it("is that of as many patients where all samples agree", () => {
    const ofTwo = clustersOf("", 40, { patients: Array.from({ length: 40 }, (_, i) => i % 2) });
    const ones = new Uint8Array(40).fill(1);
    const { lower } = proportion(ones, ones, ofTwo, 0.95, "");
    expect(lower).toBe(wilsonInterval(2, 2)[0]);
  });
});

describe("random numbers", () => {
  it("are those of the published xoshiro128**", () => {
    const random = new Random([1, 2, 3, 4]);
    expect(evidence.xoshiro128.map(() => random.word())).toEqual(evidence.xoshiro128);
    expect(evidence.xoshiro128.slice(0, 3)).toEqual([11520, 0, 5927040]);
  });

  it("are spread evenly", () => {
    const random = Random.seeded("", 3);
    const counts = new Array<number>(7).fill(0);
    for (let i = 0; i < 70_000; i++) counts[random.below(7)]! += 1;
    expect(Math.max(...counts.map((count) => Math.abs(count - 10_000)))).toBeLessThan(400);
  });

  it("refuse seeds that are none", () => {
    for (const seed of [-1, 0.5, Number.NaN, 2 ** 60, "1" as never])
      expect(() => Random.seeded("f", seed)).toThrow(ArgumentError);
  });
});

it("tails of the normal distribution are scipy's to 11 digits", () => {
  for (const [z, p] of evidence.tails) expect(Math.abs(twoSidedTail(z) / p - 1)).toBeLessThan(1e-11);
});

describe("resampled intervals", () => {
  const byPatient = classificationIntervals(labels, probabilities, 4, {
    ...drawnAlike,
    patients,
    resampleAll: true,
  });
  const byImage = classificationIntervals(labels, probabilities, 4, { ...drawnAlike, resampleAll: true });
  const whole = Object.keys(evidence.whole) as (keyof typeof byPatient & string)[];

  /** Calibration errors: Davison and Hinkley's basic bootstrap. */
  const reflected = (score: string, [lower, upper]: [number, number]): [number, number] => {
    const value = evidence.whole[score]!;
    return score === "ece"
      ? [Math.max(0, 2 * value - upper), Math.max(value, 2 * value - lower)]
      : [lower, upper];
  };

  it.each(whole)("of %s are scikit-learn's with the same draws, by patient and by image", (score) => {
    const [value, ...ends] = partsOf(byPatient[score] as Estimate);
    expectNear([value], [evidence.whole[score]!], 1e-12);
    expectNear(ends, reflected(score, evidence.wholeByPatient[score]!), 1e-12);
    expectNear(endsOf(byImage[score] as Estimate), reflected(score, evidence.wholeByImage[score]!), 1e-12);
  });

  it("of each class are scikit-learn's with the same draws", () => {
    const lists = [
      "aucPerClass",
      "averagePrecisionPerClass",
      "precision",
      "sensitivity",
      "specificity",
      "f1",
    ] as const;
    const ours = lists.flatMap((score) => byPatient[score].flatMap(endsOf));
    expectNear(ours, evidence.perClassByPatient.flat(), 1e-12);
  });

  it("of several labels an image are scikit-learn's with the same draws", () => {
    const options = { ...drawnAlike, patients, thresholds: multi.thresholds };
    const ours = multiLabelIntervals(multi.labels, multi.scores, names, options);
    for (const [score, value] of Object.entries(multi.values)) {
      const estimate = ours[score as keyof typeof ours] as Estimate;
      if (estimate.method === "wilson") continue;
      expectNear(partsOf(estimate), [value, ...multi.byPatient[score]!], 1e-12);
    }
  });

  it("are about as wide as the closed formulas", () => {
    const closed = classificationIntervals(labels, probabilities, 4, { resamples: 1 });
    const resampled = classificationIntervals(labels, probabilities, 4, { resampleAll: true });
    const width = (estimate: Estimate) => endsOf(estimate)[1] - endsOf(estimate)[0];
    for (const score of ["accuracy", "auc"] as const) {
      expect(width(closed[score]) / width(resampled[score])).toBeGreaterThan(0.9);
      expect(width(closed[score]) / width(resampled[score])).toBeLessThan(1.1);
    }
  });
});

describe("every number", () => {
  it("has the value of the plain metrics", () => {
    const plain = classificationMetrics(labels, probabilities, 4);
    for (const [score, estimate] of Object.entries(classificationIntervals(labels, probabilities, 4))) {
      const value = plain[score as keyof typeof plain];
      const ours = [estimate].flat().map(({ value }) => value);
      expectNear(ours as number[], [value].flat() as number[], 1e-12);
    }
    const { labels: truth, scores, thresholds } = multi;
    const several = multiLabelMetrics(truth, scores, names, thresholds);
    const options = { thresholds, resamples: 20 };
    for (const [score, estimate] of Object.entries(multiLabelIntervals(truth, scores, names, options))) {
      const ours = [estimate].flat().map(({ value }) => value);
      expectNear(ours as number[], [several[score as keyof typeof several]].flat() as number[], 1e-12);
    }
  });

  it("has an interval around it or a reason why not, whatever the samples", () => {
    const cases: [number[], number[][], number][] = [
      [[0], [[0.5, 0.5]], 2],
      [
        [1, 1, 1],
        [
          [0.5, 0.5],
          [0.1, 0.9],
          [0.2, 0.8],
        ],
        2,
      ],
      [
        [0, 1],
        [
          [1, 0],
          [0, 1],
        ],
        2,
      ],
      [
        [0, 1],
        [
          [0, 1],
          [1, 0],
        ],
        2,
      ],
      [
        [0, 0, 1, 1],
        [
          [0.5, 0.5],
          [0.5, 0.5],
          [0.5, 0.5],
          [0.5, 0.5],
        ],
        2,
      ],
      [
        [0, 0, 1, 1, 0],
        [
          [0.7, 0.2, 0.1],
          [0.2, 0.3, 0.5],
          [0.1, 0.8, 0.1],
          [0.6, 0.3, 0.1],
          [1, 0, 0],
        ],
        3,
      ],
    ];
    for (const [truth, rows, classes] of cases) {
      const intervals = classificationIntervals(truth, rows, classes, { resamples: 200 });
      for (const [score, estimate] of Object.entries(intervals)) {
        for (const { value, lower, upper, reason } of [estimate].flat()) {
          if (reason !== undefined) expect(reason.length, score).toBeGreaterThan(10);
          else expect([lower, value, upper], score).toEqual([lower, value, upper].sort((a, b) => a! - b!));
          expect(Object.values({ value, lower, upper }).some(Number.isNaN), score).toBe(false);
        }
      }
    }
  });

  it("of a class that no label names says so", () => {
    const { sensitivity, aucPerClass, precision } = classificationIntervals(
      [0, 1, 0],
      [
        [0.7, 0.2, 0.1],
        [0.2, 0.7, 0.1],
        [0.2, 0.3, 0.5],
      ],
      3,
    );
    expect(sensitivity[2]).toEqual({ reason: "no label names the class" });
    expect(precision[2]).toEqual({ reason: "no label names the class" });
    expect(aucPerClass[2]).toEqual({ reason: "no sample is positive" });
  });
});

describe("patients", () => {
  it("that are not known are each their own", () => {
    expect(clustersOf("f", 5, { patients: ["a", "", undefined, "a", ""] })).toMatchObject({
      count: 4,
      repeated: true,
    });
  });

  it("with one image each change nothing, whatever they are called", () => {
    const of = (given: number[] | undefined) =>
      classificationIntervals(labels, probabilities, 4, { patients: given, resamples: 50 });
    expect(of(labels.map((_, i) => 1000 - i))).toEqual(of(undefined));
  });

  it("make intervals as wide as if their copies were not there", () => {
    const thrice = <T>(list: readonly T[]) => list.flatMap((one) => [one, one, one]);
    const once = classificationIntervals(labels, probabilities, 4, { resamples: 100 });
    const copied = classificationIntervals(thrice(labels), thrice(probabilities), 4, {
      patients: thrice(labels.map((_, i) => i)),
      resamples: 100,
    });
    expectNear(endsOf(copied.macroF1), endsOf(once.macroF1), 1e-12);
    expectNear(endsOf(copied.auc), endsOf(once.auc), 1e-12);
    // Rao and Scott's variance divides by one less than the patients, Wilson's by their number.
    expectNear(endsOf(copied.accuracy), endsOf(once.accuracy), 1e-3);
  });

  it("have to be as many as samples, and settings what they can be", () => {
    const of = (options: object) => () => classificationIntervals(labels, probabilities, 4, options);
    expect(of({ patients: ["a"] })).toThrow(EvaluationError);
    expect(of({ level: 0.5 })).toThrow(ArgumentError);
    expect(of({ resamples: 0 })).toThrow(ArgumentError);
    expect(of({ resamples: 1e12 })).toThrow(ArgumentError);
    const wide = Array.from({ length: 1000 }, () => 1 / 1000);
    const many = () => classificationIntervals([0], [wide], 1000, { resamples: 100_000 });
    expect(many).toThrow(/do not fit in memory; use at most 8316/);
    expect(of({ seed: -1 })).toThrow(ArgumentError);
  });
});
