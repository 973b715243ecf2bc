/**
 * Tasks: losses against the formula in doubles, metrics against scikit-learn, and each from arrays through training, checkpoint
 * and prediction.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  ArgumentError,
  binaryCrossEntropyWithLogits,
  crossEntropy,
  data,
  evaluate,
  fit as fitModel,
  loadCheckpoint,
  metrics,
  predictImages,
  readCheckpoint,
  type Tensor,
  tasks,
  tensor,
} from "../../src/index.js";
import { taskOf } from "../../src/tasks/index.js";
import { backends } from "../support/backends.js";
import { expectClose } from "../support/closeness.js";
import { fixture } from "../support/repository.js";
import { quickly, side, tinyModel } from "../support/sides.js";
import { root } from "../support/temporary-folder.js";
import { uniform } from "../support/values.js";

const golden = JSON.parse(readFileSync(fixture("multi-label.json"), "utf8"));

/** -log p of each class, from logits. */
function surprises(row: readonly number[]): number[] {
  const most = Math.max(...row);
  const logSum = most + Math.log(row.reduce((sum, logit) => sum + Math.exp(logit - most), 0));
  return row.map((logit) => logSum - logit);
}

const softplus = (x: number): number => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
const rowsOf = (values: ArrayLike<number>, width: number): number[][] =>
  Array.from({ length: values.length / width }, (_, row) =>
    Array.from({ length: width }, (_, i) => values[row * width + i]!),
  );

describe.each(backends())("losses on %s", (_, device) => {
  const [images, classes] = [7, 4];
  const logits = uniform(3, [images, classes], -6, 6);
  const given = { images: rowsOf(logits.data, classes), labels: Int32Array.of(0, 3, 1, 1, 2, 0, 3) };
  const weights = Float32Array.of(1, 2, 0.5, 1, 3, 0.25, 1);
  const classWeights = Float32Array.of(0.5, 1, 2, 4);

  /** Loss and gradient as training gets them. */
  function lossOf(task: tasks.Task, truth: tasks.Truth, options: tasks.LossOptions): [Tensor, Tensor] {
    const x = tensor(Float32Array.from(logits.data), [images, classes], { device, requiresGrad: true });
    const onDevice = options.classWeights && tensor(options.classWeights, [classes], { device });
    const targets = task.targets(truth, classes, options, device);
    const loss = task.loss(x, targets, { ...options, classWeights: onDevice });
    loss.backward();
    return [loss, x.grad!];
  }

  /** The gradient of a function of the logits, by central differences. */
  function slope(of: (rows: number[][]) => number): number[] {
    return given.images.flatMap((row, image) =>
      row.map((logit, label) => {
        const moved = (by: number) =>
          of(given.images.map((own, i) => (i === image ? own.with(label, logit + by) : own)));
        return (moved(1e-5) - moved(-1e-5)) / 2e-5;
      }),
    );
  }

  const both = { labelSmoothing: 0.1, classWeights };

  it.each([
    ["multi-class", (grade: number, other: number) => Number(grade === other)],
    [
      "ordinal",
      (grade: number, other: number) =>
        Math.exp(-Math.abs(grade - other)) /
        [0, 1, 2, 3].reduce((sum, k) => sum + Math.exp(-Math.abs(grade - k)), 0),
    ],
  ] as const)("of %s with weights of images and classes", async (name, share) => {
    const mean = (rows: number[][]): number => {
      const terms = rows.map((row, i) =>
        surprises(row).reduce((sum, surprise, k) => {
          const target = 0.9 * share(given.labels[i]!, k) + 0.1 / classes;
          return sum + weights[i]! * classWeights[k]! * target * surprise;
        }, 0),
      );
      const mass = weights.reduce((sum, weight, i) => sum + weight * classWeights[given.labels[i]!]!, 0);
      return terms.reduce((a, b) => a + b) / mass;
    };
    const [loss, gradient] = lossOf(
      taskOf({ task: name, classes: [] }),
      { labels: given.labels, weights },
      both,
    );
    await expectClose(loss, [mean(given.images)], { relative: 1e-6 });
    await expectClose(gradient, slope(mean), { relative: 1e-5 });
  });

  it("of multi-class without weights of images is crossEntropy, to the bit", async () => {
    const [loss] = lossOf(tasks.multiClass, { labels: given.labels }, both);
    const x = tensor(Float32Array.from(logits.data), [images, classes], { device });
    const own = tensor(classWeights, [classes], { device });
    const expected = crossEntropy(x, tensor(given.labels, [images], { device }), {
      ...both,
      classWeights: own,
    });
    expect(await loss.item()).toBe(await expected.item());
    const even = lossOf(
      tasks.multiClass,
      { labels: given.labels, weights: new Float32Array(7).fill(3) },
      both,
    )[0];
    await expectClose(even, [await loss.item()], { relative: 1e-6 });
  });

  it("of multi-label, with weights and without", async () => {
    const labels = Int32Array.from(logits.data, (_, i) => Number(i % 3 === 0));
    const mean = (rows: number[][]): number => {
      const terms = rows.flatMap((row, i) =>
        row.map((logit, k) => {
          const target = 0.9 * labels[i * classes + k]! + 0.05;
          return (
            weights[i]! * (classWeights[k]! * target * softplus(-logit) + (1 - target) * softplus(logit))
          );
        }),
      );
      return terms.reduce((a, b) => a + b) / (classes * weights.reduce((a, b) => a + b));
    };
    const [loss, gradient] = lossOf(tasks.multiLabel, { labels, weights }, both);
    await expectClose(loss, [mean(given.images)], { relative: 1e-6 });
    await expectClose(gradient, slope(mean), { relative: 1e-5 });
    const [plain] = lossOf(tasks.multiLabel, { labels }, { labelSmoothing: 0 });
    const x = tensor(Float32Array.from(logits.data), [images, classes], { device });
    const targets = tensor(Float32Array.from(labels), [images, classes], { device });
    expect(await plain.item()).toBe(await binaryCrossEntropyWithLogits(x, targets).item());
  });

  it("of parts add up by their masses", async () => {
    for (const task of [tasks.multiClass, tasks.ordinal]) {
      const truth = (from: number, to: number) => ({
        labels: given.labels.subarray(from, to),
        weights: weights.subarray(from, to),
      });
      const part = (from: number, to: number) => {
        const x = tensor(
          Float32Array.from(logits.data.subarray(from * classes, to * classes)),
          [to - from, classes],
          {
            device,
          },
        );
        const options = { labelSmoothing: 0.1, classWeights: tensor(classWeights, [classes], { device }) };
        return task.loss(x, task.targets(truth(from, to), classes, both, device), options).item();
      };
      const [first, second] = [task.mass(truth(0, 3), classes, both), task.mass(truth(3, 7), classes, both)];
      const joined = ((await part(0, 3)) * first + (await part(3, 7)) * second) / (first + second);
      expect(Math.abs(joined / (await part(0, 7)) - 1)).toBeLessThan(1e-6);
    }
  });
});

