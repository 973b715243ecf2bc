/**
 * examples/study.sh, run as docs/dicom-study.md tells a newcomer to, in a folder whose name wants quoting: what each step finds
 * and leaves, and that nothing of a patient is in any of it.
 */
import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse } from "csv-parse/sync";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { AuditReport } from "../src/index.js";
import { program, repository } from "./support/repository.js";

const folder = mkdtempSync(join(tmpdir(), "medmamba it's a study-"));
const script = join(repository, "examples/study.sh");
let output = { status: null as number | null, stdout: "", stderr: "" };

function study(...args: string[]): typeof output {
  return spawnSync("bash", [script, ...args], { cwd: folder, encoding: "utf8", timeout: 120_000 });
}

const text = (name: string): string => readFileSync(join(folder, name), "utf8");
const rowsOf = (name: string): Record<string, string>[] => parse(text(name), { columns: true });
const auditOf = (name: string): AuditReport => JSON.parse(text(`study-results/${name}/audit.json`));

const shortcutsOf = ({ shortcuts }: AuditReport): string[] =>
  shortcuts.features.filter(({ suspicious }) => suspicious).map(({ feature }) => feature);

const filesBelow = (name: string): string[] =>
  readdirSync(join(folder, name), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));

beforeAll(() => {
  // As an installation leaves it, where npx finds it.
  const installed = join(folder, "node_modules/.bin/medmamba");
  mkdirSync(join(folder, "node_modules/.bin"), { recursive: true });
  writeFileSync(installed, `#!/bin/sh\nexec "${process.execPath}" "${program}" "$@"\n`);
  chmodSync(installed, 0o755);
  output = study();
}, 120_000);
afterAll(() => rmSync(folder, { recursive: true }));

describe("examples/study.sh", () => {
  it("comes to its end", () => {
    expect(output.stderr.replace(/^note: computing on the CPU.*\n/gm, "")).toBe("");
    expect(output.status).toBe(0);
  });

  it("audit: finds the patients in two parts, the scan that is there twice, and the scanner that tells", () => {
    const before = auditOf("audit-before");
    expect(before.ok).toBe(false);
    expect(before.patients.acrossSplits).toBeGreaterThan(40);
    expect(before.duplicates.count).toBe(1);
    expect(before.crossSplit).toMatchObject({ count: 1, identical: 1 });
    expect(shortcutsOf(before)).toEqual(expect.arrayContaining(['column "site"', 'column "scanner"']));
    expect(shortcutsOf(before)).not.toContain('column "age"');
  });

  it("split: keeps patients, and copies, together, and the spreadsheet as it was", () => {
    const rows = rowsOf("study-results/study.csv");
    expect(rows).toHaveLength(120);
    const partsOf = new Map<string, Set<string>>();
    const given = new Map(rowsOf("study-data/scans.csv").map(({ path, patient }) => [path, patient]));
    for (const { path = "", split = "" } of rows) {
      const patient = given.get(path.replace("../study-data/", "")) ?? "";
      expect(patient).toMatch(/^MRN-/);
      partsOf.set(patient, (partsOf.get(patient) ?? new Set()).add(split));
    }
    expect(partsOf.size).toBe(60);
    expect([...partsOf.values()].every(({ size }) => size === 1)).toBe(true);
    expect(partsOf.get("MRN-70103")).toEqual(partsOf.get("MRN-70101")); // whose scan it has
    const after = auditOf("audit");
    expect(after).toMatchObject({ ok: true, crossSplit: { count: 0 }, patients: { acrossSplits: 0 } });
    expect(shortcutsOf(after)).toContain('column "site"');
  });

  it("train and evaluate: learns, and is judged by image and by patient", () => {
    const [byImage = "", byPatient = ""] = output.stdout.split("By patient, mean of the images of each: 9");
    const auc = (part: string): number => Number(/\n {2}AUC +([.\d]+)/.exec(part)?.[1]);
    expect(auc(byImage)).toBeGreaterThan(0.8);
    expect(auc(byPatient)).toBeGreaterThan(0.8);
    expect(text("study-results/report/report.html")).toContain("study.csv");
  });

  it("predict and explain: answer for each new scan", () => {
    const { predictions } = JSON.parse(text("study-results/predictions.json"));
    expect(predictions.map(({ file }: { file: string }) => file)).toEqual(
      [121, 122, 123, 124].map((number) => `study-data/new/IM000${number}`),
    );
    for (const { probabilities } of predictions)
      expect(probabilities.benign + probabilities.malignant).toBeCloseTo(1, 5);
    const maps = readdirSync(join(folder, "study-results/maps"));
    expect(maps.filter((name) => name.endsWith(".png"))).toHaveLength(4);
    expect(JSON.parse(text("study-results/maps/IM000121.json")).peak.row).toBeLessThan(64);
  });

  it("says and writes nothing of a patient", () => {
    const secrets = /Invented|MRN-70|19600229|2\.25\.77007/;
    expect(readFileSync(join(folder, "study-data/scans/IM000001"), "latin1")).toMatch(secrets);
    expect(output.stdout + output.stderr).not.toMatch(secrets);
    const files = filesBelow("study-results");
    expect(files.length).toBeGreaterThan(20);
    expect(files.filter((file) => secrets.test(readFileSync(file, "latin1")))).toEqual([]);
  });

  it("destroys nothing: results that are there, or data without new scans, are refused", () => {
    for (const args of [[], ["study-data/scans.csv"]]) {
      const { status, stderr } = study(...args);
      expect([status, stderr]).toEqual([
        2,
        expect.stringContaining("a folder for results that is not there yet"),
      ]);
    }
    expect(rowsOf("study-results/study.csv")).toHaveLength(120);
  });
});
