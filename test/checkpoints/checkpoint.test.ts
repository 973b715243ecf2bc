/** Checkpoints: what comes back, what is refused and in which words, and what survives a failed save. */
import { copyFile, mkdir, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { WeightsError } from "../../src/errors.js";
import {
  data,
  evaluate,
  fit as fitModel,
  loadCheckpoint,
  loadWeights,
  type MedMamba,
  metrics,
  noGrad,
  openDevice,
  randn,
  readCheckpoint,
  safetensors,
  saveCheckpoint,
  tensor,
  tidy,
} from "../../src/index.js";
import { expectSameBits } from "../support/closeness.js";
import { failure } from "../support/failure.js";
import { fixture } from "../support/repository.js";
import { quickly, side, sideClasses, sides, tinyModel } from "../support/sides.js";
import { root, write } from "../support/temporary-folder.js";
import { trainInProcess } from "../support/train-process.js";

const preprocessing = data.definePreprocessing({
  imageSize: side,
  channels: 1,
  mean: [0.4],
  std: [0.2],
  resize: "contain",
});
const description = { classes: sideClasses, preprocessing, threshold: 0.1875, provenance: { epoch: 3 } };

async function saved(name: string, model: MedMamba): Promise<string> {
  const path = join(root, name);
  await saveCheckpoint(path, model.stateDict(), { config: model.config, ...description });
  return path;
}

const images = randn([3, 1, side, side]);
const logitsOf = (model: MedMamba) => noGrad(() => tidy(() => model.forward(images))).data();

/** A finished run, and its data. */
const runDirectory = join(root, "run");
const [train, validation] = [sides(96, 1), sides(32, 2)];
await fitModel(tinyModel(), { ...quickly, train, validation, directory: runDirectory });
const [best, last] = ["best", "last"].map((name) => join(runDirectory, `${name}.safetensors`)) as [
  string,
  string,
];

describe("a checkpoint", () => {
  it("gives back the model and what is needed to use it", async () => {
    const model = tinyModel({ dropPathRate: 0.3 }).eval();
    const path = await saved("whole.safetensors", model);
    expect(await readCheckpoint(path)).toEqual({ config: model.config, ...description });
    const checkpoint = await loadCheckpoint(path);
    expect(checkpoint).toMatchObject({ path, config: model.config, ...description });
    expect(checkpoint.model.training).toBe(false);
    await expectSameBits(await logitsOf(checkpoint.model), await logitsOf(model));
  });

  it("may do without a threshold", async () => {
    const model = tinyModel();
    const path = join(root, "plain.safetensors");
    const config = model.config;
    await saveCheckpoint(path, model.stateDict(), { config, classes: ["a", "b"], preprocessing });
    expect(await readCheckpoint(path)).toEqual({ config, classes: ["a", "b"], preprocessing });
  });

  it("called best holds exactly the model, with a threshold chosen on the validation images", async () => {
    const model = tinyModel({ seed: 9 });
    const { missing, unexpected, mismatched } = model.loadStateDict(await safetensors.load(best));
    expect([missing, unexpected, mismatched]).toEqual([[], [], []]);
    const checkpoint = await loadCheckpoint(best);
    const { probabilities, labels } = await evaluate(checkpoint.model, validation, { batchSize: 16 });
    const positive = probabilities.filter((_, i) => i % 2 === 1);
    expect(checkpoint.threshold).toBe(metrics.chooseThreshold(labels, positive));
    expect(checkpoint.provenance).toMatchObject({ epoch: expect.any(Number), settings: { batchSize: 16 } });
    expect(await readCheckpoint(best)).toMatchObject({ classes: sideClasses });
    expect(await loadWeights(best, model)).toBeUndefined();
  });

  it("called last predicts, and holds the training too, which strict loaders refuse", async () => {
    const device = openDevice("cpu", { threads: 2 });
    const { model } = await loadCheckpoint(last, { device });
    expect(device.memory().tensors).toBe(Object.keys(model.stateDict()).length);
    expect((await evaluate(model, validation)).metrics.samples).toBe(32);
    const state = await loadWeights(last, model);
    expect(state?.progress).toMatchObject({ epoch: 2, batch: 0, step: 12, settings: { lr: 2e-3 } });
    expect(Object.keys(state!.tensors).filter((name) => name.startsWith("optimizer/"))).toEqual([
      "optimizer/first_moments",
      "optimizer/second_moments",
    ]);
    const tensors = await safetensors.load(last, { device });
    expect(() => model.loadStateDict(tensors)).toThrow(/unexpected \(training\/average\/head\.bias, /);
    expect(model.loadStateDict(tensors, { strict: false }).missing).toEqual([]);
    device.close();
  });
});

describe("loadStateDict", () => {
  const foreign = () => {
    const { "head.bias": _, ...state } = tinyModel({ seed: 2 }).stateDict();
    return { ...state, "head.weight": randn([5, 128]), "head.scale": tensor([1]) };
  };

  it("refuses what does not fit, having changed nothing", async () => {
    const model = tinyModel().eval();
    const before = await logitsOf(model);
    const error = (() => {
      try {
        model.loadStateDict(foreign());
      } catch (thrown) {
        return thrown;
      }
    })();
    expect(error).toMatchObject({
      code: "MEDMAMBA_STATE_DICT",
      message:
        "loadStateDict: the weights are of another model: 1 missing (head.bias); 1 unexpected (head.scale); " +
        "1 of another shape (head.weight: (5, 128) in the state dict, (2, 128) in the model).",
      missing: ["head.bias"],
      unexpected: ["head.scale"],
    });
    await expectSameBits(await logitsOf(model), before);
  });

  it("takes what fits if it is not strict, and reports the rest", async () => {
    const [model, source] = [tinyModel(), tinyModel({ seed: 2 })];
    const head = await model.stateDict()["head.weight"]!.data();
    expect(model.loadStateDict(foreign(), { strict: false })).toEqual({
      missing: ["head.bias"],
      unexpected: ["head.scale"],
      mismatched: ["head.weight: (5, 128) in the state dict, (2, 128) in the model"],
    });
    const [mine, theirs] = [model.stateDict(), source.stateDict()];
    await expectSameBits(mine["patch_embed.proj.weight"]!, theirs["patch_embed.proj.weight"]!);
    await expectSameBits(mine["head.weight"]!, head);
  });
});

/** A copy of a checkpoint with other metadata; `undefined` leaves a key out. */
async function withMetadata(name: string, changes: Record<string, string | undefined>): Promise<string> {
  const { metadata } = await safetensors.readHeader(best);
  const kept = Object.entries({ ...metadata, ...changes }).filter(([, text]) => text !== undefined);
  const path = join(root, name);
  await safetensors.save(
    path,
    await safetensors.load(best),
    Object.fromEntries(kept) as Record<string, string>,
  );
  return path;
}

async function withTensor(name: string, key: string, values: Float32Array): Promise<string> {
  const tensors = await safetensors.load(best);
  const { metadata } = await safetensors.readHeader(best);
  tensors[key] = tensor(values, tensors[key]!.shape);
  const path = join(root, name);
  await safetensors.save(path, tensors, metadata);
  return path;
}

const bytes = await readFile(best);

describe("loading refuses in one sentence", () => {
  const changed = (setting: string, value: unknown) =>
    JSON.stringify({ ...tinyModel().config, [setting]: value });
  const bias = (value: number) => Float32Array.of(value, 0);

  it.each<[string, () => Promise<string>, RegExp]>([
    ["a missing file", async () => join(root, "none"), /^\/none: no such file or directory\.$/],
    ["a directory", async () => runDirectory, /^\/run: is a directory, not a file\.$/],
    ["no bytes", () => write("empty", ""), /^\/empty: the file is empty\.$/],
    ["an image", () => write("a.png", "\x89PNG\r\n\x1a\n, and so on"), /^\/a\.png: not a safetensors file: /],
    [
      "a cut header",
      () => write("cut-header", bytes.subarray(0, 1000)),
      /^\/cut-header: truncated: the header should have \d+ bytes, but only 992 are there\.$/,
    ],
    [
      "cut data",
      () => write("cut", bytes.subarray(0, bytes.length - 1)),
      /^\/cut: truncated: tensor "[^"]+" ends at byte \d+ of the data, but only \d+ bytes are there\.$/,
    ],
    [
      "tensors of another program",
      async () => {
        await copyFile(fixture("block_eval.safetensors"), join(root, "foreign"));
        return join(root, "foreign");
      },
      /^\/foreign: this is not a medmamba checkpoint .*; bare weights are loaded with loadWeights\(path, model\)\.$/,
    ],
    [
      "another architecture than it says",
      () => withMetadata("deeper", { config: changed("depths", [1, 1, 1, 2]) }),
      /^\/deeper: the weights are of another model than the checkpoint describes: layers\.3\.blocks\.1\.\S+ is missing, where \(/,
    ],
    [
      "an architecture that would fill the machine before its weights were looked at",
      () => withMetadata("wide", { config: changed("dims", [4096, 8192, 16384, 32768]) }),
      /^\/wide: the weights are of another model than .*: patch_embed\.proj\.weight is \(\d+, 1, 4, 4\), where \(4096, /,
    ],
    [
      "states without end",
      () => withMetadata("states", { config: changed("dState", 1024) }),
      /^\/states: .*A_logs is \(\d+, \d+\), where \(\d+, 1024\) is described\.$/,
    ],
    ...(
      [
        ["depths", [100_000, 1, 1, 1], "1000"],
        ["depths", [2 ** 32, 1, 1, 1], "1000"],
        ["dState", 1e8, "1024"],
        ["patchSize", 30_000, "1024"],
      ] as const
    ).map(([setting, value, most]): [string, () => Promise<string>, RegExp] => [
      `${setting} of ${value}`,
      () => withMetadata("beyond", { config: changed(setting, value) }),
      new RegExp(`^/beyond: .*${setting} \\[[\\d,]+\\] is beyond ${most}, the most that is built\\.$`),
    ]),
    [
      "NaN in the weights",
      () => withTensor("nan", "head.bias", bias(Number.NaN)),
      /^\/nan: "head\.bias" holds NaN: these weights are damaged, or come from a training that diverged\.$/,
    ],
    [
      "infinity in the weights",
      () => withTensor("infinite", "head.bias", bias(Number.NEGATIVE_INFINITY)),
      /^\/infinite: "head\.bias" holds -Infinity: /,
    ],
    [
      "a description that is no JSON",
      () => withMetadata("no-json", { config: "{" }),
      /^\/no-json: the checkpoint's "config" is damaged\.$/,
    ],
    [
      "a description without preprocessing",
      () => withMetadata("no-preprocessing", { preprocessing: undefined }),
      /^\/no-preprocessing: the checkpoint's "preprocessing" is damaged\.$/,
    ],
    [
      "an architecture that cannot be",
      () => withMetadata("odd", { config: changed("dims", [15, 30, 60, 120]) }),
      /^\/odd: the checkpoint's description is damaged: dims \[15,30,60,120\] must be even/,
    ],
    [
      "preprocessing that cannot be",
      () => withMetadata("sized", { preprocessing: JSON.stringify({ ...preprocessing, imageSize: -1 }) }),
      /^\/sized: the checkpoint's description is damaged: preprocessing: imageSize -1 is not/,
    ],
    [
      "classes that are no names",
      () => withMetadata("nameless", { classes: "[1, 2]" }),
      /^\/nameless: the checkpoint's class names are damaged\.$/,
    ],
    [
      "more classes than the model has",
      () => withMetadata("three", { classes: '["a", "b", "c"]' }),
      /^\/three: the checkpoint names 3 classes, but its model has 2\.$/,
    ],
    [
      "a threshold that is no probability",
      () => withMetadata("threshold", { threshold: '"half"' }),
      /^\/threshold: the checkpoint's "threshold" is damaged\.$/,
    ],
    [
      "a training state that is no JSON",
      () => withMetadata("state", { training: "[" }),
      /^\/state: the checkpoint's "training" is damaged\.$/,
    ],
    [
      "a training state that is null",
      () => withMetadata("state", { training: "null" }),
      /^\/state: the checkpoint's "training" is damaged\.$/,
    ],
    [
      "a training state without settings",
      () => withMetadata("state", { training: "{}" }),
      /^\/state: the checkpoint's "training" is damaged in "settings"\.$/,
    ],
    [
      "a training state of other types",
      () => withMetadata("state", { training: '{"settings": {}, "data": {}, "epoch": -1}' }),
      /^\/state: the checkpoint's "training" is damaged in "epoch"\.$/,
    ],
  ])("%s", async (_, make, sentence) => {
    const path = await make();
    const device = openDevice("cpu", { threads: 1 });
    const message = await failure(WeightsError, loadCheckpoint(path, { device }));
    expect(message).toMatch(sentence);
    expect(message).not.toContain("\n");
    expect(device.memory().tensors).toBe(0);
    device.close();
  });
});

describe("a save that fails", () => {
  it("names the file, where there is no folder for it", async () => {
    expect(await failure(WeightsError, saved("nowhere/new.safetensors", tinyModel()))).toBe(
      "/nowhere/new.safetensors: no such file or directory.",
    );
  });

  it.skipIf(process.platform === "win32")("for want of space leaves the checkpoints that were", async () => {
    const directory = join(root, "full");
    await mkdir(directory);
    for (const file of await readdir(runDirectory))
      await copyFile(join(runDirectory, file), join(directory, file));
    const before = await readFile(join(directory, "last.safetensors"));
    const options = { ...quickly, directory, resume: false, saveEvery: 2 };
    const job = { train: [96, 1], validation: [32, 2], options } as const;
    const blocks = Math.floor(before.byteLength / 1024 / 2); // Half of the file, whichever unit the shell counts in.
    const { code, stderr, steps } = await trainInProcess(join(root, "full.json"), job, {
      fileBlocks: blocks,
    });
    expect(stderr.replaceAll(root, "")).toMatch(
      /^WeightsError: \/full\/last\.safetensors: the file is larger than the file system or a limit of this process allows\.\n$/,
    );
    expect([code, steps]).toEqual([1, 2]);
    expect((await readFile(join(directory, "last.safetensors"))).equals(before)).toBe(true);
    expect((await readdir(directory)).sort()).toEqual((await readdir(runDirectory)).sort());
    await loadCheckpoint(join(directory, "best.safetensors"));
    const resumed = await fitModel(tinyModel(), { ...quickly, train, validation, directory, resume: true });
    expect(resumed.history).toHaveLength(2);
  });
});
