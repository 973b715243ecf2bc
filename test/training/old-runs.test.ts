/**
 * What version 0.1.0 left behind goes on: test/fixtures/run-0.1.0 is the folder of a run of two epochs that Ctrl-C stopped in
 * the second, and `finished.safetensors` is what 0.1.0 itself made of it by --resume. (In `run.json` the data's path was
 * shortened; `scans` below draws the same images.)
 */
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import sharp from "sharp";
import { describe, expect, it } from "vitest";
import {
  data,
  evaluate,
  loadCheckpoint,
  openDevice,
  readCheckpoint,
  safetensors,
  TrainingError,
} from "../../src/index.js";
import { carryOut } from "../../src/study/carry-out.js";
import { planStart, runFiles } from "../../src/study/run-directory.js";
import { readHeader, readTensors, writeTensors } from "../../src/weights/safetensors.js";
import { failure } from "../support/failure.js";
import { fixture } from "../support/repository.js";
import { root } from "../support/temporary-folder.js";

const oldRun = fixture("run-0.1.0");

async function scans(folder: string): Promise<string> {
  for (const [split, count] of Object.entries({ train: 6, val: 3, test: 3 })) {
    for (const [label, name] of ["benign", "malignant"].entries()) {
      mkdirSync(join(folder, split, name), { recursive: true });
      for (let i = 0; i < count; ++i) {
        const pixels = Uint8Array.from(
          { length: 256 },
          (_, at) => (at * (label ? 7 : 3) + i * 31 + split.length * 11) % 256,
        );
        await sharp(pixels, { raw: { width: 16, height: 16, channels: 1 } })
          .toColourspace("b-w")
          .png()
          .toFile(join(folder, split, name, `${i}.png`));
      }
    }
  }
  return folder;
}

/** A copy of the run whose data are where the test draws them. */
async function copyOfRun(name: string, change = (plan: string) => plan): Promise<string> {
  const directory = join(root, name);
  cpSync(oldRun, directory, { recursive: true });
  const images = await scans(join(root, "scans"));
  const plan = readFileSync(join(directory, runFiles.plan), "utf8").replace(
    '"data": "scans"',
    `"data": "${images}"`,
  );
  writeFileSync(join(directory, runFiles.plan), change(plan));
  return directory;
}

describe("a run of 0.1.0", () => {
  const options = { device: openDevice("cpu"), signal: new AbortController().signal, onProgress: () => {} };

  it("is resumed, to what 0.1.0 would have made of it", async () => {
    const directory = await copyOfRun("resumed");
    const { result } = await carryOut(await planStart(directory, {}, { resume: true }), options);
    expect(result.stopped).toBe("completed");
    expect(result.history.map(({ epoch }) => epoch)).toEqual([1, 2]);
    const [ours, theirs] = await Promise.all(
      [join(directory, "last.safetensors"), join(oldRun, "finished.safetensors")].map((path) =>
        safetensors.load(path),
      ),
    );
    expect(Object.keys(ours!).sort()).toEqual(Object.keys(theirs!).sort());
    for (const [name, tensor] of Object.entries(ours!)) {
      const [now, then] = [await tensor.data(), await theirs![name]!.data()];
      // To the bit on the processor that made the fixture; other vector widths add in another order.
      for (const [i, value] of now.entries())
        expect(Math.abs(Number(value) - Number(then[i]))).toBeLessThan(1e-4);
    }
  });

  it("does not mistake today's new settings for other ones, but another one for the same neither", async () => {
    const directory = await copyOfRun("accumulated");
    await expect(planStart(directory, { accumulate: 2 }, { resume: true })).rejects.toThrow(
      /begun with other settings than --accumulate 2/,
    );
    const other = await copyOfRun("other", (plan) => plan.replace('"lr": 0.001', '"lr": 0.002'));
    const start = await planStart(other, {}, { resume: true });
    expect(await failure(TrainingError, carryOut(start, options))).toMatch(
      /settings \(lr 0.001, now 0.002\)/,
    );
  });

  it("whose settings are of a later version is not resumed", async () => {
    const directory = await copyOfRun("later", (plan) =>
      plan.replace('"lr": 0.001', '"lr": 0.001, "warp": 9'),
    );
    await expect(planStart(directory, {}, { resume: true })).rejects.toThrow(
      /run.json is damaged.*warp is no setting/,
    );
  });

  it("goes on with a mean that is refused today, in every way that its weights can be used, and says so", async () => {
    const odd = (text: string) => text.replaceAll(/"mean":\s*\[\s*0.5\s*\]/g, '"mean":[123.675]');
    const directory = await copyOfRun("odd", odd);
    for (const name of ["best.safetensors", "last.safetensors"]) {
      const path = join(directory, name);
      const { metadata } = await readHeader(path);
      const changed = Object.fromEntries(Object.entries(metadata).map(([key, text]) => [key, odd(text)]));
      await writeTensors(path, await readTensors(path), changed);
    }
    const warnings: string[] = [];
    const onWarning = (message: string) => warnings.push(message);
    const best = join(directory, "best.safetensors");
    const checkpoint = await loadCheckpoint(best, { onWarning });
    expect(warnings).toEqual([
      expect.stringMatching(
        /best.safetensors: mean \[123.675\] is beyond 1.* It was trained so, and is used so.$/,
      ),
    ]);
    const { preprocessing, classes } = checkpoint;
    expect(preprocessing.mean).toEqual([123.675]);
    const scansOfIt = await data.openDataset(join(root, "scans"), { preprocessing, classes });
    const { metrics } = await evaluate(checkpoint.model, scansOfIt.test);
    expect(metrics.samples).toBe(6);
    await data.loadImage(scansOfIt.test.name(0), { ...preprocessing, resize: "cover" });

    const { result } = await carryOut(await planStart(directory, {}, { resume: true }), {
      ...options,
      onProgress: (progress) => progress.type === "warning" && onWarning(progress.message),
    });
    expect(result.stopped).toBe("completed");
    expect(warnings[1]).toMatch(/beyond 1.* The run began so and goes on so.$/);
    const next = { data: join(root, "scans"), init: best };
    expect((await planStart(join(root, "next"), next, {})).plan.preprocessing.mean).toEqual([123.675]);
    // What is asked for anew is another thing.
    await expect(planStart(join(root, "next"), { ...next, mean: [123] }, {})).rejects.toThrow(/beyond 1/);
  });

  it("has checkpoints that load, and say what they said", async () => {
    const description = await readCheckpoint(join(oldRun, "best.safetensors"));
    expect(description).toMatchObject({ classes: ["benign", "malignant"], threshold: 0.4974098801612854 });
    expect(description.task).toBeUndefined();
    const { model } = await loadCheckpoint(join(oldRun, "last.safetensors"));
    expect(model.config.dims).toEqual([4, 8]);
    model.dispose();
  });
});
