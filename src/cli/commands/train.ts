/** `medmamba train`: from labelled images to a checkpoint. */
import { join } from "node:path";
import { type Command, InvalidArgumentError, Option } from "commander";
import { variants } from "../../models/medmamba.js";
import { scoresOf } from "../../reports/scores.js";
import { carryOut, type TrainingOutcome } from "../../study/carry-out.js";
import { planStart, runFiles } from "../../study/run-directory.js";
import type { RunOptions } from "../../study/run-plan.js";
import { CommandError } from "../console/failure.js";
import {
  type CommonOptions,
  count,
  countOrZero,
  counts,
  fractionBelowOne,
  nonNegative,
  number,
  numbers,
  openTrainingDevice,
  percentages,
  positive,
  precisionOption,
  withCommonOptions,
} from "../console/options.js";
import { expectPath } from "../console/paths.js";
import { interruptible, Terminal } from "../console/terminal.js";
import { columns, decimals, shortPath } from "../console/wording.js";

interface TrainOptions extends Omit<CommonOptions, "precision">, RunOptions {
  readonly out: string;
  readonly resume?: boolean;
  readonly overwrite?: boolean;
}

const examples = `
The data set is a folder with a folder of images for each class, with or without
train, val and test above them; a MedMNIST .npz file; or a .csv file with the
columns path, label and perhaps split. What is not divided is divided by
--split, the same way every time; the checkpoint remembers it for evaluate.

Examples:
  $ medmamba train --data scans --out run
  $ medmamba train --data pathmnist.npz --out path --image-size 64 --epochs 50
  $ medmamba train --data scans.csv --out grey --channels 1 --no-flip
  $ medmamba train --data scans --out next --init run/best.safetensors --lr 1e-4
  $ medmamba train --out run --resume

Ctrl-C finishes the step and saves; --resume goes on to the same outcome.`;

export function addTrain(program: Command): void {
  const command = program
    .command("train")
    .summary("train a model on labelled images")
    .description("Train a model on labelled images.");
  command
    .option("--data <path>", "images: folder, .npz or .csv (not needed with --resume)")
    .requiredOption("--out <folder>", "where checkpoints, history and report go")
    .option("--resume", "go on with the run in --out; its options need no repeating")
    .option("--overwrite", "replace the run in --out")
    .option("--init <file>", "start from these weights: a checkpoint or bare .safetensors");
  addModelOptions(command);
  addTrainingOptions(command);
  withCommonOptions(command).addHelpText("after", examples).action(train);
}

function addModelOptions(command: Command): void {
  command
    .optionsGroup("Model:")
    .addOption(
      new Option("--variant <name>", "size of the network (default: tiny)").choices(Object.keys(variants)),
    )
    .option("--depths <list>", "blocks of each stage, such as 2,2,4,2", counts)
    .option("--dims <list>", "channels of each stage, each twice the one before", counts)
    .option("--d-state <count>", "states of the scan for each channel (default: 16)", count)
    .option("--patch-size <pixels>", "side of the patches an image is cut into (default: 4)", count)
    .option(
      "--drop-path <rate>",
      "chance that an image skips the last block's scan (default: 0.1)",
      fractionBelowOne,
    )
    .optionsGroup("Images:")
    .option("--image-size <pixels>", "side of the square the images are brought to (default: 224)", count)
    .addOption(new Option("--channels <count>", "1 (grey) or 3 (colour) (default: 3)").argParser(channels))
    .addOption(
      new Option("--resize <how>", "how images that are not square become so (default: stretch)").choices([
        "stretch",
        "cover",
        "contain",
      ]),
    )
    .option(
      "--mean <list>",
      "mean of each channel, of values from 0 to 1: 0.5,0.5,0.5 (default: 0.5 each)",
      numbers,
    )
    .option("--std <list>", "standard deviation of each channel (default: 0.5 each)", numbers)
    .option(
      "--split <percentages>",
      "train, val, test of a data set that is not divided (default: 70,15,15)",
      percentages,
    )
    .addOption(
      new Option("--augmentation <name>", "random changes of training images (default: standard)").choices([
        "standard",
        "none",
      ]),
    )
    .option(
      "--rotation <degrees>",
      "largest random rotation, either way (default: 10)",
      number((value) => value >= 0 && value <= 180, "from 0 to 180"),
    )
    .option("--no-flip", "never mirror images: for findings whose side matters")
    .option(
      "--crop-scale <part>",
      "random crops keep at least this part of the area (default: 0.8)",
      number((value) => value > 0 && value <= 1, "above 0, at most 1"),
    );
}

