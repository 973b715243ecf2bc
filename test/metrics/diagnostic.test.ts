import { describe, expect, it } from "vitest";
import { ArgumentError, EvaluationError } from "../../src/errors.js";
import {
  type DiagnosticMetrics,
  diagnosticMetrics,
  diagnosticMetricsPerClass,
  predictiveValuesAt,
} from "../../src/metrics/diagnostic.js";
import type { Estimate } from "../../src/metrics/estimate.js";
import { operatingPoint } from "../../src/metrics/operating-point.js";
import { atThreshold, chooseThreshold, type ThresholdCriterion } from "../../src/metrics/threshold.js";
import {
  binaryLabels,
  binaryScores,
  evidence,
  expectNear,
  type Golden,
  partsOf,
} from "../support/evidence.js";

const { diagnostic, patients } = evidence;
const ours = diagnosticMetrics(binaryLabels, binaryScores, diagnostic.threshold);

describe("a test against the truth", () => {
  const { threshold: _, atOnePercent, ...values } = diagnostic;

  it.each(Object.entries(values))("has statsmodels' %s and interval", (name, golden) => {
    expectNear(partsOf(ours[name as keyof DiagnosticMetrics] as Estimate), golden as Golden, 1e-13);
  });

  it.each(Object.entries(atOnePercent))("has Mercaldo's %s where one in a hundred is ill", (name, golden) => {
    const there = predictiveValuesAt(ours, 0.01);
    expectNear(partsOf(there[name as "positivePredictiveValue"]), golden, 1e-14);
  });

  it("has wider ratios by patient, as a regression's sandwich does", () => {
    const { positiveLikelihoodRatio } = diagnosticMetrics(binaryLabels, binaryScores, diagnostic.threshold, {
      patients,
    });
    const [value, lower, upper] = partsOf(positiveLikelihoodRatio);
    const [golden, from, to] = evidence.positiveRatioByPatient;
    expect(value).toBeCloseTo(golden, 8);
    // The two correct for few patients a little differently.
    expect(Math.log(upper / lower) / Math.log(to / from)).toBeGreaterThan(0.97);
    expect(Math.log(upper / lower) / Math.log(to / from)).toBeLessThan(1.03);
  });

  it("counts as atThreshold does", () => {
    const plain = atThreshold(binaryLabels, binaryScores, diagnostic.threshold);
    for (const count of ["truePositives", "falsePositives", "trueNegatives", "falseNegatives"] as const)
      expect(ours[count]).toBe(plain[count]);
  });

  it("is made for each class of several", () => {
    const perClass = diagnosticMetricsPerClass(evidence.labels, evidence.probabilities, 4);
    expect(perClass).toHaveLength(4);
    const positives = perClass.map(({ truePositives, falseNegatives }) => truePositives + falseNegatives);
    expect(positives.reduce((a, b) => a + b)).toBe(evidence.labels.length);
  });

  it("without an answer says why", () => {
    const perfect = diagnosticMetrics([0, 1], [0.1, 0.9], 0.5);
    expect(perfect.positiveLikelihoodRatio.reason).toMatch(/no negative is called, so that .* no upper end/);
    expect(perfect.negativeLikelihoodRatio).toMatchObject({ value: 0, reason: expect.any(String) });
    expect(predictiveValuesAt(perfect, 0.1).negativePredictiveValue).toMatchObject({ value: 1 });
    const none = diagnosticMetrics([1, 1], [0.1, 0.2], 0.5);
    expect(none.specificity).toEqual({ reason: "no sample is negative" });
    expect(none.positivePredictiveValue).toEqual({ reason: "nothing is called positive" });
    expect(none.positiveLikelihoodRatio).toEqual({ reason: "no sample is negative" });
    for (const prevalence of [0, 1, Number.NaN, 5])
      expect(() => predictiveValuesAt(perfect, prevalence)).toThrow(ArgumentError);
    expect(() => diagnosticMetrics([0, 1], [0.1, 0.9], Number.NaN)).toThrow(EvaluationError);
  });
});

describe("a threshold for a wish", () => {
  it.each<[string, ThresholdCriterion]>([
    ["youden", { criterion: "youden" }],
    ["sensitivity90", { criterion: "sensitivity", atLeast: 0.9 }],
    ["specificity90", { criterion: "specificity", atLeast: 0.9 }],
    ["cost5", { criterion: "cost", falsePositive: 1, falseNegative: 5 }],
    ["cost5at1percent", { criterion: "cost", falsePositive: 1, falseNegative: 5, prevalence: 0.01 }],
  ])("is what trying all of them finds: %s", (name, criterion) => {
    expect(chooseThreshold(binaryLabels, binaryScores, criterion)).toBe(evidence.thresholds[name]);
  });

  it("is chosen on validation and tried on test, where it may miss it", () => {
    const half = (from: number) => ({
      labels: binaryLabels.filter((_, i) => i % 2 === from),
      scores: binaryScores.filter((_, i) => i % 2 === from),
    });
    const criterion = { criterion: "sensitivity", atLeast: 0.95 } as const;
    const point = operatingPoint(half(0), half(1), criterion);
    expect(point.threshold).toBe(chooseThreshold(half(0).labels, half(0).scores, criterion));
    expect(point.validation.sensitivity.value).toBeGreaterThanOrEqual(0.95);
    const { sensitivity } = atThreshold(half(1).labels, half(1).scores, point.threshold);
    expect(point.test.sensitivity.value).toBe(sensitivity);
    const otherTest = { ...half(1), labels: half(1).labels.map((label) => 1 - label) };
    expect(operatingPoint(half(0), otherTest, criterion).threshold).toBe(point.threshold);
  });

  it("that cannot be met is refused", () => {
    const choose = (criterion: object) => () =>
      chooseThreshold([0, 1, 1], [0.9, 0.3, 0.4], criterion as ThresholdCriterion);
    expect(choose({ criterion: "specificity", atLeast: 1 })).toThrow(/no threshold reaches/);
    expect(choose({ criterion: "specificity", atLeast: 2 })).toThrow(EvaluationError);
    expect(choose({ criterion: "sensitivity" })).toThrow(EvaluationError);
    expect(choose({ criterion: "cost", falsePositive: -1, falseNegative: 1 })).toThrow(EvaluationError);
    expect(choose({ criterion: "luck" })).toThrow(/"luck" is no criterion; use youden/);
  });
});
