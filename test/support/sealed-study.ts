/** A trained run and what `evaluate --report` says of it and of copies that something was done to. */
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { type data, loadCheckpoint } from "../../src/index.js";
import { writeReport } from "../../src/reports/evaluation-report.js";
import type { SealFinding } from "../../src/reports/sections/seal.js";
import { expectChoosable } from "../../src/study/chosen-point.js";
import { type Judging, openJudged } from "../../src/study/judged-images.js";
import { judge, verdictJson, verdictReport } from "../../src/study/verdict.js";
import { smallRecipe, study, writeScans } from "./small-study.js";
import { root } from "./temporary-folder.js";

/** What is asked of `evaluate`. */
export interface Asked {
  readonly split?: data.SplitName | "all";
  readonly sensitivity?: number;
  /** The checkpoint of the run; its best unless told. */
  readonly file?: string;
}

/** A run in `run` and one of another seed in `other`, on the images in `scans`; others of the kind are in `elsewhere`. */
export async function trainOnce(): Promise<void> {
  await writeScans(join(root, "scans"), { count: 20 });
  await writeScans(join(root, "elsewhere"), { count: 5, seed: 1 });
  await study(join(root, "run"), { ...smallRecipe, data: join(root, "scans") });
  await study(join(root, "other"), { ...smallRecipe, data: join(root, "scans"), seed: 1 });
}

/** How images are opened and judged here. */
export const judgingOf = (images: string): Judging => ({
  data: join(root, images),
  asked: {},
  batchSize: 8,
  signal: new AbortController().signal,
  onProgress: () => {},
});

/** The page and the JSON, as somebody else would get them, and the findings of each state by their codes. */
export async function evaluated(run: string, images = "scans", asked: Asked = {}) {
  const { split, sensitivity, file = "best.safetensors" } = asked;
  const judging = judgingOf(images);
  const checkpoint = await loadCheckpoint(join(root, run, file));
  try {
    const judged = await openJudged(split, checkpoint, judging);
    if (sensitivity !== undefined) expectChoosable(checkpoint, judged);
    const verdict = await judge(checkpoint, judged, judging, { by: "evaluate", sensitivity });
    const folder = join(root, "page");
    await writeReport(folder, { title: "t", description: "d", facts: {}, ...verdictReport(verdict) });
    const html = readFileSync(join(folder, "report.html"), "utf8");
    const json = JSON.parse(JSON.stringify(verdictJson(verdict)));
    const section = /<section id="seal".*?<\/section>/s.exec(html)?.[0] ?? "";
    const findings: readonly SealFinding[] = json.seal.findings;
    const of = (state: SealFinding["state"]): Partial<Record<SealFinding["code"], string>> =>
      Object.fromEntries(
        findings.filter((one) => one.state === state).map(({ code, words }) => [code, words]),
      );
    return { json, html, section, broken: of("broken"), unknown: of("unknown"), ok: of("ok") };
  } finally {
    checkpoint.model.dispose();
  }
}

/** What has to show: in the JSON and on the page, under the word for it. */
export async function expectBroken(
  code: SealFinding["code"],
  words: RegExp,
  ...asked: Parameters<typeof evaluated>
) {
  const found = await evaluated(...asked);
  expect(found.broken[code]).toMatch(words);
  expect(found.section).toContain(`data-seal="${code} broken"`);
  expect(found.section).toMatch(/things? that a test needs do(es)? not hold/);
  return found;
}

let copies = 0;

/** A copy of a run's folder, to do something to. */
export function copyOf(run: string): string {
  const copy = `copy-${++copies}`;
  cpSync(join(root, run), join(root, copy), { recursive: true });
  return copy;
}

export const ledgerOf = (run: string): string => join(root, run, "ledger.jsonl");

export const linesOf = (run: string): string[] =>
  readFileSync(ledgerOf(run), "utf8").split("\n").slice(0, -1);

export const putLines = (run: string, lines: readonly string[]): void =>
  writeFileSync(ledgerOf(run), lines.map((line) => `${line}\n`).join(""));
