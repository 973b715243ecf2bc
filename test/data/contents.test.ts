/** Images are known by what is in them: copies are found, and data sets recognised. */
import { cp, mkdir, rename, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { contentsOf, dataIdentity } from "../../src/data/contents.js";
import { concatenated } from "../../src/data/dataset.js";
import { data } from "../../src/index.js";
import { writeScans } from "../support/small-study.js";
import { png, root } from "../support/temporary-folder.js";

const preprocessing = { imageSize: 8, channels: 1 } as const;

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
