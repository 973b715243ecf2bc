/** `medmamba predict`: what a checkpoint says about images. */
import type { Command } from "commander";
import { predictStream, type StreamedPrediction } from "../../inference/predict.js";
import { CommandError } from "../console/failure.js";
import { openCheckpoint } from "../console/for-checkpoint.js";
import { expandImages } from "../console/images.js";
import {
  type CommonOptions,
  count,
  openDeviceOf,
  precisionOption,
  withCommonOptions,
} from "../console/options.js";
import { expectCheckpoint } from "../console/paths.js";
import { filePrediction, predictionLines } from "../console/prediction-lines.js";
import { interruptible, Terminal } from "../console/terminal.js";
import { decimals, plural } from "../console/wording.js";

interface PredictOptions extends CommonOptions {
  readonly checkpoint: string;
  readonly batchSize: number;
}

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
      const predictions: StreamedPrediction<string>[] = [];
      const files = await expandImages(images);
      const { batchSize } = options;
      for await (const prediction of predictStream(checkpoint, files, { batchSize, signal })) {
        predictions.push(prediction);
        if (predictions.length % batchSize === 0 || predictions.length === files.length)
          terminal.progress(`predicting ${predictions.length}/${files.length}`);
      }
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
