/** Attacks on the sealed test set: each shows in the report and in the JSON of whoever evaluates next. */
import { cpSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { data, fit as learn, loadCheckpoint, MedMamba } from "../../src/index.js";
import { openJudged } from "../../src/study/judged-images.js";
import { judge } from "../../src/study/verdict.js";
import { readHeader, readTensors, writeTensors } from "../../src/weights/safetensors.js";
import { copyOf, evaluated, expectBroken, judgingOf, linesOf, trainOnce } from "../support/sealed-study.js";
import { smallRecipe, study, writeScans } from "../support/small-study.js";
import { root, write } from "../support/temporary-folder.js";

beforeAll(trainOnce);

describe("a changed split", () => {
  const table = (name: string, rows: readonly string[]) =>
    write(name, ["path,label,split", ...rows].join("\n"));
  const rows = (change: (label: string, i: number) => readonly [label: string, split: string]) =>
    ["benign", "malignant"].flatMap((label) =>
      Array.from({ length: 20 }, (_, i) => {
        const [named, split] = change(label, i);
        return `scans/${label}/${String(i).padStart(2, "0")}.png,${named},${split}`;
      }),
    );
  const planned = (i: number) => (i < 12 ? "train" : i < 16 ? "val" : "test");
  const other = (label: string) => (label === "benign" ? "malignant" : "benign");

  beforeAll(async () => {
    const path = await table(
      "study.csv",
      rows((label, i) => [label, planned(i)]),
    );
    await study(join(root, "divided"), { ...smallRecipe, data: path });
  });

  it("shows where images moved from test to train", async () => {
    await table(
      "moved.csv",
      rows((label, i) => [label, i === 16 ? "train" : planned(i)]),
    );
    const run = copyOf("divided");
    await expectBroken(
      "split",
      /The division is not that of the training: of these 6 images it had 0 in train, 0 in val and 6 in test/,
      run,
      "moved.csv",
      { split: "test" },
    );
    const whole = await expectBroken(
      "split",
      /of these 40 images it had 24 in train, 8 in val and 8 in test/,
      run,
      "moved.csv",
    );
    expect(whole.broken.apart).toMatch(/24 were trained on and 8 validated on/);
    expect(whole.json.test).toBe("mixed");
    // Both were looks at test images.
    expect(whole.json.testLooks).toBe(3);
  });

  it("shows where images moved from train to test", async () => {
    await table(
      "fed.csv",
      rows((label, i) => [label, i < 4 ? "test" : planned(i)]),
    );
    const found = await expectBroken(
      "apart",
      /^Of these 16 images 8 were trained on and 0 validated on/,
      copyOf("divided"),
      "fed.csv",
      { split: "test" },
    );
    expect(found.broken.split).toMatch(/it had 8 in train, 0 in val and 8 in test/);
  });

  it("shows where val and test were exchanged", async () => {
    const swapped = { train: "train", val: "test", test: "val" } as const;
    await table(
      "swapped.csv",
      rows((label, i) => [label, swapped[planned(i)]]),
    );
    const found = await expectBroken(
      "split",
      /validation images, by which the best epoch/,
      copyOf("divided"),
      "swapped.csv",
      { split: "test" },
    );
    expect(found.json.test).toBe("validation");
  });

  it("shows where labels were edited, in a table or by moving files", async () => {
    await table(
      "labels.csv",
      rows((label, i) => [i === 17 ? other(label) : label, planned(i)]),
    );
    const edited = /These are the 8 test images that the training set aside, but their labels are others now/;
    const asked = { split: "test" } as const;
    const { json, section } = await expectBroken("split", edited, copyOf("divided"), "labels.csv", asked);
    expect(json.seal.relabelled).toBe(true);
    expect(section).toContain("labels of these images are others now");
    expect(section).not.toContain("division");
    // Without a part that was asked for they are still its test images, and not all images.
    await expectBroken("split", edited, copyOf("divided"), "labels.csv");
    const whole = /^These are 40 images of the training, divided as they were, but labels of them are others/;
    await expectBroken("split", whole, copyOf("divided"), "labels.csv", { split: "all" });
    cpSync(join(root, "scans"), join(root, "relabelled/test"), { recursive: true });
    for (const [label, i] of ["benign", "malignant"].flatMap((label) =>
      Array.from({ length: 20 }, (_, i) => [label, i] as const),
    )) {
      const file = `relabelled/test/${label}/${String(i).padStart(2, "0")}.png`;
      if (planned(i) !== "test") rmSync(join(root, file));
      else if (i === 18 && label === "benign")
        renameSync(join(root, file), join(root, "relabelled/test/malignant/zz.png"));
    }
    await expectBroken("split", edited, copyOf("divided"), "relabelled", asked);
  });

  it("is none where images are in another order alone", async () => {
    await table("order.csv", rows((label, i) => [label, planned(i)]).reverse());
    const { json, broken } = await evaluated(copyOf("divided"), "order.csv", { split: "test" });
    expect(json).toMatchObject({ test: "internal", testLooks: 2 });
    expect(broken).toEqual({});
  });

  it("shows leaks that --allow-leaks permitted", async () => {
    cpSync(join(root, "scans"), join(root, "leaky"), { recursive: true });
    const copy = (from: string, to: string) => cpSync(join(root, "leaky", from), join(root, "leaky", to));
    for (const label of ["benign", "malignant"]) {
      copy(`${label}/01.png`, `${label}/17.png`); // In train and test.
      copy(`${label}/13.png`, `${label}/18.png`); // In val and test.
    }
    const path = await table(
      "leaky.csv",
      rows((label, i) => [label, planned(i)]).map((row) => row.replace("scans", "leaky")),
    );
    await study(join(root, "leaked"), { ...smallRecipe, data: path, allowLeaks: true });
    expect(readFileSync(join(root, "leaked/report.html"), "utf8")).toContain('data-seal="leaks broken"');
    const words = /^4 images were identical to images of another part, which --allow-leaks permitted/;
    const found = await expectBroken("leaks", words, "leaked", "leaky.csv");
    expect(found.json.test).toBe("internal");
  });
});

describe("a threshold tuned on test", () => {
  it("shows where it was written into the checkpoint", async () => {
    const run = copyOf("run");
    const path = join(root, run, "best.safetensors");
    const { metadata } = await readHeader(path);
    expect(metadata.threshold).toBeDefined();
    await writeTensors(path, await readTensors(path), { ...metadata, threshold: "0.123" });
    const found = await expectBroken(
      "threshold",
      /^The threshold is not the one that the training chose: 0.1230 now, 0\.\d+ then/,
      run,
    );
    expect(found.broken.checkpoint).toMatch(
      /is not the file that the training wrote: it was changed or replaced/,
    );
    expect(found.json.testLooks).toBe(2);
    expect(found.html).toContain("from a probability of 0.123 on, not the one that the training chose.");
    expect((await evaluated(copyOf("run"))).html).toContain("on, chosen on validation images in training.");
    expect(JSON.parse(linesOf(run).at(-1)!)).toMatchObject({
      thresholds: [0.123],
      chosenBy: "not the training",
    });
  });

  it("is not what --sensitivity does: whatever the test labels are, it chooses the same", async () => {
    const choose = async (change: (label: number) => number) => {
      const checkpoint = await loadCheckpoint(join(root, copyOf("run"), "best.safetensors"));
      const judging = judgingOf("scans");
      const judged = await openJudged("test", checkpoint, judging);
      const dataset = data.derive(judged.dataset, { labels: judged.dataset.labels.map(change) });
      const question = { by: "evaluate", sensitivity: 0.8 } as const;
      const { chosen } = await judge(checkpoint, { ...judged, dataset }, judging, question);
      checkpoint.model.dispose();
      return [chosen?.threshold, chosen?.validation];
    };
    expect(await choose((label) => 1 - label)).toEqual(await choose((label) => label));
  });

  it("shows where the images that --sensitivity chose by are among those that are judged", async () => {
    const copy = "doubled";
    await writeScans(join(root, copy, "train"), { count: 3, seed: 5 });
    for (const part of ["val", "test"]) await writeScans(join(root, copy, part), { count: 4, seed: 6 });
    await expectBroken(
      "threshold",
      /^The threshold for sensitivity 0.9 was chosen by 8 of these very images/,
      copyOf("run"),
      copy,
      { split: "test", sensitivity: 0.9 },
    );
  });
});

describe("a program that validates on the test images", () => {
  const train = async (directory: string, provenance: boolean) => {
    const { train, test, classes } = await data.openDataset(join(root, "scans"), {
      preprocessing: { imageSize: 16, channels: 1 },
    });
    const model = new MedMamba({ depths: [1, 1], dims: [4, 8], inChannels: 1, numClasses: classes.length });
    const told = (await readHeader(join(root, "run/best.safetensors"))).metadata.provenance!;
    await learn(model, {
      ...{ train, validation: test, directory: join(root, directory), epochs: 1, batchSize: 8 },
      ...(provenance && { provenance: { data: JSON.parse(told).data } }),
    });
    model.dispose();
  };

  it("is found out, if it says which data it had", async () => {
    await train("tuned", true);
    const found = await expectBroken(
      "validation",
      /chosen by these very images: scores are too good/,
      "tuned",
    );
    expect(found.json.test).toBe("internal");
    expect(found.unknown.looks).toMatch(/is not known, and this look is not counted/);
  });

  it("and if it does not", async () => {
    await train("silent", false);
    const found = await expectBroken("split", /These are validation images/, "silent");
    expect(found.json.test).toBe("validation");
  });
});
