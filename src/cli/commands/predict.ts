/** `medmamba predict`: what a checkpoint says about images. */
import { stat } from "node:fs/promises";
import type { Command } from "commander";
import { imageExtensions } from "../../data/index.js";
import { searchFolder } from "../../data/sources/walk.js";
import { predictStream, type StreamedPrediction } from "../../inference/predict.js";
import { CommandError, explain } from "../console/failure.js";
import { openCheckpoint } from "../console/for-checkpoint.js";
import {
  type CommonOptions,
  count,
  openDeviceOf,
  precisionOption,
  withCommonOptions,
  withLimits,
} from "../console/options.js";
import { expectCheckpoint } from "../console/paths.js";
import { filePrediction, predictionLines } from "../console/prediction-lines.js";
import { interruptible, Terminal } from "../console/terminal.js";
import { decimals, plural } from "../console/wording.js";

interface PredictOptions extends CommonOptions {
  readonly checkpoint: string;
  readonly batchSize: number;
  readonly maxPixels?: number;
}

const warningsShown = 3;

const examples = `
A folder stands for the images in it and below. An image that cannot be read is
reported in its place, the others are still predicted, and the exit code is 1.

Examples:
  $ medmamba predict --checkpoint run/best.safetensors scan.png
  $ medmamba predict --checkpoint best.safetensors --json scans > result.json`;

export function define(command: Command): void {
  command
    .description("Classify images: the class of each and its probability.")
    .argument("<image...>", "image files, or folders of them")
    .requiredOption("--checkpoint <file>", "the model, as training wrote it")
    .option("--batch-size <count>", "images computed at once", count, 32)
    .addOption(precisionOption("float32"));
  withCommonOptions(withLimits(command)).addHelpText("after", examples).action(run);
}

async function run(images: string[], options: PredictOptions): Promise<void> {
  const terminal = new Terminal(options);
  expectCheckpoint(options.checkpoint);
  await interruptible(terminal, "Stopping.", async (signal) => {
    const checkpoint = await openCheckpoint(options.checkpoint, openDeviceOf(options), terminal);
    try {
      const predictions: StreamedPrediction<string>[] = [];
      const files = await imagesAmong(images, terminal);
      const { batchSize, maxPixels } = options;
      const warnings: string[] = [];
      const onWarning = (message: string) => warnings.push(message);
      const streaming = { batchSize, maxPixels, signal, onWarning };
      for await (const prediction of predictStream(checkpoint, files, streaming)) {
        predictions.push(prediction);
        if (predictions.length % batchSize === 0 || predictions.length === files.length)
          terminal.progress(`predicting ${predictions.length}/${files.length}`);
      }
      for (const warning of warnings.slice(0, warningsShown)) terminal.warn(warning);
      if (warnings.length > warningsShown)
        terminal.warn(`the same of ${warnings.length - warningsShown} more of the images.`);
      const { threshold, classes } = checkpoint;
      for (const line of predictionLines(predictions)) terminal.print(line);
      if (threshold !== undefined) {
        terminal.print(
          `\nCalled ${classes[1]} from a probability of ${decimals(threshold)} on, the threshold chosen in training.`,
        );
      }
      terminal.result({
        predictions: predictions.map(filePrediction),
        ...(threshold !== undefined && { threshold }),
      });
      const failed = predictions.filter(({ error }) => error).length;
      if (failed > 0)
        throw new CommandError(`${failed} of ${plural(predictions.length, "image")} could not be predicted.`);
    } finally {
      checkpoint.model.dispose();
    }
  });
}

/**
 * The images that the arguments stand for. What is not there stands for itself, and fails when it is read, as does a folder
 * of nothing, or one that cannot be opened: the others are predicted.
 *
 * @throws CommandError if there is nothing else
 */
async function imagesAmong(paths: readonly string[], terminal: Terminal): Promise<readonly string[]> {
  const problems: string[] = [];
  const files: string[] = [];
  for (const path of paths) {
    const found = await stat(path).catch(() => undefined);
    if (!found?.isDirectory()) {
      files.push(path);
      continue;
    }
    const images = await searchFolder(path).then(
      (below) => below.images,
      (error: unknown) => {
        problems.push(explain(error));
        return undefined;
      },
    );
    if (images?.length === 0)
      problems.push(`${path} has no images in it; ${imageExtensions.join(" ")} are read.`);
    files.push(...(images?.length ? images : [path]));
  }
  if (problems.length === paths.length) throw new CommandError(problems.join(" "));
  for (const problem of problems) terminal.warn(problem);
  return files;
}
