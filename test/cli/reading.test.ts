/** What the commands say of images that are larger than the bound, or of which only a part is taken. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import sharp from "sharp";
import { beforeAll, describe, expect, it } from "vitest";
import { program } from "../support/repository.js";
import { smallArguments, smallRecipe, study, writeScans } from "../support/small-study.js";
import { root, write } from "../support/temporary-folder.js";

const medmamba = (...args: string[]) =>
  spawnSync(process.execPath, [program, ...args, "--device", "cpu"], { cwd: root, encoding: "utf8" });
const checkpoint = ["--checkpoint", "run/best.safetensors"];

beforeAll(async () => {
  await writeScans(join(root, "scans")); // of 256 pixels each
  await study(join(root, "run"), { ...smallRecipe, data: join(root, "scans") });
});

describe("--max-pixels", () => {
  const told =
    /it is 16 x 16 pixels, and at most 255 are read: raise the option maxPixels \(--max-pixels\) or MEDMAMBA_MAX_PIXELS/;

  it.each([
    ["train", "--data", "scans", "--out", "bounded", ...smallArguments],
    ["evaluate", "--data", "scans", ...checkpoint],
    ["predict", "scans/benign/00.png", ...checkpoint],
  ])("bounds what %s reads, and raises the bound", (...command) => {
    const bounded = medmamba(...command, "--max-pixels", "255");
    expect(`${bounded.stdout}${bounded.stderr}`.replace(/\s+/g, " ")).toMatch(told);
    expect(bounded.status).toBe(1);
    expect(medmamba(...command, "--max-pixels", "256").status).toBe(0);
    expect(medmamba(...command, "--max-pixels", "many").stderr).toMatch(/a whole number of 1 or more/);
  });

  it("is kept with the run, and may be another when it is resumed", () => {
    const kept = () => JSON.parse(readFileSync(join(root, "bounded/run.json"), "utf8")).limits;
    expect(kept()).toEqual({ maxPixels: 256 });
    expect(medmamba("train", "--out", "bounded", "--resume", "--max-pixels", "300").status).toBe(0);
    expect(kept()).toEqual({ maxPixels: 300 });
  });
});

describe("predict", () => {
  it("says of files with several pictures that the first was taken, of each of a few and of how many more", async () => {
    const pages = await sharp(Buffer.alloc(16 * 48, 9), {
      raw: { width: 16, height: 48, channels: 1, pageHeight: 16 },
    })
      .tiff()
      .toBuffer();
    const files = ["a", "b", "c", "d", "e"].map((name) => `pages/${name}.tif`);
    for (const file of files) await write(file, pages);
    const { stderr, status } = medmamba("predict", ...files, ...checkpoint, "--json");
    expect(status).toBe(0);
    expect(stderr).toContain(
      "warning: pages/a.tif has 3 pages or pictures; the first is taken. --frames takes others.\n",
    );
    expect(stderr).toContain("warning: the same of 2 more of the images.\n");
  });
});
