/** fit: what it learns, what it reports, when it stops, what it leaves in memory. */
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, it } from "vitest";
import { ArgumentError, TrainingError } from "../../src/errors.js";
import {
  data,
  evaluate,
  type FitOptions,
  type FitProgress,
  fit as fitModel,
  loadCheckpoint,
  MedMamba,
  type MedMambaOptions,
  manualSeed,
  openDevice,
  optim,
  type TrainingSettings,
  tensor,
  trainingSettings,
} from "../../src/index.js";
import { resolveClassWeights } from "../../src/training/settings.js";
import { Turns } from "../support/event-loop.js";
import { failure } from "../support/failure.js";
import { repository } from "../support/repository.js";
import { quickly, side, sideClasses, sidePixels, sides, tinyModel } from "../support/sides.js";
import { root } from "../support/temporary-folder.js";

const train = sides(128, 1);
const validation = sides(64, 2);

function learn(options: Partial<FitOptions> = {}) {
  return fitModel(tinyModel(), { ...quickly, train, validation, ...options });
}

/** Aborts after so many steps. */
function stopAfter(steps: number): Pick<FitOptions, "signal" | "onProgress"> {
  const controller = new AbortController();
  let done = 0;
  const onProgress = ({ type }: FitProgress): void => {
    if (type === "step" && ++done === steps) controller.abort();
  };
  return { signal: controller.signal, onProgress };
}

