/** Images that are taken together: what becomes of their probabilities and labels, against sums done by hand. */
import { describe, expect, it } from "vitest";
import { derive, fromArrays } from "../../src/data/index.js";
import { ArgumentError } from "../../src/errors.js";
import type { Evaluation } from "../../src/inference/evaluate.js";
import {
  poolEvaluation,
  poolingOf,
  poolPredictions,
  poolProbabilities,
  unitsOf,
} from "../../src/inference/pooling.js";
import { binary, multiClass, multiLabel, ordinal, type Task } from "../../src/tasks/index.js";
import { failure } from "../support/failure.js";
import { tinyModel } from "../support/sides.js";

const close = (values: Float32Array, expected: readonly number[]) => {
  expect(values).toHaveLength(expected.length);
  for (const [i, value] of expected.entries()) expect(values[i]).toBeCloseTo(value, 6);
};

describe("probabilities", () => {
  const units = unitsOf(["p", "q", "p", undefined, undefined]);

  it("are those of units in the order in which they come; what has no name is by itself", () => {
    expect(units).toEqual({ of: Int32Array.of(0, 1, 0, 2, 3), count: 4 });
  });

  it("are the mean, or the largest of the finding", () => {
    const two = Float32Array.of(0.9, 0.1, 0.5, 0.5, 0.3, 0.7, 1, 0, 0.2, 0.8);
    close(poolProbabilities(two, units, "mean", binary), [0.6, 0.4, 0.5, 0.5, 1, 0, 0.2, 0.8]);
    close(poolProbabilities(two, units, "max", binary), [0.3, 0.7, 0.5, 0.5, 1, 0, 0.2, 0.8]);
    close(poolProbabilities(two, units, "max", multiLabel), [0.9, 0.7, 0.5, 0.5, 1, 0, 0.2, 0.8]);
    const three = Float32Array.of(0.6, 0.3, 0.1, 0.2, 0.2, 0.6);
    const one = unitsOf(["p", "p"]);
    close(poolProbabilities(three, one, "mean", multiClass), [0.4, 0.25, 0.35]);
    // 0.6, 0.3, 0.6 over their sum, 1.5
    close(poolProbabilities(three, one, "max", multiClass), [0.4, 0.2, 0.4]);
  });

  it("of predictions come to what a unit is called", () => {
    const model = tinyModel();
    const classifier = { model, classes: ["benign", "malignant"], threshold: 0.3 } as never;
    const prediction = (malignant: number) => ({
      label: "",
      probability: 0,
      labels: [],
      probabilities: { benign: 1 - malignant, malignant },
    });
    const predictions = [prediction(0.1), prediction(0.2), prediction(0.6)];
    const pooled = poolPredictions(classifier, predictions, unitsOf(["p", "q", "p"]), "mean");
    expect(pooled).toMatchObject([
      { label: "malignant", labels: ["malignant"], members: [0, 2] },
      { label: "benign", members: [1] },
    ]);
    expect(pooled[0]?.probability).toBeCloseTo(0.35, 6);
    model.dispose();
  });
});

describe("an evaluation", () => {
  const about = { patients: ["p", "p", "q", "r"], files: [undefined, "a.tif", "a.tif", undefined] };
  const evaluate = (task: Task, classes: readonly string[], labels: number[], probabilities: number[]) => {
    const dataset = fromArrays({
      images: new Uint8Array(16),
      shape: [4, 2, 2],
      labels,
      classes,
      task: task.name as "ordinal",
      preprocessing: { imageSize: 2 },
    });
    const own = { labels: Int32Array.from(labels), probabilities: Float32Array.from(probabilities) };
    const evaluation = { ...own, metrics: task.metrics(own.labels, own.probabilities, classes) };
    const known = derive(dataset, { ...about, attributes: { Study: ["s", "s", "s", "t"] } });
    return (pool: string) => poolEvaluation(evaluation as Evaluation, known, poolingOf(pool), task);
  };

  it("of two classes is of the finding, where one image has it", () => {
    const pool = evaluate(binary, ["no", "yes"], [0, 1, 0, 1], [0.9, 0.1, 0.4, 0.6, 0.8, 0.2, 0.3, 0.7]);
    expect(pool("patient:mean")).toMatchObject({ units: 3, leftOut: 0, labels: Int32Array.of(1, 0, 1) });
    close(pool("patient:mean").probabilities, [0.65, 0.35, 0.8, 0.2, 0.3, 0.7]);
    expect(pool("patient:max").metrics).toMatchObject({ samples: 3, accuracy: 1, auc: 1 });
    expect(pool("image:mean")).toMatchObject({ units: 3, labels: Int32Array.of(0, 1, 1) });
    expect(pool("study:max")).toMatchObject({ units: 2, labels: Int32Array.of(1, 1) });
  });

  it("of grades is of the highest, of labels of all, of other classes of one", () => {
    const thirds = Array.from({ length: 12 }, () => 1 / 3);
    const classes = ["0", "1", "2"];
    const grades = evaluate(ordinal, classes, [0, 2, 1, 1], thirds)("patient:mean");
    expect(grades.labels).toEqual(Int32Array.of(2, 1, 1));
    const labels = evaluate(multiLabel, ["a", "b"], [1, 0, 0, 1, 0, 0, 0, 1], [1, 0, 0, 1, 0, 0, 0, 1]);
    expect(labels("patient:max")).toMatchObject({
      labels: Int32Array.of(1, 1, 0, 0, 0, 1),
      metrics: { subsetAccuracy: 1 },
    });
    const torn = evaluate(multiClass, classes, [0, 2, 1, 2], thirds)("patient:mean");
    expect(torn).toMatchObject({ units: 2, leftOut: 1, labels: Int32Array.of(1, 2) });
    expect(torn.probabilities).toHaveLength(6);
  });

  it("is refused where nothing says what belongs together", async () => {
    const pool = evaluate(binary, ["no", "yes"], [0, 1, 0, 1], [1, 0, 0, 1, 1, 0, 0, 1]);
    expect(await failure(ArgumentError, (async () => pool("ward:mean"))())).toBe(
      "pool: there is no column ward to take images together by; there are patient, image, Study.",
    );
    expect(await failure(ArgumentError, (async () => poolingOf("patient"))())).toMatch(
      /^pool "patient" is not patient, image or a column of the table, and mean or max/,
    );
  });
});
