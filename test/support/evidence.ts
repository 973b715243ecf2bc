/** What evidence.json knows, and how near ours has to come. */
import { readFileSync } from "node:fs";
import { expect } from "vitest";
import type { Estimate } from "../../src/metrics/estimate.js";
import { fixture } from "./repository.js";

/** Value, lower and upper end. */
export type Golden = [number, number, number];

interface Comparison {
  first: Golden;
  second: Golden;
  difference: Golden;
  pValue: number;
}
interface Ends {
  y: number[];
  byPatient: [number, number][];
}

export interface Evidence {
  labels: number[];
  patients: number[];
  probabilities: number[][];
  other: number[][];
  fine: number[];
  xoshiro128: number[];
  wilson: [hits: number, count: number, level: 0.9 | 0.95 | 0.99, lower: number, upper: number][];
  sharedHits: number[];
  clusteredWilson: Golden;
  positiveRatioByPatient: Golden;
  tails: [z: number, p: number][];
  delong: Comparison;
  obuchowski: Comparison;
  whole: Record<string, number>;
  wholeByPatient: Record<string, [number, number]>;
  wholeByImage: Record<string, [number, number]>;
  perClassByPatient: [number, number][];
  multi: {
    labels: number[];
    scores: number[];
    thresholds: number[];
    values: Record<string, number>;
    byPatient: Record<string, [number, number]>;
  };
  diagnostic: Record<string, Golden> & { threshold: number; atOnePercent: Record<string, Golden> };
  roc: Ends;
  precisionRecall: Ends;
  netBenefit: Ends;
  averagePrecision: Golden;
  risk: { area: number; byImage: [number, number][] };
  calibrationLine: Record<string, Golden>;
  calibrationLineByPatient: Record<string, Golden>;
  calibrationBins: { observed: number[]; predicted: number[]; error: number; intervals: [number, number][] };
  brier: number[];
  temperature: Record<"softmax" | "sigmoid", { logits: number[]; expected: Golden }>;
  thresholds: Record<string, number>;
  subgroups: {
    scanner: string[];
    values: number[];
    byPatient: [number, number][];
    newcombeByPatient: Golden;
    newcombe: number[][];
  };
  features: {
    width: number;
    training: number[];
    classes: number[];
    asked: number[];
    shrinkage: number;
    mahalanobis: number[];
    cosine: number[];
    euclidean: number[];
  };
}

export const evidence = JSON.parse(readFileSync(fixture("evidence.json"), "utf8")) as Evidence;
/** Class 1 against the rest. */
export const binaryLabels = evidence.labels.map((label) => Number(label === 1));
export const binaryScores = evidence.probabilities.map((row) => row[1]!);
/** How evidence.json was resampled. */
export const drawnAlike = { resamples: 300, seed: 5 };

/** Fails unless each number is near. With SHOW_DIFFERENCES in the environment it prints what docs/evidence.md has in its table. */
export function expectNear(ours: readonly number[], golden: readonly number[], tolerance: number): void {
  expect(ours).toHaveLength(golden.length);
  const largest = Math.max(...golden.map((value, i) => Math.abs(value - ours[i]!)));
  expect(largest, `${ours.join(" ")} is not ${golden.join(" ")}`).toBeLessThanOrEqual(tolerance);
  if (process.env.SHOW_DIFFERENCES) console.log(`${expect.getState().currentTestName}: ${largest}`);
}

/** Value and ends; fails if there are none. */
export function partsOf(estimate: Estimate): Golden {
  expect(estimate.reason).toBeUndefined();
  return [estimate.value ?? Number.NaN, estimate.lower ?? Number.NaN, estimate.upper ?? Number.NaN];
}

export const endsOf = (estimate: Estimate): [number, number] => {
  const [, lower, upper] = partsOf(estimate);
  return [lower, upper];
};