function addTrainingOptions(command: Command): void {
  command
    .optionsGroup("Training:")
    .option("--checkpointing", "less memory for more time: recompute instead of keeping")
    .option("--graphs", "launch each step as one CUDA graph: less of the processor's time")
    .option("--epochs <count>", "passes over the images (default: 30)", count)
    .option("--batch-size <count>", "images in a training step (default: 32)", count)
    .option("--lr <rate>", "learning rate, after the warm-up (default: 0.0005)", positive)
    .option(
      "--warmup-epochs <count>",
      "the rate rises from 0 over these (default: a tenth, at most 5)",
      nonNegative,
    )
    .addOption(
      new Option("--schedule <name>", "how the rate falls after that (default: cosine)").choices([
        "cosine",
        "step",
        "plateau",
      ]),
    )
    .option("--weight-decay <rate>", "weight decay of AdamW (default: 0.05)", nonNegative)
    .option(
      "--label-smoothing <part>",
      "share of the target spread over all classes (default: 0.05)",
      fractionBelowOne,
    )
    .addOption(
      new Option(
        "--class-weights <how>",
        "auto (balanced if classes are unequal), balanced, none, or a factor for each class: 1,2.5 (default: auto)",
      ).argParser(classWeights),
    )
    .option(
      "--average-decay <rate>",
      "of the moving average of weights that is judged and saved; 0 for none (default: 0.998)",
      fractionBelowOne,
    )
    .option("--max-grad-norm <norm>", "clip gradients to this norm; 0 for no limit (default: 5)", nonNegative)
    .addOption(
      new Option(
        "--monitor <score>",
        "validation score that decides which epoch is best (default: auc)",
      ).choices(["auc", "accuracy", "balancedAccuracy", "loss"]),
    )
    .option(
      "--patience <epochs>",
      "stop when so many bring no better one; 0 for never (default: 0)",
      countOrZero,
    )
    .option("--seed <number>", "of initial weights, order and augmentation (default: 0)", countOrZero)
    .addOption(precisionOption("bf16 on a GPU, else float32"))
    .option("--save-every <steps>", "save within epochs too, so often; 0 for no (default: 0)", countOrZero)
    .optionsGroup("Options:");
}

async function train({
  device,
  threads,
  json,
  verbose: _,
  out,
  resume,
  overwrite,
  ...options
}: TrainOptions): Promise<void> {
  const terminal = new Terminal({ json });
  if (options.data !== undefined) expectPath(options.data, "data set");
  if (options.init !== undefined) expectPath(options.init, "file of weights");
  const start = await planStart(out, options, { resume, overwrite });
  const common = { device, ...(threads !== undefined && { threads }) };
  const opened = openTrainingDevice(common, start.plan.settings.precision);
  const notice = "Stopping after this step; Ctrl-C again to quit at once.";
  const outcome = await interruptible(terminal, notice, (signal) =>
    carryOut(start, { device: opened, terminal, signal }),
  );
  if (outcome.result.stopped !== "aborted") for (const line of summary(out, outcome)) terminal.print(line);
  terminal.result(outcomeJson(out, outcome));
  if (outcome.result.stopped === "aborted") {
    throw new CommandError(
      `stopped; \`medmamba train --out ${shortPath(out)} --resume\` goes on from there.`,
    );
  }
}

/** What came of it, for people. */
export function summary(
  directory: string,
  { result, checkpoint, verdict, files }: TrainingOutcome,
): string[] {
  const lines = [""];
  const { best, history, stopped } = result;
  if (stopped === "early") lines.push(`Stopped after epoch ${history.length}: no better one for a while.`);
  if (best) {
    const { auc, accuracy } = best.validation ?? {};
    lines.push(
      `Best epoch ${best.epoch} of ${history.length}: validation accuracy ${decimals(accuracy)}, AUC ${decimals(auc)}.`,
    );
  }
  if (verdict) {
    const { intervals, accuracy, auc, samples } = scoresOf(verdict.evaluation, undefined);
    const [low, high] = intervals.accuracy;
    const name = verdict.split === "test" ? "test" : "validation";
    lines.push(
      `On ${samples} ${name} images: accuracy ${decimals(accuracy)} (${decimals(low, 2)} to ${decimals(high, 2)}), AUC ${decimals(auc)}.`,
    );
  }
  const described: [string, string][] = [[shortPath(checkpoint), "the model, to evaluate and predict with"]];
  if (files.includes(runFiles.report))
    described.push([shortPath(join(directory, runFiles.report)), "scores and figures on one page"]);
  else for (const file of files) described.push([shortPath(join(directory, file)), "loss over the epochs"]);
  return [...lines, "", ...columns(described, { left: true, longest: 60 }).map((line) => `  ${line}`)];
}

function outcomeJson(directory: string, { result, checkpoint, verdict, files }: TrainingOutcome): object {
  const { best, history, stopped } = result;
  return {
    checkpoint,
    last: join(directory, runFiles.last),
    stopped,
    bestEpoch: best?.epoch ?? null,
    epochs: history.length,
    history,
    evaluated: verdict?.split ?? null,
    test: verdict?.split === "test" ? scoresOf(verdict.evaluation, verdict.threshold) : null,
    validation: verdict?.split === "val" ? scoresOf(verdict.evaluation, verdict.threshold) : null,
    files: files.map((file) => join(directory, file)),
  };
}

function channels(text: string): number {
  if (text === "1" || text === "3") return Number(text);
  throw new InvalidArgumentError("It has to be 1 (grey) or 3 (colour).");
}

function classWeights(text: string): string | number[] {
  if (["auto", "balanced", "none"].includes(text)) return text;
  const factors = text.split(",").map((part) => (part.trim() === "" ? Number.NaN : Number(part)));
  if (factors.every((factor) => factor > 0 && Number.isFinite(factor))) return factors;
  throw new InvalidArgumentError(
    "It has to be auto, balanced, none, or positive numbers with commas between.",
  );
}
