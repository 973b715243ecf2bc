/** `medmamba evaluate`: how good a checkpoint is on labelled images. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { type Command, Option } from "commander";
import { type SplitName, splitNames } from "../../data/index.js";
import { evaluate } from "../../inference/evaluate.js";
import { writeReport } from "../../reports/evaluation-report.js";
import { scoresOf } from "../../reports/scores.js";
import { fraction } from "../../settings/kind.js";
import { runFiles } from "../../study/run-directory.js";
import { writableFolder } from "../../study/writable-folder.js";
import {
  chosenLines,
  chosenPoint,
  comparedWith,
  comparisonLines,
  type Evaluating,
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
  withLimits,
} from "../console/options.js";
import { expectCheckpoint, expectPath } from "../console/paths.js";
import { scoreLines } from "../console/score-lines.js";
import { interruptible, Terminal } from "../console/terminal.js";
import { lastNames, shortPath } from "../console/wording.js";

interface EvaluateCommandOptions extends CommonOptions {
  readonly checkpoint: string;
  readonly data: string;
  readonly split?: SplitName | "all";
  readonly batchSize: number;
  readonly report?: string;
  readonly sensitivity?: number;
  readonly against?: string;
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
    .option("--batch-size <count>", "images computed at once", count, 32)
    .addOption(precisionOption("float32"));
  withCommonOptions(withLimits(command)).addHelpText("after", examples).action(run);
}

async function run(options: EvaluateCommandOptions): Promise<void> {
  const { checkpoint: path, data, split, batchSize, report, sensitivity, against, maxPixels } = options;
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
      const judged = await openJudged(data, split, checkpoint, { terminal, signal, maxPixels });
      const { dataset, part, because } = judged;
      const evaluating: Evaluating = { data, batchSize, terminal, signal, maxPixels };
      const evaluation = await evaluate(checkpoint.model, dataset, optionsOf(evaluating));
      const chosen =
        sensitivity === undefined
          ? undefined
          : await chosenPoint(checkpoint, judged, evaluation, sensitivity, evaluating);
      const comparison =
        against === undefined
          ? undefined
          : await comparedWith(against, device, checkpoint, judged, evaluation, evaluating);
      const { threshold } = checkpoint;
      const which = part === "all" ? "all" : `the ${part}`;
      const images = `${which} ${evaluation.metrics.samples} images of`;
      terminal.print(`${shortPath(path)} on ${images} ${shortPath(data)}${because ? `: ${because}` : ""}\n`);
      for (const line of scoreLines(evaluation, threshold)) terminal.print(line);
      if (chosen) for (const line of chosenLines(chosen, evaluation)) terminal.print(line);
      if (comparison)
        for (const line of comparisonLines(comparison, shortPath(against ?? ""))) terminal.print(line);
      if (report !== undefined) {
        // A report is passed on: where things are on this machine is nobody else's business.
        const title = `${images} ${lastNames(data, 1)}`;
        const facts = { Checkpoint: lastNames(path, 2), Data: lastNames(data, 1), Images: which };
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
      });
    } finally {
      await folder?.removeEmpty();
      checkpoint.model.dispose();
    }
  });
}

/** The report of a training is part of its run. @throws CommandError if it would be replaced */
function expectNoRun(folder: string): void {
  if (folder.trim() === "") throw new CommandError("the path of the report is empty: name a folder.");
  if (!existsSync(join(folder, runFiles.plan))) return;
  throw new CommandError(
    `${folder} holds a run, whose own report would be replaced: choose another folder with --report.`,
  );
}
