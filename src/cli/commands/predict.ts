/** `medmamba predict`: what a checkpoint says about images. */
import type { Command } from "commander";
import type { FrameChoice } from "../../data/decoding/frame-choice.js";
import { limitRows } from "../../data/decoding/limits.js";
import { openingRows } from "../../data/sources/opening.js";
import { poolingOf, poolingRows } from "../../inference/pooling.js";
import { predictStream, type StreamedPrediction } from "../../inference/predict.js";
import { askedImages, withPatients } from "../console/asked-images.js";
import { CommandError } from "../console/failure.js";
import { framesOf, openCheckpoint } from "../console/for-checkpoint.js";
import {
  type CommonOptions,
  count,
  openDeviceOf,
  precisionOption,
  withCommonOptions,
  withSettings,
} from "../console/options.js";
import { expectCheckpoint } from "../console/paths.js";
import { expectUnits, unitLines, unitPredictions } from "../console/pooled-predictions.js";
import {
  type AskedSource,
  filePrediction,
  predictionLines,
  thresholdLines,
} from "../console/prediction-lines.js";
import { interruptible, Terminal } from "../console/terminal.js";
import { plural } from "../console/wording.js";

interface PredictOptions extends CommonOptions {
  readonly checkpoint: string;
  readonly batchSize: number;
  readonly frames?: FrameChoice;
  readonly pool?: string;
  readonly maxPixels?: number;
}

const warningsShown = 3;

const examples = `
A folder stands for the images in it and below, a table (.csv) for those in its
column path; its columns patient and frame are used. An image that cannot be
read is reported in its place, the others are still predicted, and the exit code
is 1.

Examples:
  $ medmamba predict --checkpoint run/best.safetensors scan.png
  $ medmamba predict --checkpoint best.safetensors --json scans > result.json
  $ medmamba predict --checkpoint best.safetensors a.tif --frames all
  $ medmamba predict --checkpoint best.safetensors ward.csv --pool patient:mean`;

export function define(command: Command): void {
  command
    .description("Classify images: the class of each and its probability.")
    .argument("<image...>", "image files, folders of them, or tables (.csv) that list them")
    .requiredOption("--checkpoint <file>", "the model, as training wrote it")
    .option("--batch-size <count>", "images computed at once", count, 32)
    .addOption(precisionOption("float32"));
  withSettings(command, { frames: openingRows.frames, ...poolingRows, ...limitRows });
  withCommonOptions(command).addHelpText("after", examples).action(run);
}

async function run(images: string[], options: PredictOptions): Promise<void> {
  const terminal = new Terminal(options);
  const pooling = options.pool === undefined ? undefined : poolingOf(options.pool);
  expectCheckpoint(options.checkpoint);
  await interruptible(terminal, "Stopping.", async (signal) => {
    const checkpoint = await openCheckpoint(options.checkpoint, openDeviceOf(options), terminal);
    try {
      const predictions: StreamedPrediction<AskedSource>[] = [];
      const found = await askedImages(images, terminal);
      const asked = pooling?.by === "patient" ? await withPatients(found, terminal) : found;
      if (pooling) expectUnits(asked, pooling);
      const { batchSize, maxPixels } = options;
      const frames = options.frames ?? framesOf(checkpoint);
      const sources = asked.map(({ source }) => source);
      const warnings: string[] = [];
      const onWarning = (message: string) => warnings.push(message);
      const streaming = { batchSize, frames, maxPixels, signal, onWarning };
      for await (const prediction of predictStream(checkpoint, sources, streaming)) {
        predictions.push(prediction);
        if (predictions.length % batchSize === 0 || predictions.length === sources.length)
          terminal.progress(
            `predicting ${predictions.length}/${Math.max(sources.length, predictions.length)}`,
          );
      }
      warnings.sort(); // Images are decoded side by side, in no order.
      for (const warning of warnings.slice(0, warningsShown)) terminal.warn(warning);
      if (warnings.length > warningsShown)
        terminal.warn(`the same of ${warnings.length - warningsShown} more of the images.`);
      const { threshold } = checkpoint;
      const units = pooling && unitPredictions(checkpoint, predictions, asked, pooling);
      for (const line of predictionLines(predictions)) terminal.print(line);
      if (units) for (const line of unitLines(units, pooling)) terminal.print(line);
      for (const line of thresholdLines(checkpoint)) terminal.print(line);
      terminal.result({
        predictions: predictions.map(filePrediction),
        ...(units && { pooled: { ...pooling, units } }),
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
