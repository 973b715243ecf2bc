/** The AUC of images that come in clusters, compared with Obuchowski's formulas and with DeLong's. */
import { expect, it } from "vitest";
import { clusteredAuc } from "../../src/metrics/clustered-auc.js";
import { confidenceIntervals } from "../../src/metrics/intervals.js";
import { golden } from "../support/audit-golden.js";

const { clusters, area, variance, ...given } = golden.clustered;
const positive = Uint8Array.from(given.positive);
const scores = Float64Array.from(given.scores);
const logit = (value: number) => Math.log(value / (1 - value));

/** The variance that an interval on the logit scale was made of. */
const varianceOf = (auc: number, [low, high]: readonly [number, number]) =>
  (((logit(high) - logit(low)) / 2 / 1.959963984540054) * auc * (1 - auc)) ** 2;

it("is Obuchowski's, but for his three factors n / (n - 1)", () => {
  const { auc, interval } = clusteredAuc([positive], [scores], clusters);
  expect(auc).toBeCloseTo(area, 12);
  expect(varianceOf(auc, interval) / variance).toBeCloseTo(1, 1);
});

it("is nearly DeLong's where each image is by itself", () => {
  const probabilities = given.scores.flatMap((score) => {
    const probability = 1 / (1 + Math.exp(-score));
    return [1 - probability, probability];
  });
  const { auc } = confidenceIntervals(given.positive, probabilities, 2);
  const own = clusteredAuc([positive], [scores], Array.from(positive.keys()));
  expect(own.interval[0]).toBeCloseTo(auc[0], 2);
  expect(own.interval[1]).toBeCloseTo(auc[1], 2);
});

it("leaves out a class that all images have, and says nothing where there is no other", () => {
  const all = new Uint8Array(positive.length).fill(1);
  expect(clusteredAuc([positive, all], [scores, scores], clusters).auc).toBeCloseTo(area, 12);
  expect(clusteredAuc([all], [scores], clusters).auc).toBeNaN();
});
