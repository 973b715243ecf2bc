/**
 * The precisions of the CUDA backend in whole networks, on the emulator: in float32 a training is the CPU's, with fewer
 * digits outputs and losses stay close to it, and nothing that decides a run forgets which precision it was.
 */
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { ArgumentError, DeviceError, TrainingError } from "../../src/errors.js";
import {
  type Device,
  data,
  fit as fitModel,
  loadCheckpoint,
  MedMamba,
  manualSeed,
  noGrad,
  openDevice,
  type Precision,
} from "../../src/index.js";
import { hasEmulatedCuda } from "../support/backends.js";
import { expectClose } from "../support/closeness.js";
import { failure } from "../support/failure.js";
import { adamwLosses, goldenModel, loadGolden } from "../support/golden.js";
import { quickly, sides, tinyModel } from "../support/sides.js";
import { root } from "../support/temporary-folder.js";

describe("a precision that a device lacks", () => {
  it("is refused with the backend's reason", () => {
    for (const action of [
      () => openDevice("cpu", { precision: "tf32" }),
      () => new MedMamba({ device: "cpu", precision: "tf32" }),
      () => tinyModel({ device: "cpu:0", precision: "tf32" }),
    ]) {
      expect(action).toThrow(DeviceError);
      expect(action).toThrow(/^device "cpu(:0)?" cannot be used as asked: the CPU has .*"tf32"/);
    }
  });

  it("contradicts an opened device", () => {
    const device = openDevice("cpu");
    expect(() => new MedMamba({ device, precision: "bf16" })).toThrow(ArgumentError);
    expect(() => new MedMamba({ device, precision: "bf16" })).toThrow(
      /opened as cpu with precision "float32", not "bf16"/,
    );
    device.close();
  });

  it("contradicts the model that fit is given", async () => {
    const message = await failure(
      ArgumentError,
      fitModel(tinyModel(), { train: sides(8, 1), precision: "bf16" }),
    );
    expect(message).toMatch(/precision "bf16" was asked for, but the model is on cpu with "float32"/);
  });
});

describe.skipIf(!hasEmulatedCuda())("a training on the emulated CUDA backend", () => {
  let train: data.Dataset;
  let validation: data.Dataset;
  beforeAll(async () => {
    const place = join(root, "demo");
    await data.writeDemoDataset(place, { size: 32, perClass: { train: 16, val: 4, test: 1 } });
    const preprocessing = { imageSize: 32, channels: 1 } as const;
    ({ train, val: validation } = await data.openDataset(place, { preprocessing }));
  });

  /** Three epochs with everything random on: order, augmentation, DropPath. */
  async function losses(device: Device): Promise<number[]> {
    manualSeed(4);
    const model = new MedMamba({
      depths: [1, 1, 1],
      dims: [16, 32, 64],
      inChannels: 1,
      numClasses: train.classes.length,
      dropPathRate: 0.2,
      device,
    });
    const settings = { epochs: 3, batchSize: 8, seed: 3, lr: 1e-3 };
    const { history } = await fitModel(model, { ...settings, train, validation });
    model.dispose();
    return history.flatMap((record) => [record.trainLoss, record.validation!.loss]);
  }

  it("has the losses of the CPU in float32, to 1e-4 after three epochs of the demo data", async () => {
    const [cpu, gpu] = [openDevice("cpu", { threads: 2 }), openDevice("cuda-emulated")];
    const [expected, found] = [await losses(cpu), await losses(gpu)];
    expect(expected).toHaveLength(6);
    expect(expected[4]).toBeLessThan(expected[0]!);
    for (const [i, loss] of found.entries()) expect(Math.abs(loss - expected[i]!)).toBeLessThan(1e-4);
    for (const device of [cpu, gpu]) device.close();
  });

  it("keeps its precision: in its checkpoints, and when it is resumed", async () => {
    const directory = join(root, "run");
    const options = { ...quickly, epochs: 1, train: sides(32, 1), validation: sides(16, 2), directory };
    const open = (precision: Precision) => openDevice("cuda-emulated", { precision });
    const [tf32, float32] = [open("tf32"), open("float32")];
    await fitModel(tinyModel({ device: tf32 }), options);
    const { provenance } = await loadCheckpoint(join(directory, "best.safetensors"));
    expect(provenance).toMatchObject({ settings: { precision: "tf32" } });
    const message = await failure(
      TrainingError,
      fitModel(tinyModel({ device: float32 }), { ...options, resume: true }),
    );
    expect(message).toContain('precision "tf32", now "float32"');
    const { history } = await fitModel(tinyModel({ device: tf32 }), { ...options, resume: true });
    expect(history).toHaveLength(1);
    for (const device of [tf32, float32]) device.close();
  });
});

// In bf16: test/models/golden.test.ts.
describe.skipIf(!hasEmulatedCuda())("golden results in tf32", () => {
  it.each(["model_64", "model_odd"])("%s: logits, and ten steps of AdamW, to 2e-2", async (name) => {
    const device = openDevice("cuda-emulated", { precision: "tf32" });
    const golden = await loadGolden(name, device);
    const network = goldenModel(golden, device);
    const names = Object.keys(network.stateDict());
    network.loadStateDict(Object.fromEntries(names.map((key) => [key, golden.get(key)])));
    const logits = await noGrad(() => network.eval().forward(golden.get("images"))).data();
    await expectClose(logits, golden.get("out.logits"), { relative: 2e-2 }, "logits");
    const expected = await golden.get("out.adamw_losses").data();
    const losses = await adamwLosses(golden, network, expected.length);
    expect(losses).toHaveLength(10);
    await expectClose(losses, expected, { relative: 2e-2 }, "losses");
    device.close();
  });
});
