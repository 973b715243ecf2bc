/** `medmamba report`: reporting checklists and a model card of a run, as far as it can fill them. */
import { existsSync, statSync } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { type Command, Option } from "commander";
import type { AuditReport } from "../../audit/report.js";
import type { Checkpoint } from "../../checkpoints/checkpoint.js";
import { cacheRows } from "../../data/cache-choice.js";
import { isDataIdentity } from "../../data/contents.js";
import type { FrameChoice } from "../../data/decoding/frame-choice.js";
import { limitRows } from "../../data/decoding/limits.js";
import { type LabelledImages, type SplitName, splitNames } from "../../data/index.js";
import { type Opening, openingRows } from "../../data/sources/opening.js";
import { cardFiles, writeModelCard } from "../../reports/card-files.js";
import { expectAuditOf } from "../../reports/checklists/audit-of-run.js";
import type { AnsweredChecklist } from "../../reports/checklists/checklist.js";
import { expectAuditReport } from "../../reports/given-audit.js";
import { answeredChecklists, shareInWords } from "../../reports/sections/checklists.js";
import { sealCautions } from "../../reports/sections/seal.js";
import { texts } from "../../settings/kind.js";
import { type Judging, openJudged, openSplit } from "../../study/judged-images.js";
import { partFacts, runFacts, usualColumnsOf } from "../../study/run-facts.js";
import { cameDivided, type FinishedRun, readRun } from "../../study/run-remains.js";
import { judge as judgeCheckpoint, verdictJson } from "../../study/verdict.js";
import { writableFolder } from "../../study/writable-folder.js";
import { devices } from "../../tensor/devices.js";
import { emptyCardFile, readCardFile } from "../console/card-file.js";
import { CommandError } from "../console/failure.js";
import { openCheckpoint } from "../console/for-checkpoint.js";
import {
  type CommonOptions,
  count,
  openDeviceOf,
  parserOf,
  precisionOption,
  withCommonOptions,
  withSettings,
} from "../console/options.js";
import { expectCheckpoint, expectPath } from "../console/paths.js";
import { tellProgress } from "../console/study-progress.js";
import { groupsBy } from "../console/subgroups.js";
import { interruptible, Terminal } from "../console/terminal.js";
import { lastNames, shortPath } from "../console/wording.js";

interface ReportCommandOptions extends CommonOptions {
  readonly data?: string;
  readonly scores?: string;
  readonly audit?: string;
  readonly card?: string;
  readonly out?: string;
  readonly split?: SplitName | "all";
  readonly subgroups?: readonly string[];
  readonly statements?: boolean;
  readonly batchSize: number;
  readonly groups?: string;
  readonly frames?: FrameChoice;
  readonly cache?: string;
  readonly maxPixels?: number;
}

const examples = `
Fills the checklists TRIPOD+AI, CLAIM 2024 and STARD-AI as far as the run can,
and says of each other item what you must write; and a model card. What only you
can say goes into a card file, which --statements writes to be filled in.
The images are judged anew, which counts as a look at them, unless --scores has
what evaluate printed.

Examples:
  $ medmamba report run
  $ medmamba report --statements > card.yaml
  $ medmamba report run --card card.yaml --out report
  $ medmamba evaluate --checkpoint run/best.safetensors --data study.csv \\
      --subgroups age,sex --json > scores.json
  $ medmamba report run --scores scores.json --audit audit/audit.json
  $ medmamba report best.safetensors --data other.csv --out report`;

export function define(command: Command): void {
  command
    .description("Fill reporting checklists and a model card from a run.")
    .argument("[run]", "the folder of a run, or a checkpoint")
    .option("--data <path>", "labelled images (default: those of the run)")
    .option("--scores <file>", "what `evaluate --json` printed: the images are not judged again")
    .option("--audit <file>", "what `audit --json` printed")
    .option("--card <file>", "what only people know, as YAML or JSON")
    .option("--statements", "print an empty card file with what to write, and do nothing else")
    .option("--out <folder>", "where to write (default: the folder of the run)")
    .addOption(
      new Option("--split <name>", "which part of the data set to judge (default: as evaluate)").choices([
        ...splitNames,
        "all",
      ]),
    )
    .addOption(
      new Option(
        "--subgroups <columns>",
        "columns of a table to describe and compare by (default: age, sex, site and the like)",
      ).argParser(parserOf(texts)),
    )
    .option("--batch-size <count>", "images computed at once", count, 32)
    .addOption(precisionOption("float32"));
  const { groups, frames } = openingRows;
  withSettings(command, { groups, frames, ...cacheRows, ...limitRows });
  withCommonOptions(command).addHelpText("after", examples).action(run);
}

