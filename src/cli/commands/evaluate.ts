/** `medmamba evaluate`: how good a checkpoint is on labelled images. */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { type Command, Option } from "commander";
import type { Checkpoint } from "../../checkpoints/checkpoint.js";
import { cacheRows } from "../../data/cache-choice.js";
import type { FrameChoice } from "../../data/decoding/frame-choice.js";
import { limitRows } from "../../data/decoding/limits.js";
import { type SplitName, splitNames } from "../../data/index.js";
import { openingRows } from "../../data/sources/opening.js";
import type { Group } from "../../distributed/group.js";
import { StudyError } from "../../errors.js";
import { type Pooling, poolingOf, poolingRows, unitsOfDataset } from "../../inference/pooling.js";
import { expectRisk } from "../../inference/uncertainty.js";
import { type EvaluationReport, writeReport } from "../../reports/evaluation-report.js";
import { reportFiles } from "../../reports/report-files.js";
import { sealCautions } from "../../reports/sections/seal.js";
import { fraction, texts } from "../../settings/kind.js";
import { expectChoosable } from "../../study/chosen-point.js";
import { expectComparable } from "../../study/comparison.js";
import { type Judged, type Judging, openJudged } from "../../study/judged-images.js";
import { runFiles } from "../../study/run-directory.js";
import { type FinishedRun, readRun } from "../../study/run-remains.js";
import { studyReport } from "../../study/study-report.js";
import {
  evaluateJudged,
  judge,
  originOf,
  type Verdict,
  type VerdictOptions,
  verdictJson,
} from "../../study/verdict.js";
import { writableFolder } from "../../study/writable-folder.js";
import { taskOf } from "../../tasks/index.js";
import type { Device } from "../../tensor/device.js";
import { chosenLines, comparisonLines, pooledLines, sealLines } from "../console/evidence.js";
import { CommandError } from "../console/failure.js";
import { openCheckpoint } from "../console/for-checkpoint.js";
import {
  type CommonOptions,
  count,
  deviceOfRank,
  openDeviceOf,
  parserOf,
  precisionOption,
  withCommonOptions,
  withSettings,
} from "../console/options.js";
import { expectCheckpoint, expectPath } from "../console/paths.js";
import { localRank, together } from "../console/ranks.js";
import { riskOption } from "../console/referrals.js";
import { scoreLines } from "../console/score-lines.js";
import { tellProgress } from "../console/study-progress.js";
import { groupsBy, subgroupLines } from "../console/subgroups.js";
import { interruptible, Terminal } from "../console/terminal.js";
import { uncertaintyLines } from "../console/uncertainty-lines.js";
import { lastNames, lineWidth, plural, shortPath, wrapped } from "../console/wording.js";

interface EvaluateCommandOptions extends CommonOptions {
  readonly checkpoint: string;
  readonly data: string;
  readonly split?: SplitName | "all";
  readonly batchSize: number;
  readonly report?: string;
  readonly images: boolean;
  readonly sensitivity?: number;
  readonly against?: string;
  readonly subgroups?: readonly string[];
  readonly groups?: string;
  readonly frames?: FrameChoice;
  readonly cache?: string;
  readonly pool?: string;
  readonly maxPixels?: number;
  readonly risk?: number;
}

const share = parserOf(fraction);

const examples = `
The checkpoint says how images are prepared; nothing of the training needs
repeating. Of the data that the checkpoint was trained on, the test images are
judged, those that the training left aside; of any other data all images are.
Each look at test images is counted in the ledger beside the checkpoint, and
told: who chooses by test scores has no test any more.

Examples:
  $ medmamba evaluate --checkpoint run/best.safetensors --data scans
  $ medmamba evaluate --checkpoint best.safetensors --data path.npz --json
  $ medmamba evaluate --checkpoint best.safetensors --data scans --report report
  $ medmamba evaluate --checkpoint best.safetensors --data study.csv \\
      --pool patient:mean
  $ medmamba evaluate --checkpoint best.safetensors --data study.csv \\
      --subgroups age,sex
  $ medmamba evaluate --checkpoint best.safetensors --data scans \\
      --sensitivity 0.95
  $ medmamba evaluate --checkpoint new.safetensors --data scans \\
      --against old.safetensors`;

