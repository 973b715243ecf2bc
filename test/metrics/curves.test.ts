import { describe, expect, it } from "vitest";
import { ArgumentError, EvaluationError } from "../../src/errors.js";
import {
  averagePrecisionEstimate,
  type CurveBand,
  precisionRecallBand,
  rocBand,
} from "../../src/metrics/curves.js";
import { decisionCurve } from "../../src/metrics/decision-curve.js";
import { riskCoverage } from "../../src/metrics/risk-coverage.js";
import {
  binaryLabels,
  binaryScores,
  drawnAlike,
  endsOf,
  evidence,
  expectNear,
  partsOf,
} from "../support/evidence.js";

const { patients, fine } = evidence;
const options = { ...drawnAlike, patients, places: 21 };
const bandOf = ({ lower, upper }: Pick<CurveBand, "lower" | "upper">) =>
  lower.flatMap((low, i) => [low, upper[i]!]);

describe.each([
  ["ROC", rocBand(binaryLabels, binaryScores, options), evidence.roc],
  ["precision-recall", precisionRecallBand(binaryLabels, binaryScores, options), evidence.precisionRecall],
] as const)("the %s curve", (_name, ours, golden) => {
  it("is scikit-learn's, and its band with the same draws", () => {
    expectNear(ours.y, golden.y, 1e-13);
    expectNear(bandOf(ours), golden.byPatient.flat(), 1e-13);
  });
});

describe("curves", () => {
  it("have scikit-learn's average precision, and its interval with the same draws", () => {
    const { places: _, ...drawing } = options;
    const ours = averagePrecisionEstimate(binaryLabels, binaryScores, drawing);
    expectNear(partsOf(ours), evidence.averagePrecision, 1e-14);
  });

  it("start and end where they have to", () => {
    const { x, y } = rocBand([0, 0, 1, 1], [0.1, 0.4, 0.4, 0.8], { places: 3, resamples: 10 });
    expect(x).toEqual([0, 0.5, 1]);
    expect(y).toEqual([0.5, 1, 1]);
    expect(precisionRecallBand([0, 0, 1, 1], [0.1, 0.4, 0.4, 0.8], { places: 3, resamples: 10 }).y).toEqual([
      1,
      1,
      2 / 3,
    ]);
  });

  it("need both classes, and a number of places", () => {
    expect(() => rocBand([1, 1], [0.2, 0.3])).toThrow(EvaluationError);
    expect(() => rocBand([0, 1], [0.2, 0.3], { places: 1 })).toThrow(ArgumentError);
    expect(averagePrecisionEstimate([0, 0], [0.2, 0.3])).toEqual({ reason: "no sample is positive" });
  });
});

describe("the decision curve", () => {
  const thresholds = [0.05, 0.1, 0.2, 0.3, 0.5, 0.75];

  it("is the formula's, and its band with the same draws", () => {
    const ours = decisionCurve(binaryLabels, binaryScores, { ...drawnAlike, patients, thresholds });
    expectNear(ours.netBenefit, evidence.netBenefit.y, 1e-14);
    expectNear(bandOf(ours), evidence.netBenefit.byPatient.flat(), 1e-14);
  });

  it("of a score that calls everyone is that of acting on everyone", () => {
    const { netBenefit, treatAll } = decisionCurve(
      binaryLabels,
      binaryLabels.map(() => 1),
      { resamples: 1 },
    );
    expectNear(netBenefit, treatAll, 1e-15);
  });

  it("needs thresholds that rise from 0 to below 1", () => {
    for (const wrong of [[], [0.5, 0.4], [0.5, 1], [Number.NaN], [-0.1]])
      expect(() => decisionCurve([0, 1], [0.1, 0.9], { thresholds: wrong })).toThrow(ArgumentError);
  });
});

describe("risk and coverage", () => {
  const rows = fine.map((score) => [1 - score, score]);

  it("are numpy's, and their intervals with the same draws", () => {
    const { area, y, lower, upper } = riskCoverage(binaryLabels, rows, 2, { ...drawnAlike, places: 2 });
    expectNear([area.value!], [evidence.risk.area], 1e-14);
    expect(y[1]).toBeCloseTo(
      fine.filter((score, i) => Number(score >= 0.5) !== binaryLabels[i]).length / 160,
      14,
    );
    expectNear([...endsOf(area), ...bandOf({ lower, upper })], evidence.risk.byImage.flat(), 1e-13);
  });

  it("do not depend on the order of samples that are as certain", () => {
    const alike = [
      [0.8, 0.2],
      [0.8, 0.2],
      [0.8, 0.2],
      [0.6, 0.4],
    ];
    const area = (labels: number[]) => riskCoverage(labels, alike, 2, { resamples: 1 }).area.value;
    expect(area([0, 0, 1, 0])).toBeCloseTo(area([1, 0, 0, 0])!, 15);
    expect(area([0, 0, 1, 0])).toBeCloseTo((1 / 3 + 1 / 3 + 1 / 3 + 1 / 4) / 4, 15);
  });

  it("without an error are 0, and say that this is no certainty", () => {
    const { area } = riskCoverage(
      [0, 1],
      [
        [0.8, 0.2],
        [0.1, 0.9],
      ],
      2,
      { resamples: 20 },
    );
    expect(area).toMatchObject({ value: 0, reason: expect.stringMatching(/too few errors/) });
    expect(() => riskCoverage([0], [[1, 0]], 2, { places: 0 })).toThrow(ArgumentError);
  });
});