describe("fit", () => {
  it.each([
    ["in memory", undefined],
    ["through a directory", "learnt"],
  ])("learns, and leaves the model with its best weights, %s", async (_, name) => {
    const model = tinyModel();
    const directory = name && join(root, name);
    const events: FitProgress[] = [];
    const { history, best, stopped } = await fitModel(model, {
      ...quickly,
      epochs: 4,
      monitor: "loss",
      train,
      validation,
      directory,
      onProgress: (event) => events.push(event),
    });
    expect(stopped).toBe("completed");
    const test = await evaluate(model, sides(200, 3));
    expect(test.metrics.accuracy).toBeGreaterThan(0.95);
    expect(model.training).toBe(false);

    expect(history.map(({ epoch, step }) => [epoch, step])).toEqual([
      [1, 8],
      [2, 16],
      [3, 24],
      [4, 32],
    ]);
    expect(history[3]!.trainLoss).toBeLessThan(history[0]!.trainLoss);
    const losses = history.map(({ validation: record }) => record!.loss);
    expect(history.map((record) => record.best)).toEqual(
      losses.map((loss, i) => losses.slice(0, i).every((before) => loss < before)),
    );
    expect(best!.validation!.loss).toBe(Math.min(...losses));
    const again = await evaluate(model, validation, { batchSize: quickly.batchSize });
    expect(again.metrics.crossEntropy).toBe(best!.validation!.loss);
    expect(again.metrics.auc).toBe(best!.validation!.auc);

    expect(events.filter(({ type }) => type === "step")).toHaveLength(32);
    expect(events.filter(({ type }) => type === "epoch")).toEqual(
      history.map((record) => ({ type: "epoch", record, epochs: 4 })),
    );
    expect(events.filter(({ type }) => type === "validation").at(-1)).toMatchObject({ done: 64, total: 64 });
    const steps = events.filter((event) => event.type === "step");
    expect(steps[9]).toMatchObject({ epoch: 2, epochs: 4, step: 2, steps: 8 });
    expect(steps[7]!.loss).toBe(history[0]!.trainLoss);
    for (const { imagesPerSecond, secondsLeft } of steps) {
      expect(imagesPerSecond).toBeGreaterThan(0);
      expect(secondsLeft).toBeGreaterThanOrEqual(0);
    }

    if (!directory) return;
    const lines = (await readFile(join(directory, "metrics.jsonl"), "utf8")).trimEnd().split("\n");
    expect(lines.map((line) => JSON.parse(line))).toEqual(history);
    expect((await readdir(directory)).sort()).toEqual([
      "best.safetensors",
      "last.safetensors",
      "metrics.jsonl",
    ]);
  });

  it("does without validation", async () => {
    const { history, best, stopped } = await learn({ validation: undefined, patience: 1 });
    expect([stopped, best]).toEqual(["completed", undefined]);
    expect(history.map(({ validation: record, best: isBest }) => [record, isBest])).toEqual([
      [null, false],
      [null, false],
    ]);
  });

  it("stops early when the monitored measure does not improve", async () => {
    // The wrong way round: what the training images teach makes validation ever worse.
    const reversed = { ...validation, labels: validation.labels.toReversed() };
    const { history, best, stopped } = await learn({ epochs: 30, validation: reversed, patience: 2 });
    expect(stopped).toBe("early");
    expect(history.length).toBe(best!.epoch + 2);
    expect(best!.validation!.auc).toBe(Math.max(...history.map((record) => record.validation!.auc)));
  });

  it("returns what it has when aborted, and saves where it stands", async () => {
    const directory = join(root, "aborted");
    const { history, best, stopped } = await learn({ directory, epochs: 3, ...stopAfter(11) });
    expect([stopped, best, history.length]).toEqual(["aborted", undefined, 1]);
    const { model, classes } = await loadCheckpoint(join(directory, "last.safetensors"));
    expect(classes).toEqual(sideClasses);
    expect((await evaluate(model, validation)).metrics.samples).toBe(64);
    await stat(join(directory, "best.safetensors"));
    const inMemory = await learn({ signal: AbortSignal.abort() });
    expect([inMemory.stopped, inMemory.history]).toEqual(["aborted", []]);
  });

  it.each([
    [
      "cosine",
      (step: number) =>
        step < 4 ? (step + 1) / 4 : 0.01 + 0.495 * (1 + Math.cos((Math.PI * (step - 4)) / 20)),
    ],
    ["step", (step: number) => Math.min(1, (step + 1) / 4) * 0.1 ** Math.floor(step / 8)],
  ] as const)("sets the learning rate by the %s schedule", async (schedule, factor) => {
    const options = { schedule, epochs: 12, warmupEpochs: 2, lr: 1e-3, batchSize: 16 };
    const { history } = await learn({ ...options, train: sides(32, 4), validation: undefined });
    for (const { lr, step } of history) expect(lr).toBeCloseTo(1e-3 * factor(step - 1), 12);
  });

  it("lowers the learning rate on a plateau", async () => {
    const small = sides(16, 5);
    const { history } = await learn({
      schedule: "plateau",
      epochs: 12,
      warmupEpochs: 0,
      lr: 1e-3,
      train: small,
      validation: small,
    });
    const plateau = new optim.Plateau({ lr: 1e-3, mode: "max" }); // An area of 1 cannot be improved on.
    let expected = 1e-3;
    for (const { lr, validation: record } of history) {
      expect(lr).toBe(expected);
      expected = plateau.observe(record!.auc);
    }
    expect(history.at(-1)!.lr).toBeCloseTo(1e-4, 12);
  });

  it("decays kernels and matrices, and neither vectors nor the scan's A", async () => {
    const model = tinyModel();
    const norms = async () => {
      const entries: [string, number, number][] = [];
      for (const [name, parameter] of model.namedParameters())
        entries.push([name, parameter.shape.length, Math.hypot(...(await parameter.data()))]);
      return entries;
    };
    const before = await norms();
    // One step of 1e-3 moves no weight by more than that, but a decay of 200 takes a fifth of it.
    const options = { epochs: 1, warmupEpochs: 0, batchSize: 128, lr: 1e-3, weightDecay: 200 };
    await fitModel(model, { ...quickly, ...options, averageDecay: 0, train });
    const after = await norms();
    for (const [i, [name, dimensions, norm]] of after.entries()) {
      const old = before[i]![2];
      if (dimensions === 1 || name.endsWith("A_logs")) expect(norm, name).toBeGreaterThan(0.95 * old);
      else expect(norm, name).toBeLessThan(0.9 * old);
    }
  });
});