describe("metrics of several labels an image", () => {
  const ours = metrics.multiLabelMetrics(
    golden.labels.flat(),
    golden.probabilities.flat(),
    golden.classes,
    golden.thresholds,
  );

  it.each([
    "accuracy",
    "subsetAccuracy",
    "auc",
    "aucPerClass",
    "meanAveragePrecision",
    "averagePrecisionPerClass",
    "precision",
    "f1",
    "macroF1",
    "microF1",
    "brier",
    "crossEntropy",
  ] as const)("agree with scikit-learn in %s", (key) => {
    const values = [ours[key]].flat();
    const expected: (number | null)[] = [golden[key]].flat();
    expect(values).toHaveLength(expected.length);
    for (const [i, value] of expected.entries()) {
      if (value === null) expect(values[i]).toBeNaN();
      else expect(Math.abs(values[i]! - value)).toBeLessThan(1e-12);
    }
  });

  it("agree with it in how far off grades are", () => {
    const { matrix, ...expected } = golden.ordinal;
    const agreement = metrics.ordinalAgreement(matrix);
    for (const [key, value] of Object.entries<number>(expected))
      expect(Math.abs(agreement[key as keyof typeof agreement] - value)).toBeLessThan(1e-12);
  });

  it("refuse what is none", () => {
    const names = ["a", "b"];
    expect(() => metrics.multiLabelMetrics([0, 1, 1], [0, 1, 1], names)).toThrow(
      /3 labels and 3 probabilities of 2/,
    );
    expect(() => metrics.multiLabelMetrics([0, 2], [0, 1], names)).toThrow(
      /image 0 has the label 2, where 0 or 1/,
    );
    expect(() => metrics.multiLabelMetrics([0, 1], [0, 1.5], names)).toThrow(/1.5, which is no probability/);
    expect(() => metrics.multiLabelMetrics([], [], names)).toThrow(/at least one image/);
  });
});

/** Noise, with the left half, the right half, both or neither of an image brighter. */
function halves(count: number, seed: number): data.MultiLabelDataset {
  const noise = uniform(seed, [count, side, side], 0, 80);
  const bright = (image: number) => [image & 1, (image >> 1) & 1];
  const images = Uint8Array.from(noise.data, (value, at) => {
    const [left, right] = bright(Math.floor(at / (side * side)));
    return value + ((at % side < side / 2 ? left : right) ? 90 : 40);
  });
  const labels = Array.from({ length: count }, (_, image) => bright(image)).flat();
  return data.fromArrays({
    task: "multi-label",
    images,
    shape: [count, side, side],
    labels,
    classes: ["left", "right"],
  });
}