async function run(given: string | undefined, options: ReportCommandOptions): Promise<void> {
  const terminal = new Terminal(options);
  if (options.statements) {
    terminal.print(emptyCardFile());
    terminal.result({ yaml: emptyCardFile() });
    return;
  }
  if (given === undefined) throw new CommandError("which run? Name its folder, or a checkpoint.");
  expectPath(given, "run");
  const found = statSync(given).isDirectory() ? await readRun(given) : undefined;
  const path = found?.checkpoint ?? given;
  expectCheckpoint(path);
  const data = options.data ?? found?.plan.data;
  if (data === undefined)
    throw new CommandError("a checkpoint alone does not say where its images are: name them with --data.");
  expectPath(data, "data set");
  const out = options.out ?? (found && given);
  if (out === undefined) throw new CommandError("name a folder to write to with --out.");
  const statements = options.card === undefined ? undefined : await readCardFile(options.card);
  const audit = options.audit === undefined ? undefined : await readAudit(options.audit);
  const scores = options.scores === undefined ? undefined : await readJson(options.scores, "scores file");
  await interruptible(terminal, "Stopping.", async (signal) => {
    const folder = await writableFolder(out, "--out");
    try {
      const judging = { data, path, run: found, scores, audit, terminal, signal, options };
      const facts = await runFacts({
        ...(await judge(judging)),
        plan: found?.plan,
        history: found?.history,
        audit,
      });
      const files = await writeModelCard(out, facts, statements);
      const lists = answeredChecklists(facts, statements);
      for (const list of lists) for (const line of listLines(list)) terminal.print(line);
      terminal.print(`\n${Object.values(cardFiles).join(", ")} in ${shortPath(out)}`);
      terminal.result({ files, checklists: lists.map(summaryOf), facts });
    } finally {
      await folder.removeEmpty();
    }
  });
}

interface JudgingRun {
  readonly data: string;
  readonly path: string;
  readonly run: FinishedRun | undefined;
  readonly scores: unknown;
  readonly audit: AuditReport | undefined;
  readonly terminal: Terminal;
  readonly signal: AbortSignal;
  readonly options: ReportCommandOptions;
}

/** Opens the images of training and test, and judges the latter unless that was done before. */
async function judge(judging: JudgingRun) {
  const { data, path, terminal, signal, options } = judging;
  const { groups, frames, cache, maxPixels, split, batchSize } = options;
  const device = openDeviceOf(options);
  const checkpoint = await openCheckpoint(path, device, terminal);
  try {
    const asked = { groups, frames, cache, maxPixels };
    const onProgress = tellProgress(terminal, { chosen: false });
    const reading: Judging = { data, asked, batchSize, signal, onProgress };
    const judged = await openJudged(split, checkpoint, reading);
    const isExternal = judged.part === "all" && judged.because !== undefined;
    const trained = checkpoint.provenance?.data;
    const own = isExternal || !isDataIdentity(trained) ? undefined : trained;
    const parts: Partial<Record<SplitName, LabelledImages>> = {};
    for (const name of splitNames) {
      if (!own || own[name].images === 0) continue;
      parts[name] = name === judged.part ? judged.dataset : await openSplit(name, checkpoint, reading);
    }
    // Before the look at the test images, which counts.
    const known = Object.values(parts).map((part) => partFacts(part, []));
    if (judging.audit) expectAuditOf("--audit", judging.audit, known);
    const columns = columnsOf(judged.dataset, options.subgroups);
    const { name, precision } = device;
    const { model } = devices().find((other) => other.name === name) ?? {};
    return {
      checkpoint,
      path,
      columns,
      dataName: lastNames(data, 1),
      ...(isExternal ? { external: judged.dataset } : { parts }),
      divided: own && (await cameDivided(data, { ...openingOf(checkpoint), signal })),
      scores: judging.scores ?? (await scoresAnew()),
      computing: { device: model ?? name, precision },
    };

    async function scoresAnew(): Promise<unknown> {
      const attributes = columns.length > 0 ? groupsBy(columns, judged.dataset) : undefined;
      const verdict = await judgeCheckpoint(checkpoint, judged, reading, { by: "evaluate", attributes });
      for (const warning of sealCautions(verdict.seal)) terminal.warn(warning);
      return verdictJson(verdict);
    }
  } finally {
    checkpoint.model.dispose();
  }
}

/** What the labels of its data are, as they were understood in training. */
function openingOf({ classes, task, provenance }: Checkpoint) {
  const { labels, groups } = (provenance?.opening ?? {}) as Opening;
  return { classes, task, labels, groups };
}

/** The columns that were named, or those of the usual names that the data have. */
function columnsOf(dataset: LabelledImages, named: readonly string[] | undefined): readonly string[] {
  return named ? Object.keys(groupsBy(named, dataset)) : usualColumnsOf(dataset);
}

const mostBytes = 2 ** 26;

async function readJson(path: string, what: string): Promise<unknown> {
  expectPath(path, what);
  const found = await stat(path);
  if (!found.isFile() || found.size > mostBytes)
    throw new CommandError(`${path} is no ${what}: name a file of JSON.`);
  try {
    return JSON.parse(await readFile(path, "utf8"));
  } catch (error) {
    throw new CommandError(`${path} is no ${what}: ${(error as Error).message}.`, { cause: error });
  }
}

async function readAudit(path: string): Promise<AuditReport> {
  const found = existsSync(join(path, "audit.json")) ? join(path, "audit.json") : path;
  const report = (await readJson(found, "audit file")) as AuditReport;
  expectAuditReport("report", report);
  return report;
}

function listLines(list: AnsweredChecklist): string[] {
  const { partly, open } = list.counts;
  return [shareInWords(list), `  ${partly} more partly; ${open} you must write`];
}

function summaryOf({ name, doi, items, counts, share, shareWithStatements }: AnsweredChecklist): object {
  const toWrite = items.filter(({ state }) => state === "partly" || state === "open");
  return {
    name,
    doi,
    items: items.length,
    ...counts,
    share,
    shareWithStatements,
    toWrite: toWrite.map(({ number, subject, write = [] }) => ({
      number,
      subject,
      statements: write.map((statement) => statement.name),
    })),
  };
}
