/** `medmamba evaluate`: how good a checkpoint is on labelled images. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { type Command, Option } from "commander";
import { cacheRows } from "../../data/cache-choice.js";
import type { FrameChoice } from "../../data/decoding/frame-choice.js";
import { limitRows } from "../../data/decoding/limits.js";
import { type SplitName, splitNames } from "../../data/index.js";
import { openingRows } from "../../data/sources/opening.js";
import { evaluate } from "../../inference/evaluate.js";
import {
  type PooledEvaluation,
  poolEvaluation,
  poolingOf,
  poolingRows,
  unitsOfDataset,
} from "../../inference/pooling.js";
import { writeReport } from "../../reports/evaluation-report.js";
import { subgroupsOf } from "../../reports/evidence.js";
import { scoresOf } from "../../reports/scores.js";
import { type AnyEvaluation, isOfSeveralLabels } from "../../reports/several-labels.js";
import { fraction, texts } from "../../settings/kind.js";
import { runFiles } from "../../study/run-directory.js";
import { writableFolder } from "../../study/writable-folder.js";
import { taskOf } from "../../tasks/index.js";
import {
  chosenLines,
  chosenPoint,
  comparedWith,
  comparisonLines,
  type Evaluating,
  expectOneClassAnImage,
  optionsOf,
} from "../console/evidence.js";
import { CommandError } from "../console/failure.js";
import { openCheckpoint, openJudged } from "../console/for-checkpoint.js";
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
import { scoreLines } from "../console/score-lines.js";
import { groupsBy, subgroupLines } from "../console/subgroups.js";
import { interruptible, Terminal } from "../console/terminal.js";
import { lastNames, lineWidth, plural, shortPath, wrapped } from "../console/wording.js";

interface EvaluateCommandOptions extends CommonOptions {
  readonly checkpoint: string;
  readonly data: string;
  readonly split?: SplitName | "all";
  readonly batchSize: number;
  readonly report?: string;
  readonly sensitivity?: number;
  readonly against?: string;
  readonly subgroups?: readonly string[];
  readonly groups?: string;
  readonly frames?: FrameChoice;
  readonly cache?: string;
  readonly pool?: string;
  readonly maxPixels?: number;
}

const share = parserOf(fraction);

const examples = `
The checkpoint says how images are prepared; nothing of the training needs
repeating. Of the data that the checkpoint was trained on, the test images are
judged, those that the training left aside; of any other data all images are.

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
    .option("--batch-size <count>", "images computed at once", count, 32)
    .addOption(precisionOption("float32"));
  const { groups, frames } = openingRows;
  withSettings(command, { groups, frames, ...poolingRows, ...cacheRows, ...limitRows });
  withCommonOptions(command).addHelpText("after", examples).action(run);
}

async function run(options: EvaluateCommandOptions): Promise<void> {
  const { checkpoint: path, data, split, batchSize, report, groups, frames, cache, maxPixels } = options;
  const { sensitivity, against } = options;
  const pooling = options.pool === undefined ? undefined : poolingOf(options.pool);
  const terminal = new Terminal(options);
  expectCheckpoint(path);
  if (against !== undefined) expectCheckpoint(against);
  expectPath(data, "data set");
  if (report !== undefined) expectNoRun(report);
  await interruptible(terminal, "Stopping.", async (signal) => {
    const device = openDeviceOf(options);
    const checkpoint = await openCheckpoint(path, device, terminal);
    const folder = report === undefined ? undefined : await writableFolder(report, "--report");
    try {
      const asked = { groups, frames, cache, maxPixels };
      const evaluating: Evaluating = { data, batchSize, terminal, signal, asked };
      const judged = await openJudged(data, split, checkpoint, evaluating);
      const { dataset, part, because } = judged;
      const { threshold, thresholds = threshold === undefined ? undefined : [threshold] } = checkpoint;
      const task = taskOf(checkpoint);
      // Before anything is computed: what is asked for may not be there.
      if (pooling) unitsOfDataset(dataset, pooling.by);
      const attributes = options.subgroups && groupsBy(options.subgroups, dataset);
      if (sensitivity !== undefined) expectOneClassAnImage("--sensitivity", checkpoint);
      if (against !== undefined) expectOneClassAnImage("--against", checkpoint);
      const evaluation = (await evaluate(
        checkpoint.model,
        dataset,
        optionsOf(evaluating, checkpoint),
      )) as AnyEvaluation;
      const pooled = pooling && poolEvaluation<AnyMetrics>(evaluation, dataset, pooling, task, thresholds);
      const found = attributes && subgroupsOf(evaluation, attributes);
      const chosen =
        sensitivity === undefined || isOfSeveralLabels(evaluation)
          ? undefined
          : await chosenPoint(checkpoint, judged, evaluation, sensitivity, evaluating);
      const comparison =
        against === undefined || isOfSeveralLabels(evaluation)
          ? undefined
          : await comparedWith(against, device, checkpoint, judged, evaluation, evaluating);
      const { samples } = evaluation.metrics;
      const images =
        part === "all" ? `all ${plural(samples, "image")}` : `the ${plural(samples, `${part} image`)}`;
      const judging = `${shortPath(path)} on ${images} of ${shortPath(data)}${because ? `: ${because}` : ""}`;
      terminal.print(`${wrapped(judging, lineWidth).join("\n")}\n`);
      for (const line of scoreLines(evaluation, threshold)) terminal.print(line);
      if (chosen) for (const line of chosenLines(chosen, evaluation.metrics.classes)) terminal.print(line);
      if (comparison)
        for (const line of comparisonLines(comparison, shortPath(against ?? ""))) terminal.print(line);
      if (found && attributes) for (const line of subgroupLines(found, attributes)) terminal.print(line);
      if (pooled) for (const line of pooledLines(pooled, threshold)) terminal.print(line);
      if (report !== undefined) {
        // A report is passed on: where things are on this machine is nobody else's business.
        const title = `${images} of ${lastNames(data, 1)}`;
        const facts = { Checkpoint: lastNames(path, 2), Data: lastNames(data, 1), Images: images };
        const description = "Scores of a checkpoint on labelled images.";
        const files = await writeReport(report, {
          title: `MedMamba on ${title}`,
          description,
          facts,
          evaluation,
          threshold,
        });
        terminal.print(`\n  ${files.join(", ")} in ${shortPath(report)}`);
      }
      terminal.result({
        ...scoresOf(evaluation, threshold),
        split: part,
        ...(chosen && { operatingPoint: chosen }),
        ...(comparison && { against: comparison }),
        ...(found && { subgroups: found }),
        ...(pooled && { pooled: pooledScores(pooled, threshold) }),
      });
    } finally {
      await folder?.removeEmpty();
      checkpoint.model.dispose();
    }
  });
}

type AnyMetrics = AnyEvaluation["metrics"];

/** The scores of units, under a line that says what they are. */
function pooledLines(pooled: PooledEvaluation<AnyMetrics>, threshold: number | undefined): string[] {
  const { units, leftOut, pooling } = pooled;
  const { by, how } = pooling;
  const rule = how === "mean" ? "mean" : "largest probability";
  const torn = leftOut === 0 ? "" : ` (${leftOut} left out, whose images are of several classes)`;
  const heading = `By ${by}, ${rule} of the images of each: ${units}${torn}`;
  return ["", ...wrapped(heading, lineWidth), "", ...scoreLines(pooled as AnyEvaluation, threshold)];
}

function pooledScores(pooled: PooledEvaluation<AnyMetrics>, threshold: number | undefined): object {
  const { units, leftOut, pooling } = pooled;
  return { ...pooling, units, leftOut, ...scoresOf(pooled as AnyEvaluation, threshold) };
}

/** The report of a training is part of its run. @throws CommandError if it would be replaced */
function expectNoRun(folder: string): void {
  if (folder.trim() === "") throw new CommandError("the path of the report is empty: name a folder.");
  if (!existsSync(join(folder, runFiles.plan))) return;
  throw new CommandError(
    `${folder} holds a run, whose own report would be replaced: choose another folder with --report.`,
  );
}
