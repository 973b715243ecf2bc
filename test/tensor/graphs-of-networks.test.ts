/**
 * Predicting and training by graphs gives the bits that it gives without, whatever shapes come in turn and however weights
 * move. On the emulator and on the CPU.
 */
import { describe, expect, it } from "vitest";
import { ArgumentError } from "../../src/errors.js";
import {
  type Device,
  data,
  type FitOptions,
  fit as fitModel,
  MedMamba,
  manualSeed,
  noGrad,
  predictDataset,
  type Tensor,
  tensor,
} from "../../src/index.js";
import { expectSameBits } from "../support/closeness.js";
import { device, kinds, problem, sharedDevice } from "../support/graph-devices.js";

const side = 8;

function model(on: Device, seed = 3): MedMamba {
  manualSeed(seed);
  const small = { depths: [1, 1], dims: [4, 8], dState: 4, inChannels: 1, numClasses: 3, dropPathRate: 0.4 };
  return new MedMamba({ ...small, device: on }).eval();
}

const pixels = (count: number, seed: number): Float32Array =>
  Float32Array.from({ length: count * side * side }, (_, i) => Math.sin(i * 0.7 + seed));
const images = (count: number, seed: number, on: Device): Tensor =>
  tensor(pixels(count, seed), [count, 1, side, side], { device: on });

describe.each(kinds)("predictions by graphs on %s", (kind) => {
  it("have the bits of predictions without, over shapes in turn and weights that move", async () => {
    const on = sharedDevice(kind);
    const net = model(on);
    for (let round = 0; round < 4; round += 1) {
      for (const count of [1, 3]) {
        const x = images(count, round, on);
        await expectSameBits(
          net.predict(x, { graphs: true }),
          await net.predict(x, { graphs: false }).data(),
        );
      }
      for (const parameter of net.parameters()) noGrad(() => parameter.copyFrom(parameter.mul(1.02)));
    }
    const other = model(on, 4);
    net.loadStateDict(other.stateDict());
    const x = images(3, 9, on);
    await expectSameBits(net.predict(x, { graphs: true }), await other.predict(x, { graphs: false }).data());
    net.dispose();
    other.dispose();
  });

  it("are captured where the device has graphs, and released in training and with the model", async () => {
    const on = device(kind);
    const start = on.memory().bytes;
    const net = model(on);
    const weights = on.memory().bytes;
    const x = images(2, 1, on);
    const mine = on.memory().bytes;
    const predict = () => net.predict(x).dispose();
    predict();
    expect(on.memory().bytes).toBe(mine);
    predict();
    // The copy of the input and the result are the graph's.
    const held = on.memory().bytes - mine;
    expect(held).toBe(kind === "cpu" ? 0 : x.size * 4 + 2 * 3 * 4);
    net.train();
    expect(on.memory().bytes).toBe(mine);
    expect(problem(() => net.predict(x))).toBeInstanceOf(ArgumentError);
    net.eval();
    predict();
    predict();
    x.dispose();
    expect(weights - start).toBeGreaterThan(0);
    net.dispose();
    expect(on.memory().bytes).toBe(start);
    await on.synchronize();
  });

  it("give a data set's probabilities, also to two at once", async () => {
    const on = sharedDevice(kind);
    const net = model(on);
    const dataset = set(11, 1);
    const expected = await predictDataset(net, dataset, { batchSize: 2, graphs: false });
    const both = [1, 2].map(() => predictDataset(net, dataset, { batchSize: 2, graphs: true }));
    for (const probabilities of await Promise.all(both)) await expectSameBits(probabilities, expected);
    net.dispose();
  });
});

function set(count: number, seed: number): data.Dataset {
  return data.fromArrays({
    images: Uint8Array.from(pixels(count, seed), (value) => 128 + 100 * value),
    shape: [count, side, side],
    labels: Array.from({ length: count }, (_, i) => i % 3),
    classes: ["a", "b", "c"],
  });
}

describe.each(kinds)("training by graphs on %s", (kind) => {
  it("ends with the bits of training without: DropPath, warm-up, clipping, averages, validation", async () => {
    const on = sharedDevice(kind);
    const run = async (options: Partial<FitOptions>) => {
      const net = model(on).train();
      const losses: number[] = [];
      const { history } = await fitModel(net, {
        train: set(14, 1),
        validation: set(5, 2),
        epochs: 2,
        batchSize: 4,
        warmupEpochs: 1,
        maxGradNorm: 0.5,
        monitor: "loss",
        seed: 7,
        onProgress: (progress) => {
          if (progress.type === "step") losses.push(progress.loss);
        },
        ...options,
      });
      const state = await Promise.all(Object.values(net.stateDict()).map((value) => value.data()));
      net.dispose();
      return { losses, scores: history.map(({ trainLoss, validation }) => [trainLoss, validation]), state };
    };
    const expected = await run({ graphs: false });
    expect(expected.losses).toHaveLength(6);
    expect(await run({ graphs: true })).toEqual(expected);
    if (kind === "cpu") expect(await run({ graphs: true, checkpointing: true })).toEqual(expected);
  });
});
