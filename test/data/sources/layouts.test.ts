/** Layouts and tables as people have them: parts that are no classes, strangers among the images, tables of spreadsheets. */
import { rename } from "node:fs/promises";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { openDataset } from "../../../src/data/index.js";
import { searchFolder } from "../../../src/data/sources/walk.js";
import { parseSplitName } from "../../../src/data/splitting/split-names.js";
import { message, png, root, write } from "../../support/temporary-folder.js";

const preprocessing = { imageSize: 8, channels: 1 } as const;

/** Every image is another one. */
async function folder(name: string, files: readonly string[]): Promise<string> {
  for (const [i, file] of files.entries()) await write(join(name, file), await png(i));
  return join(root, name);
}

const images = (classes: readonly string[], count = 4): string[] =>
  classes.flatMap((name) => Array.from({ length: count }, (_, i) => `${name}/${i}.png`));

/** Classes, images in all, and warnings. */
async function opened(path: string, options = {}) {
  const warnings: string[] = [];
  const onWarning = (warning: string) => {
    // All pictures here are the same one, which is said, but not what these tests are about.
    if (!warning.includes("identical")) warnings.push(warning.replaceAll(root, ""));
  };
  const { train, val, test, classes } = await openDataset(path, { preprocessing, onWarning, ...options });
  return { classes, sizes: [train.length, val.length, test.length], warnings };
}

describe("what is beside the classes", () => {
  it("are images of none, which are counted in a warning", async () => {
    const classes = images(["a", "b"]);
    const undivided = await opened(await folder("beside", [...classes, "sample.png", "logo.PNG"]));
    expect(undivided.sizes.reduce((sum, size) => sum + size)).toBe(8);
    expect(undivided.warnings).toEqual([
      "/beside: left out 2 of the images, which lie beside the folders of the classes and not in one (such as /beside/logo.PNG).",
    ]);
    const parts = images(["train/a", "train/b", "val/a", "val/b", "test/a", "test/b"], 2);
    const { warnings } = await opened(
      await folder("within", [...parts, "train/x.png", "test/y.png", "z.png"]),
    );
    expect(warnings).toEqual([
      expect.stringMatching(/^\/within: left out 3 of the images, .*such as \/within\/test\/y.png/),
    ]);
  });

  it("is said where there are no folders: a table, or images of one class", async () => {
    const flat = await folder("flat", ["1.png", "2.png"]);
    expect(await message(openDataset(flat))).toMatch(
      /^\/flat has no folders in it, but 2 images; expected .*\. If it is one of several classes, give the folder above/,
    );
    await write("flat/metadata.csv", "file,label\n1.png,a\n2.png,b\n");
    expect(await message(openDataset(flat))).toMatch(
      /If metadata.csv says which class each image has, give \/flat\/metadata.csv.$/,
    );
  });

  it("is looked through where it is one folder in another, as archives are packed", async () => {
    const packed = await folder("packed", images(["set/data v1/all/a", "set/data v1/all/b"]));
    expect(await message(openDataset(packed))).toMatch(
      /^\/packed has only one folder, set\/data v1\/all, with a and b in it. .* give \/packed\/set\/data v1\/all instead/,
    );
    expect(await message(openDataset(await folder("one", images(["a/p1/left", "a/p1/left"]))))).toMatch(
      /only one class, "a"/,
    );
  });
});

describe("what is a class", () => {
  it("is told from the words for parts, in any case", async () => {
    for (const word of ["Training", "TRAIN", "training_set", "Train set"])
      expect(parseSplitName(word)).toBe("train");
    for (const word of ["Valid", "Validation", "dev"]) expect(parseSplitName(word)).toBe("val");
    for (const word of ["Testing", "test"]) expect(parseSplitName(word)).toBe("test");
    expect(parseSplitName("tested")).toBeUndefined();
    const names = ["Training/a", "Training/b", "Testing/a", "Testing/b"];
    const { classes, sizes } = await opened(await folder("kaggle", images(names)));
    expect(classes).toEqual(["a", "b"]);
    expect([sizes[0], sizes[1], sizes[2]]).toEqual([6, 2, 8]);
  });

  it("is no fold, patient or part that has all classes in it", async () => {
    const folds = images(["fold1/benign", "fold1/Malignant", "fold2/benign", "fold2/malignant"], 1);
    expect(await message(openDataset(await folder("folds", folds)))).toMatch(
      /^\/folds: all of fold1 and fold2 have the same folders in them \(Malignant and benign\), so they do not look like classes/,
    );
    const inside = images(["a/train", "a/test", "b/train", "b/test"], 1);
    expect(await message(openDataset(await folder("inside", inside)))).toMatch(
      /path\/train\/CLASS\/image\.png/,
    );
    const wrapped = await folder("wrapped", images(["archive/a", "archive/b"], 1));
    expect(await message(openDataset(wrapped))).toMatch(
      /only one folder, archive, with a and b in it.*\/archive instead/,
    );
    const patients = images(["benign/1", "benign/2", "malignant/1", "malignant/2", "malignant/3"], 2);
    expect((await opened(await folder("numbered", patients))).classes).toEqual(["benign", "malignant"]);
    const chosen = await opened(join(root, "folds"), { classes: ["fold1", "fold2"] });
    expect(chosen.classes).toEqual(["fold1", "fold2"]);
  });

  it("is not two for two spellings", async () => {
    const twice = await folder("twice", images(["Benign", "benign", "malignant"], 1));
    expect(await message(openDataset(twice))).toMatch(
      /^\/twice: the folders Benign and benign differ in case or spaces only/,
    );
    const rows = ["path,label", "0.png,Benign", "1.png,malignant", "2.png,benign"].join("\n");
    expect(await message(openDataset(await write("twice.csv", rows)))).toMatch(
      /twice\.csv line 4: label "benign" differs from "Benign" on line 2 in case/,
    );
    const composed = images(["train/caf\u00e9", "train/b", "test/cafe\u0301", "test/b"], 3);
    const { classes, sizes } = await opened(await folder("composed", composed));
    expect(classes).toEqual(["b", "caf\u00e9"]);
    expect(sizes[2]).toBe(6);
  });
});

