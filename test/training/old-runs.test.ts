/**
 * What version 0.1.0 left behind goes on: test/fixtures/run-0.1.0 is the folder of a run of two epochs that Ctrl-C stopped in
 * the second, and `finished.safetensors` is what 0.1.0 itself made of it by --resume. (In `run.json` the data's path was
 * shortened; `scans` below draws the same images.)
 */
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import sharp from "sharp";
import { describe, expect, it } from "vitest";
import { loadCheckpoint, openDevice, readCheckpoint, safetensors, TrainingError } from "../../src/index.js";
import { carryOut } from "../../src/study/carry-out.js";
import { planStart, runFiles } from "../../src/study/run-directory.js";
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
  const data = await scans(join(root, "scans"));
  const plan = readFileSync(join(directory, runFiles.plan), "utf8").replace(
    '"data": "scans"',
    `"data": "${data}"`,
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

  it("has checkpoints that load, and say what they said", async () => {
    const description = await readCheckpoint(join(oldRun, "best.safetensors"));
    expect(description).toMatchObject({ classes: ["benign", "malignant"], threshold: 0.4974098801612854 });
    expect(description.task).toBeUndefined();
    const { model } = await loadCheckpoint(join(oldRun, "last.safetensors"));
    expect(model.config.dims).toEqual([4, 8]);
    model.dispose();
  });
});
