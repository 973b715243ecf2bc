/** Resuming where the data set is elsewhere, or has other images. */
import { readFileSync } from "node:fs";
import { rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { StudyError } from "../../src/errors.js";
import { readCheckpoint } from "../../src/index.js";
import { failure } from "../support/failure.js";
import { smallRecipe, study, writeScans } from "../support/small-study.js";
import { png, root } from "../support/temporary-folder.js";

let [data, directory, number] = ["", "", 0];

beforeEach(async () => {
  data = await writeScans(join(root, `scans-${++number}`));
  directory = join(root, `run-${number}`);
  await study(directory, { ...smallRecipe, data }, { steps: 1 });
});

describe("a run that is resumed", () => {
  it("goes on with a data set that was moved, and knows its new place from then on", async () => {
    const moved = join(root, `moved-${number}`);
    await rename(data, moved);
    await study(directory, { data: moved }, { resume: true, steps: 1 });
    expect(JSON.parse(readFileSync(join(directory, "run.json"), "utf8")).data).toBe(moved);
    const { result } = await study(directory, {}, { resume: true });
    const whole = await study(`${directory}-whole`, { ...smallRecipe, data: moved });
    expect(result.history.map(({ trainLoss }) => trainLoss)).toEqual(
      whole.result.history.map(({ trainLoss }) => trainLoss),
    );
  });

  it("notices images that were replaced, in the same place and in another", async () => {
    const other = await writeScans(join(root, `other-${number}`), { seed: 1 });
    for (const options of [{ data: other }, {}]) {
      if (!options.data) await writeFile(join(data, "benign/00.png"), await png(9, 16));
      const before = readFileSync(join(directory, "run.json"), "utf8");
      expect(await failure(StudyError, study(directory, options, { resume: true }))).toMatch(
        /^the images in .* are others than those that the run began with \((train|val|test): .*put them back/,
      );
      expect(readFileSync(join(directory, "run.json"), "utf8")).toBe(before);
    }
  });

  it("has checkpoints that know its data, without a name of an image or a path", async () => {
    await study(directory, {}, { resume: true });
    const { provenance } = await readCheckpoint(join(directory, "best.safetensors"));
    expect(provenance).toMatchObject({ data: { classes: ["benign", "malignant"], train: { images: 16 } } });
    expect(JSON.stringify(provenance)).not.toMatch(/png|scans|medmamba-test/);
  });
});
