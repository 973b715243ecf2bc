/**
 * What goes wrong on the way from images to weights: it is said in one sentence, at once or with the first batch that
 * meets it, and neither the model files of before nor the device suffer. What data sets refuse when they are opened is
 * in data.test.ts and npz.test.ts.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import sharp from "sharp";
import { describe, expect, it } from "vitest";
import { EvaluationError, OperationError, ShapeError, TrainingError } from "../../src/errors.js";
import {
  data,
  evaluate,
  type FitOptions,
  fit as fitModel,
  loadCheckpoint,
  MedMamba,
  openDevice,
} from "../../src/index.js";
import { hasEmulatedCuda } from "../support/backends.js";
import { failure } from "../support/failure.js";
import {
  quickly,
  side,
  sideClasses,
  sideLabels,
  sidePixels,
  sides,
  tinyModel,
  tinyOptions,
} from "../support/sides.js";
import { message, root, write } from "../support/temporary-folder.js";

const train = sides(64, 1);
const validation = sides(32, 2);

const learn = (options: Partial<FitOptions> = {}, model = tinyModel()) =>
  fitModel(model, { ...quickly, train, validation, ...options });

/** Images as floats in 0..1, one of the values replaced once they are a data set: the array stays the caller's. */
function floatsWith(value: number, at: number): data.Dataset {
  const images = Float32Array.from(sidePixels(64, 1), (byte) => byte / 255);
  const set = { images, shape: [64, side, side], labels: sideLabels(64), classes: sideClasses };
  const dataset = data.fromArrays(set);
  images[at] = value;
  return dataset;
}

describe("pixels that are no intensities", () => {
  const at = 37 * side * side + 5;

  it.each([Number.NaN, Number.POSITIVE_INFINITY, -0.25, 187])(
    "%d: named, before it meets a weight",
    async (value) => {
      const sentence = `images[37] holds the value ${value}; floats must lie in 0..1.`;
      const model = tinyModel();
      expect(await message(learn({ train: floatsWith(value, at) }, model))).toBe(sentence);
      expect(await message(learn({ validation: floatsWith(value, at) }))).toBe(sentence);
      expect(await message(evaluate(model, floatsWith(value, at)))).toBe(sentence);
      for (const [name, weight] of Object.entries(model.stateDict()))
        expect(
          (await weight.data()).every((element) => Number.isFinite(Number(element))),
          name,
        ).toBe(true);
    },
  );
});

describe("a folder as hospitals have them", () => {
  async function picture(name: string, leftIsBright: boolean, kind: number): Promise<string> {
    const [width, height] = [20 + 7 * (kind % 5), 30 + 3 * (kind % 4)];
    const deep = kind % 3 === 1;
    const channels = kind % 3 === 2 ? 3 : 1;
    const full = deep ? 65535 : 255;
    const values = Array.from({ length: width * height * channels }, (_, i) => {
      const inLeftHalf = Math.floor(i / channels) % width < width / 2;
      return full * (inLeftHalf === leftIsBright ? 0.7 : 0.3);
    });
    const pixels = deep ? Uint16Array.from(values) : Uint8Array.from(values);
    const image = sharp(pixels, { raw: { width, height, channels } }).toColourspace(
      deep ? "grey16" : channels === 3 ? "srgb" : "b-w",
    );
    return write(name, await image.png({ compressionLevel: 0 }).toBuffer());
  }

  it("of every size and depth, a few broken, still teaches", async () => {
    const count = 120;
    for (let i = 0; i < count; i += 1) {
      await picture(`hospital/left/${i}.png`, true, i);
      await picture(`hospital/right/${i}.png`, false, i);
    }
    const whole = await readFile(join(root, "hospital/left/0.png"));
    await write("hospital/left/0.png", whole.subarray(0, whole.length / 2));
    await write("hospital/right/7.png", "not an image");
    const warnings: string[] = [];
    const opened = await data.openDataset(join(root, "hospital"), {
      preprocessing: { imageSize: side, channels: 1 },
      onWarning: (text) => warnings.push(text.replaceAll(root, "")),
    });
    const own = warnings.filter((text) => !text.includes("identical")); // Few pixels, and only so many values.
    expect(own.sort()).toEqual([
      "/hospital/left/0.png could not be read: the image is damaged or cut off; it is left out.",
      "/hospital/right/7.png could not be read: it is not an image of a known format; it is left out.",
      "/hospital: 2 of 240 images are unreadable and left out.",
    ]);
    const { best } = await learn({ train: opened.train, validation: opened.val });
    expect(best!.validation!.auc).toBeGreaterThan(0.95);
  });

  it("that changes during the training is an error that names the image, and ends it", async () => {
    const files = [];
    for (let i = 0; i < 8; i += 1) files.push(await picture(`changing/${i % 2}/${i}.png`, i % 2 === 0, 0));
    const opened = await data.openDataset(join(root, "changing"), {
      preprocessing: { imageSize: side, channels: 1 },
      validationFraction: 0,
      testFraction: 0,
      cacheBytes: 0,
    });
    await write("changing/1/5.png", "");
    expect(await message(learn({ train: opened.train, batchSize: 4 }))).toBe(
      "/changing/1/5.png could not be read: the file is empty.",
    );
  });
});