export function define(command: Command): void {
  command
    .description("Measure a model on labelled images: accuracy, AUC, calibration and more.")
    .requiredOption("--checkpoint <file>", "the model, as training wrote it")
    .requiredOption("--data <path>", "labelled images: folder, .npz or .csv")
    .addOption(
      new Option(
        "--split <name>",
        "which part of the data set (default: test, and all of data that it was not trained on)",
      ).choices([...splitNames, "all"]),
    )
    .option("--report <folder>", "also write figures and report.html there")
    .option("--no-images", "no pictures of mistakes, which are pictures of patients, in the report")
    .addOption(
      new Option(
        "--sensitivity <share>",
        "a threshold for this share of the second class, chosen on the val images",
      ).argParser(share),
    )
    .option("--against <file>", "another checkpoint on the same images: the difference of their AUCs")
    .addOption(
      new Option(
        "--subgroups <columns>",
        "scores of the groups of a table's columns, such as age,sex, each beside all others",
      ).argParser(parserOf(texts)),
    )
    .addOption(riskOption())
    .option("--batch-size <count>", "images computed at once", count, 32)
    .addOption(precisionOption("float32"));
  const { groups, frames } = openingRows;
  withSettings(command, { groups, frames, ...poolingRows, ...cacheRows, ...limitRows });
  withCommonOptions(command).addHelpText("after", examples).action(run);
}

async function run(options: EvaluateCommandOptions): Promise<void> {
  const { checkpoint: path, data, report } = options;
  const terminal = new Terminal(options);
  const pooling = options.pool === undefined ? undefined : poolingOf(options.pool);
  expectCheckpoint(path);
  if (options.against !== undefined) expectCheckpoint(options.against);
  expectPath(data, "data set");
  if (report !== undefined) expectNoRun(report);
  let opened: Device | undefined;
  const open = (): Device => {
    opened ??= openDeviceOf({ ...options, device: deviceOfRank(options.device, localRank()) });
    return opened;
  };
  await together(terminal, open, (group) =>
    evaluateAs(options, { group, terminal, device: open(), pooling }),
  );
}

async function evaluateAs(
  options: EvaluateCommandOptions,
  {
    group,
    terminal,
    device,
    pooling,
  }: {
    group: Group | undefined;
    terminal: Terminal;
    device: Device;
    pooling: Pooling | undefined;
  },
): Promise<void> {
  const { checkpoint: path, data, split, batchSize, report, groups, frames, cache, maxPixels } = options;
  const isFirst = (group?.rank ?? 0) === 0;
  await interruptible(terminal, "Stopping.", async (signal) => {
    const checkpoint = await openCheckpoint(path, device, terminal);
    const against = options.against && (await openCheckpoint(options.against, device, terminal));
    const folder = report === undefined || !isFirst ? undefined : await writableFolder(report, "--report");
    try {
      const asked = { groups, frames, cache, maxPixels };
      const onProgress = tellProgress(terminal, { chosen: false });
      const judging: Judging = { data, asked, batchSize, group, signal, onProgress };
      const judged = await openJudged(split, checkpoint, judging);
      const question = questionOf(options, checkpoint, judged, { against: against || undefined, pooling });
      if (!isFirst) {
        await evaluateJudged(checkpoint, judged, judging);
        await group?.barrier();
        return;
      }
      const verdict = await judge(checkpoint, judged, judging, question);
      for (const line of verdictLines(verdict, options, judged, question)) terminal.print(line);
      for (const warning of sealCautions(verdict.seal)) terminal.warn(warning);
      if (report !== undefined) {
        const files = await writeReport(report, {
          ...reportOf(verdict, options, judged),
          ...(await studyReport({
            checkpoint,
            verdict,
            dataset: judged.dataset,
            dataName: lastNames(data, 1),
            ...(await trainedIn(options.checkpoint)),
            images: options.images,
            signal,
            onProgress,
          })),
          onWarning: (message) => terminal.warn(message),
        });
        const others = files.length - 1;
        terminal.print(`\n  ${shortPath(join(report, reportFiles.report))}, and ${others} files beside it`);
      }
      terminal.result(verdictJson(verdict));
      // The others stay until then: a launcher may take the first that leaves for the end of all, as Slurm's WaitTime.
      await group?.barrier();
    } finally {
      await folder?.removeEmpty();
      if (against) against.model.dispose();
      checkpoint.model.dispose();
    }
  });
}

