import { describe, expect, it } from "vitest";
import { ArgumentError, EvaluationError } from "../../src/errors.js";
import { brierParts } from "../../src/metrics/brier.js";
import { binaryCalibration, topClassCalibration } from "../../src/metrics/calibration-bins.js";
import { calibrationLine } from "../../src/metrics/calibration-line.js";
import { classificationMetrics } from "../../src/metrics/classification.js";
import { Random } from "../../src/metrics/random.js";
import { fitTemperature, logitsOf, withTemperature } from "../../src/metrics/temperature.js";
import { binaryLabels, endsOf, evidence, expectNear, partsOf } from "../support/evidence.js";

const { fine, labels, probabilities, patients, multi, temperature } = evidence;
const few = { resamples: 200 };

describe("calibration in bins of equal mass", () => {
  const { bins, error } = binaryCalibration(binaryLabels, fine, { bins: 8, ...few });
  const golden = evidence.calibrationBins;

  it("is scikit-learn's, with statsmodels' intervals", () => {
    expect(bins.map(({ count }) => count)).toEqual(new Array(8).fill(20));
    expectNear(
      bins.map(({ predicted }) => predicted),
      golden.predicted,
      1e-14,
    );
    expectNear(
      bins.map(({ observed }) => observed.value!),
      golden.observed,
      1e-14,
    );
    expectNear(
      bins.flatMap(({ observed }) => endsOf(observed)),
      golden.intervals.flat(),
      1e-14,
    );
    expectNear([error.value!], [golden.error], 1e-14);
  });

  it("keeps samples of one probability together", () => {
    const { bins } = topClassCalibration(
      [0, 0, 1, 1, 0],
      [
        [0.8, 0.2],
        [0.8, 0.2],
        [0.8, 0.2],
        [0.1, 0.9],
        [0.6, 0.4],
      ],
      2,
      {
        bins: 5,
        ...few,
      },
    );
    expect(bins.map(({ lowest, highest, count }) => [lowest, highest, count])).toEqual([
      [0.6, 0.6, 1],
      [0.8, 0.8, 3],
      [0.9, 0.9, 1],
    ]);
    const { bins: one } = binaryCalibration([0, 1, 1], [0.4, 0.4, 0.4], few);
    expect(one).toHaveLength(1);
  });

  it("needs a number of bins", () => {
    for (const bins of [0, 1.5, 5000])
      expect(() => binaryCalibration([0, 1], [0, 1], { bins })).toThrow(ArgumentError);
  });
});

describe("parts of the Brier score", () => {
  it("are Murphy's, and Stephenson's within bins", () => {
    const rows = fine.map((score) => [1 - score, score]);
    const ours = brierParts(binaryLabels, rows, 2, { bins: 8, ...few });
    const names = ["brier", "reliability", "resolution", "uncertainty", "withinBins"] as const;
    expectNear(
      names.map((name) => ours[name].value!),
      evidence.brier,
      1e-14,
    );
    for (const name of names) partsOf(ours[name]);
  });

  it("add up to the score of several classes", () => {
    const { brier, reliability, resolution, uncertainty, withinBins } = brierParts(
      labels,
      probabilities,
      4,
      few,
    );
    expect(brier.value).toBeCloseTo(classificationMetrics(labels, probabilities, 4).brier, 14);
    const sum = reliability.value! - resolution.value! + uncertainty.value! + withinBins.value!;
    expect(sum).toBeCloseTo(brier.value!, 14);
  });
});

