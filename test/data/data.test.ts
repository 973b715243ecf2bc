/** Data sets of folders, manifests and arrays: what opens, how it is divided, what is left out or refused. */
import { mkdir, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  countLabels,
  describeDataset,
  fromArrays,
  openDataset,
  writeDemoDataset,
} from "../../src/data/index.js";
import { message, png, root, write } from "../support/temporary-folder.js";

const preprocessing = { imageSize: 8, channels: 1 } as const;

/** `counts` images in each class folder, with ever other values. */
async function writeClasses(folder: string, counts: Record<string, number>): Promise<string> {
  let value = 0;
  for (const [name, count] of Object.entries(counts)) {
    for (let i = 0; i < count; ++i) {
      value += 1;
      await write(join(folder, name, `${i}.png`), await png(value % 256));
    }
  }
  return join(root, folder);
}

describe("folders", () => {
  it("reads train, validation and test folders of class folders", async () => {
    await writeClasses("divided/train", { cyst: 3, mass: 2 });
    await writeClasses("divided/validation", { cyst: 1, mass: 1 });
    const path = dirname(await writeClasses("divided/test", { cyst: 1, mass: 2 }));
    const { train, val, test, classes } = await openDataset(path, { preprocessing });
    expect(classes).toEqual(["cyst", "mass"]);
    expect([train.length, val.length, test.length]).toEqual([5, 2, 3]);
    expect([...train.labels]).toEqual([0, 0, 0, 1, 1]);
    expect(train.name(3)).toBe(join(path, "train", "mass", "0.png"));
    expect((await train.sample(3)).data[0]).toBe(4);
    expect(describeDataset(train)).toBe("5 images of 8 x 8, 1 channel: cyst 3, mass 2");
  });

  it("divides class folders by seed, class by class", async () => {
    const path = await writeClasses("plain", { a: 20, b: 40 });
    const names = async (seed: number): Promise<string[][]> => {
      const opened = await openDataset(path, { preprocessing, seed });
      return [opened.train, opened.val, opened.test].map((set) =>
        Array.from(set.labels, (_, i) => set.name(i)),
      );
    };
    const opened = await openDataset(path, { preprocessing });
    expect(countLabels(opened.train)).toEqual([14, 28]);
    expect(countLabels(opened.val)).toEqual([3, 6]);
    expect(countLabels(opened.test)).toEqual([3, 6]);
    const [first, again, other] = [await names(0), await names(0), await names(1)];
    expect(again).toEqual(first);
    expect(other).not.toEqual(first);
    expect(new Set(first.flat()).size).toBe(60);
    const alone = await openDataset(path, { preprocessing, split: "test" });
    expect(Array.from(alone.test.labels, (_, i) => alone.test.name(i))).toEqual(first[2]);
    expect(alone.train.length).toBe(0);
    const all = await openDataset(path, {
      preprocessing,
      split: "test",
      testFraction: 1,
      validationFraction: 0,
    });
    expect(all.test.length).toBe(60);
  });

  it("draws a missing val from train and says so", async () => {
    await writeClasses("noval/train", { a: 20, b: 20 });
    const path = dirname(await writeClasses("noval/test", { a: 2, b: 2 }));
    const warnings: string[] = [];
    const opened = await openDataset(path, { preprocessing, onWarning: (text) => warnings.push(text) });
    expect([opened.train.length, opened.val.length, opened.test.length]).toEqual([34, 6, 4]);
    expect(warnings.slice(0, 1)).toEqual([
      `${path} has no val images of its own: 6 images of train are set aside for it.`,
    ]);
  });

  it("keeps a checkpoint's classes, and opens a test folder alone", async () => {
    const path = dirname(await writeClasses("alone/test", { b: 2, c: 1 }));
    const { test } = await openDataset(path, { preprocessing, split: "test", classes: ["c", "a", "b"] });
    expect([...test.labels]).toEqual([2, 2, 0]);
    expect(await message(openDataset(path, { preprocessing }))).toBe(
      "/alone has a test folder but no train folder: put what is to be learned into one beside.",
    );
    expect(await message(openDataset(path, { split: "test", classes: ["a", "b"] }))).toBe(
      '/alone/test/c: "c" is not one of a, b.',
    );
  });

  it("names what is wrong with a folder", async () => {
    await writeClasses("hollow", { a: 2, b: 2 });
    await write("hollow/c/scan.mat", "x");
    expect(await message(openDataset(join(root, "hollow")))).toMatch(
      /^\/hollow\/c has no images \(it has files ending in \.mat\)/,
    );
    await mkdir(join(root, "void/a"), { recursive: true });
    await mkdir(join(root, "void/b"));
    expect(await message(openDataset(join(root, "void")))).toMatch(
      /^\/void\/a has no images; .*\.png .* are read/,
    );
    const single = await writeClasses("single", { cyst: 3 });
    expect(await message(openDataset(single))).toBe(
      '/single has only one class, "cyst"; a classifier needs at least two.',
    );
    await mkdir(join(root, "bare"));
    expect(await message(openDataset(join(root, "bare")))).toMatch(
      /^\/bare has no folders in it; expected a folder for each class/,
    );
    expect(await message(openDataset(join(root, "nowhere")))).toBe("/nowhere does not exist.");
    expect(await message(openDataset(await write("data.txt", "")))).toMatch(
      /data\.txt is not a data set: expected a MedMNIST/,
    );
  });

  it("names and leaves out single images that cannot be read", async () => {
    const path = await writeClasses("few", { a: 100, b: 100 });
    const whole = await png(7, 64);
    await write("few/a/50.png", whole.subarray(0, whole.length - 500));
    await write("few/b/60.png", "");
    const warnings: string[] = [];
    const progress: number[] = [];
    const opened = await openDataset(path, {
      preprocessing,
      onWarning: (text) => warnings.push(text),
      onProgress: ({ done, total }) => progress.push(done / total),
    });
    expect(opened.train.length + opened.val.length + opened.test.length).toBe(198);
    expect(countLabels(opened.train)[0]).toBeGreaterThan(60);
    expect(progress.at(-1)).toBe(1);
    expect(warnings.sort()).toEqual([
      `${join(path, "a/50.png")} could not be read: the image is damaged or cut off; it is left out.`,
      `${join(path, "b/60.png")} could not be read: the file is empty; it is left out.`,
      `${path}: 2 of 200 images are unreadable and left out.`,
    ]);
    for (let i = 0; i < opened.train.length; ++i) await opened.train.sample(i);

    await write("few/b/61.png", "no image");
    const refusal = await message(openDataset(path, { preprocessing }));
    expect(refusal).toMatch(/^\/few: 3 of 200 images are unreadable: /);
    for (const file of ["a/50.png", "b/60.png", "b/61.png"])
      expect(refusal).toContain(`/few/${file} could not be read`);
  });

  it("stops when it is told to", async () => {
    const signal = AbortSignal.abort();
    await expect(openDataset(join(root, "plain"), { preprocessing, signal })).rejects.toThrow(/abort/);
  });
});