describe("strangers among the images", () => {
  it("are masks and thumbnails of images beside them, left out with one warning that counts them", async () => {
    const strangers = [
      "benign/0_mask.png",
      "benign/0_mask_1.png",
      "benign/1 (mask).png",
      "malignant/deep/x-Segmentation.PNG",
      "malignant/masks/2.png",
      "malignant/mask_3.png",
    ];
    const files = [...images(["benign", "malignant"], 4), "malignant/deep/x.jpg", "benign/lone_mask.png"];
    const path = await folder("masked", [...files, ...strangers, "masks/0.png"]);
    const { classes, sizes, warnings } = await opened(path);
    expect(classes).toEqual(["benign", "malignant"]);
    expect(sizes.reduce((a, b) => a + b)).toBe(files.length);
    expect(warnings.filter((text) => text.includes("left out"))).toEqual([
      expect.stringMatching(/^\/masked: left out masks, taken by name/),
      expect.stringMatching(/^\/masked: left out 6 of the images, by name masks or thumbnails/),
    ]);
    const { images: predicted } = await searchFolder(join(path, "malignant"));
    expect(predicted.length).toBe(5);
    const rows = [
      "path,label",
      "masked/benign/0.png,a",
      "masked/benign/0_mask.png,b",
      "masked/benign/1.png,b",
    ];
    const listed = await opened(await write("masks.csv", rows.join("\n")));
    expect(listed.warnings).toContainEqual(
      expect.stringMatching(/1 of the images are by name masks.*line 3/),
    );
  });

  it.skipIf(process.platform !== "linux")("are names that are not UTF-8, which is said", async () => {
    const path = await folder("latin", images(["a", "b"]));
    await rename(join(path, "a/0.png"), Buffer.from(`${join(path, "a")}/gr\xf6\xdfe.png`, "latin1"));
    const { sizes, warnings } = await opened(path);
    expect(sizes.reduce((a, b) => a + b)).toBe(7);
    expect(warnings).toContainEqual(
      expect.stringMatching(/left out 1 files or folders whose names are not UTF-8/),
    );
  });
});

describe("tables", () => {
  const rows = images(["a", "b"]).map((file) => [`images/${file}`, dirname(file)]);
  const table = (separator: string, head = ["path", "label"], more: readonly string[] = []) =>
    [head, ...rows.map((row) => [...row, ...more])].map((row) => row.join(separator)).join("\r\n");
  const open = async (text: string | Uint8Array) => {
    await folder("table/images", images(["a", "b"]));
    return opened(await write("table/list.csv", text));
  };
  const whole = { classes: ["a", "b"], sizes: [4, 2, 2], warnings: [] };

  it("may have semicolons, tabs or bars, tails of a spreadsheet, UTF-16 and backslashes", async () => {
    for (const separator of [",", ";", "\t", "|"]) expect(await open(table(separator))).toEqual(whole);
    expect(await open(`sep=;\r\n${table(";")}`)).toEqual(whole);
    expect(await open(`${table(",", ["path", "label", "", ""], ["", ""])}\r\n,,,\r\n,\r\n`)).toEqual(whole);
    expect(await open(Buffer.from(`\ufeff${table("\t")}`, "utf16le"))).toEqual(whole);
    expect(await open(table(",").replaceAll("/", "\\"))).toEqual(whole);
    const parts = table(",", ["path", "label", "split"], ["Training"]).replace(/Training$/, "TESTING");
    expect((await open(parts)).sizes[2]).toBe(1);
  });

  it("find files whose letters are composed in another way", async () => {
    await folder("table/images", ["a/cafe\u0301.png"]);
    const text = `${table(",")}\nimages/a/caf\u00e9.png,a`;
    expect((await open(text)).sizes.reduce((a, b) => a + b)).toBe(9);
  });

  it("are refused with the line where letters are not UTF-8, or paths are of another computer", async () => {
    const latin = Buffer.from("path,label\n0.png,benign\n1.png,b\xf6sartig\n", "latin1");
    expect(await message(open(latin))).toMatch(/list\.csv line 3: its letters are not in UTF-8.*iconv/);
    expect(await message(open("path,label\nC:\\scans\\0.png,a\n"))).toMatch(
      /line 2: "C:\\scans\\0\.png" is a place on a Windows computer/,
    );
  });
});
