/** What leaks from one split to another: it is said, refused, or left out. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import sharp from "sharp";
import { describe, expect, it } from "vitest";
import { data } from "../../../src/index.js";
import { message, picture, root, write } from "../../support/temporary-folder.js";

const preprocessing = { imageSize: 16, channels: 1 } as const;
const scan = (seed: number) =>
  picture(16, (at) => (at * (seed + 3) + seed * 31 + ((at * at * (seed + 1)) % 13)) % 256);

/** A table of such lines beside its images, one for each seed that the lines name. */
async function table(folder: string, header: string, lines: readonly string[]): Promise<string> {
  for (const line of lines) {
    const file = line.split(",")[0]!;
    const seed = Number(/\d+/.exec(file)?.[0]);
    await write(`${folder}/${file}`, await scan(seed));
  }
  return write(`${folder}/study.csv`, [header, ...lines].join("\n"));
}

async function opened(path: string, options: data.OpenDatasetOptions = {}) {
  const warnings: string[] = [];
  const onWarning = (sentence: string) => warnings.push(sentence.replaceAll(root, ""));
  return { dataset: await data.openDataset(path, { preprocessing, onWarning, ...options }), warnings };
}

describe("a patient in two splits", () => {
  const lines = [
    "1.png,a,train,p1",
    "2.png,b,train,p2",
    "3.png,a,test,p1",
    "4.png,b,test,p3",
    "5.png,a,val,p4",
  ];
  const path = table("patients", "path,label,split,patient", lines);

  it("is said, without who it is", async () => {
    const { warnings } = await opened(await path);
    expect(warnings).toContain(
      "/patients/study.csv: 1 patient has images in more than one split (1 in train, 1 in test): what is measured is too good.",
    );
    expect(warnings.join()).not.toContain("p1");
  });

  it("is refused where leaks are to be removed", async () => {
    expect(await message(opened(await path, { leaks: "remove" }))).toMatch(
      /1 patient has images in more than one split .*medmamba split --again.*--allow-leaks/,
    );
  });
});

describe("images of train that are tested on", () => {
  it("are left out of train, and counted, whatever format they were saved in", async () => {
    const lines = Array.from({ length: 8 }, (_, at) => `${at}.png,${at % 2 ? "a" : "b"},train`);
    const path = await table("copies", "path,label,split", [...lines, "20.png,a,val", "30.png,b,test"]);
    const copy = await sharp(await scan(3))
      .webp({ lossless: true })
      .toBuffer();
    await write("copies/3-again.webp", copy);
    await write("copies/4-again.png", await scan(4));
    const whole = `${readFileSync(path, "utf8")}\n3-again.webp,a,test\n4-again.png,b,val`;
    const study = await write("copies/whole.csv", whole);
    const { dataset, warnings } = await opened(study, { leaks: "remove" });
    expect(dataset.train.length).toBe(6);
    expect(warnings).toContain(
      "/copies/whole.csv: 2 of 8 train images are left out, identical to 1 of val and 1 of test: they would be asked about what was learned. --allow-leaks keeps them.",
    );
    const kept = await opened(study);
    expect(kept.dataset.train.length).toBe(8);
    expect(kept.warnings.filter((sentence) => sentence.includes("identical"))).toHaveLength(2);
  });
});

describe("images that are divided by us", () => {
  const lines = Array.from(
    { length: 60 },
    (_, at) => `${at}.png,${at % 2 ? "a" : "b"},p${Math.floor(at / 4)}`,
  );
  const path = table("undivided", "path,label,patient", lines);

  it("leave a patient's images together, the same way wherever the lines stand", async () => {
    const { dataset, warnings } = await opened(await path, { leaks: "remove" });
    const names = ({ length, name }: data.LabelledImages) =>
      Array.from({ length }, (_, at) => name(at)).sort();
    expect(warnings).toEqual([]);
    expect([dataset.train.length, dataset.val.length, dataset.test.length]).toEqual([44, 8, 8]);
    const turned = await write(
      "undivided/turned.csv",
      ["path,label,patient", ...[...lines].reverse()].join("\n"),
    );
    const again = (await opened(turned)).dataset;
    for (const split of data.splitNames) expect(names(again[split])).toEqual(names(dataset[split]));
  });

  it("are divided image by image where that is asked for", async () => {
    const { warnings } = await opened(await path, { keepTogether: false });
    expect(warnings.join()).toContain("have images in more than one split");
  });

  it("give validation images by patient, too, where only those are missing", async () => {
    const divided = lines.map((line, at) => `${line},${at < 12 ? "test" : "train"}`);
    const study = await write("undivided/divided.csv", ["path,label,patient,split", ...divided].join("\n"));
    const { dataset, warnings } = await opened(study, { leaks: "remove" });
    expect(dataset.val.length).toBe(8);
    expect(warnings).toHaveLength(1);
  });
});

it("unchecked data are not decoded, and say when they are what cannot be read", async () => {
  await write("unchecked/a/1.png", "no picture");
  await write("unchecked/b/2.png", await scan(1));
  const folder = join(root, "unchecked");
  const { dataset, warnings } = await opened(folder, {
    check: false,
    validationFraction: 0,
    testFraction: 0,
  });
  expect([dataset.train.length, warnings]).toEqual([2, []]);
  await expect(dataset.train.sample(0)).rejects.toThrow("could not be read");
});
