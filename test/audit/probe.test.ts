/** The probe behind the shortcuts, compared with scikit-learn's logistic regression. */
import { describe, expect, it } from "vitest";
import { logisticScores } from "../../src/audit/logistic.js";
import { chance, probe, question } from "../../src/audit/probe.js";
import { RandomStream } from "../../src/tensor/random.js";
import { golden } from "../support/audit-golden.js";

const { labels, folds, features, scores, areas } = golden.probe;
const rows = { width: 4, values: Float64Array.from(features.flat()) };

describe("the probe", () => {
  it("gives scikit-learn's scores and areas, with its folds", () => {
    const positives = [0, 1, 2].map((label) => Uint8Array.from(labels, (own) => Number(own === label)));
    const fitted = labels.flatMap((_, at) => (folds[at] !== folds[0] ? [at] : []));
    const own = logisticScores(rows, positives[1]!, fitted);
    expect(own[0]).toBeCloseTo(scores[0]![1]!, 4);
    const asked = {
      positives,
      clusters: Int32Array.from(labels.keys()),
      folds: Int32Array.from(folds),
      foldCount: 5,
    };
    const result = probe(rows, asked);
    for (const [label, area] of result.areas.entries()) expect(area).toBeCloseTo(areas[label]!, 6);
  });

  it("ends where a feature tells the classes apart without fail", () => {
    const positive = Uint8Array.from({ length: 60 }, (_, at) => at % 2);
    const own = logisticScores(
      { width: 1, values: Float64Array.from(positive, (value) => value * 1e6) },
      positive,
      [...positive.keys()],
    );
    expect(own.every((score, at) => score > 0 === (positive[at] === 1) && Number.isFinite(score))).toBe(true);
  });

  const random = new RandomStream(7);
  const patients = Array.from({ length: 240 }, (_, at) => `p${Math.floor(at / 4)}`);
  const drawn = patients.map(() => random.uniform());
  const label = patients.map((_, at) => [Math.floor(at / 4) % 2]);
  const asked = question(label, 2, {
    clusters: patients,
    keys: patients.map((_, at) => `${at}`),
    multiLabel: false,
    seed: 0,
  });

  it("keeps patients in one fold, and finds nothing in noise", () => {
    const foldOf = new Map(patients.map((patient, at) => [patient, asked.folds[at]]));
    expect(patients.every((patient, at) => foldOf.get(patient) === asked.folds[at])).toBe(true);
    const noise = { width: 1, values: Float64Array.from(drawn) };
    const { auc, interval } = probe(noise, asked);
    expect(interval[0]).toBeLessThan(0.5);
    const expected = chance(noise, asked, 0);
    expect(expected.auc).toBeGreaterThan(0.35);
    expect(expected.auc).toBeLessThan(0.55);
    expect(auc).toBeLessThan(expected.upper + 0.1);
  });

  it("finds what gives the label away", () => {
    const told = { width: 1, values: Float64Array.from(drawn, (value, at) => value + label[at]![0]!) };
    expect(probe(told, asked).auc).toBeGreaterThan(0.95);
    expect(probe(told, asked).auc).toBeGreaterThan(chance(told, asked, 0).upper);
  });
});
