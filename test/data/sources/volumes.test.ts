/** Which slice of a volume is taken where nobody says: the one in the middle, since the first is air. */
import { readFile } from "node:fs/promises";
import { describe, expect, it, vi } from "vitest";
import { data, explain, MedMamba, predictStream } from "../../../src/index.js";
import { greySlices } from "../../support/nifti-file.js";
import { png, write } from "../../support/temporary-folder.js";

vi.mock("node:fs/promises", async (original) => {
  const module = await original<typeof import("node:fs/promises")>();
  return { ...module, readFile: vi.fn(module.readFile) };
});

const side = 8;
const preprocessing = data.definePreprocessing({ imageSize: side, channels: 1 });
const volume = await write("volumes/a.nii", greySlices([0, 40, 90, 160, 0], side));
const noted = () => {
  const warnings: string[] = [];
  return { warnings, onWarning: (text: string) => warnings.push(text) };
};

describe("of a volume", () => {
  it("a data set has the slice in the middle, with a word", async () => {
    await write("volumes/b.nii", greySlices([0, 70, 0], side));
    await write("volumes/flat.png", await png(30, side));
    const table = (...lines: string[]) =>
      write("volumes/list.csv", ["path,label,split", ...lines].join("\n"));
    const firstOf = async (lines: string[], options: Parameters<typeof data.openDataset>[1]) => {
      const { train } = await data.openDataset(await table(...lines), {
        ...{ preprocessing, split: "train", ...options },
      });
      return Promise.all([0, 1, 2].map(async (i) => (await train.sample(i)).data[0]));
    };
    const lines = ["a.nii,x,train", "b.nii,y,train", "flat.png,x,train"];
    const { warnings, onWarning } = noted();
    expect(await firstOf(lines, { onWarning })).toEqual([90, 70, 30]);
    expect(await firstOf(lines, { check: false })).toEqual([90, 70, 30]);
    expect(await firstOf(lines, { frames: "first", onWarning })).toEqual([0, 0, 30]);
    expect(warnings.map((text) => text.slice(text.indexOf("with")))).toEqual([
      "with 5); of each volume the slice in the middle is taken, of others the first: --frames all or every:K takes others.",
      "with 5); the first of each is taken (in a volume the one at its edge): --frames middle, all or every:K takes others.",
    ]);
  });

  it("so have single images, predictions and explanations, each file read once and told of once", async () => {
    const single = noted();
    const { data: pixels } = await data.loadImage(volume, preprocessing, { onWarning: single.onWarning });
    expect(pixels[0]).toBe(90);
    expect(single.warnings).toEqual([`${volume} has 5 slices; the one in the middle is taken.`]);

    const model = new MedMamba({ depths: [1], dims: [8], inChannels: 1, numClasses: 2, patchSize: 1 }).eval();
    const classifier = { model, classes: ["x", "y"], preprocessing };
    const probabilityOf = async (frames?: "first" | "middle") => {
      const said = noted();
      for await (const { error, ...result } of predictStream(classifier, [volume], {
        frames,
        onWarning: said.onWarning,
      }))
        return { ...said, error, probability: "probability" in result && result.probability };
      throw new Error("nothing came");
    };
    const usual = await probabilityOf();
    expect(usual.warnings).toEqual([
      `${volume} has 5 slices; the one in the middle is taken. --frames takes others.`,
    ]);
    expect(usual.probability).toBe((await probabilityOf("middle")).probability);
    const first = await probabilityOf("first");
    expect(first.probability).not.toBe(usual.probability);
    expect(first.warnings).toEqual([
      `${volume} has 5 pages or pictures; the first is taken. --frames takes others.`,
    ]);

    vi.mocked(readFile).mockClear();
    const said = noted();
    const explained = await explain(classifier, volume, { onWarning: said.onWarning });
    expect(vi.mocked(readFile).mock.calls.filter(([path]) => path === volume).length).toBe(1);
    expect(said.warnings).toEqual([
      `${volume} has 5 slices; the one in the middle is taken. --frame takes another.`,
    ]);
    expect(explained.frame).toBe(2);
    expect(explained.picture.data[0]).toBe(90);
    expect(explained.probability).toBe(usual.probability);
    expect((await explain(classifier, volume, { frames: "first" })).picture.data[0]).toBe(0);
    expect((await explain(classifier, volume, { frame: 3 })).picture.data[0]).toBe(160);
    await expect(explain(classifier, volume, { frames: "all" as "first" })).rejects.toThrow(
      'explain: frames "all" is not one of auto, first, middle.',
    );
    model.dispose();
  });
});