describe("the loss of the first step", () => {
  // 24 images of the first class, 8 of the second.
  const indices = Array.from({ length: 32 }, (_, i) => (i % 4 === 3 ? 2 * i + 1 : 2 * i));
  const unequal = data.subset(train, indices);

  async function firstLogits(options: MedMambaOptions): Promise<Float32Array> {
    const samples = await Promise.all(indices.map((index) => train.sample(index)));
    const pixels = samples.flatMap((sample) => [...sample.data]);
    const images = Float32Array.from(pixels, (value) => (value / 255 - 0.5) / 0.5);
    const model = tinyModel(options).train();
    return model.forward(tensor(images, [32, 1, side, side], { device: model.device })).data();
  }

  it.each<[string, Partial<TrainingSettings>, readonly number[], number]>([
    [
      "weighs classes by their frequency where they are unequal",
      { labelSmoothing: 0.05 },
      [32 / 48, 2],
      0.05,
    ],
    ["weighs no classes if told so", { classWeights: "none", labelSmoothing: 0 }, [1, 1], 0],
    ["takes weights as they are given", { classWeights: [0.3, 4], labelSmoothing: 0.2 }, [0.3, 4], 0.2],
  ])("%s", async (_, settings, weights, smoothing) => {
    const device = openDevice("cpu", { threads: 2 });
    const options = { dropPathRate: 0, device };
    const logits = await firstLogits(options);
    let [sum, total] = [0, 0];
    for (const [i, label] of unequal.labels.entries()) {
      const row = [logits[2 * i]!, logits[2 * i + 1]!];
      const normaliser = Math.log(row.reduce((partial, logit) => partial + Math.exp(logit), 0));
      const surprise = row.map((logit) => normaliser - logit);
      sum += (1 - smoothing) * weights[label]! * surprise[label]!;
      sum += (smoothing / 2) * (weights[0]! * surprise[0]! + weights[1]! * surprise[1]!);
      total += weights[label]!;
    }
    const { history } = await fitModel(tinyModel(options), {
      ...quickly,
      ...settings,
      epochs: 1,
      warmupEpochs: 0,
      batchSize: 32,
      train: unequal,
    });
    expect(history[0]!.trainLoss).toBeCloseTo(sum / total, 5);
    device.close();
  });

  it("resolves class weights", () => {
    expect(resolveClassWeights("auto", train)).toBeUndefined();
    expect(resolveClassWeights("balanced", train)).toEqual(Float32Array.of(1, 1));
    expect(resolveClassWeights("auto", unequal)).toEqual(Float32Array.of(32 / 48, 2));
    expect(() => resolveClassWeights([1], unequal)).toThrow(/classWeights \[1\] are not 2 positive factors/);
    expect(() => resolveClassWeights([1, 0], unequal)).toThrow(/are not 2 positive factors/);
  });
});

describe("settings", () => {
  it("have defaults, and a warm-up that fits the epochs", () => {
    expect(trainingSettings()).toMatchObject({ epochs: 30, batchSize: 32, warmupEpochs: 3, monitor: "auc" });
    expect(trainingSettings({ epochs: 100 }).warmupEpochs).toBe(5);
    expect(trainingSettings({ epochs: 5, lr: undefined }).lr).toBe(1e-3);
  });

  it.each<[Partial<TrainingSettings>, RegExp]>([
    [{ epochs: 0 }, /epochs 0 must be a positive integer/],
    [{ batchSize: 1.5 }, /batchSize 1.5 must be a positive integer/],
    [{ lr: -1 }, /lr -1 must be a positive number/],
    [{ lr: Number.NaN }, /lr .* must be a positive number/],
    [{ epochs: 3, warmupEpochs: 3 }, /warmupEpochs 3 must be from 0 to below epochs/],
    [{ labelSmoothing: 1 }, /labelSmoothing 1 must be from 0 to below 1/],
    [{ averageDecay: 1 }, /averageDecay 1 must be from 0 to below 1/],
    [{ weightDecay: -0.1 }, /weightDecay -0.1 must be 0 or more/],
    [{ maxGradNorm: -1 }, /maxGradNorm -1 must be 0 or more/],
    [{ minLrFraction: 2 }, /minLrFraction 2 must be from 0 to 1/],
    [{ seed: -1 }, /seed -1 must be an integer/],
    [{ patience: 0.5 }, /patience 0.5 must be a non-negative integer/],
    [{ schedule: "linear" as "step" }, /schedule "linear" must be cosine, one-cycle, step or plateau/],
    [{ monitor: "f1" as "auc" }, /monitor "f1" must be auc, accuracy, balancedAccuracy or loss/],
  ])("%o is refused", async (settings, message) => {
    expect(() => trainingSettings(settings)).toThrow(message);
    expect(await failure(ArgumentError, learn(settings))).toMatch(message);
  });

  it("and data must have as many classes as the model", async () => {
    const three = data.fromArrays({ images: sidePixels(3, 1), shape: [3, side, side], labels: [0, 1, 2] });
    expect(await failure(TrainingError, learn({ train: three }))).toBe(
      "fit: the model has 2 classes, the data set 3: make it with as many, by numClasses.",
    );
  });
});

