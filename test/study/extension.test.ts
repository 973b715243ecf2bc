/** `--resume --epochs`: a run goes on with other epochs than it was planned with, where that means something. */
import { cpSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { openDataset } from "../../src/data/index.js";
import { ArgumentError, fit as fitModel, MedMamba, readCheckpoint, TrainingError } from "../../src/index.js";
import type { StudyProgress } from "../../src/study/carry-out.js";
import { warmupCosine } from "../../src/training/schedule.js";
import { failure } from "../support/failure.js";
import { smallRecipe, study, writeScans } from "../support/small-study.js";
import { root } from "../support/temporary-folder.js";

const data = join(root, "scans");
const finished = join(root, "finished"); // after 2 epochs of 2 steps each

beforeAll(async () => {
  await writeScans(data);
  await study(finished, { ...smallRecipe, data });
});

function copy(name: string): string {
  cpSync(finished, join(root, name), { recursive: true });
  return join(root, name);
}

const file = (directory: string, name: string) => readFileSync(join(directory, name));
const planIn = (directory: string) => JSON.parse(file(directory, "run.json").toString());

describe("a finished run that is resumed with more epochs", () => {
  it("has them, keeps its first ones, and says in its files and its progress where it was extended", async () => {
    const directory = copy("longer");
    const told: StudyProgress[] = [];
    const { result } = await study(
      directory,
      { epochs: 5 },
      { resume: true, onProgress: (progress) => told.push(progress) },
    );
    expect(result).toMatchObject({ stopped: "completed" });
    expect(result.history.map(({ epoch }) => epoch)).toEqual([1, 2, 3, 4, 5]);
    const lines = file(finished, "metrics.jsonl").toString();
    expect(file(directory, "metrics.jsonl").toString().startsWith(lines)).toBe(true);
    const extensions = [{ epochs: 2, epoch: 2, batch: 0 }];
    expect(told.find(({ type }) => type === "prepared")).toMatchObject({ extension: extensions[0] });
    expect(planIn(directory)).toMatchObject({ settings: { epochs: 5 }, extensions });
    expect((await readCheckpoint(join(directory, "last.safetensors"))).provenance).toMatchObject({
      extensions,
    });
    // From there on the rates are those of a run of 5 epochs, with the warm-up that it has by default.
    const rate = warmupCosine({ lr: 1e-3, totalSteps: 10, warmupSteps: Math.round(0.5 * 2), minLr: 1e-5 });
    for (const epoch of [3, 4, 5]) expect(result.history[epoch - 1]?.lr).toBe(rate(2 * epoch - 1));
  });

  it("and is stopped there comes to the same bits when it is resumed again", async () => {
    const [whole, stopped] = [copy("whole"), copy("stopped")];
    await study(whole, { epochs: 6 }, { resume: true });
    expect((await study(stopped, { epochs: 6 }, { resume: true, steps: 1 })).result.stopped).toBe("aborted");
    // As a kill before the first checkpoint leaves it: only the plan knows of the extension.
    for (const name of ["best.safetensors", "last.safetensors"])
      cpSync(join(finished, name), join(stopped, name));
    expect((await study(stopped, {}, { resume: true, steps: 2 })).result.stopped).toBe("aborted");
    expect((await study(stopped, { epochs: 6 }, { resume: true })).result.history).toHaveLength(6);
    const exact = (directory: string) =>
      ["best.safetensors", "last.safetensors"].map((name) => {
        const bytes = file(directory, name);
        return bytes.subarray(8 + Number(bytes.readBigUInt64LE())).toString("base64"); // times are in the header
      });
    expect(exact(stopped)).toEqual(exact(whole));
    expect(planIn(stopped).extensions).toEqual([{ epochs: 2, epoch: 2, batch: 0 }]);
  });

  it("may be shortened to what is done or begun, and no further", async () => {
    const directory = copy("shorter");
    await study(directory, { epochs: 6 }, { resume: true, steps: 3 });
    const before = file(directory, "run.json");
    for (const epochs of [1, 3]) {
      expect(await failure(ArgumentError, study(directory, { epochs }, { resume: true }))).toMatch(
        new RegExp(`has 4 epochs done or begun: --epochs can make that more, and not ${epochs}`),
      );
    }
    expect(file(directory, "run.json").equals(before)).toBe(true);
    const { result } = await study(directory, { epochs: 4 }, { resume: true });
    expect(result.history).toHaveLength(4);
    expect(planIn(directory).extensions).toEqual([
      { epochs: 2, epoch: 2, batch: 0 },
      { epochs: 6, epoch: 3, batch: 2 },
    ]);
  });

  it("is refused together with other settings, and where it had stopped early, with the way out", async () => {
    const directory = copy("refused");
    expect(await failure(ArgumentError, study(directory, { epochs: 8, lr: 1 }, { resume: true }))).toMatch(
      /begun with other settings than --lr 1: leave that out/,
    );
    const early = join(root, "early");
    // The loss grows at such a rate, so that no epoch after the first is better.
    const options = {
      ...smallRecipe,
      data,
      epochs: 20,
      patience: 1,
      monitor: "loss",
      lr: 0.5,
      averageDecay: 0,
    };
    const { result } = await study(early, options);
    expect(result.stopped).toBe("early");
    expect(await failure(ArgumentError, study(early, { epochs: 30 }, { resume: true }))).toMatch(
      /stopped early, .* would stop again at once: .*--init .*best.safetensors and another --out/,
    );
  });
});

describe("fit", () => {
  it("extends where it is asked to, and says what to do where not", async () => {
    const directory = copy("by-program");
    const { preprocessing, settings, split, model: network } = planIn(directory);
    const { train, val } = await openDataset(data, { preprocessing, ...split });
    const resumed = (options: object) => {
      const model = new MedMamba({ ...network, inChannels: 1, numClasses: 2 });
      const all = { ...settings, train, validation: val, directory, resume: true, ...options };
      return fitModel(model, all).finally(() => model.dispose());
    };
    expect(await failure(TrainingError, resumed({ epochs: 3 }))).toMatch(
      /epochs 2, now 3\): resume with the same, or with `extend` for other epochs/,
    );
    expect(await failure(TrainingError, resumed({ epochs: 1, extend: true }))).toMatch(
      /has 2 epochs behind it or begun: 1 are fewer/,
    );
    expect((await resumed({ epochs: 3, extend: true })).history).toHaveLength(3);
  });
});
