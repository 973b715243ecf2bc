/** Principal components against numpy's, and panels: that they keep their promise, and what becomes of what is no number. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { metrics } from "../../src/index.js";
import { Random } from "../../src/metrics/random.js";
import { failure } from "../support/failure.js";
import { fixture } from "../support/repository.js";

interface Golden {
  train: number[];
  asked: number[];
  variances: number[];
  scores: number[];
}
const golden = JSON.parse(readFileSync(fixture("uncertainty.json"), "utf8")) as Golden;
const width = 9;

const random = Random.seeded("test", 5);
const normal = () =>
  Math.sqrt(-2 * Math.log(1 - random.uniform())) * Math.cos(2 * Math.PI * random.uniform());
/** Features that are correlated, shifted. */
const drawn = (count: number, columns: number, shift = 0) =>
  Float64Array.from({ length: count }, normal).reduce<number[]>((rows, common) => {
    for (let i = 0; i < columns; i++) rows.push(common + normal() + shift);
    return rows;
  }, []);

describe("principal components", () => {
  it("are numpy's", () => {
    const model = metrics.fitPrincipal(golden.train, width, { directions: 3 });
    for (const [at, variance] of golden.variances.entries())
      expect(model.variances[at]).toBeCloseTo(variance, 5);
    const scores = metrics.outlierScores(golden.asked, model);
    for (const [at, score] of golden.scores.entries()) expect(scores[at]! / score).toBeCloseTo(1, 4);
  });

  it("are the same bits each time, and take features that never change", () => {
    const train = Array.from({ length: 60 }, (_, i) => [1, Math.sin(i), 0]).flat();
    const [a, b] = [1, 2].map(() => metrics.fitPrincipal(train, 3));
    expect(a).toEqual(b);
    const [usual, other] = metrics.outlierScores([1, 0.5, 0, 1.5, 0.5, 0], a!);
    expect(other).toBeGreaterThan(100 * usual!);
  });

  it("are refused of what does not vary, and of what is not finite", async () => {
    const message = (features: number[]) =>
      failure(metrics.EvaluationError, (async () => metrics.fitPrincipal(features, 2))());
    expect(await message([1, 2, 1, 2])).toBe("fitPrincipal: the features do not vary; use other images.");
    expect(await message([1, 2, 1, Number.NaN])).toBe("fitPrincipal: feature 1 of sample 1 is NaN.");
  });
});

describe("a panel", () => {
  const looks = (shift = 0) => [
    { name: "early", width: 6, train: drawn(300, 6), validation: drawn(400, 6, shift) },
    { name: "late", width: 4, train: drawn(300, 4), validation: drawn(400, 4) },
  ];
  const panel = metrics.fitOutlierPanel(looks());
  const joined = (first: number[], second: number[]) =>
    Array.from({ length: first.length / 6 }, (_, i) => [
      ...first.slice(6 * i, 6 * i + 6),
      ...second.slice(4 * i, 4 * i + 4),
    ]).flat();

  it("calls at most the promised share of such images strange, and nearly all of another kind", () => {
    const own = metrics.panelScores(joined(drawn(4000, 6), drawn(4000, 4)), panel);
    const alarms = own.scores.filter((score) => score > panel.limit).length / 4000;
    expect(alarms).toBeGreaterThan(0.02);
    expect(alarms).toBeLessThan(0.08);
    const late = metrics.panelScores(joined(drawn(200, 6), drawn(200, 4, 9)), panel);
    expect(late.scores.filter((score) => score > panel.limit).length).toBeGreaterThan(190);
    expect(late.strangest.filter((view) => view === 1).length).toBeGreaterThan(190);
  });

  it("calls an image the strangest of which a feature is not finite", () => {
    const features = joined(drawn(2, 6), drawn(2, 4));
    features[17] = Number.NaN;
    const { scores, strangest } = metrics.panelScores(features, panel);
    expect(scores[1]).toBe(1e6);
    expect(strangest[1]).toBe(1);
    expect(scores[0]).toBeLessThan(100);
  });

  it("is refused of too few validation images, and of looks at different ones", async () => {
    const few = looks().map((look) => ({ ...look, validation: look.validation.slice(0, 3 * look.width) }));
    const message = (given: typeof few) =>
      failure(metrics.EvaluationError, (async () => metrics.fitOutlierPanel(given))());
    expect(await message(few)).toBe(
      "outlierLimit: 3 validation images are too few for 0.05 false alarms; use at least 19.",
    );
    expect(await message([few[0]!, looks()[1]!])).toBe(
      "fitOutlierPanel: one look is at 3 images, another at 400.",
    );
  });
});
