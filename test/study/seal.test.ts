/** The seal of a test: what an untouched run says, what an external test is, and what becomes of looks when runs are replaced or old. */
import { cpSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { loadCheckpoint } from "../../src/checkpoints/checkpoint.js";
import { openJudged } from "../../src/study/judged-images.js";
import { judge } from "../../src/study/verdict.js";
import { readHeader, readTensors, writeTensors } from "../../src/weights/safetensors.js";
import { copyOf, evaluated, expectBroken, judgingOf, linesOf, trainOnce } from "../support/sealed-study.js";
import { smallRecipe, study, writeScans } from "../support/small-study.js";
import { root, write } from "../support/temporary-folder.js";

beforeAll(trainOnce);

describe("an untouched run", () => {
  it("has its training's own verdict as the first look, and counts the others", async () => {
    const run = copyOf("run");
    const page = readFileSync(join(root, run, "report.html"), "utf8");
    expect(page).toContain("These test images were looked at once.");
    const second = await evaluated(run);
    expect(second.json).toMatchObject({ test: "internal", testLooks: 2, split: "test" });
    expect(second.section).toContain("looked at twice, each time with the same checkpoint.");
    const third = await evaluated(run, "scans", { sensitivity: 0.9 });
    expect(third.section).toContain("looked at 3 times, with 2 different thresholds.");
    const { looks } = third.json.seal;
    expect(looks).toEqual({ total: 3, earlier: 0, atLeast: false, checkpoints: 1, decisions: 2 });
    expect([third.broken, third.unknown]).toEqual([{}, {}]);
    expect(Object.keys(third.ok).sort()).toEqual(
      ["checkpoint", "leaks", "ledger", "looks", "recorded", "split", "threshold", "validation"].sort(),
    );
  });

  it("writes how far its ledger went into the report", async () => {
    const run = copyOf("run");
    const { json, section } = await evaluated(run);
    const head = JSON.parse(readFileSync(join(root, run, "ledger.head"), "utf8"));
    expect(json.seal.ledger).toEqual(head);
    expect(section).toContain(head.hash);
    expect(section).toContain(`had ${head.entries} entries`);
  });

  it("counts all images of its data as a look at the test images, and says that it is no test", async () => {
    const run = copyOf("run");
    const all = await expectBroken("split", /has learned from are among these/, run, "scans", {
      split: "all",
    });
    expect(all.json).toMatchObject({ test: "all", testLooks: 2 });
    const val = await evaluated(run, "scans", { split: "val" });
    expect(val.json).toMatchObject({ test: "validation", testLooks: 2 });
    expect(val.section).toContain("No test: these are the validation images");
    expect((await evaluated(run, "scans", { split: "train" })).json.test).toBe("train");
  });

  it("tells nothing of patients, files and places in ledger and list of images", async () => {
    await writeScans(join(root, "people/Mrs Secret"), { count: 12 });
    const rows = ["benign", "malignant"].flatMap((label, which) =>
      Array.from({ length: 12 }, (_, i) => {
        const name = `people/Mrs Secret/${label}/${String(i).padStart(2, "0")}.png`;
        return `${name},${label},patient-${which}-${i}`;
      }),
    );
    const table = await write("people.csv", ["path,label,patient", ...rows].join("\n"));
    await study(join(root, "people-run"), { ...smallRecipe, data: table });
    for (const file of ["ledger.jsonl", "ledger.head", "images.json"]) {
      const text = readFileSync(join(root, "people-run", file), "utf8");
      expect(text).not.toMatch(/Secret|patient-|\.png|people|benign|malignant|medmamba-test/);
    }
    const lists = JSON.parse(readFileSync(join(root, "people-run/images.json"), "utf8"));
    expect(lists.train).toEqual([...lists.train].sort());
  });
});

describe("an external test", () => {
  it("is named so where none of its images was among those of the training", async () => {
    const { json, section, broken, ok } = await evaluated(copyOf("run"), "elsewhere");
    expect(json).toMatchObject({ test: "external", testLooks: null });
    expect(section).toContain("External test: other images than those of the training");
    expect(ok.apart).toBe("None of these 10 images was trained or validated on.");
    expect(broken).toEqual({});
  });

  it("does not know that without the list of the training's images", async () => {
    const run = copyOf("run");
    for (const file of ["images.json", "ledger.jsonl", "ledger.head", "run.json"])
      rmSync(join(root, run, file));
    const { json, unknown } = await evaluated(run, "elsewhere");
    expect(json.test).toBe("external");
    expect(unknown.apart).toMatch(
      /is not known: images.json, the list of the training's images, is not beside/,
    );
    expect(Object.keys(unknown).sort()).toEqual(["apart", "checkpoint", "leaks", "ledger", "threshold"]);
    writeFileSync(join(root, run, "images.json"), "[]");
    expect((await evaluated(run, "elsewhere")).unknown.apart).toMatch(/is not known/);
  });

  it("is none where images of the training are among them, under other names and in another format, too", async () => {
    const sharp = (await import("sharp")).default;
    cpSync(join(root, "elsewhere"), join(root, "salted"), { recursive: true });
    for (let i = 0; i < 20; ++i) {
      const own = join(root, `scans/benign/${String(i).padStart(2, "0")}.png`);
      const copy = join(root, `salted/benign/new-${i}`);
      if (i % 2) cpSync(own, `${copy}.png`);
      else await sharp(own).tiff({ compression: "lzw" }).toFile(`${copy}.tiff`);
    }
    const found = await expectBroken(
      "apart",
      /^Of these 30 images 14 were trained on and 3 validated on: scores are too good/,
      copyOf("run"),
      "salted",
    );
    expect(found.json).toMatchObject({ test: "mixed", seal: { of: { train: 14, val: 3, test: 3 } } });
  });
});

describe("a run", () => {
  it("that replaces another keeps how often the same test images were looked at", async () => {
    const run = copyOf("run");
    await evaluated(run);
    await study(
      join(root, run),
      { ...smallRecipe, data: join(root, "scans"), lr: 1e-4 },
      { overwrite: true },
    );
    const { json, section } = await evaluated(run);
    expect(json.testLooks).toBe(4);
    expect(section).toContain(
      "looked at 4 times, each time with the same checkpoint. 2 of these looks were at earlier runs",
    );
  });

  it("has the same identity and the same checkpoint when it is repeated", async () => {
    await study(join(root, "again"), { ...smallRecipe, data: join(root, "scans") });
    const described = async (run: string) =>
      JSON.parse((await readHeader(join(root, run, "last.safetensors"))).metadata.provenance!);
    expect(await described("again")).toEqual(await described("run"));
    expect((await described("other")).run).not.toBe((await described("run")).run);
  });

  it("of before ledgers were kept goes on and is judged, and says that looks are not known", async () => {
    const run = copyOf("run");
    for (const file of ["images.json", "ledger.jsonl", "ledger.head"]) rmSync(join(root, run, file));
    const { identity: _, ...plan } = JSON.parse(readFileSync(join(root, run, "run.json"), "utf8"));
    writeFileSync(join(root, run, "run.json"), JSON.stringify(plan));
    for (const file of ["best.safetensors", "last.safetensors"]) {
      const path = join(root, run, file);
      const { metadata } = await readHeader(path);
      const { run: __, validatedOn: ___, ...provenance } = JSON.parse(metadata.provenance!);
      await writeTensors(path, await readTensors(path), {
        ...metadata,
        provenance: JSON.stringify(provenance),
      });
    }
    const old = await evaluated(run);
    expect(old.json).toMatchObject({ test: "internal", testLooks: null });
    expect(Object.keys(old.unknown).sort()).toEqual([
      "checkpoint",
      "leaks",
      "ledger",
      "looks",
      "threshold",
      "validation",
    ]);
    expect(old.broken).toEqual({});
    await study(join(root, run), { epochs: 3 }, { resume: true });
    const since = await evaluated(run);
    expect(since.section).toContain("seen at least twice");
    expect(since.unknown.looks).toMatch(/before the run kept a ledger is not known/);
    expect(since.broken).toEqual({});
  });
});

describe("a run that goes on", () => {
  it("knows its last weights, too, and those of before", async () => {
    const run = copyOf("run");
    const last = await evaluated(run, "scans", { file: "last.safetensors" });
    expect([last.ok.checkpoint, last.broken]).toEqual([
      "The checkpoint is the file that the training wrote.",
      {},
    ]);
    cpSync(join(root, run, "best.safetensors"), join(root, run, "before.safetensors"));
    await study(join(root, run), { epochs: 5 }, { resume: true });
    const before = await evaluated(run, "scans", { file: "before.safetensors" });
    expect(before.ok.checkpoint).toMatch(/^The checkpoint is (the|a) file that the training wrote/);
    expect(before.broken).toEqual({});
  });

  it("and has not come to its end is not taken for one that was changed", async () => {
    const run = copyOf("run");
    await study(join(root, run), { epochs: 9 }, { resume: true, steps: 10 });
    const path = join(root, run, "best.safetensors");
    const { metadata } = await readHeader(path);
    // As if the epochs since had brought a better one.
    await writeTensors(path, await readTensors(path), { ...metadata, threshold: "0.25" });
    const { unknown, broken } = await evaluated(run);
    expect(broken).toEqual({});
    expect(unknown.checkpoint).toMatch(/the training has not come to its end/);
    expect(unknown.threshold).toMatch(/the ledger does not say/);
  });

  it("without test images is asked for no looks", async () => {
    for (const part of ["train", "val"])
      await writeScans(join(root, "untested", part), { seed: part.length });
    const options = { ...smallRecipe, data: join(root, "untested"), split: [70, 30, 0] };
    const { verdict } = await study(join(root, "untested-run"), options);
    expect(verdict).toMatchObject({ split: "val", seal: { test: "validation", looks: null } });
    const page = readFileSync(join(root, "untested-run/report.html"), "utf8");
    expect(page).toContain("No test: these are the validation images");
    expect(page).not.toContain("looked at");
  });
});

it("a second checkpoint's ledger counts the look, too", async () => {
  const [run, second] = [copyOf("run"), copyOf("other")];
  const checkpoint = await loadCheckpoint(join(root, run, "best.safetensors"));
  const against = await loadCheckpoint(join(root, second, "best.safetensors"));
  const judging = judgingOf("scans");
  const judged = await openJudged(undefined, checkpoint, judging);
  await judge(checkpoint, judged, judging, { by: "evaluate", against });
  for (const { model } of [checkpoint, against]) model.dispose();
  const last = (name: string) => JSON.parse(linesOf(name).at(-1)!);
  expect(last(run)).toMatchObject({ event: "looked", by: "evaluate" });
  expect(last(second)).toMatchObject({
    event: "looked",
    by: "evaluate --against",
    of: { test: judged.dataset.length },
  });
  expect((await evaluated(second)).json.testLooks).toBe(3);
});

it("an entry is kept of each of several that evaluate at once", async () => {
  const run = copyOf("run");
  await Promise.all(Array.from({ length: 4 }, () => evaluated(run)));
  const { json, broken } = await evaluated(run);
  expect(json.testLooks).toBe(6);
  expect(broken).toEqual({});
});
