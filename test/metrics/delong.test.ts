import { describe, expect, it } from "vitest";
import { classificationMetrics } from "../../src/metrics/classification.js";
import { classificationIntervals } from "../../src/metrics/classification-intervals.js";
import {
  type AreaComparison,
  areaEstimate,
  compareAreas,
  compareBinaryAreas,
} from "../../src/metrics/delong.js";
import { confidenceIntervals } from "../../src/metrics/intervals.js";
import { Random } from "../../src/metrics/random.js";
import { binaryLabels, binaryScores, endsOf, evidence, expectNear, partsOf } from "../support/evidence.js";

const { labels, probabilities, other, patients } = evidence;
const otherScores = other.map((row) => row[1]!);

function expectComparison(ours: AreaComparison, golden: (typeof evidence)["delong"]): void {
  for (const part of ["first", "second", "difference"] as const) {
    expectNear(partsOf(ours[part]), golden[part], 1e-13);
  }
  expectNear([ours.pValue!], [golden.pValue], 1e-12);
}

describe("areas under ROC curves", () => {
  it("are compared as DeLong does from all pairs", () => {
    expectComparison(compareBinaryAreas(binaryLabels, binaryScores, otherScores), evidence.delong);
  });

  it("are compared by patient as Obuchowski does from all pairs", () => {
    const ours = compareBinaryAreas(binaryLabels, binaryScores, otherScores, { patients });
    expectComparison(ours, evidence.obuchowski);
  });

  it("of two classes are the same from rows of probabilities", () => {
    const rows = (scores: readonly number[]) => scores.map((score) => [1 - score, score]);
    const ours = compareAreas(binaryLabels, rows(binaryScores), rows(otherScores), 2, { patients });
    expectComparison(ours, evidence.obuchowski);
  });

  it("of several classes have the interval of confidenceIntervals", () => {
    const { first, second, difference, pValue } = compareAreas(labels, probabilities, other, 4);
    expectNear(endsOf(first), [...confidenceIntervals(labels, probabilities, 4).auc], 1e-15);
    expectNear(endsOf(second), [...confidenceIntervals(labels, other, 4).auc], 1e-15);
    expect(difference.value).toBeCloseTo(first.value! - second.value!, 14);
    expect(pValue).toBeLessThan(0.05);
  });

  it("of several classes by patient are as wide as resampling makes them", () => {
    const [lower, upper] = endsOf(compareAreas(labels, probabilities, other, 4, { patients }).first);
    const { auc } = classificationIntervals(labels, probabilities, 4, { patients, resampleAll: true });
    const [from, to] = endsOf(auc);
    expect((upper - lower) / (to - from)).toBeGreaterThan(0.85);
    expect((upper - lower) / (to - from)).toBeLessThan(1.15);
  });

  it("without an answer say why", () => {
    expect(areaEstimate([1, 1], [0.2, 0.3])).toEqual({ reason: "no sample is negative" });
    expect(areaEstimate([0, 1, 1], [0.2, 0.3, 0.4])).toMatchObject({
      value: 1,
      reason: expect.stringMatching(/rightly/),
    });
    expect(areaEstimate([0, 1, 0, 1], [0.3, 0.3, 0.3, 0.3])).toMatchObject({
      value: 0.5,
      reason: expect.any(String),
    });
    expect(areaEstimate([0, 1, 0], [0.3, 0.4, 0.5])).toMatchObject({
      reason: expect.stringMatching(/two patients/),
    });
    const alike = compareBinaryAreas(binaryLabels, binaryScores, binaryScores);
    expect(alike.difference).toEqual({ value: 0, reason: "both rank these samples alike" });
    expect(alike.pValue).toBeUndefined();
    const none = compareAreas(
      [0, 0],
      [
        [1, 0],
        [1, 0],
      ],
      [
        [1, 0],
        [1, 0],
      ],
      2,
    );
    expect(none.difference.reason).toBe("all labels name one class");
  });

  it("hold the true area as often as they say, also where patients have many images", () => {
    // Scores of positives are those of negatives moved by 1, patients share half of the variance: the area is known.
    const truth = 0.760249938906523; // Phi(1 / sqrt 2)
    const random = Random.seeded("", 11);
    const normal = () =>
      Math.sqrt(-2 * Math.log(1 - random.uniform())) * Math.cos(2 * Math.PI * random.uniform());
    const held = { byPatient: 0, byImage: 0 };
    const tries = 300;
    for (let attempt = 0; attempt < tries; attempt++) {
      const [truths, scores, whose]: number[][] = [[], [], []];
      for (let patient = 0; patient < 60; patient++) {
        const own = normal() * Math.SQRT1_2;
        for (let image = 0; image < 5; image++) {
          truths!.push(patient % 2);
          scores!.push(1 / (1 + Math.exp(-(own + normal() * Math.SQRT1_2 + (patient % 2)))));
          whose!.push(patient);
        }
      }
      const holds = ([lower, upper]: [number, number]) => Number(lower <= truth && truth <= upper);
      held.byPatient += holds(endsOf(areaEstimate(truths!, scores!, { patients: whose! })));
      held.byImage += holds(endsOf(areaEstimate(truths!, scores!)));
    }
    expect(held.byPatient / tries).toBeGreaterThan(0.92);
    expect(held.byPatient / tries).toBeLessThan(0.98);
    expect(held.byImage / tries).toBeLessThan(0.85);
  });

  it("agree with the metrics", () => {
    const { auc } = classificationMetrics(labels, probabilities, 4);
    expect(compareAreas(labels, probabilities, other, 4).first.value).toBeCloseTo(auc, 14);
  });
});
