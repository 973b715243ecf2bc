/** Images are known by what is in them: copies are found, and data sets recognised. */
import { createHash } from "node:crypto";
import { cp, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import sharp from "sharp";
import { describe, expect, it } from "vitest";
import { MemoryBudget } from "../../src/data/cache.js";
import { contentsOf, dataIdentity } from "../../src/data/contents.js";
import { concatenated } from "../../src/data/dataset.js";
import { readableImages } from "../../src/data/sources/image-files.js";
import { data } from "../../src/index.js";
import { writeScans } from "../support/small-study.js";
import { png, root, write } from "../support/temporary-folder.js";

const preprocessing = { imageSize: 8, channels: 1 } as const;
const quietly = {
  budget: new MemoryBudget(0),
  onWarning: () => {},
  onProgress: () => {},
  signal: undefined,
  maxPixels: undefined,
  task: undefined,
  attributes: undefined,
  frames: "first",
  store: undefined,
} as const;

async function opened(folder: string) {
  const warnings: string[] = [];
  const dataset = await data.openDataset(folder, {
    preprocessing,
    onWarning: (message) => warnings.push(message),
  });
  return { dataset, warnings: warnings.map((message) => message.replaceAll(root, "")) };
}

async function divided(folder: string, files: Readonly<Record<string, number>>) {
  for (const [name, value] of Object.entries(files)) {
    const file = join(root, folder, name);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, await png(value));
  }
  return opened(join(root, folder));
}

const apart = {
  "train/a/1.png": 1,
  "train/b/2.png": 2,
  "val/a/3.png": 3,
  "val/b/4.png": 4,
  "test/a/5.png": 5,
};

describe("a file", () => {
  it("is hashed as it was decoded, and read once for both", async () => {
    const { dataset } = await divided("once", apart);
    const bytes = await readFile(join(root, "once/train/a/1.png"));
    const { train } = dataset;
    const hash = createHash("sha256").update(bytes).digest("hex");
    expect(train.contentHash?.(0)).toBe(hash);
    const part = data.subset(train, [1, 0]);
    const whole = concatenated([dataset.val, part]);
    expect([part.contentHash?.(1), whole.contentHash?.(3)]).toEqual([hash, hash]);
    await rm(join(root, "once"), { recursive: true }); // From here on nothing could be read again.
    expect((await contentsOf(whole))[3]).toBe(hash.slice(0, 16));

    const content = async () => Uint8Array.of(7);
    const other = data.derive(train, { content });
    expect((await contentsOf(other))[0]).toBe(
      createHash("sha256").update(Uint8Array.of(7)).digest("hex").slice(0, 16),
    );
  });

  it("of several pictures has a hash for each, the same as of what it is read from", async () => {
    const pages = Uint8Array.from({ length: 64 * 3 }, (_, i) => i);
    const raw = { width: 8, height: 24, channels: 1, pageHeight: 8 } as const;
    const file = await write("pages.tif", await sharp(pages, { raw }).tiff().toBuffer());
    const entries = [0, 1, 2].map((frame) => ({ file, frame, labels: [frame % 2] }));
    const reading = { preprocessing: data.definePreprocessing(preprocessing), classes: ["a", "b"] };
    const { train } = await readableImages(file, { train: entries }, { ...reading, ...quietly });
    const contents = await Promise.all(entries.map((_, i) => train!.content?.(i)));
    const expected = contents.map((content) =>
      createHash("sha256")
        .update(content as Uint8Array)
        .digest("hex"),
    );
    expect(entries.map((_, i) => train!.contentHash?.(i))).toEqual(expected);
    expect(new Set(expected).size).toBe(3);
  });
});

describe("copies", () => {
  it("in two splits are counted in a warning, for each pair of splits", async () => {
    const copies = { "test/a/6.png": 1, "test/b/7.png": 2, "test/b/8.png": 4, "val/b/9.png": 2 };
    const { warnings } = await divided("across", { ...apart, ...copies });
    expect(warnings).toEqual([
      "/across: 1 of 3 val images is identical to images of train: what is measured on them is too good. Keep one of each.",
      "/across: 2 of 4 test images are identical to images of train: what is measured on them is too good. Keep one of each.",
      "/across: 2 of 4 test images are identical to images of val: what is measured on them is too good. Keep one of each.",
    ]);
  });

  it("under two classes are named", async () => {
    const { warnings } = await divided("classes", { ...apart, "test/b/6.png": 6, "train/a/6.png": 2 });
    expect(warnings).toEqual([
      "/classes: 1 image is there under two labels, as identical pictures: /classes/train/a/6.png and /classes/train/b/2.png, for one.",
    ]);
  });

  it("within a class are no matter, nor are other pictures", async () => {
    expect((await divided("within", { ...apart, "test/b/6.png": 6, "train/a/9.png": 1 })).warnings).toEqual(
      [],
    );
  });
});

describe("the identity of a data set", () => {
  it("stays where it is moved, and changes with an image, a label or the order", async () => {
    const { dataset } = await opened(await writeScans(join(root, "first")));
    const identity = await dataIdentity(dataset);
    expect(JSON.stringify(identity)).not.toMatch(/png|first/);
    await cp(join(root, "first"), join(root, "copied"), { recursive: true });
    await rename(join(root, "copied"), join(root, "moved"));
    expect(await dataIdentity((await opened(join(root, "moved"))).dataset)).toEqual(identity);
    await writeFile(join(root, "moved/benign/00.png"), await png(200));
    expect(await dataIdentity((await opened(join(root, "moved"))).dataset)).not.toEqual(identity);
    const turned = data.derive(dataset.train, { labels: dataset.train.labels.map((label) => 1 - label) });
    expect((await dataIdentity({ ...dataset, train: turned })).train).not.toEqual(identity.train);
    const order = Array.from({ length: dataset.train.length }, (_, i) => i).reverse();
    expect(
      (await dataIdentity({ ...dataset, train: data.subset(dataset.train, order) })).train.contents,
    ).not.toBe(identity.train.contents);
  });

  it("goes by the samples of data sets that have nothing else", async () => {
    const images = Uint8Array.from({ length: 4 * 64 }, (_, at) => (at >> 6) % 3);
    const arrays = data.fromArrays({ images, shape: [4, 8, 8], labels: [0, 1, 1, 0] });
    const { content: _, ...without } = arrays;
    const [first, second, third, fourth] = await contentsOf(without);
    expect(new Set([first, second, third]).size).toBe(3);
    expect(fourth).toBe(first);
    expect(await contentsOf(arrays)).toEqual(await contentsOf(without));
  });

  it("is that of the parts, one after the other, where they are joined", async () => {
    const { dataset } = await opened(await writeScans(join(root, "joined")));
    const parts = [dataset.val, dataset.test];
    const joined = concatenated(parts);
    expect(await contentsOf(joined)).toEqual(
      (await Promise.all(parts.map((part) => contentsOf(part)))).flat(),
    );
    expect([...joined.labels]).toEqual(parts.flatMap(({ labels }) => [...labels]));
    expect(joined.name(dataset.val.length)).toBe(dataset.test.name(0));
  });
});
