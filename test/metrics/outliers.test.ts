import { describe, expect, it } from "vitest";
import { ArgumentError, EvaluationError } from "../../src/errors.js";
import { fitMahalanobis } from "../../src/metrics/mahalanobis.js";
import { fitNearest } from "../../src/metrics/nearest.js";
import { outlierLimit, outlierScores } from "../../src/metrics/outliers.js";
import { Random } from "../../src/metrics/random.js";
import { evidence, expectNear } from "../support/evidence.js";

const { width, training, classes, asked, shrinkage, mahalanobis, cosine, euclidean } = evidence.features;

/** Of golden numbers; models are kept in float32. */
const relative = (ours: Float64Array, golden: readonly number[]) =>
  [...ours].map((score, i) => score / golden[i]!);
const ones = asked.filter((_, i) => i % width === 0).map(() => 1);

describe("Mahalanobis distances", () => {
  it("are numpy's with scikit-learn's shrunk covariance", () => {
    const model = fitMahalanobis(training, width, classes);
    expectNear([model.shrinkage], [shrinkage], 1e-14);
    expectNear(relative(outlierScores(asked, model), mahalanobis), ones, 1e-6);
  });

  it("work with more features than images, and refuse features that never vary", () => {
    const random = Random.seeded("", 1);
    const wide = Float32Array.from({ length: 10 * 40 }, () => random.uniform());
    const model = fitMahalanobis(wide, 40, [0, 0, 0, 0, 0, 1, 1, 1, 1, 1]);
    expect(outlierScores(wide, model).every(Number.isFinite)).toBe(true);
    expect(() => fitMahalanobis(new Float32Array(40).fill(2), 4, new Array(10).fill(0))).toThrow(
      /do not vary/,
    );
    expect(() => fitMahalanobis(wide, 40, [0])).toThrow(EvaluationError);
  });
});

describe("nearest neighbours", () => {
  it("are scikit-learn's", () => {
    for (const [distance, golden] of [
      ["cosine", cosine],
      ["euclidean", euclidean],
    ] as const) {
      const model = fitNearest(training, width, { neighbor: 3, distance });
      expectNear([...outlierScores(asked, model)], golden, 1e-6);
    }
  });

  it("are kept up to a number, and a vector of zeros has no direction", () => {
    const model = fitNearest(training, width, { most: 7, neighbor: 10 });
    expect(model.kept).toHaveLength(7 * width);
    expect(model.neighbor).toBe(7);
    expect(fitNearest(training, width, { most: 7 })).toEqual(fitNearest(training, width, { most: 7 }));
    expect([...outlierScores(new Float32Array(width), model)]).toEqual([1]);
    expect(() => fitNearest(training, width, { neighbor: 0 })).toThrow(ArgumentError);
    expect(() => fitNearest(training, width, { distance: "other" as never })).toThrow(ArgumentError);
  });
});

describe("outliers", () => {
  const random = Random.seeded("", 4);
  const normal = () =>
    Math.sqrt(-2 * Math.log(1 - random.uniform())) * Math.cos(2 * Math.PI * random.uniform());
  const images = (count: number, shift: number) => {
    const labels = Int32Array.from({ length: count }, () => random.below(2));
    const features = Float32Array.from({ length: count * 16 }, (_, i) => {
      const label = labels[Math.floor(i / 16)]!;
      return normal() + (i % 16 === label ? 4 : 0) + (i % 16 > 7 ? shift : 0);
    });
    return { labels, features };
  };
  const [fitted, validation, more, strange] = [
    images(500, 0),
    images(1000, 0),
    images(1000, 0),
    images(1000, 5),
  ];

  it.each([
    ["Mahalanobis", fitMahalanobis(fitted.features, 16, fitted.labels)],
    ["nearest, cosine", fitNearest(fitted.features, 16)],
    ["nearest, euclidean", fitNearest(fitted.features, 16, { distance: "euclidean" })],
  ])("are found at the false alarms that were asked for: %s", (_name, model) => {
    const limit = outlierLimit(outlierScores(validation.features, model));
    const flagged = ({ labels, features }: { labels: Int32Array; features: Float32Array }) =>
      outlierScores(features, model).filter((score) => score > limit).length / labels.length;
    expect(flagged(more)).toBeLessThan(0.08);
    expect(flagged(strange)).toBeGreaterThan(0.95);
  });

  it("keep their scores through numbers and arrays alone", () => {
    for (const model of [fitMahalanobis(training, width, classes), fitNearest(training, width)]) {
      const copy = structuredClone(model);
      expect([...outlierScores(asked, copy)]).toEqual([...outlierScores(asked, model)]);
      for (const part of Object.values(model))
        expect(part instanceof Float32Array || ["number", "string"].includes(typeof part)).toBe(true);
    }
  });

  it("have the k-th smallest score as limit, if there are enough images", () => {
    const scores = Array.from({ length: 19 }, (_, i) => 19 - i);
    expect(outlierLimit(scores)).toBe(19);
    expect(outlierLimit(scores, 0.1)).toBe(18);
    expect(() => outlierLimit(scores.slice(1))).toThrow(/18 validation images are too few .* at least 19/);
    expect(() => outlierLimit([Number.NaN, ...scores])).toThrow(EvaluationError);
    expect(() => outlierLimit(scores, 0)).toThrow(ArgumentError);
  });

  it("refuse features that are none", () => {
    const model = fitNearest(training, width);
    for (const wrong of [[], [1, 2], [1, 2, 3, 4, Number.NaN], [1, 2, 3, 4, Number.POSITIVE_INFINITY]])
      expect(() => outlierScores(wrong, model)).toThrow(EvaluationError);
    expect(() => fitNearest(training, 0)).toThrow(EvaluationError);
  });
});
