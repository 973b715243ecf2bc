/** What an audit finds: planted faults of every kind, and the known ones of real sets. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import sharp from "sharp";
import { beforeAll, describe, expect, it } from "vitest";
import { type AuditReport, audit, data, reports } from "../../src/index.js";
import { RandomStream } from "../../src/tensor/random.js";
import { sharedData } from "../support/shared-data.js";
import { root, write } from "../support/temporary-folder.js";

/** Grain of some size, others for another seed, as PNG. */
function grain(seed: number, { side = 64, bright = 0 } = {}): Promise<Buffer> {
  const random = new RandomStream(seed);
  const coarse = Uint8Array.from({ length: 144 }, () => 40 + bright + 150 * random.uniform());
  return sharp(coarse, { raw: { width: 12, height: 12, channels: 1 } })
    .resize(side, side, { kernel: "cubic" })
    .toColourspace("b-w")
    .png()
    .toBuffer();
}

const names = (pair: { readonly images: readonly { readonly name: string }[] } | undefined) =>
  pair?.images.map(({ name }) => name);

describe("a data set with every fault", () => {
  let report: AuditReport;
  let dataset: data.OpenedDataset;

  beforeAll(async () => {
    const lines: string[] = [];
    const add = async (name: string, bytes: Uint8Array | string, rest: string) => {
      await write(`faults/${name}`, bytes);
      lines.push(`${name},${rest}`);
    };
    for (let i = 0; i < 60; ++i) {
      const split = i < 40 ? "train" : i < 50 ? "val" : "test";
      const label = i % 2 ? "sick" : "healthy";
      const site = i % 2 ? "north" : "south";
      await add(
        `${i}.png`,
        await grain(i, { bright: i % 2 ? 25 : 0 }),
        `${label},${split},p${i},${site},${i % 7}`,
      );
    }
    const turned = await sharp(await grain(2))
      .rotate(90)
      .jpeg({ quality: 70 })
      .toBuffer();
    await add(
      "copy.png",
      await sharp(await grain(1, { bright: 25 }))
        .png({ compressionLevel: 1 })
        .toBuffer(),
      "sick,test,p61,north,1",
    );
    await add("turned.jpg", turned, "healthy,val,p62,south,2");
    await add(
      "torn.png",
      await sharp(await grain(4))
        .resize(48)
        .png()
        .toBuffer(),
      "sick,train,p63,north,3",
    );
    await add("shared.png", await grain(70), "healthy,test,p6,south,4");
    await add("broken.png", (await grain(71)).subarray(0, 200), "healthy,train,p64,south,4");
    await add(
      "blank.png",
      await sharp(Buffer.alloc(4096), { raw: { width: 64, height: 64, channels: 1 } })
        .png()
        .toBuffer(),
      "sick,train,p65,north,5",
    );
    await add("tiny.png", await grain(72, { side: 16 }), "sick,train,p66,north,6");
    const path = await write("faults/study.csv", ["path,label,split,patient,site,age", ...lines].join("\n"));
    dataset = await data.openDataset(path, { check: false });
    report = await audit(dataset);
  });

  it("has its images counted, and those that cannot be seen named", () => {
    const { images } = report;
    expect(images.count).toBe(67);
    expect(images.unreadable.first).toMatchObject([{ name: "broken.png", split: "train" }]);
    expect(images.unreadable.first[0]!.reason).toContain("damaged or cut off");
    expect(images.constant.first.map(({ name }) => name)).toEqual(["blank.png"]);
    expect(images.tiny.first.map(({ name }) => name)).toEqual(["tiny.png"]);
    expect(images.sizes).toMatchObject({ "64 x 64": 64, "48 x 48": 1, "16 x 16": 1 });
  });

  it("has its copies found, across splits and labels", () => {
    expect(report.duplicates).toMatchObject({ count: 1 });
    expect(names(report.duplicates.first[0])).toEqual(["1.png", "copy.png"]);
    expect(report.nearDuplicates.first.map(names)).toEqual(
      expect.arrayContaining([
        ["2.png", "turned.jpg"],
        ["4.png", "torn.png"],
      ]),
    );
    expect(report.crossSplit).toMatchObject({ count: 2, identical: 1, copiesOfTrain: 2 });
    expect(report.labelConflicts.first.map(names)).toEqual([["4.png", "torn.png"]]);
    expect(report.nearDuplicates.count).toBe(2);
  });

  it("has its patients counted", () => {
    expect(report.patients).toEqual({ count: 66, images: 67, acrossSplits: 1, groupsAcrossSplits: 0 });
  });

  it("has its shortcuts found, and no others", () => {
    const { features, chance, all } = report.shortcuts;
    const told = features.filter(({ suspicious }) => suspicious).map(({ feature }) => feature);
    expect(told).toContain('column "site"');
    expect(told).toContain("mean grey");
    expect(told).not.toContain('column "age"');
    expect(features[0]).toMatchObject({ feature: 'column "site"', from: "column" });
    expect(features[0]!.auc).toBeGreaterThan(0.95);
    expect(all!.auc).toBeGreaterThan(0.95);
    expect(chance!.auc).toBeLessThan(0.6);
  });

  it("is not fit for a score, and says why in sentences", () => {
    expect(report.ok).toBe(false);
    const text = report.warnings.join("\n");
    for (const part of [
      "1 patient has images in more than one split",
      "2 validation or test images are in train as well",
      "1 pair is of the same image under different labels, such as 4.png (healthy) and torn.png (sick)",
      "1 image is unreadable (such as broken.png)",
      "1 image is of one value throughout",
      "Few test images of 2 classes",
      'column "site" (AUC',
    ])
      expect(text).toContain(part);
  });

  it("is shown on a page that stands alone, without a place on the machine or a patient", async () => {
    const folder = join(root, "report");
    const files = await reports.writeAudit(folder, { title: "Audit of study.csv", dataset, report });
    expect(files).toEqual(["audit.html", "audit.json"]);
    const { readFile } = await import("node:fs/promises");
    const [page, json] = await Promise.all(files.map((name) => readFile(join(folder, name), "utf8")));
    expect(JSON.parse(json!)).toEqual(JSON.parse(JSON.stringify(report)));
    expect(page!.match(/src="data:image\/jpeg;base64,/g)).toHaveLength(2 * (1 + 2 + 2));
    for (const text of [page!, json!]) {
      expect(text).not.toContain(root);
      expect(text).not.toMatch(/\bp6\d?\b/);
    }
    expect(page).not.toMatch(/<script|https?:\/\/(?!www\.w3\.org)/);
  });
});

describe("a data set of one's own", () => {
  it("is audited by its samples, divided or not", async () => {
    const random = new RandomStream(1);
    const images = Uint8Array.from({ length: 12 * 1024 }, () => 255 * random.uniform());
    images.copyWithin(1024, 0, 1024);
    const arrays = data.fromArrays({
      images,
      shape: [12, 32, 32],
      labels: Array.from({ length: 12 }, (_, i) => i % 2),
    });
    const { picture: _, fingerprint: __, content: ___, ...own } = arrays;
    for (const dataset of [arrays, own]) {
      const report = await audit(dataset as data.Dataset);
      expect(Object.keys(report.splits)).toEqual(["all"]);
      expect(report.patients.count).toBeNull();
      expect(report.labelConflicts).toMatchObject({ count: 1 });
      expect(report.ok).toBe(false);
    }
  });

  it("has several labels an image", async () => {
    const random = new RandomStream(2);
    const images = Uint8Array.from({ length: 30 * 1024 }, () => 255 * random.uniform());
    const labels = Array.from({ length: 60 }, (_, i) => (i % 3 === 0 ? 1 : 0));
    const report = await audit(
      data.fromArrays({ images, shape: [30, 32, 32], labels, task: "multi-label", classes: ["x", "y"] }),
    );
    expect(report.splits.all!.classes).toEqual({ x: 10, y: 10 });
    expect(report.shortcuts.classes).toEqual(["x", "y"]);
    expect(report.ok).toBe(true);
  });

  it("ends when it is told to", async () => {
    await mkdir(join(root, "stopped/a"), { recursive: true });
    await mkdir(join(root, "stopped/b"), { recursive: true });
    for (const name of ["a/1.png", "a/2.png", "b/3.png"])
      await writeFile(join(root, "stopped", name), await grain(3));
    const dataset = await data.openDataset(join(root, "stopped"), { check: false });
    const signal = AbortSignal.abort(new Error("enough"));
    await expect(audit(dataset, { signal })).rejects.toThrow("enough");
  });
});

describe("real sets", () => {
  const pneumonia = sharedData("pneumoniamnist.npz");
  it.skipIf(pneumonia.missing)(
    "PneumoniaMNIST: 8 images of train are in val, and no others are near",
    async () => {
      const report = await audit(await data.openDataset(pneumonia.path, { check: false }), {
        shortcuts: false,
      });
      expect(report.crossSplit).toMatchObject({ count: 8, identical: 8, copiesOfTrain: 8 });
      expect(
        report.crossSplit.first.every(
          ({ images }) => images[0].split === "train" && images[1].split === "val",
        ),
      ).toBe(true);
      expect(report.nearDuplicates.count).toBe(0);
      expect(report.labelConflicts.count).toBe(0);
    },
    120_000,
  );

  const ultrasound = sharedData("busi-ultrasound/labels.csv");
  it.skipIf(ultrasound.missing)(
    "BUSI: the same lesions as benign and as malignant",
    async () => {
      const report = await audit(await data.openDataset(ultrasound.path, { check: false }), {
        shortcuts: false,
      });
      const conflicts = report.labelConflicts.first.map((pair) => `${names(pair)!.join(" ")} ${pair.how}`);
      expect(conflicts[0]).toBe("benign/benign-433.jpg malignant/malignant-145.jpg identical");
      for (const [benign, malignant] of [
        ["131", "51"],
        ["399", "93"],
        ["406", "94"],
      ])
        expect(conflicts).toContain(
          `benign/benign-${benign}.jpg malignant/malignant-${malignant}.jpg as it is`,
        );
    },
    60_000,
  );

  const histology = sharedData("lc25000-lung-histology/labels.csv");
  it.skipIf(histology.missing)(
    "LC25000: copies are of one tile, and its split keeps tiles apart",
    async () => {
      const dataset = await data.openDataset(histology.path, { check: false, groups: "group" });
      const report = await audit(dataset, { shortcuts: false });
      expect(report.patients.groupsAcrossSplits).toBe(0);
      expect(report.duplicates.count).toBe(10);
      expect(report.nearDuplicates.count).toBeGreaterThan(50);
      expect(report.crossSplit.count).toBe(0);
    },
    60_000,
  );
});
