/** What fits, chooses a threshold or an epoch gets neither images nor labels of the test split. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import type { Evaluation } from "../../src/inference/evaluate.js";
import { chosenPoint } from "../../src/study/chosen-point.js";
import { judgingOf, trainOnce } from "../support/sealed-study.js";
import { smallRecipe, study, writeScans } from "../support/small-study.js";
import { root } from "../support/temporary-folder.js";

/** Nobody may look at what is guarded while `atWork` says who works. */
const { watch, guarded, working } = vi.hoisted(() => {
  const watch = { atWork: undefined as string | undefined, looks: 0 };
  /** The same but for an error whenever somebody at work reads anything of it. */
  const guarded = <T extends object>(secret: T): T =>
    new Proxy(secret, {
      get(target, name) {
        if (watch.atWork !== undefined)
          throw new Error(`${watch.atWork} has looked at ${String(name)} of the test images`);
        watch.looks += 1;
        const value: unknown = Reflect.get(target, name);
        return typeof value === "function" ? value.bind(target) : value;
      },
      ownKeys(target) {
        if (watch.atWork !== undefined) throw new Error(`${watch.atWork} has looked at the test images`);
        return Reflect.ownKeys(target);
      },
    });
  /** A function that is at work until what it returns is there. */
  const working =
    <In extends unknown[], Out>(name: string, body: (...args: In) => Out) =>
    (...args: In): Out => {
      const before = watch.atWork;
      watch.atWork = name;
      const end = () => {
        watch.atWork = before;
      };
      try {
        const result = body(...args);
        if (result instanceof Promise) return result.finally(end) as Out;
        end();
        return result;
      } catch (error) {
        end();
        throw error;
      }
    };
  return { watch, guarded, working };
});

vi.mock("../../src/training/fit.js", async (original) => {
  const { fit } = await original<typeof import("../../src/training/fit.js")>();
  return { fit: working("fit", fit) };
});

vi.mock("../../src/metrics/threshold.js", async (original) => {
  const all = await original<typeof import("../../src/metrics/threshold.js")>();
  return { ...all, chooseThreshold: working("chooseThreshold", all.chooseThreshold) };
});

vi.mock("../../src/data/index.js", async (original) => {
  const all = await original<typeof import("../../src/data/index.js")>();
  const openDataset = async (...args: Parameters<typeof all.openDataset>) => {
    const opened = await all.openDataset(...args);
    return { ...opened, test: guarded(opened.test) };
  };
  return { ...all, openDataset };
});

beforeAll(trainOnce);
beforeEach(() => {
  watch.looks = 0;
});

describe("a training", () => {
  it("fits, and chooses epoch and threshold, without a look at the test images, which are judged after", async () => {
    const { verdict } = await study(join(root, "guarded"), { ...smallRecipe, data: join(root, "scans") });
    expect(verdict).toMatchObject({ split: "test", threshold: expect.any(Number) });
    expect(watch.looks).toBeGreaterThan(0);
  });

  it("would be caught: fit that is given the test images fails", async () => {
    const { fit: learn } = await import("../../src/training/fit.js");
    const { openDataset } = await import("../../src/data/index.js");
    const { MedMamba } = await import("../../src/models/medmamba.js");
    const preprocessing = { imageSize: 16, channels: 1 } as const;
    const { train, test } = await openDataset(join(root, "scans"), { preprocessing });
    const model = new MedMamba({ depths: [1, 1], dims: [4, 8], inChannels: 1, numClasses: 2 });
    const caught = (options: object) => learn(model, { train, epochs: 1, batchSize: 8, ...options });
    await expect(caught({ validation: test })).rejects.toThrow(/^fit has looked at/);
    await expect(caught({ train: test })).rejects.toThrow(/^fit has looked at/);
    model.dispose();
  });

  it("gives the same weights and the same threshold whatever the test images and labels are", async () => {
    for (const [name, seed] of [["one", 7] as const, ["two", 8] as const]) {
      for (const [part, own] of [["train", 3] as const, ["val", 4] as const, ["test", seed] as const])
        await writeScans(join(root, name, part), { count: part === "train" ? 10 : 4, seed: own });
      await study(join(root, `${name}-run`), { ...smallRecipe, data: join(root, name) });
    }
    const { readHeader, readTensors } = await import("../../src/weights/safetensors.js");
    const [one, two] = ["one-run", "two-run"].map((run) => join(root, run, "best.safetensors"));
    expect(await readTensors(two!)).toEqual(await readTensors(one!));
    const [first, second] = [(await readHeader(one!)).metadata, (await readHeader(two!)).metadata];
    expect(second.threshold).toBe(first.threshold);
    const history = (run: string) =>
      readFileSync(join(root, run, "metrics.jsonl"), "utf8").replace(
        /"(seconds|imagesPerSecond)":[\d.]+/g,
        "",
      );
    expect(history("two-run")).toBe(history("one-run"));
  });
});

describe("a threshold for a sensitivity", () => {
  it("is chosen without a look at the labels and probabilities of the test images", async () => {
    const { loadCheckpoint } = await import("../../src/checkpoints/checkpoint.js");
    const { openJudged } = await import("../../src/study/judged-images.js");
    const { evaluate } = await import("../../src/inference/evaluate.js");
    const { evaluateOptions } = await import("../../src/study/evaluating.js");
    const checkpoint = await loadCheckpoint(join(root, "run/best.safetensors"));
    const judging = judgingOf("scans");
    const judged = await openJudged("test", checkpoint, judging);
    const options = evaluateOptions(checkpoint, judging);
    const found = (await evaluate(checkpoint.model, judged.dataset, options)) as Evaluation;
    const secret = {
      ...found,
      labels: guarded(Array.from(found.labels)) as unknown as Int32Array,
      probabilities: guarded(Array.from(found.probabilities)) as unknown as Float32Array,
    };
    watch.looks = 0;
    const chosen = await chosenPoint(checkpoint, judged, secret, 0.8, judging);
    expect(chosen.validation.sensitivity.value).toBeGreaterThanOrEqual(0.8);
    expect(watch.looks).toBeGreaterThan(0);
    checkpoint.model.dispose();
  });
});
