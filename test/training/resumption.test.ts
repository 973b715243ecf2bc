/**
 * A training of the same settings ends with the same bits: on every run, for every number of threads, and however often
 * it was interrupted. What is compared is all that a run leaves behind: its losses in metrics.jsonl, and weights,
 * buffers, optimiser state and averages in last.safetensors.
 */
import { spawnSync } from "node:child_process";
import { copyFile, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { TrainingError, WeightsError } from "../../src/errors.js";
import {
  data,
  type EpochRecord,
  type FitOptions,
  type FitResult,
  fit as fitModel,
  openDevice,
} from "../../src/index.js";
import { readHeader, readTensors } from "../../src/weights/safetensors.js";
import { failure } from "../support/failure.js";
import { quickly, sides, tinyModel } from "../support/sides.js";
import { root } from "../support/temporary-folder.js";
import { trainInProcess } from "../support/train-process.js";

const images = { train: [96, 1], validation: [32, 2] } as const;
/** Everything random is on: augmentation, DropPath (the model's default), the order of the images. */
const augmentation = { ...data.augmentations.standard, horizontalFlip: 0, verticalFlip: 0.5 };
const settings = { ...quickly, epochs: 3, augmentation, seed: 5 };
const stepsPerEpoch = 6;

interface RunOptions extends Partial<FitOptions> {
  threads?: number;
  /** Of the initial weights: a resumed run must not depend on them. */
  modelSeed?: number;
}

async function run(name: string, { threads = 2, modelSeed = 1, ...options }: RunOptions = {}) {
  const device = openDevice("cpu", { threads });
  try {
    const directory = join(root, name);
    const [train, validation] = [sides(...images.train), sides(...images.validation)];
    const model = tinyModel({ seed: modelSeed, device });
    return await fitModel(model, { ...settings, train, validation, directory, ...options });
  } finally {
    device.close();
  }
}

/** A run that is aborted after its `steps`-th step. */
function runUntil(name: string, steps: number, options: RunOptions = {}): Promise<FitResult> {
  const controller = new AbortController();
  let done = 0;
  const onProgress: FitOptions["onProgress"] = ({ type }) => {
    if (type === "step" && ++done === steps) controller.abort();
  };
  return run(name, { ...options, signal: controller.signal, onProgress });
}

/** What a run left behind, without the clock's share. */
async function outcome(name: string): Promise<{ history: unknown[]; tensors: Map<string, Buffer> }> {
  const lines = (await readFile(join(root, name, "metrics.jsonl"), "utf8")).trimEnd().split("\n");
  const history = lines.map((line) => {
    const { seconds: _, imagesPerSecond: __, ...record } = JSON.parse(line) as EpochRecord;
    return record;
  });
  const stored = await readTensors(join(root, name, "last.safetensors"));
  return { history, tensors: new Map([...stored].map(([key, { data }]) => [key, Buffer.from(data)])) };
}

async function expectSameOutcome(name: string, other: string): Promise<void> {
  const [a, b] = [await outcome(name), await outcome(other)];
  expect(a.history).toEqual(b.history);
  expect([...a.tensors.keys()]).toEqual([...b.tensors.keys()]);
  const differing = [...a.tensors].filter(([key, bytes]) => !bytes.equals(b.tensors.get(key)!));
  expect(differing.map(([key]) => key)).toEqual([]);
}

/** Where last.safetensors of a run stands. */
async function position(name: string): Promise<{ step: number; batch: number; epoch: number }> {
  const { metadata } = await readHeader(join(root, name, "last.safetensors"));
  return JSON.parse(metadata.training ?? "{}");
}

await run("whole");

describe("the same bits", () => {
  it("come from a second run", async () => {
    await run("again");
    await expectSameOutcome("again", "whole");
    const { tensors } = await outcome("whole");
    for (const kind of ["training/optimizer/", "training/average/", "head.", "layers.0."]) {
      expect(
        [...tensors.keys()].some((key) => key.startsWith(kind)),
        kind,
      ).toBe(true);
    }
  });

  it.each([1, 3])("come from %i threads", async (threads) => {
    await run(`threads-${threads}`, { threads });
    await expectSameOutcome(`threads-${threads}`, "whole");
  });

  it("do not come from another seed", async () => {
    await run("other-seed", { seed: 6 });
    const [a, b] = [await outcome("other-seed"), await outcome("whole")];
    expect(a.history).not.toEqual(b.history);
    expect(a.tensors.get("head.weight")!.equals(b.tensors.get("head.weight")!)).toBe(false);
  });
});

describe("an interrupted run that is resumed ends with the same bits", () => {
  it.each([
    ["in its first step", 1],
    ["in the middle of an epoch", stepsPerEpoch + 2],
    ["in the last step of an epoch", 2 * stepsPerEpoch],
  ])("when aborted %s", async (name, steps) => {
    const { stopped } = await runUntil(name, steps);
    expect(stopped).toBe("aborted");
    const stood = await position(name);
    expect(stood.step).toBeGreaterThanOrEqual(steps);
    expect(stood.step).toBeLessThanOrEqual(steps + 2);
    const resumed = await run(name, { resume: true, modelSeed: 2, threads: 1 });
    expect(resumed.stopped).toBe("completed");
    await expectSameOutcome(name, "whole");
  });

  it("when aborted again and again", async () => {
    await runUntil("often", 2);
    let resumptions = 0;
    while ((await runUntil("often", 4, { resume: true })).stopped === "aborted") resumptions += 1;
    expect(resumptions).toBeGreaterThanOrEqual(2);
    await expectSameOutcome("often", "whole");
  });

  it("with a plateau schedule, and areas under the ROC curve that cannot be had", async () => {
    // One class only: the area is NaN, which JSON has no word for, and the loss decides what is best.
    const validation = data.subset(sides(64, 3), [0, 2, 4, 6, 8, 10, 12, 14]);
    const options = { schedule: "plateau", validation, epochs: 4, lr: 5e-4 } as const;
    await run("undefined-area", options);
    await runUntil("undefined-area-resumed", 2 * stepsPerEpoch + 1, options);
    await run("undefined-area-resumed", { ...options, resume: true });
    await expectSameOutcome("undefined-area-resumed", "undefined-area");
    const { history } = (await outcome("undefined-area")) as { history: EpochRecord[] };
    expect(history.at(-1)).toMatchObject({ best: true, validation: { auc: null } });
  });

  it("when its process is killed, several times, in the middle of an epoch", async () => {
    await mkdir(join(root, "killed"));
    // The child draws initial weights from the default seed; they are the run's from here on.
    await runUntil("killed", 1);
    const options = { ...settings, directory: join(root, "killed"), resume: true, saveEvery: 1 };
    for (const steps of [3, 4, 2]) {
      const before = await position("killed");
      const { signal, stderr } = await trainInProcess(
        join(root, "killed.json"),
        { ...images, options },
        { onStep: (step, child) => step === steps && child.kill("SIGKILL") },
      );
      expect({ signal, stderr }).toEqual({ signal: "SIGKILL", stderr: "" });
      const { step } = await position("killed");
      expect(step).toBeGreaterThanOrEqual(before.step + steps - 1);
      expect(step).toBeLessThan(3 * stepsPerEpoch);
    }
    await run("killed", { resume: true, modelSeed: 2 });
    await expectSameOutcome("killed", "whole");
  });
});

it("goes on to the same bits when it is killed right after its first best weights", async () => {
  const killed = () => {
    throw new Error("killed");
  };
  await expect(run("after-best", { observers: [{ epoch: killed }] })).rejects.toThrow("killed");
  expect(await readdir(join(root, "after-best"))).toEqual(
    expect.arrayContaining(["best.safetensors", "last.safetensors"]),
  );
  await run("after-best", { resume: true });
  await expectSameOutcome("after-best", "whole");
});

describe("a writer that was killed", () => {
  it("leaves a temporary file that the next save removes, and only that", async () => {
    const { pid: dead } = spawnSync(process.execPath, ["--version"]);
    const name = (pid: number | undefined) => `.last.safetensors.${pid}.0123456789ab.tmp`;
    const directory = join(root, "abandoned");
    await mkdir(directory);
    const others = [name(process.ppid), name(process.pid), `.other.safetensors.${dead}.0123456789ab.tmp`];
    for (const file of [name(dead), ...others]) await writeFile(join(directory, file), "half of it");
    await run("abandoned", { epochs: 1 });
    const left = (await readdir(directory)).filter((file) => file.endsWith(".tmp"));
    expect(left.sort()).toEqual(others.sort());
    await writeFile(join(directory, name(dead)), "half of it");
    await run("abandoned", { epochs: 1, resume: true });
    expect(await readdir(directory)).not.toContain(name(dead));
  });
});

describe("resuming is refused", () => {
  const inWhole = (options: RunOptions) => run("whole", { resume: true, ...options });

  it("with other settings, naming each and both values", async () => {
    const refusal = await failure(TrainingError, inWhole({ lr: 1e-3, batchSize: 8 }));
    expect(refusal).toBe(
      "/whole/last.safetensors was written with other settings (batchSize 16, now 8; lr 0.002, now 0.001): " +
        "resume with the same.",
    );
    expect(await failure(TrainingError, inWhole({ augmentation: data.augmentations.none }))).toContain(
      'augmentation {"scale":[0.8,1],',
    );
  });

  it("with other images, classes or labels", async () => {
    const written = "/whole/last.safetensors was written with other data";
    const original = sides(...images.train);
    expect(await failure(TrainingError, inWhole({ train: sides(80, 1) }))).toContain(
      `${written} (images 96, now 80; labelsChecksum `,
    );
    const renamed = { ...original, classes: ["links", "rechts"] };
    expect(await failure(TrainingError, inWhole({ train: renamed }))).toBe(
      `${written} (classes ["left","right"], now ["links","rechts"]): resume with the same.`,
    );
    const relabelled = { ...original, labels: original.labels.toReversed() };
    expect(await failure(TrainingError, inWhole({ train: relabelled }))).toContain(
      `${written} (labelsChecksum `,
    );
    const preprocessing = { ...original.preprocessing, mean: [0.4] };
    expect(await failure(TrainingError, inWhole({ train: { ...original, preprocessing } }))).toContain(
      '"mean":[0.4]',
    );
  });

  it("with another architecture", async () => {
    const other = fitModel(tinyModel({ depths: [1, 1, 2, 1] }), {
      ...settings,
      train: sides(...images.train),
      directory: join(root, "whole"),
      resume: true,
    });
    expect(await failure(WeightsError, other)).toMatch(
      /^\/whole\/last\.safetensors: the weights are of another model: \d+ missing \(layers\.2\.blocks\.1/,
    );
  });

  it("from nothing, and from weights that no training left", async () => {
    expect(await failure(WeightsError, run("nothing", { resume: true }))).toBe(
      "/nothing/last.safetensors: no such file or directory.",
    );
    await mkdir(join(root, "weights"));
    await copyFile(join(root, "whole/best.safetensors"), join(root, "weights/last.safetensors"));
    expect(await failure(TrainingError, run("weights", { resume: true }))).toBe(
      "/weights/last.safetensors holds no training state: it cannot be resumed. Train further from its weights with initialWeights.",
    );
    expect(await failure(TrainingError, run("", { resume: true, directory: undefined }))).toBe(
      "fit: resume needs the directory of the run to go on with.",
    );
  });

  it("and then nothing is left of it in memory or on the disk", async () => {
    const before = await readFile(join(root, "whole/last.safetensors"));
    const device = openDevice("cpu", { threads: 1 });
    const model = tinyModel({ device });
    const live = device.memory();
    const options = { ...settings, train: sides(80, 1), directory: join(root, "whole"), resume: true };
    await failure(TrainingError, fitModel(model, options));
    expect(device.memory()).toMatchObject({ tensors: live.tensors, bytes: live.bytes });
    device.close();
    expect((await readFile(join(root, "whole/last.safetensors"))).equals(before)).toBe(true);
  });
});