describe("the calibration line", () => {
  it.each([
    ["statsmodels'", {}, evidence.calibrationLine],
    ["statsmodels' by patient", { patients }, evidence.calibrationLineByPatient],
  ])("is %s", (_name, options, golden) => {
    const line = calibrationLine(binaryLabels, fine, options);
    for (const part of ["slope", "intercept", "inTheLarge"] as const) {
      expectNear(partsOf(line[part]), golden[part]!, 1e-8);
    }
  });

  it("says why there is none", () => {
    expect(calibrationLine([1, 1], [0.2, 0.3]).slope.reason).toBe("all samples are of one class");
    expect(calibrationLine([0, 1], [0.2, 0.3]).slope.reason).toMatch(/without an error/);
    expect(calibrationLine([0, 1, 0, 1], [0.3, 0.3, 0.3, 0.3]).slope.reason).toBe(
      "all probabilities are the same",
    );
    const certain = calibrationLine([0, 1, 0, 1, 1], [0, 1, 1, 0, 0.5]);
    expect(certain.slope.reason ?? certain.slope.value).toBeDefined();
    expect(
      calibrationLine([0, 1, 1, 0], [0.2, 0.3, 0.1, 0.9], { patients: ["a", "a", "a", "a"] }).slope,
    ).toMatchObject({
      reason: "the samples are of one patient alone",
    });
  });

  it("of a classifier that is right is at 1 and 0 as often as it says", () => {
    const random = Random.seeded("", 2);
    const held = [0, 0];
    for (let attempt = 0; attempt < 200; attempt++) {
      const scores = Array.from({ length: 300 }, () => random.uniform());
      const line = calibrationLine(
        scores.map((score) => Number(random.uniform() < score)),
        scores,
      );
      const holds = ([lower, upper]: [number, number], right: number) =>
        Number(lower <= right && right <= upper);
      held[0]! += holds(endsOf(line.slope), 1);
      held[1]! += holds(endsOf(line.inTheLarge), 0);
    }
    for (const share of held) {
      expect(share / 200).toBeGreaterThan(0.91);
      expect(share / 200).toBeLessThan(0.99);
    }
  });
});

describe("temperature", () => {
  it.each([
    ["softmax", labels, 4],
    ["sigmoid", multi.labels, 3],
  ] as const)("of %s is scipy's minimum", (activation, truth, classes) => {
    const { logits, expected } = temperature[activation];
    const {
      temperature: ours,
      before,
      after,
      found,
    } = fitTemperature(truth, logits, classes, { activation });
    // scipy compares values of the loss, which are flat at the minimum to half the digits.
    expectNear([ours], [expected[0]], 1e-7);
    expectNear([before, after], [expected[1], expected[2]], 1e-13);
    expect(found).toBe(true);
    expect(after).toBeLessThan(before);
  });

  it("is found from probabilities as from logits, and applied to them", () => {
    const { logits } = temperature.softmax;
    const plain = Float64Array.from(logits, (logit, i) => {
      const row = logits.slice(i - (i % 4), i - (i % 4) + 4);
      return Math.exp(logit) / row.reduce((sum, value) => sum + Math.exp(value), 0);
    });
    const fitted = fitTemperature(labels, logitsOf(plain), 4);
    expect(fitted.temperature).toBeCloseTo(fitTemperature(labels, logits, 4).temperature, 9);
    const scaled = withTemperature(plain, 4, fitted.temperature);
    expect(classificationMetrics(labels, scaled, 4).crossEntropy).toBeCloseTo(fitted.after, 12);
    expect(fitTemperature(labels, logitsOf(scaled), 4).temperature).toBeCloseTo(1, 9);
    const of = withTemperature([0, 1, 0.5, 0.8], 1, 2, { activation: "sigmoid" });
    expectNear([...of], [0, 1, 0.5, 1 / (1 + Math.exp(-Math.log(4) / 2))], 1e-15);
  });

  it("that has no minimum says so, also of certainties", () => {
    expect(fitTemperature([0, 1], [2, 0, 0, 2], 2)).toMatchObject({ temperature: 0.01, found: false });
    expect(fitTemperature([1, 0], [2, 0, 0, 2], 2)).toMatchObject({ temperature: 100, found: false });
    const certain = fitTemperature([0, 1, 1], logitsOf([1, 0, 0, 1, 1, 0]), 2);
    expect(Number.isFinite(certain.temperature) && Number.isFinite(certain.after)).toBe(true);
    expect(() => fitTemperature([0, 1], [Number.NaN, 0, 0, 1], 2)).toThrow(EvaluationError);
    expect(() => fitTemperature([0], [1, 2, 3], 2)).toThrow(EvaluationError);
    expect(() => withTemperature([0.5, 0.5], 2, 0)).toThrow(ArgumentError);
    expect(() => withTemperature([0.5, 1.5], 2, 1)).toThrow(EvaluationError);
    expect(() => withTemperature([0.5, 0.5, 0], 2, 1)).toThrow(EvaluationError);
  });
});