describe("manifests", () => {
  const lines = (...rows: string[]): string => `${rows.join("\n")}\n`;

  it("reads paths relative to the manifest, labels, splits and quoted fields", async () => {
    await writeClasses("manifest/images", { a: 4, b: 4 });
    await write("manifest/images/one, two.png", await png(99));
    const text = lines(
      "\ufeffpatient,Path,Label,Split",
      "1,images/a/0.png,benign,train",
      '1,"images/one, two.png",malignant,train',
      "2,images/b/1.png,malignant,valid",
      "",
      "3,images/b/2.png,benign,test",
    );
    const { train, val, test, classes } = await openDataset(await write("manifest/list.csv", text), {
      preprocessing,
    });
    expect(classes).toEqual(["benign", "malignant"]);
    expect([...train.labels, ...val.labels, ...test.labels]).toEqual([0, 1, 1, 0]);
    expect((await train.sample(1)).data[0]).toBe(99);
  });

  it("divides a manifest without splits", async () => {
    const rows = ["a", "b"].flatMap((label) => [0, 1, 2, 3].map((i) => `images/${label}/${i}.png,${label}`));
    const opened = await openDataset(await write("manifest/plain.csv", lines("path,label", ...rows)), {
      preprocessing,
    });
    expect([opened.train, opened.val, opened.test].map((set) => countLabels(set))).toEqual([
      [2, 2],
      [1, 1],
      [1, 1],
    ]);
  });

  it("names the line that is wrong", async () => {
    const many = Array.from({ length: 12 }, (_, i) => `${i}.png,${i % 2 ? "benign" : "malignant"}`);
    const open = async (text: string, classes?: string[]): Promise<string> =>
      message(openDataset(await write("scans/train.csv", text), classes ? { classes } : {}));
    const classes = ["benign", "malignant", "normal"];
    expect(await open(lines("path,label", ...many, "z.png,benigm"), classes)).toBe(
      '/scans/train.csv line 14: label "benigm" is not one of benign, malignant, normal.',
    );
    expect(await open(lines("path,label", ...many, "z.png,benigm"))).toMatch(
      /^\/scans\/train.csv line 14: label "benigm" is not one of benign, malignant\. If it is a class/,
    );
    expect(await open(lines("path,label,split", "a.png,x,train", "b.png,y,train", "c.png,z,test"))).toMatch(
      /line 4: label "z" is not one of x, y/,
    );
    expect(await open(lines("file,label", "a.png,x"))).toMatch(
      /line 1: found the columns file, label; path and label/,
    );
    expect(await open(lines("path,label,split", "a.png,x,tset"))).toMatch(
      /line 2: split "tset" is not one of train, val, test/,
    );
    expect(await open(lines("path,label", "a.png,x", "b.png,"))).toMatch(/line 3: the label is empty/);
    expect(await open(lines("path,label", "a.png,x", "a.png,y"))).toMatch(
      /line 3: a\.png is on line 2 already/,
    );
    expect(await open(lines("path,label", "a.png,x", "b.png,x,1"))).toMatch(
      /train.csv line 3: it has more or fewer columns/,
    );
    expect(await open(lines("path,label"))).toMatch(/lists no images/);
    expect(await open(lines("path,label", "a.png,x", "b.png,x"))).toMatch(/only one class, "x"/);
    expect(await open(lines("path,label", ...many))).toMatch(
      /12 of 12 images are unreadable: .*there is no such file.*and 7 more/,
    );
  });
});

