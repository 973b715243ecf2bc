/** Files with several pictures: which are taken, what they are called, and that those of one file stay together. */
import sharp from "sharp";
import { describe, expect, it } from "vitest";
import { type OpenDatasetOptions, openDataset } from "../../../src/data/index.js";
import { pseudonym } from "../../../src/data/pseudonyms.js";
import { message, png, root, write } from "../../support/temporary-folder.js";

const side = 8;
const preprocessing = { imageSize: side, channels: 1 } as const;

/** Pages of one grey each, as libvips writes them: one below the other in memory. */
async function pages(kind: "tiff" | "gif", ...values: number[]): Promise<Buffer> {
  const pixels = Uint8Array.from({ length: values.length * side * side }, (_, at) => {
    return values[Math.floor(at / (side * side))] ?? 0;
  });
  const raw = { width: side, height: side * values.length, channels: 1, pageHeight: side } as const;
  const image = sharp(pixels, { raw }).toColourspace("b-w");
  return kind === "gif" ? image.gif().toBuffer() : image.tiff({ compression: "none" }).toBuffer();
}

await write("stacks/one.tif", await pages("tiff", 10, 20, 30));
await write("stacks/two.gif", await pages("gif", 100, 150, 200, 250));
await write("stacks/flat.png", await png(70));

const open = async (options: OpenDatasetOptions, ...lines: string[]) =>
  openDataset(await write("stacks/list.csv", `${lines.join("\n")}\n`), {
    preprocessing,
    split: "train",
    cacheBytes: 0,
    ...options,
  });
const values = async (dataset: Awaited<ReturnType<typeof open>>["train"]) =>
  Promise.all(
    Array.from({ length: dataset.length }, async (_, i) => (await dataset.sample(i)).data[0] ?? -1),
  );
const lines = [
  "path,label,split,patient,weight,age",
  "one.tif,a,train,,2,63",
  "two.gif,b,train,p1,1,41",
  "flat.png,a,train,p2,1,50",
];

describe("files with several pictures", () => {
  it("give the first unless told, or the one in the middle, with a word", async () => {
    const warnings: string[] = [];
    const onWarning = (text: string) => warnings.push(text);
    const first = await open({ onWarning }, ...lines);
    expect(await values(first.train)).toEqual([10, 100, 70]);
    const middle = await open({ frames: "middle", onWarning }, ...lines);
    expect(await values(middle.train)).toEqual([20, 200, 70]);
    expect(warnings.map((text) => text.slice(text.indexOf("with")))).toEqual([
      "with 3); the first of each is taken: --frames middle, all or every:K takes others.",
      "with 3); the one in the middle of each is taken.",
    ]);
    expect(first.train.files).toBeUndefined();
  });

  it("give all, or every so many, each with what the table says of its file", async () => {
    const { train } = await open({ frames: "all" }, ...lines);
    expect(await values(train)).toEqual([10, 20, 30, 100, 150, 200, 250, 70]);
    const [one, two] = [`${root}/stacks/one.tif`, `${root}/stacks/two.gif`];
    expect(train).toMatchObject({
      labels: Int32Array.of(0, 0, 0, 1, 1, 1, 1, 0),
      weights: Float32Array.of(2, 2, 2, 1, 1, 1, 1, 1),
      files: [one, one, one, two, two, two, two, undefined],
      attributes: { age: ["63", "63", "63", "41", "41", "41", "41", "50"] },
    });
    expect(train.name(2)).toBe(`${one} frame 2`);
    expect(train.name(7)).toBe(`${root}/stacks/flat.png`);
    // Those of a file whose patient is not known stay together as the file's.
    expect(new Set(train.groups?.slice(0, 3))).toEqual(new Set([pseudonym(one)]));
    expect(train.patients?.slice(2, 5)).toEqual([undefined, pseudonym("p1"), pseudonym("p1")]);
    const some = await open({ frames: "every:2" }, ...lines);
    expect(await values(some.train)).toEqual([10, 30, 100, 200, 70]);
  });

  it("give those that a table names, the same file on several lines", async () => {
    const named = ["path,label,split,frame", "two.gif,b,train,3", "one.tif,a,train,1", "two.gif,a,train,0"];
    const { train } = await open({ frames: "all" }, ...named);
    expect(await values(train)).toEqual([250, 20, 100]);
    expect(train.groups?.[0]).toBe(train.groups?.[2]);
    expect(train.groups?.[0]).toBeDefined();
    const beyond = await message(open({}, ...named, "one.tif,a,train,7"));
    expect(beyond).toMatch(/one\.tif could not be read: there is no frame 7, frames are 0 to 2/);
  });

  it("are never in two splits", async () => {
    const files = await Promise.all(
      Array.from({ length: 12 }, async (_, i) => {
        await write(`divided/${i % 2 ? "a" : "b"}/${i}.tif`, await pages("tiff", i, i + 50, i + 100));
        return i;
      }),
    );
    const opened = await openDataset(`${root}/divided`, { preprocessing, frames: "all" });
    const places = [opened.train, opened.val, opened.test].map((part) => new Set(part.files));
    expect(places.reduce((sum, { size }) => sum + size, 0)).toBe(files.length);
    expect(opened.train.length + opened.val.length + opened.test.length).toBe(36);
  });

  it("are refused in words that mean none", async () => {
    for (const frames of ["last", "every:0", "every:x", 3])
      await expect(open({ frames: frames as "all" }, ...lines)).rejects.toThrow(
        /^openDataset: frames .* must be auto, first, middle, all, or every: and a number/,
      );
  });
});
