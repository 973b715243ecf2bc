/** Running a model over a data set. What the metrics mean is in metrics.test.ts. */
import { describe, expect, it } from "vitest";
import { EvaluationError } from "../../src/errors.js";
import { data, evaluate, metrics, noGrad, openDevice, softmax, tensor, tidy } from "../../src/index.js";
import { expectClose } from "../support/closeness.js";
import { failure } from "../support/failure.js";
import { side, sides, tinyModel } from "../support/sides.js";

const dataset = sides(50, 6);
const model = tinyModel();

describe("evaluate", () => {
  it("gives every image its probabilities, in the data set's order, whatever the batch size", async () => {
    const { probabilities, labels, metrics: measured } = await evaluate(model, dataset);
    expect(probabilities).toHaveLength(100);
    expect(labels).toEqual(dataset.labels);
    await expectClose((await evaluate(model, dataset, { batchSize: 7 })).probabilities, probabilities, {
      absolute: 1e-6,
    });
    const { data: bytes } = await dataset.sample(49);
    const image = Float32Array.from(bytes, (value) => (value / 255 - 0.5) / 0.5);
    const one = noGrad(() => tidy(() => softmax(model.eval().forward(tensor(image, [1, 1, side, side])))));
    await expectClose(one, probabilities.subarray(98), { absolute: 1e-6 });
    expect(measured).toEqual(metrics.classificationMetrics(labels, probabilities, dataset.classes));
  });

  it("leaves the model in the mode it was in, and unchanged", async () => {
    const norm = model.stateDict()["layers.0.blocks.0.conv33conv33conv11.0.running_mean"]!;
    const before = await norm.data();
    for (const mode of [true, false]) {
      model.train(mode);
      await evaluate(model, dataset);
      expect(model.training).toBe(mode);
    }
    expect(await norm.data()).toEqual(before);
  });

  it("counts the images that are done, and stops when told", async () => {
    const progress: [number, number][] = [];
    await evaluate(model, dataset, {
      batchSize: 20,
      onProgress: ({ done, total }) => progress.push([done, total]),
    });
    expect(progress).toEqual([
      [20, 50],
      [40, 50],
      [50, 50],
    ]);
    const controller = new AbortController();
    model.train();
    const stopped = evaluate(model, dataset, {
      batchSize: 10,
      signal: controller.signal,
      onProgress: () => controller.abort(),
    });
    await expect(stopped).rejects.toThrow(/abort/);
    expect(model.training).toBe(true);
  });

  it("leaves no tensor behind", async () => {
    // On a device of its own: what other tests have left is collected when it pleases.
    const device = openDevice("cpu");
    const own = tinyModel({ device });
    const { tensors, bytes } = device.memory();
    await evaluate(own, dataset, { batchSize: 16 });
    expect(device.memory()).toMatchObject({ tensors, bytes });
    device.close();
  });

  it("refuses a data set of other classes", async () => {
    const three = data.fromArrays({
      images: new Uint8Array(3 * side * side),
      shape: [3, side, side],
      labels: [0, 1, 2],
    });
    expect(await failure(EvaluationError, evaluate(model, three))).toBe(
      "evaluate: the model has 2 classes, the data set 3 (0, 1, 2): open it with the model's classes.",
    );
  });
});