describe("several labels an image", () => {
  it("are learned, kept with the weights, and told of each image", async () => {
    const model = tinyModel();
    const directory = join(root, "labels");
    const validation = halves(64, 2);
    const { history, best } = await fitModel(model, {
      ...quickly,
      epochs: 4,
      train: halves(128, 1),
      validation,
      directory,
    });
    expect(history).toHaveLength(4);
    expect(best!.validation!.auc).toBeGreaterThan(0.97);

    const test = halves(64, 3);
    const checkpoint = await loadCheckpoint(join(directory, "best.safetensors"));
    expect(checkpoint).toMatchObject({ task: "multi-label", classes: ["left", "right"] });
    expect(checkpoint.thresholds).toHaveLength(2);
    const { thresholds } = checkpoint;
    const evaluation = await evaluate(checkpoint.model, test, { thresholds });
    expect(evaluation.metrics.aucPerClass.every((area) => area > 0.97)).toBe(true);
    expect(evaluation.metrics.subsetAccuracy).toBeGreaterThan(0.8);
    expect(evaluation.metrics.thresholds).toEqual(thresholds);

    const sharp = (await import("sharp")).default;
    const pictures = await Promise.all(
      [0, 1, 2, 3].map(async (image) => {
        const { data: pixels } = await test.sample(image);
        return sharp(pixels as Uint8Array, { raw: { width: side, height: side, channels: 1 } })
          .png()
          .toBuffer();
      }),
    );
    const told = await predictImages(checkpoint, pictures);
    expect(told.map(({ labels }) => labels)).toEqual([[], ["left"], ["right"], ["left", "right"]]);
    expect(told.map(({ label }) => label)).toEqual(["", "left", "right", "left, right"]);
    expect(told[0]!.probability).toBeNaN();
    checkpoint.model.dispose();
  });

  it("stay with their images in subsets and batches", async () => {
    const some = data.subset(halves(8, 1), [3, 0, 2]);
    expect([...some.labels]).toEqual([1, 1, 0, 0, 0, 1]);
    expect(data.countLabels(some)).toEqual([1, 2]);
    const { value: batch } = await new data.Loader(some, { batchSize: 3 }).epoch(0).next();
    expect([...batch!.labels]).toEqual([1, 1, 0, 0, 0, 1]);
  });

  it("are checked where they come in", () => {
    const arrays = {
      task: "multi-label",
      images: new Uint8Array(8),
      shape: [2, 2, 2],
      classes: ["a", "b"],
    } as const;
    expect(() => data.fromArrays({ ...arrays, labels: [0, 1] })).toThrow(
      /2 images but 2 labels for each of 2 classes/,
    );
    expect(() => data.fromArrays({ ...arrays, labels: [0, 1, 2, 0] })).toThrow(
      /holds 2 for image 1; each of the 2/,
    );
  });
});

describe("grades", () => {
  it("are learned, and their task is kept", async () => {
    const brightness = (image: number) => image % 3;
    const graded = (count: number, seed: number) =>
      data.fromArrays({
        task: "ordinal",
        images: Uint8Array.from(
          uniform(seed, [count, side, side], 0, 80).data,
          (value, at) => value + 40 * brightness(Math.floor(at / (side * side))),
        ),
        shape: [count, side, side],
        labels: Array.from({ length: count }, (_, image) => brightness(image)),
        classes: ["mild", "moderate", "severe"],
      });
    const directory = join(root, "grades");
    const model = tinyModel({ numClasses: 3 });
    await fitModel(model, {
      ...quickly,
      epochs: 10,
      train: graded(96, 1),
      validation: graded(48, 2),
      directory,
    });
    const { metrics: scores } = await evaluate(model, graded(48, 3));
    expect((scores as tasks.OrdinalMetrics).quadraticKappa).toBeGreaterThan(0.9);
    expect((await readCheckpoint(join(directory, "best.safetensors"))).task).toBe("ordinal");
  });
});

describe("a task", () => {
  it("is that of the classes where none is named, and files of these two are as they were before there were others", async () => {
    expect(taskOf({ classes: ["a", "b"] }).name).toBe("binary");
    expect(taskOf({ classes: ["a", "b", "c"] }).name).toBe("multi-class");
    expect(() => taskOf({ task: "regression" as "binary", classes: [] })).toThrow(ArgumentError);
  });

  it("decides by its thresholds", () => {
    expect(tasks.binary.decide([0.7, 0.3], [0.25])).toEqual([1]);
    expect(tasks.binary.decide([0.7, 0.3])).toEqual([0]);
    expect(tasks.multiClass.decide([0.2, 0.5, 0.3])).toEqual([1]);
    expect(tasks.multiLabel.decide([0.2, 0.6, 0.4], [0.1, 0.7, 0.4])).toEqual([0, 2]);
    expect(tasks.multiLabel.decide([0.2, 0.4])).toEqual([]);
  });
});
