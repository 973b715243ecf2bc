/** `medmamba audit`, `split` and what `train` makes of leaks, as commands. */
import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "csv-parse/sync";
import { beforeAll, describe, expect, it } from "vitest";
import { program } from "../support/repository.js";
import { smallArguments, writeScans } from "../support/small-study.js";
import { root, write } from "../support/temporary-folder.js";

function medmamba(...args: string[]) {
  return spawnSync(process.execPath, [program, ...args], { cwd: root, encoding: "utf8" });
}

/** Lines of a table, by columns. */
function rowsOf(file: string): Record<string, string>[] {
  return parse(readFileSync(join(root, file)), { columns: true });
}

beforeAll(async () => {
  await writeScans(join(root, "scans"), { count: 20 });
  const images = ["benign", "malignant"].flatMap((label) =>
    Array.from({ length: 20 }, (_, at) => ({
      label,
      at,
      name: `scans/${label}/${String(at).padStart(2, "0")}.png`,
    })),
  );
  const lines = images.map(
    ({ label, at, name }) => `${name},${label},Doe^Jane ${Math.floor(at / 2)},"a ""quoted"", text"`,
  );
  await write("scans.csv", ["path,label,patient,remark", ...lines].join("\n"));
});

describe("split", () => {
  it("writes a table that keeps patients together, the same each time, and says nothing of who they are", () => {
    const first = medmamba("split", "scans.csv", "--out", "study.csv", "--json");
    expect(first.stderr).not.toContain("Doe");
    const division = JSON.parse(first.stdout);
    expect(division).toMatchObject({ images: 40, patients: 10, splits: { test: { asked: 0.15 } } });
    const rows = rowsOf("study.csv");
    expect(Object.keys(rows[0]!)).toEqual(["path", "label", "split", "patient", "remark", "hash"]);
    expect(rows[0]).toMatchObject({ path: "scans/benign/00.png", label: "benign" });
    expect(rows.every(({ hash }) => /^[0-9a-f]{16}$/.test(hash!))).toBe(true);
    const splits = new Map<string, Set<string>>();
    for (const { patient, split } of rows)
      splits.set(patient!, (splits.get(patient!) ?? new Set()).add(split!));
    expect([splits.size, ...[...splits.values()].map(({ size }) => size)]).toEqual([
      10,
      ...new Array(10).fill(1),
    ]);
    expect(readFileSync(join(root, "study.csv"), "utf8")).not.toContain("Doe");
    expect(readFileSync(join(root, "study.csv"), "utf8")).toContain(',"a ""quoted"", text",');
    medmamba("split", "scans.csv", "--out", "again.csv");
    expect(readFileSync(join(root, "again.csv"))).toEqual(readFileSync(join(root, "study.csv")));
  });

  it("keeps patients beside groups, and a column called group", async () => {
    const lines = readFileSync(join(root, "scans.csv"), "utf8").split("\n").slice(1);
    const rows = lines.map(
      (line, at) =>
        `${line.split(",", 2).join()},Doe ${at >> 1},L${at >> 2},LID${at >> 2},${at % 2 ? "a" : "b"}`,
    );
    await write("lesions.csv", ["path,label,patient,lesion,lesion_id,group", ...rows].join("\n"));
    for (const groups of ["lesion", "lesion_id"]) {
      const { stdout } = medmamba("split", "lesions.csv", "--out", `by-${groups}.csv`, "--groups", groups);
      expect(stdout).toContain("40 images of 10 groups divided");
      expect(stdout).toContain(`Train with --groups ${groups}`);
      const divided = rowsOf(`by-${groups}.csv`);
      const different = (of: readonly string[]) =>
        new Set(divided.map((row) => of.map((title) => row[title]).join())).size;
      expect(divided.map(({ lesion, group }) => `${lesion},${group}`).sort()).toEqual(
        lines.map((_, at) => `L${at >> 2},${at % 2 ? "a" : "b"}`).sort(),
      );
      expect([different(["patient"]), different([groups]), different([groups, "split"])]).toEqual([
        20, 10, 10,
      ]);
      const train = ["train", "--data", `by-${groups}.csv`, "--groups", groups, ...smallArguments];
      expect(medmamba(...train, "--epochs", "1", "--out", `run-${groups}`).status).toBe(0);
    }
    expect(readFileSync(join(root, "by-lesion_id.csv"), "utf8")).not.toMatch(/LID|Doe/);
    const torn = medmamba(
      "split",
      "lesions.csv",
      "--out",
      "torn.csv",
      "--groups",
      "group",
      "--split",
      "50,0,50",
    );
    expect(torn.stderr).toContain("images of 20 patients are in several parts, since group keeps");
  });

  it("replaces nothing, and divides nothing twice unless it is told to", () => {
    const before = readFileSync(join(root, "study.csv"));
    const twice = medmamba("split", "scans.csv", "--out", "study.csv");
    expect([twice.status, twice.stderr]).toEqual([
      1,
      "medmamba: study.csv is there already: choose another name with --out.\n",
    ]);
    expect(readFileSync(join(root, "study.csv"))).toEqual(before);
    expect(medmamba("split", "study.csv", "--out", "new.csv").stderr).toContain(
      "is divided already (train, val, test)",
    );
    expect(medmamba("split", "study.csv", "--out", "new.csv", "--again").status).toBe(0);
  });

  it("makes folds beside test images", () => {
    expect(
      medmamba("split", "scans", "--out", "folds.csv", "--folds", "4", "--split", "80,0,20").status,
    ).toBe(0);
    const rows = rowsOf("folds.csv");
    const folds = ["1", "2", "3", "4"].map((fold) => rows.filter((row) => row.fold === fold));
    expect(folds.map(({ length }) => length)).toEqual([8, 8, 8, 8]);
    expect(folds.every((fold) => fold.filter(({ label }) => label === "benign").length === 4)).toBe(true);
    expect(rows.filter(({ split }) => split === "test").every(({ fold }) => fold === "")).toBe(true);
    expect(rows.every(({ fold, split }) => (split === "val") === (fold === "1"))).toBe(true);
    expect(medmamba("split", "scans", "--out", "one.csv", "--folds", "1").status).toBe(2);
    expect(existsSync(join(root, "one.csv"))).toBe(false);
  });

  it("names an archive, and files that are not there", async () => {
    await write("gone.csv", "path,label\nscans/benign/00.png,benign\nscans/none.png,malignant");
    expect(medmamba("split", "gone.csv", "--out", "x.csv").stderr).toMatch(
      /none\.png could not be read: there is no such file/,
    );
  });
});

