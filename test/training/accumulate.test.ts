/** `accumulate`: a step whose batch goes through in parts is the same step, where images do not depend on each other. */
import { describe, expect, it } from "vitest";
import {
  type Device,
  type FitOptions,
  fit as fitModel,
  MedMamba,
  type MedMambaOptions,
  manualSeed,
  openDevice,
} from "../../src/index.js";
import { trainingSettings } from "../../src/training/settings.js";
import { backends } from "../support/backends.js";
import { quickly, sides } from "../support/sides.js";

/** BatchNorm by its running statistics, in training too: the images of a batch know nothing of each other. */
class FrozenNorms extends MedMamba {
  override train(mode = true): this {
    super.train(false);
    this.training = mode;
    return this;
  }
}

const architecture: MedMambaOptions = {
  depths: [1, 1],
  dims: [8, 16],
  inChannels: 1,
  numClasses: 2,
  dropPathRate: 0,
};

async function weightsAfter(
  device: Device,
  options: Partial<FitOptions>,
): Promise<Map<string, Float32Array>> {
  manualSeed(5);
  const model = new FrozenNorms({ ...architecture, device });
  await fitModel(model, {
    ...quickly,
    train: sides(5, 1),
    epochs: 1,
    averageDecay: 0,
    labelSmoothing: 0.1,
    ...options,
  });
  const weights = new Map<string, Float32Array>();
  for (const [name, weight] of Object.entries(model.stateDict())) weights.set(name, await weight.data());
  model.dispose();
  return weights;
}

/** The largest difference of two sets of weights, relative to the weights' norm. */
function difference(a: Map<string, Float32Array>, b: Map<string, Float32Array>): number {
  let [error, size] = [0, 0];
  for (const [name, values] of a) {
    if (!(values instanceof Float32Array)) continue; // BatchNorm's counters
    for (const [i, value] of values.entries()) {
      error += (value - b.get(name)![i]!) ** 2;
      size += value ** 2;
    }
  }
  return Math.sqrt(error / size);
}

describe.each(backends())("accumulate on %s", (_, device) => {
  // SGD's step is linear in the gradient, AdamW's first one nearly its sign: clipping shows a wrong scale, AdamW a wrong sign.
  const settings = { batchSize: 5, maxGradNorm: 0.01 };

  it.each([
    ["equal parts", { classWeights: "none" }, 5],
    ["unequal parts", { classWeights: "none" }, 3],
    ["unequal parts of classes of unequal weight", { classWeights: [0.2, 3] }, 4],
    ["more parts than images", { classWeights: "none" }, 40],
  ] as const)("takes the same steps in %s", async (_, own, accumulate) => {
    const whole = await weightsAfter(device, { ...settings, ...own });
    const parts = await weightsAfter(device, { ...settings, ...own, accumulate });
    const untrained = await weightsAfter(device, { ...settings, ...own, lr: 1e-12, weightDecay: 0 });
    expect(difference(whole, parts)).toBeLessThan(2e-5);
    expect(difference(whole, untrained)).toBeGreaterThan(1e-3);
  });

  it("takes the same steps as graphs, to the bit", async () => {
    const options = { ...settings, classWeights: [0.2, 3], accumulate: 4, epochs: 3 };
    const called = await weightsAfter(device, options);
    const launched = await weightsAfter(device, { ...options, graphs: true });
    for (const [name, values] of called) expect(launched.get(name)).toEqual(values);
  });
});

describe("accumulate", () => {
  it("is one setting like any other", () => {
    expect(trainingSettings().accumulate).toBe(1);
    expect(() => trainingSettings({ accumulate: 0 })).toThrow(/accumulate 0 must be a positive integer/);
  });

  it("needs less memory than the batch at once", async () => {
    const peak = async (accumulate: number) => {
      const device = openDevice("cpu");
      const model = new MedMamba({ ...architecture, device });
      await fitModel(model, { ...quickly, train: sides(64, 1), epochs: 1, batchSize: 64, accumulate });
      const { peakBytes } = device.memory();
      model.dispose();
      device.close();
      return peakBytes;
    };
    expect(await peak(8)).toBeLessThan(0.4 * (await peak(1)));
  });
});