describe("three hundred steps", () => {
  setFlagsFromString("--expose-gc");
  const collectGarbage = runInNewContext("gc") as () => void;

  it("need no more memory than fifty", async () => {
    const device = openDevice("cpu");
    const model = tinyModel({ device });
    const before = device.memory();
    const use = { tensors: [] as number[], bytes: [] as number[], resident: [] as number[] };
    const onStep = () => {
      const { tensors, bytes } = device.memory();
      use.tensors.push(tensors);
      use.bytes.push(bytes);
      // Resident memory has room for garbage in it, which grows as JavaScript likes, unless it is collected.
      if (use.tensors.length % 25 !== 0) return;
      collectGarbage();
      use.resident.push(process.memoryUsage().rss);
    };
    await takeSteps(model, sides(300, 7), onStep); // The compiler is done with warming up after these.
    for (const list of Object.values(use)) list.length = 0;
    await takeSteps(model, sides(600, 7), onStep);
    expect(use.tensors).toHaveLength(300);
    for (const counts of [use.tensors, use.bytes])
      expect(Math.max(...counts.slice(50))).toBeLessThanOrEqual(Math.max(...counts.slice(0, 50)));
    const [, after50, ...later] = use.resident;
    expect(Math.max(...later) / after50!).toBeLessThan(1.05);
    expect(device.memory()).toMatchObject({ tensors: before.tensors, bytes: before.bytes });
    device.close();
  });

  it("leave the event loop free", async () => {
    const turns = new Turns();
    const turnOfStep: number[] = [];
    await takeSteps(tinyModel(), sides(600, 7), () => turnOfStep.push(turns.count));
    turns.stop();
    const stepsOfTurn = new Map<number, number>();
    for (const turn of turnOfStep) stepsOfTurn.set(turn, (stepsOfTurn.get(turn) ?? 0) + 1);
    expect(turnOfStep).toHaveLength(300);
    // Three or four share one: the device is done with them by the time that their losses are fetched.
    expect(Math.max(...stepsOfTurn.values()), "steps without a turn of the event loop").toBeLessThan(50);
  });

  /** Two epochs in batches of four: half as many steps as images. */
  function takeSteps(model: MedMamba, images: data.Dataset, onStep: () => void) {
    return fitModel(model, {
      ...quickly,
      batchSize: 4,
      train: images,
      onProgress: ({ type }) => {
        if (type === "step") onStep();
      },
    });
  }
});

describe("a real data set", () => {
  const candidates = [process.env.MEDMAMBA_TEST_DATA, join(repository, "../shared/data/pneumoniamnist.npz")];

  it("teaches a very small model something in one quick epoch", async ({ skip }) => {
    const sizes = await Promise.all(candidates.map((path) => path && stat(path).catch(() => undefined)));
    const path = candidates.find((_, i) => sizes[i]);
    if (!path) {
      console.warn("skipped: no data set; name a MedMNIST archive in MEDMAMBA_TEST_DATA.");
      skip();
      return;
    }
    const opened = await data.openDataset(path, { preprocessing: { imageSize: 32, channels: 1 } });
    manualSeed(0);
    const options = { depths: [1, 1], dims: [16, 32], inChannels: 1, numClasses: opened.classes.length };
    const { history } = await fitModel(new MedMamba(options), {
      train: opened.train,
      validation: opened.val,
      epochs: 1,
      warmupEpochs: 0.2,
      lr: 2e-3,
      averageDecay: 0.9,
    });
    expect(history[0]!.validation!.auc).toBeGreaterThan(0.8);
  });
});