describe("audit", () => {
  it("prints one object with the keys that are agreed on", () => {
    const { stdout, status, stderr } = medmamba("audit", "study.csv", "--json");
    expect([status, stderr]).toEqual([0, ""]);
    const report = JSON.parse(stdout);
    const keys =
      "images patients splits duplicates nearDuplicates crossSplit labelConflicts shortcuts warnings ok";
    expect(Object.keys(report)).toEqual(keys.split(" "));
    expect(report.patients).toMatchObject({ count: 10, acrossSplits: 0 });
    expect(stdout).not.toContain(root);
  });

  it("tells people what was found, and writes the page", () => {
    const { stdout, status } = medmamba("audit", "scans", "--report", "found");
    expect(status).toBe(0);
    expect(stdout).toMatch(/^scans: 40 images, patients not known\n/);
    expect(stdout).toContain("How well the label follows (AUC");
    expect(stdout).toContain("audit.html, audit.json in found");
    expect(readFileSync(join(root, "found/audit.html"), "utf8")).not.toContain(root);
  });
});

describe("train", () => {
  const train = (data: string, out: string, ...args: string[]) =>
    medmamba("train", "--data", data, "--out", out, ...smallArguments, "--epochs", "1", ...args);

  it("refuses a patient in two parts, unless leaks are allowed", async () => {
    const [header, ...lines] = readFileSync(join(root, "study.csv"), "utf8").trimEnd().split("\r\n");
    const test = lines.findIndex((line) => line.includes(",test,"));
    const torn = lines.map((line, at) => (at === test ? line.replace(",test,", ",train,") : line));
    await write("torn.csv", [header, ...torn].join("\n"));
    const { status, stderr } = train("torn.csv", "torn");
    expect(status).toBe(1);
    expect(stderr).toMatch(
      /1 patient has images in more than one split .*medmamba split --again.*--allow-leaks/,
    );
    expect(existsSync(join(root, "torn/run.json"))).toBe(false);
    expect(train("torn.csv", "torn", "--allow-leaks").status).toBe(0);
    expect(JSON.parse(readFileSync(join(root, "torn/run.json"), "utf8")).allowLeaks).toBe(true);
  });

  it("leaves copies of validation and test images out of train, and counts them", async () => {
    const rows = rowsOf("study.csv");
    const train1 = rows.find(({ split }) => split === "train")!;
    copyFileSync(join(root, train1.path!), join(root, "scans/copy.png"));
    await write(
      "copies.csv",
      `${readFileSync(join(root, "study.csv"), "utf8")}scans/copy.png,${train1.label},test,,,\n`,
    );
    const { status, stderr } = train("copies.csv", "copies");
    expect(status).toBe(0);
    expect(stderr).toMatch(/1 of \d+ train images is left out, identical to 1 of test/);
    const allowed = train("copies.csv", "allowed", "--allow-leaks");
    expect(allowed.stderr).toMatch(/1 of \d+ test images is identical to images of train/);
    const count = (run: string) =>
      JSON.parse(readFileSync(join(root, run, "run.json"), "utf8")).contents.train.images;
    expect(count("allowed")).toBe(count("copies") + 1);
  });
});
