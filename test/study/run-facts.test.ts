/** What a run says of itself: true numbers, nothing of a patient, and nothing that is not known. */
import { createHash } from "node:crypto";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { readCheckpoint } from "../../src/checkpoints/checkpoint.js";
import { openDataset } from "../../src/data/index.js";
import { StudyError } from "../../src/errors.js";
import {
  evaluationFacts,
  sealFacts,
  uncertaintyFacts,
} from "../../src/reports/checklists/evaluation-facts.js";
import { answeredChecklists, checklistSection } from "../../src/reports/sections/checklists.js";
import { partFacts, runFacts } from "../../src/study/run-facts.js";
import { cameDivided, readRun } from "../../src/study/run-remains.js";
import { smallRecipe, study, writeScans } from "../support/small-study.js";
import { root, write } from "../support/temporary-folder.js";

const run = join(root, "run");
const table = join(root, "Meyer_Erna", "study.csv");

/** A name of a patient wherever a table can have one, but for columns that are asked for. */
async function writeStudy(): Promise<void> {
  await writeScans(join(root, "Meyer_Erna", "scans"), { count: 30 });
  const rows = ["benign", "malignant"].flatMap((label, which) =>
    Array.from({ length: 30 }, (_, i) => {
      const file = `scans/${label}/${String(i).padStart(2, "0")}.png`;
      const sex = i % 10 === 9 ? "" : i % 3 ? "F" : "M";
      return `${file},${label},Meyer-${which}-${i >> 1},${30 + i},${sex},Meyer was here on 2021-03-0${i % 9}`;
    }),
  );
  await write("Meyer_Erna/study.csv", ["path,label,patient,age,sex,comment", ...rows].join("\n"));
}

beforeAll(async () => {
  await writeStudy();
  await study(run, { ...smallRecipe, data: table });
});

describe("runFacts", () => {
  const gather = async (scores?: unknown) => {
    const { checkpoint: path, plan, history } = await readRun(run);
    const checkpoint = await readCheckpoint(path);
    const { preprocessing } = checkpoint;
    const parts = await openDataset(table, { preprocessing, ...plan.split });
    return {
      parts,
      facts: await runFacts({ checkpoint, path, plan, history, parts, scores, columns: ["age", "sex"] }),
    };
  };

  it("are the numbers of the run", async () => {
    const { facts, parts } = await gather();
    for (const name of ["train", "val", "test"] as const) {
      const found = facts.parts?.[name];
      expect(found?.images).toBe(parts[name].length);
      expect(found?.patients).toBe(new Set(parts[name].patients).size);
      const benign = Array.from(parts[name].labels as Int32Array).filter((label) => label === 0).length;
      expect(found?.classes.benign).toBe(benign);
    }
    const bytes = await readFile(join(run, "best.safetensors"));
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    expect(facts.checkpoint).toEqual({ file: "best.safetensors", sha256 });
    const lines = (await readFile(join(run, "metrics.jsonl"), "utf8")).trim().split("\n");
    expect(facts.training?.epochs).toBe(lines.length);
    expect(facts.training?.settings).toMatchObject({ epochs: 2, batchSize: 8, seed: 0 });
    expect(facts.training?.from).toBe("random weights");
    expect(facts.network).toMatchObject({ dims: [4, 8], numClasses: 2 });
    expect(facts.network?.parameters).toBeGreaterThan(1000);
    expect(facts.division).toMatchObject({ seed: 0, leaksAllowed: false, keptTogether: true });
    expect(facts).not.toHaveProperty("evaluation");
    expect(facts).not.toHaveProperty("audit");
  });

  it("have nothing of a patient and no place, nor has what is made of them", async () => {
    const { facts } = await gather();
    const all =
      JSON.stringify(facts) + checklistSection(facts).body + JSON.stringify(answeredChecklists(facts));
    expect(all).not.toMatch(/meyer/i);
    expect(all).not.toContain(root);
    expect(all).not.toContain("2021-03");
    expect(all).toContain("sex");
  });

  it("tell of columns by counts, or by quartiles", async () => {
    const dataset = {
      length: 26,
      classes: ["a", "b"],
      labels: Int32Array.from({ length: 26 }, (_, i) => i % 2),
      patients: Array.from({ length: 26 }, (_, i) => (i < 4 ? "p" : i < 20 ? `q${i}` : undefined)),
      attributes: {
        age: Array.from({ length: 26 }, (_, i) => (i === 25 ? undefined : `0${10 + i}Y`)),
        sex: Array.from({ length: 26 }, (_, i) => (i % 2 ? "F" : " ")),
        name: Array.from({ length: 26 }, (_, i) => `person ${i}`),
      },
    };
    const facts = partFacts(dataset as never, ["age", "sex", "name", "none"]);
    expect(facts.patients).toBe(1 + 16 + 6);
    expect(facts.classes).toEqual({ a: 13, b: 13 });
    expect(facts.columns).toEqual({
      age: { median: 22, quartiles: [16, 28], missing: 1 },
      sex: { counts: { F: 13 }, missing: 13 },
      name: { counts: { "different values": 26 }, missing: 0 },
    });
  });
});

