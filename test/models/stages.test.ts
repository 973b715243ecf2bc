/** The network cut in two at any stage: features, and logits from there, are forward, with the same bits. */
import { describe, expect, it } from "vitest";
import {
  ArgumentError,
  crossEntropy,
  MedMamba,
  manualSeed,
  ShapeError,
  tensor,
  zeros,
} from "../../src/index.js";
import { backends } from "../support/backends.js";
import { uniform } from "../support/values.js";

const options = { depths: [1, 2, 1], dims: [8, 16, 32], inChannels: 1, numClasses: 3, patchSize: 2 };
const images = uniform(4, [2, 1, 18, 14]);

describe.each(backends())("stages on %s", (_, device) => {
  it.each([0, 1, 2])("from stage %i on", async (stage) => {
    manualSeed(3);
    const model = new MedMamba({ ...options, device }).eval();
    const x = tensor(Float32Array.from(images.data), images.shape, { device });
    const features = model.features(x, { stage });
    expect(features.shape).toEqual([2, [9, 4, 2][stage], [7, 3, 1][stage], options.dims[stage]]);
    const logits = model.logits(features, { from: stage });
    expect(await logits.data()).toEqual(await model.forward(x).data());
    expect(features.disposed).toBe(false);
    model.dispose();
  });

  it("give the gradient of a class with respect to a stage's features", async () => {
    manualSeed(3);
    const model = new MedMamba({ ...options, device, dropPathRate: 0 });
    const x = tensor(Float32Array.from(images.data), images.shape, { device });
    const labels = tensor(BigInt64Array.of(0n, 2n), [2], { device });
    // The same parameters' gradients, whether the network is cut or not.
    const whole = crossEntropy(model.forward(x), labels);
    whole.backward();
    const last = [...model.parameters()].at(-1)!;
    const expected = await last.grad!.data();
    last.grad!.dispose();
    last.grad = null;
    const features = model.features(x, { stage: 1 }).detach();
    features.requiresGrad = true;
    crossEntropy(model.logits(features, { from: 1 }), labels).backward();
    expect(features.grad!.shape).toEqual(features.shape);
    expect((await features.grad!.data()).some((value) => value !== 0)).toBe(true);
    expect(await last.grad!.data()).toEqual(expected);
    model.dispose();
  });
});

describe("a stage that there is not", () => {
  const model = new MedMamba(options);

  it("is refused", () => {
    expect(() => model.features(zeros([1, 1, 16, 16]), { stage: 3 })).toThrow(
      "features: there is no stage 3; they are 0 to 2.",
    );
    expect(() => model.logits(zeros([1, 2, 2, 32]), { from: -1 })).toThrow(ArgumentError);
    expect(() => model.logits(zeros([1, 2, 2, 16]))).toThrow(
      "logits: features are (1, 2, 2, 16), but (batch, height, width, 32) is needed after stage 2.",
    );
    expect(() => model.features(zeros([1, 3, 16, 16]), { stage: 0 })).toThrow(ShapeError);
  });

  it("recompute reads back, also by the name that it had", () => {
    expect(model.recompute).toBe(false);
    model.checkpointing = true;
    expect([model.recompute, model.checkpointing]).toEqual([true, true]);
    model.recompute = false;
    expect(model.checkpointing).toBe(false);
  });
});
