/**
 * Memory that runs out while a batch is computed: the error says how much was asked for, how much there is and which
 * batch size to try; nothing stays behind, and the next attempt with that size works. The limit is the emulator's; a CPU
 * has one too, for what no machine holds.
 */
import { afterEach, describe, expect, it } from "vitest";
import { paces } from "../../src/benchmark/measure.js";
import { modelBenchmarks } from "../../src/benchmark/networks.js";
import { runBenchmark } from "../../src/benchmark/suite.js";
import { OutOfMemoryError } from "../../src/errors.js";
import {
  type Device,
  data,
  evaluate,
  fit as fitModel,
  MedMamba,
  openDevice,
  predictImages,
  zeros,
} from "../../src/index.js";
import { hasEmulatedCuda } from "../support/backends.js";
import { quickly, sides, tinyModel, tinyOptions } from "../support/sides.js";

const open: Device[] = [];
function limited(mebibytes: number): Device {
  process.env.MEDMAMBA_EMULATOR_MEMORY = String(mebibytes);
  const device = openDevice("cuda-emulated");
  open.push(device);
  return device;
}
afterEach(() => {
  for (const device of open.splice(0)) device.close();
  delete process.env.MEDMAMBA_EMULATOR_MEMORY;
});

async function shortage(promise: Promise<unknown>): Promise<OutOfMemoryError> {
  const error = await promise.then(
    () => new Error("there was memory enough"),
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(OutOfMemoryError);
  return error as OutOfMemoryError;
}

/** Tries again with the size that the error suggests, until it fits; as a user would. */
async function untilItFits<T>(batchSize: number, attempt: (batchSize: number) => Promise<T>): Promise<T> {
  for (let size = batchSize; ; ) {
    try {
      return await attempt(size);
    } catch (error) {
      if (!(error instanceof OutOfMemoryError) || !error.suggestedBatchSize) throw error;
      expect(error.batchSize).toBe(size);
      expect(error.suggestedBatchSize).toBeLessThan(size);
      expect(error.message).toContain(`try a batch size of ${error.suggestedBatchSize}`);
      size = error.suggestedBatchSize;
    }
  }
}

describe.skipIf(!hasEmulatedCuda())("a device of little memory", () => {
  it("trains with the batch size that the error suggests", async () => {
    const device = limited(12);
    const attempt = async (batchSize: number) => {
      const model = tinyModel({ device });
      const { tensors, bytes } = device.memory();
      try {
        return await fitModel(model, { ...quickly, epochs: 1, train: sides(64, 1), batchSize });
      } finally {
        expect(device.memory()).toMatchObject({ tensors, bytes });
        model.dispose();
      }
    };
    const error = await shortage(attempt(64));
    expect(error.message).toMatch(/^allocate: \d+ bytes .* the device has \d+\.\d MiB of 12\.0 MiB free/);
    expect(error.message).toMatch(
      /\n {2}A batch of 64 images does not fit on cuda-emulated:0: try a batch size of \d+, or recompute \(--recompute\)\.$/,
    );
    expect(error.code).toBe("MEDMAMBA_OUT_OF_MEMORY");
    expect(error.requestedBytes).toBeGreaterThan(0);
    expect(error.freeBytes).toBeLessThan(12 * 2 ** 20);
    const { history } = await untilItFits(64, attempt);
    expect(history[0]?.trainLoss).toBeGreaterThan(0);
  });

  it("evaluates and predicts with the batch size that the error suggests", async () => {
    const device = limited(8);
    const model = tinyModel({ device });
    const { tensors, bytes } = device.memory();
    const error = await shortage(evaluate(model, sides(128, 1), { batchSize: 128 }));
    expect(error.message).toMatch(/A batch of 128 images .* try a batch size of \d+\.$/);
    expect(device.memory()).toMatchObject({ tensors, bytes });
    const { metrics } = await untilItFits(128, (batchSize) => evaluate(model, sides(128, 1), { batchSize }));
    expect(metrics.samples).toBe(128);
    const images = Array.from({ length: 3 }, () => tinyPng());
    const preprocessing = data.definePreprocessing({ imageSize: 32, channels: 1 });
    const classifier = { model, classes: ["left", "right"], preprocessing };
    expect(await predictImages(classifier, await Promise.all(images))).toHaveLength(3);
  });

  it("says so when not even one image fits", async () => {
    const device = limited(16);
    const model = tinyModel({ device });
    await evaluate(model, sides(1, 1)); // what it needs once is there now
    const { bytes, reservedBytes } = device.memory();
    const free = device.describe().freeBytes! + reservedBytes - bytes; // The cache is given back before memory runs out.
    const rest = zeros([Math.floor(free / 4) - 2 ** 14], { device });
    const error = await shortage(evaluate(model, sides(4, 1), { batchSize: 1 }));
    expect(error.message).toContain("Not even one image fits");
    expect(error).toMatchObject({ batchSize: 1, suggestedBatchSize: undefined });
    rest.dispose();
    // Its memory is cached, where an operation cannot take it, until it has been told that there is none.
    const again = () => evaluate(model, sides(4, 1), { batchSize: 1 });
    expect((await again().catch(again)).metrics.samples).toBe(4);
  });

  it("is told of by a benchmark", async () => {
    const device = limited(4);
    const [inference] = modelBenchmarks("tiny", new MedMamba(tinyOptions).config, 32, 128);
    const limits = { gigaflops: 1, gigabytesPerSecond: 1, gigaexponentials: 1 } as never;
    const error = await shortage(runBenchmark(inference!, device, "float32", limits, paces.quick));
    expect(error.batchSize).toBe(128);
  });
});

describe("the CPU", () => {
  it("names what was asked for, and goes on", async () => {
    // 2^20 channels for each of 2^20 pixels: no machine has memory for that, and nothing of it is computed.
    const side = 2 ** 10;
    const images = data.fromArrays({
      images: new Uint8Array(2 * side * side),
      shape: [2, side, side],
      labels: [0, 1],
      classes: ["a", "b"],
    });
    const model = new MedMamba({ depths: [0], dims: [2 ** 20], patchSize: 1, inChannels: 1, numClasses: 2 });
    const error = await shortage(evaluate(model, images, { batchSize: 2 }));
    expect(error.requestedBytes).toBe(2 * side * side * 2 ** 20 * 4);
    expect(error.freeBytes).toBeGreaterThan(0);
    expect(error.batchSize).toBe(2);
    expect(error.message).toContain("on cpu");
    model.dispose();
    const small = tinyModel();
    expect((await evaluate(small, sides(4, 1))).metrics.samples).toBe(4);
    small.dispose();
  });
});

async function tinyPng(): Promise<Uint8Array> {
  const { default: sharp } = await import("sharp");
  const raw = { width: 32, height: 32, channels: 1 } as const;
  return sharp(new Uint8Array(32 * 32), { raw })
    .png()
    .toBuffer();
}