/** What is asked beside scores, looked through before anything is computed: it may not be there. */
function questionOf(
  { sensitivity, subgroups, risk }: EvaluateCommandOptions,
  checkpoint: Checkpoint,
  judged: Judged,
  { against, pooling }: Pick<VerdictOptions, "against" | "pooling">,
): VerdictOptions {
  if (pooling) unitsOfDataset(judged.dataset, pooling.by);
  const attributes = subgroups && groupsBy(subgroups, judged.dataset);
  if (sensitivity !== undefined) expectChoosable(checkpoint, judged);
  if (against) expectComparable(checkpoint, against);
  if (risk !== undefined) expectRisk("--risk", checkpoint.assurance, risk, taskOf(checkpoint));
  return { by: "evaluate", sensitivity, against, attributes, pooling, risk };
}

/** "the 18 test images". */
const imagesOf = ({ part }: Judged, { samples }: { readonly samples: number }): string =>
  part === "all" ? `all ${plural(samples, "image")}` : `the ${plural(samples, `${part} image`)}`;

function verdictLines(
  verdict: Verdict,
  { checkpoint, data }: EvaluateCommandOptions,
  judged: Judged,
  { attributes, against: other }: VerdictOptions,
): string[] {
  const { evaluation, threshold, chosen, against, subgroups, pooled, uncertainty } = verdict;
  const { classes } = evaluation.metrics;
  const images = imagesOf(judged, evaluation.metrics);
  const from = originOf(verdict);
  const because = judged.because === undefined ? "" : `: ${judged.because}`;
  return [
    ...wrapped(`${shortPath(checkpoint)} on ${images} of ${shortPath(data)}${because}`, lineWidth),
    ...sealLines(verdict),
    "",
    ...scoreLines(evaluation, threshold, from),
    ...(chosen ? chosenLines(chosen, classes) : []),
    ...(against ? comparisonLines(against, shortPath(other?.path ?? "")) : []),
    ...(uncertainty ? uncertaintyLines(uncertainty) : []),
    ...(subgroups && attributes ? subgroupLines(subgroups, attributes) : []),
    ...(pooled ? pooledLines(pooled, threshold, from, evaluation.metrics.samples) : []),
  ];
}

/** A report is passed on: where things are on this machine is nobody else's business. */
function reportOf(
  verdict: Verdict,
  { checkpoint, data }: EvaluateCommandOptions,
  judged: Judged,
): Pick<EvaluationReport, "title" | "description" | "facts"> {
  const images = imagesOf(judged, verdict.evaluation.metrics);
  return {
    title: `MedMamba on ${images} of ${lastNames(data, 1)}`,
    description: "Scores of a checkpoint on labelled images.",
    facts: { Checkpoint: lastNames(checkpoint, 2), Data: lastNames(data, 1), Images: images },
  };
}

/** What the run of a checkpoint says of its training, where the checkpoint is still in its folder. */
async function trainedIn(checkpoint: string): Promise<Partial<Pick<FinishedRun, "plan" | "history">>> {
  try {
    const { plan, history } = await readRun(dirname(checkpoint));
    return { plan, history };
  } catch (error) {
    if (error instanceof StudyError) return {}; // There is none, or it is damaged: the report says less.
    throw error;
  }
}

/** The report of a training is part of its run. @throws CommandError if it would be replaced */
function expectNoRun(folder: string): void {
  if (folder.trim() === "") throw new CommandError("the path of the report is empty: name a folder.");
  if (!existsSync(join(folder, runFiles.plan))) return;
  throw new CommandError(
    `${folder} holds a run, whose own report would be replaced: choose another folder with --report.`,
  );
}