const scores = {
  samples: 4,
  classes: ["a", "b"],
  split: "test",
  auc: 0.75,
  accuracy: Number.NaN,
  confusionMatrix: [
    [1, 1],
    [0, 2],
  ],
  intervals: { patients: 3, auc: [0.4, 0.9], accuracy: { reason: "none" } },
  calibration: {
    line: { slope: { value: 1.5, reason: "few" }, intercept: { value: 0, lower: -1, upper: 1 } },
  },
};

describe("evaluationFacts", () => {
  it("are what a file says, and no more", () => {
    const facts = evaluationFacts(scores, true);
    expect(facts).toEqual({
      part: "test",
      external: true,
      samples: 4,
      patients: 3,
      classes: ["a", "b"],
      scores: { AUC: { value: 0.75, interval: [0.4, 0.9] }, Accuracy: { value: null, reason: "none" } },
      confusion: scores.confusionMatrix,
      calibration: {
        slope: { value: 1.5, reason: "few" },
        intercept: { value: 0, interval: [-1, 1] },
      },
    });
    expect(evaluationFacts(JSON.parse(JSON.stringify(scores)), true)).toEqual(facts);
  });

  it.each([
    undefined,
    null,
    7,
    [],
    {},
    { ...scores, split: "elsewhere" },
    { ...scores, classes: [] },
    { ...scores, samples: "4" },
  ])("are nothing where it is none: %j", (given) => {
    expect(evaluationFacts(given)).toBeUndefined();
  });

  it.each([
    { ...scores, intervals: 7, calibration: [], subgroups: [1, null, { attribute: "x" }] },
    { ...scores, confusionMatrix: [[1], [2]], operatingPoint: { threshold: 0.5, sensitivity: "x" } },
    { ...scores, sensitivity: [0.1], auc: { toString: 1 }, intervals: { auc: [1, "2"] } },
  ])("leave out what is damaged: %j", (given) => {
    const text = JSON.stringify(evaluationFacts(given));
    expect(text).not.toMatch(/undefined|toString/);
    const facts = { evaluation: evaluationFacts(given)!, classes: ["a", "b"] };
    expect(checklistSection(facts).body).toContain("</details>");
  });
});

describe("sealFacts and uncertaintyFacts", () => {
  const seal = {
    test: "internal",
    looks: { total: 3, earlier: 0 },
    findings: [
      { code: "split", state: "ok" },
      { code: "ledger", state: "broken" },
    ],
  };
  const uncertainty = {
    risk: 0.1,
    calibration: { temperature: 1.2 },
    sets: { reason: "validation has 7 images" },
    outliers: { limit: 3, promised: 0.05, called: { value: 0.04 } },
    referred: { value: 0.2, lower: 0.1, upper: 0.3 },
    rightOfAnswered: { value: 0.9, reason: "few" },
  };

  it("are what an evaluation says of both", () => {
    expect(sealFacts({ seal })).toEqual({ looks: 3, intact: false, sameImages: true });
    expect(uncertaintyFacts({ uncertainty })).toEqual({
      temperature: 1.2,
      falseAlarms: 0.05,
      referred: { value: 0.2, interval: [0.1, 0.3] },
      rightOfAnswered: { value: 0.9, reason: "few" },
    });
    expect(uncertaintyFacts({ uncertainty: { ...uncertainty, sets: { coverage: 0.9 } } })?.risk).toBe(0.1);
    expect(evaluationFacts({ ...scores, test: "external" })?.external).toBe(true);
    expect(evaluationFacts({ ...scores, test: "internal" })?.external).toBe(false);
    expect(evaluationFacts(scores)).not.toHaveProperty("external");
    expect(evaluationFacts({ ...scores, test: "mixed" }, false)).not.toHaveProperty("external");
  });

  it.each([
    undefined,
    {},
    { seal: 1, uncertainty: [] },
    { seal: { looks: null }, uncertainty: { risk: "x" } },
  ])("are nothing where it says nothing: %j", (given) => {
    expect([sealFacts(given), uncertaintyFacts(given)]).toEqual([undefined, undefined]);
  });
});

describe("cameDivided", () => {
  it("is whether the data say what is tested on", async () => {
    const rows = ["benign,train", "malignant,train", "malignant,test"].map(
      (row, i) => `Meyer_Erna/scans/${row.split(",")[0]}/0${i}.png,${row}`,
    );
    await write("divided.csv", ["path,label,split", ...rows].join("\n"));
    expect(await cameDivided(join(root, "divided.csv"))).toBe(true);
    expect(await cameDivided(table)).toBe(false);
    expect(await cameDivided("any.npz")).toBe(true);
  });
});

describe("readRun", () => {
  it("says what is not there", async () => {
    await mkdir(join(root, "empty"), { recursive: true });
    const refused = (folder: string) => expect(readRun(join(root, folder))).rejects;
    await refused("empty").toThrow(StudyError);
    await refused("empty").toThrow(/holds no run: there is no run\.json/);
    await writeFile(join(root, "empty", "run.json"), "{}");
    await refused("empty").toThrow(/holds a run without a checkpoint/);
  });

  it("names the line of a damaged history", async () => {
    const history = join(run, "metrics.jsonl");
    const before = await readFile(history, "utf8");
    await writeFile(history, `${before}{"epoch"\n`);
    await expect(readRun(run)).rejects.toThrow(/metrics\.jsonl line 3 is damaged/);
    await writeFile(history, before);
    await rename(history, `${history}.old`);
    expect((await readRun(run)).history).toBeUndefined();
    await rename(`${history}.old`, history);
  });
});