describe("labels", () => {
  it("out of range in an array are refused at once", () => {
    const images = sidePixels(2, 1);
    const arrays = { images, shape: [2, side, side], classes: sideClasses };
    expect(() => data.fromArrays({ ...arrays, labels: [0, 2] })).toThrow(
      "fromArrays: labels holds 2 for image 1; there are 2 classes, so labels run from 0 to 1.",
    );
    expect(() => data.fromArrays({ ...arrays, labels: [0, 0.5] })).toThrow(/labels must be integers/);
  });

  it("out of range in a data set of the caller's own are refused by the loss, and the device goes on", async () => {
    const device = openDevice("cpu", { threads: 2 });
    const labels = Int32Array.from(train.labels, (label, i) => (i === 20 ? 7 : label));
    expect(
      await failure(OperationError, learn({ train: { ...train, labels } }, tinyModel({ device }))),
    ).toMatch(/^cross_entropy_forward: .*label 7 of row \d+ is not in 0\.\.1/);
    const { best } = await learn({}, tinyModel({ device }));
    expect(best!.validation!.accuracy).toBeGreaterThan(0.9);
    device.close();
  });

  it("of one class only are too few for a model of two, and train nothing that is not a number", async () => {
    const alone = data.fromArrays({
      images: sidePixels(8, 1),
      shape: [8, side, side],
      labels: Array(8).fill(0),
    });
    expect(await failure(TrainingError, learn({ train: alone }))).toBe(
      "fit: the model has 2 classes, the data set 1: make it with as many, by numClasses.",
    );
    const left = data.subset(train, [0, 2, 4, 6, 8, 10, 12, 14]);
    const { history } = await learn({ train: left, validation: left, batchSize: 4, monitor: "auc" });
    expect(history.map((record) => record.validation!.auc)).toEqual([Number.NaN, Number.NaN]);
    expect(history.every((record) => Number.isFinite(record.trainLoss))).toBe(true);
  });
});

describe("images that do not fit the model", () => {
  it("are named with both shapes", async () => {
    const colour = data.fromArrays({
      images: new Uint8Array(4 * side * side * 3),
      shape: [4, side, side, 3],
      labels: sideLabels(4),
    });
    expect(await failure(ShapeError, learn({ train: colour }))).toBe(
      "MedMamba: images are (4, 3, 32, 32), but (batch, 1, height, width) is needed.",
    );
    const small = data.fromArrays({
      images: new Uint8Array(4 * 64),
      shape: [4, 8, 8],
      labels: sideLabels(4),
    });
    expect(await failure(ShapeError, learn({ train: small }))).toBe(
      "MedMamba: images of 8 x 8 are too small; this model needs 32 x 32.",
    );
  });

  it("or none at all", async () => {
    expect(await message(learn({ train: data.subset(train, []) }))).toBe(
      "Loader: the data set has no images.",
    );
  });
});

describe("a learning rate at which the loss diverges", () => {
  it("is an error that says so, and earlier checkpoints survive", async () => {
    const directory = join(root, "diverging");
    await learn({ directory });
    const files = ["best", "last"].map((name) => join(directory, `${name}.safetensors`));
    const before = await Promise.all(files.map((file) => readFile(file)));
    const wild = { directory, lr: 1e4, warmupEpochs: 0 };
    expect(await failure(TrainingError, learn(wild))).toMatch(
      /^the loss became (NaN|Infinity) in epoch 1, step \d+: try a lower learning rate than 10000\./,
    );
    // One step an epoch: its loss is that of the first weights, and only validation sees what it made of them.
    const train = sides(16, 3);
    expect(await failure(TrainingError, learn({ ...wild, lr: 1e8, train, batchSize: 16 }))).toBe(
      "validation after epoch 1: the model's output for images[0] is not finite: its weights are damaged or its input is.",
    );
    for (const [i, file] of files.entries()) {
      expect((await readFile(file)).equals(before[i]!)).toBe(true);
      await loadCheckpoint(file);
    }
  });

  it("is noticed before weights that are no numbers are saved within an epoch", async () => {
    const directory = join(root, "diverging-within");
    await learn({ directory });
    const last = join(directory, "last.safetensors");
    const before = await readFile(last);
    // The loss of the first step is that of the initial weights, and is fine; its update is what is not.
    const wild = { directory, lr: 1e300, warmupEpochs: 0, saveEvery: 1 };
    expect(await failure(TrainingError, learn(wild))).toBe(
      "a weight is not finite after step 1: try a lower learning rate than 1e+300. The checkpoints written before are unharmed.",
    );
    expect((await readFile(last)).equals(before)).toBe(true);
  });

  it.skipIf(!hasEmulatedCuda())("is noticed on a GPU in bfloat16, too", async () => {
    const device = openDevice("cuda-emulated", { precision: "bf16" });
    const wild = { lr: 1e4, warmupEpochs: 0, train: sides(16, 1), batchSize: 4 };
    expect(await failure(TrainingError, learn(wild, tinyModel({ device })))).toMatch(
      /^the loss became (NaN|Infinity) in epoch 1, step \d+: try a lower learning rate than 10000\./,
    );
    device.close();
  });

  it("leaves nothing behind on the device", async () => {
    const device = openDevice("cpu", { threads: 2 });
    const model = tinyModel({ device });
    const { tensors, bytes } = device.memory();
    await failure(TrainingError, learn({ lr: 1e4, warmupEpochs: 0 }, model));
    await failure(TrainingError, learn({ train: floatsWith(0.5, 0), lr: 1e4, warmupEpochs: 0 }, model));
    await device.synchronize();
    expect(device.memory()).toMatchObject({ tensors, bytes });
    device.close();
  });
});

describe("weights that are damaged", () => {
  it("are noticed by what they predict", async () => {
    const model = new MedMamba(tinyOptions);
    model.stateDict()["head.bias"]!.upload(Float32Array.of(Number.NaN, 0));
    expect(await failure(EvaluationError, evaluate(model, validation))).toBe(
      "the model's output for images[0] is not finite: its weights are damaged or its input is.",
    );
  });
});
