/** Training by several processes over the control plane: the same weights on all of them, and what goes wrong on one. */
import { createHash } from "node:crypto";
import { copyFile, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { freePort } from "../../src/distributed/spawn.js";
import { readHeader, readTensors } from "../../src/weights/safetensors.js";
import { hasEmulatedCuda } from "../support/backends.js";
import { fakeNccl } from "../support/collective-job.js";
import { ranks } from "../support/ranks.js";
import { jobFile, type RanksJob, type Trained, trainTogether } from "../support/ranks-training.js";
import { tinyModel } from "../support/sides.js";
import { root } from "../support/temporary-folder.js";

async function train(job: RanksJob, worldSize: number): Promise<Trained> {
  const outcomes = await trainTogether(job, { worldSize });
  expect(
    outcomes.map(({ code }) => code),
    outcomes.map(({ stderr }) => stderr).join(""),
  ).toEqual(Array(worldSize).fill(0));
  const [first, ...others] = outcomes.map(({ trained }) => trained);
  for (const other of others) expect(other).toEqual(first);
  return first as Trained;
}

function expectClose(a: Trained, b: Trained, relative: number): void {
  expect(a.losses.length).toBe(b.losses.length);
  for (const [epoch, losses] of a.losses.entries())
    for (const [which, loss] of losses.entries()) {
      const other = b.losses[epoch]?.[which] as number;
      expect(Math.abs(loss - other), `${loss} beside ${other}`).toBeLessThan(relative * Math.abs(other));
    }
}

async function tensorsOf(path: string): Promise<string[]> {
  const hash = (data: Uint8Array) => createHash("sha256").update(data).digest("hex");
  return [...(await readTensors(path))].map(([name, { data }]) => `${name} ${hash(data)}`);
}

/** What a file's model has for running statistics is the mean of those that it has of each rank. */
async function expectMeanStatistics(path: string): Promise<void> {
  const tensors = await readTensors(path);
  const floats = (name: string) => {
    const { data } = tensors.get(name) as { data: Uint8Array };
    return [...new Float32Array(Uint8Array.from(data).buffer)];
  };
  const ranks = [0, 1].map((rank) => floats(`training/ranks/${rank}`));
  expect(ranks[1]).not.toEqual(ranks[0]);
  const model = tinyModel({ dims: [8, 16], depths: [1, 1] });
  const buffers = [...model.namedBuffers()].filter(([, { dtype }]) => dtype === "float32");
  const mean = ranks[0]?.map((value, at) => Math.fround((value + (ranks[1]?.[at] as number)) / 2));
  expect(buffers.flatMap(([name]) => floats(name))).toEqual(mean);
  model.dispose();
}

describe("ranks", () => {
  it.each([2, 3])("%i have the same weights in the end", async (worldSize) => {
    const trained = await train({}, worldSize);
    expect(trained.stopped).toBe("completed");
    expect(trained.carriage).toMatchObject({ engine: "tcp", worldSize });
  });

  it("are one process to rounding where BatchNorm is frozen, with weights of images and classes", async () => {
    const weights = Array.from({ length: 36 }, (_, i) => 1 + (i % 5));
    const job: RanksJob = { frozen: true, weights, options: { classWeights: [1, 3], labelSmoothing: 0.1 } };
    const alone = await train(job, 1);
    for (const worldSize of [2, 3]) expectClose(await train(job, worldSize), alone, 1e-4);
  });

  it("are one process to rounding where they have unequal parts of a batch, in passes", async () => {
    const job: RanksJob = { frozen: true, train: 11, options: { batchSize: 12, accumulate: 2, epochs: 4 } };
    const alone = await train(job, 1);
    for (const worldSize of [2, 3]) expectClose(await train(job, worldSize), alone, 1e-4);
  });

  it("stop together when one is asked to, go on to the same bits, and in other numbers", async () => {
    const options = { epochs: 3, batchSize: 12, directory: join(root, "whole") };
    const whole = await train({ options }, 2);
    const directory = join(root, "stopped");
    const stopped = await trainTogether(
      { options: { ...options, directory } },
      {
        worldSize: 2,
        onLine: (rank, line, child) => {
          if (rank === 0 && line === "step 5") child.kill("SIGTERM");
        },
      },
    );
    for (const { code, stderr, trained } of stopped) {
      expect(code, stderr).toBe(0);
      expect(trained?.stopped).toBe("aborted");
    }
    const position = async () =>
      JSON.parse((await readHeader(join(directory, "last.safetensors"))).metadata.training ?? "{}");
    expect((await position()).batch).toBeGreaterThan(0);
    await expectMeanStatistics(join(directory, "last.safetensors"));
    const other = join(root, "other");
    await mkdir(other);
    for (const file of ["last.safetensors", "best.safetensors", "metrics.jsonl"])
      await copyFile(join(directory, file), join(other, file));
    const again = await train({ options: { ...options, directory, resume: true } }, 2);
    expect(again).toEqual(whole);
    for (const file of ["last.safetensors", "best.safetensors"])
      expect(await tensorsOf(join(directory, file)), file).toEqual(
        await tensorsOf(join(root, "whole", file)),
      );
    const byThree = await train({ options: { ...options, directory: other, resume: true } }, 3);
    expect(byThree.losses.length).toBe(3);
    const { metadata } = await readHeader(join(other, "last.safetensors"));
    const { worldSizes } = JSON.parse(metadata.provenance ?? "{}").distributed;
    expect(worldSizes).toEqual([
      { step: 0, worldSize: 2 },
      { step: expect.any(Number), worldSize: 3 },
    ]);
  });

  it("all hear of an image that one cannot read", async () => {
    const outcomes = await trainTogether({ bad: { rank: 1, index: 7 } }, { worldSize: 3 });
    for (const { code, stderr } of outcomes) {
      expect(code).toBe(1);
      expect(stderr).toContain("image 7 is broken");
    }
    expect(outcomes[0]?.stderr).toContain("rank 1: ");
  });

  it("throw alike where a loss is not finite", async () => {
    const outcomes = await trainTogether({ options: { lr: 1e30, maxGradNorm: 0 } }, { worldSize: 2 });
    const said = outcomes.map(({ stderr }) => stderr.split("\n")[0]);
    expect(said[0]).toMatch(/^TrainingError: .*try a lower learning rate/);
    expect(said[1]).toBe(said[0]);
  });

  it.each<[string, RanksJob, RegExp]>([
    ["settings", { options: { lr: 3e-3 } }, /other settings than rank 0 \(lr 0\.003, on rank 0 0\.002\)/],
    ["model", { model: { dState: 8 } }, /other model than rank 0 \(dState 8, on rank 0 16\)/],
    [
      "options",
      { options: { assess: false } },
      /other options than rank 0 \(assesses false, on rank 0 true\)/,
    ],
    ["training images", { train: 35 }, /other training images than rank 0 \(.*35, on rank 0 36/],
    ["validation images", { validation: 13 }, /other validation images than rank 0 \(/],
  ])("have to be told the same %s", async (_, other, sentence) => {
    const address = { host: "127.0.0.1", port: await freePort() };
    const jobs = [await jobFile({}), await jobFile(other)];
    const outcomes = (
      await Promise.all(
        jobs.map((job, rank) => ranks("train", [job], { worldSize: 2, ranks: [rank], address })),
      )
    ).flat();
    for (const { code, stderr } of outcomes) {
      expect(code).toBe(1);
      expect(stderr).toMatch(/rank 1 has other /);
      expect(stderr).toMatch(sentence);
    }
  });

  it("join by themselves where a launcher has started them", async () => {
    const [own, given] = [await train({ joins: true }, 2), await train({}, 2)];
    expect({ ...own, carriage: null }).toEqual({ ...given, carriage: null });
  });

  const nccl = hasEmulatedCuda() ? fakeNccl() : undefined;
  it.runIf(nccl)("have the same weights by NCCL as through rank 0", async () => {
    const options = { epochs: 1, batchSize: 4, assess: false };
    const job: RanksJob = { train: 4, validation: 2, model: { device: "cuda-emulated" }, options };
    const environment = { MEDMAMBA_NCCL: nccl ?? "" };
    const found: Trained[] = [];
    for (const engine of ["nccl", "tcp"]) {
      const outcomes = await trainTogether(job, {
        worldSize: 2,
        environment: { ...environment, MEDMAMBA_ENGINE: engine },
      });
      for (const { code, stderr } of outcomes) expect(code, stderr).toBe(0);
      const [first, second] = outcomes.map(({ trained }) => trained as Trained);
      expect(second).toEqual(first);
      expect(first?.carriage).toMatchObject({ engine });
      found.push({ ...(first as Trained), carriage: { engine: "", worldSize: 2 } });
    }
    expect(found[1]).toEqual(found[0]);
  });

  it("refuse a batch that cannot be divided among them", async () => {
    const outcomes = await trainTogether({ options: { batchSize: 16 } }, { worldSize: 3 });
    for (const { stderr } of outcomes)
      expect(stderr).toContain("a batch of 16 images cannot be divided among 3 processes");
  });
});