describe("arrays in memory", () => {
  it("are data sets too", async () => {
    const images = Float32Array.from({ length: 3 * 16 }, (_, i) => i / 48);
    const set = fromArrays({ images, shape: [3, 4, 4], labels: [1, 0, 1] });
    expect(set.preprocessing).toMatchObject({ imageSize: 4, channels: 1 });
    expect((await set.sample(1)).data).toEqual(images.subarray(16, 32));
    const larger = fromArrays({
      images,
      shape: [3, 4, 4],
      labels: [1, 0, 1],
      preprocessing: { imageSize: 8 },
    });
    const { data } = await larger.sample(2);
    expect(data).toHaveLength(64);
    expect(Math.min(...data)).toBeGreaterThan(0.6);
    expect(() => fromArrays({ images, shape: [3, 4, 5], labels: [1, 0, 1] })).toThrow(
      /48 values do not make images of shape \(3, 4, 5\)/,
    );
    expect(() => fromArrays({ images, shape: [3, 4, 4], labels: [1, 0] })).toThrow(/3 images but 2 labels/);
    expect(() => fromArrays({ images, shape: [3, 4, 4], labels: [1, 0, -2] })).toThrow(
      /fromArrays: labels holds -2 for image 2/,
    );
  });
});

describe("the demo data set", () => {
  it("is the same for a seed and opens as a data set", async () => {
    const perClass = { train: 3, val: 1, test: 2 };
    await writeDemoDataset(join(root, "demo"), { seed: 3, perClass: { ...perClass, train: 4 }, size: 32 });
    await writeDemoDataset(join(root, "demo"), { seed: 3, perClass, size: 32 });
    await writeDemoDataset(join(root, "again"), { seed: 3, perClass, size: 32 });
    const file = "train/mass/mass-0001.png";
    expect(await readFile(join(root, "demo", file))).toEqual(await readFile(join(root, "again", file)));
    const { train, val, test, classes } = await openDataset(join(root, "demo"), {
      preprocessing: { imageSize: 32, channels: 1 },
    });
    expect(classes).toEqual(["cyst", "mass", "normal"]);
    expect([train.length, val.length, test.length]).toEqual([9, 3, 6]);
    const levels = await Promise.all(Array.from(train.labels, (_, i) => train.sample(i)));
    for (const { data } of levels) {
      const mean = Array.from(data).reduce((sum, value) => sum + value, 0) / data.length;
      expect(mean).toBeGreaterThan(50);
      expect(mean).toBeLessThan(220);
    }
  });
});
