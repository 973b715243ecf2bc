/** `medmamba predict`: what a checkpoint says about images. */
import { readdir, stat } from "node:fs/promises";
import { extname, join } from "node:path";
import type { Command } from "commander";
import type { Checkpoint } from "../../checkpoints/checkpoint.js";
import { imageExtensions, loadImage, type Sample } from "../../data/index.js";
import { type Prediction, predictSamples } from "../../inference/predict.js";
import { CommandError } from "../console/failure.js";
import { openCheckpoint } from "../console/for-checkpoint.js";
import {
  type CommonOptions,
  count,
  openDeviceOf,
  precisionOption,
  withCommonOptions,
} from "../console/options.js";
import { expectCheckpoint } from "../console/paths.js";
import { interruptible, Terminal } from "../console/terminal.js";
import { columns, decimals, plural, shortPath } from "../console/wording.js";

interface PredictOptions extends CommonOptions {
  readonly checkpoint: string;
  readonly batchSize: number;
}

/** One image, as `--json` has it. */
export type FilePrediction =
  | ({ readonly file: string } & Prediction)
  | { readonly file: string; readonly error: string };

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
  withCommonOptions(command).addHelpText("after", examples).action(run);
}

async function run(images: string[], options: PredictOptions): Promise<void> {
  const terminal = new Terminal(options);
  expectCheckpoint(options.checkpoint);
  await interruptible(terminal, "Stopping.", async (signal) => {
    const checkpoint = await openCheckpoint(options.checkpoint, openDeviceOf(options));
    try {
      const predictions: FilePrediction[] = [];
      const files = (await Promise.all(images.map(expand))).flat();
      for (let start = 0; start < files.length; start += options.batchSize) {
        signal.throwIfAborted();
        predictions.push(...(await predictFiles(checkpoint, files.slice(start, start + options.batchSize))));
        terminal.progress(`predicting ${predictions.length}/${files.length}`);
      }
      const { threshold, classes } = checkpoint;
      for (const line of predictionLines(predictions)) terminal.print(line);
      if (threshold !== undefined) {
        terminal.print(
          `\nCalled ${classes[1]} from a probability of ${decimals(threshold)} on, the threshold chosen in training.`,
        );
      }
      terminal.result({ predictions, ...(threshold !== undefined && { threshold }) });
      const failed = predictions.filter((prediction) => "error" in prediction).length;
      if (failed > 0)
        throw new CommandError(`${failed} of ${plural(predictions.length, "image")} could not be predicted.`);
    } finally {
      checkpoint.model.dispose();
    }
  });
}

/** The images that an argument stands for; what is not there stands for itself, and fails when it is read. */
async function expand(path: string): Promise<string[]> {
  const found = await stat(path).catch(() => undefined);
  if (!found?.isDirectory()) return [path];
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  const images = entries
    .filter(({ name }) => !name.startsWith(".") && imageExtensions.includes(extname(name).toLowerCase()))
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
  if (images.length === 0)
    throw new CommandError(`${path} has no images in it; ${imageExtensions.join(" ")} are read.`);
  return images;
}

/** Predictions of files, in their order. */
export async function predictFiles(
  checkpoint: Checkpoint,
  files: readonly string[],
): Promise<FilePrediction[]> {
  const loaded = await Promise.allSettled(files.map((file) => loadImage(file, checkpoint.preprocessing)));
  const readable = loaded.flatMap((outcome, i) => (outcome.status === "fulfilled" ? [i] : []));
  const samples = readable.map((i) => (loaded[i] as PromiseFulfilledResult<Sample>).value);
  const names = readable.map((i) => files[i] as string);
  const batchSize = Math.max(1, samples.length);
  const predictions = await predictSamples(checkpoint, samples, names, { batchSize });
  return loaded.map((outcome, i): FilePrediction => {
    const file = files[i] as string;
    if (outcome.status === "rejected") return { file, error: (outcome.reason as Error).message };
    return { file, ...(predictions[readable.indexOf(i)] as Prediction) };
  });
}

/** A line an image: its class and probability, and the runner-up. */
export function predictionLines(predictions: readonly FilePrediction[]): string[] {
  const percent = (probability: number) => `${decimals(100 * probability, 1)} %`;
  const rows = predictions.map((prediction): string[] => {
    const file = shortPath(prediction.file);
    if ("error" in prediction) return [file];
    const { label, probability, probabilities } = prediction;
    const [second] = Object.entries(probabilities)
      .filter(([name]) => name !== label)
      .sort(([, a], [, b]) => b - a);
    return [
      file,
      label,
      percent(probability),
      ...(second ? [`then ${second[0]} ${percent(second[1])}`] : []),
    ];
  });
  return columns(rows, { left: true, longest: 44 }).map((line, i) => {
    const prediction = predictions[i];
    return prediction && "error" in prediction
      ? `${line}  ${prediction.error.replace(`${prediction.file} `, "")}`
      : line;
  });
}
