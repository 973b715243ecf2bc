/** `medmamba predict`: what a checkpoint says about images. */
import type { Command } from "commander";
import type { FrameChoice } from "../../data/decoding/frame-choice.js";
import { limitRows } from "../../data/decoding/limits.js";
import { openingRows } from "../../data/sources/opening.js";
import { poolingOf, poolingRows } from "../../inference/pooling.js";
import { predictStream } from "../../inference/predict.js";
import { expectRisk } from "../../inference/uncertainty.js";
import { taskOf } from "../../tasks/index.js";
import { askedImages, withPatients } from "../console/asked-images.js";
import { CommandError, UsageError } from "../console/failure.js";
import { framesOf, openCheckpoint } from "../console/for-checkpoint.js";
import { listedPaths } from "../console/listed-paths.js";
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
import { predictionLines, thresholdLines } from "../console/prediction-lines.js";
import {
  expectOutputOptions,
  formatOf,
  type OutputOptions,
  ofShard,
  openOutput,
  type PredictionOutput,
  shardOfImages,
  withOutputOptions,
} from "../console/prediction-output.js";
import { referralLines, riskOption } from "../console/referrals.js";
import { interruptible, Terminal } from "../console/terminal.js";
import { plural } from "../console/wording.js";

interface PredictOptions extends CommonOptions, OutputOptions {
  readonly checkpoint: string;
  readonly batchSize: number;
  readonly frames?: FrameChoice;
  readonly pool?: string;
  readonly maxPixels?: number;
  readonly files?: string;
  readonly risk?: number;
  readonly refer: boolean;
}

const warningsShown = 3;

const examples = `
A folder stands for the images in it and below, a table (.csv) for those in its
column path; its columns patient and frame are used. An image that cannot be
read is reported in its place, the others are still predicted, and the exit code
is 1.

Formats: json is one object; jsonl and csv have a line an image (with --pool, a
unit), written as it comes, so that --resume goes on after an interruption.
dicom-sr writes for each DICOM image (or unit) a report into the study of the
image, which names the patient as the image does, and predictions.jsonl, which
does not.

Where the checkpoint can tell, an image that is not like the training images, or
that may be of several classes, gets "not sure: refer" and the reason.

Examples:
  $ medmamba predict --checkpoint run/best.safetensors scan.png
  $ medmamba predict --checkpoint best.safetensors --json scans > result.json
  $ medmamba predict --checkpoint best.safetensors a.tif --frames all
  $ medmamba predict --checkpoint best.safetensors --risk 0.05 scans
  $ medmamba predict --checkpoint best.safetensors ward.csv --pool patient:mean
  $ medmamba predict --checkpoint best.safetensors scans --explain maps
  $ medmamba predict --checkpoint best.safetensors ward --format dicom-sr \\
      --out reports --codes codes.csv
  $ find ward -name '*.dcm' | medmamba predict --files - --shard 1/4 \\
      --checkpoint best.safetensors --format csv --out part-1.csv --resume
  $ srun medmamba predict --checkpoint best.safetensors ward --shard auto \\
      --format jsonl --out 'part-{shard}.jsonl'`;

export function define(command: Command): void {
  command
    .description("Classify images: the class of each and its probability.")
    .argument("[image...]", "image files, folders of them, or tables (.csv) that list them")
    .requiredOption("--checkpoint <file>", "the model, as training wrote it")
    .option("--batch-size <count>", "images computed at once", count, 32)
    .addOption(riskOption())
    .option("--no-refer", "do not say which images a human should look at")
    .addOption(precisionOption("float32"));
  withOutputOptions(command);
  withSettings(command, { frames: openingRows.frames, ...poolingRows, ...limitRows });
  withCommonOptions(command).addHelpText("after", examples).action(run);
}

async function run(images: string[], given: PredictOptions): Promise<void> {
  const options = ofShard(given);
  expectOutputOptions(options);
  if (images.length === 0 && options.files === undefined)
    throw new UsageError("predict: name images, folders or tables, or a list of them with --files.");
  const format = formatOf(options);
  // Standard output is for what programs read, where that is not in a file.
  const terminal = new Terminal({ json: format !== "text" && (options.out === undefined || options.json) });
  const pooling = options.pool === undefined ? undefined : poolingOf(options.pool);
  expectCheckpoint(options.checkpoint);
  await interruptible(terminal, "Stopping.", async (signal) => {
    const checkpoint = await openCheckpoint(options.checkpoint, openDeviceOf(options), terminal);
    let output: PredictionOutput | undefined;
    try {
      const named = options.files === undefined ? images : [...images, ...(await listedPaths(options.files))];
      const found = shardOfImages(await askedImages(named, terminal), options);
      const asked = pooling?.by === "patient" ? await withPatients(found, terminal) : found;
      if (pooling) expectUnits(asked, pooling);
      const { batchSize, maxPixels, risk, refer } = options;
      if (risk !== undefined) expectRisk("--risk", checkpoint.assurance, risk, taskOf(checkpoint));
      const frames = options.frames ?? framesOf(checkpoint);
      output = await openOutput(options, { checkpoint, terminal, pooling, frames, signal });
      const sources = output.remaining(asked).map(({ source }) => source);
      if (output.earlier > 0)
        terminal.status(
          `${plural(output.earlier, "line")} ${output.earlier === 1 ? "was" : "were"} there already.`,
        );
      const warnings: string[] = [];
      const onWarning = (message: string) => warnings.push(message);
      const streaming = { batchSize, frames, maxPixels, signal, onWarning, risk, refer };
      for await (const prediction of predictStream(checkpoint, sources, streaming)) {
        await output.take(prediction);
        if (process.stdout.destroyed) break; // Whoever read it has enough (`| head`).
        const { taken } = output;
        if (taken % batchSize === 0 || taken === sources.length)
          terminal.progress(`predicting ${taken}/${Math.max(sources.length, taken)}`);
      }
      await output.finish(asked);
      warnings.sort(); // Images are decoded side by side, in no order.
      for (const warning of warnings.slice(0, warningsShown)) terminal.warn(warning);
      if (warnings.length > warningsShown)
        terminal.warn(`the same of ${warnings.length - warningsShown} more of the images.`);
      const { threshold } = checkpoint;
      const units = pooling && unitPredictions(checkpoint, output.kept, asked, pooling);
      if (format === "text") {
        for (const line of predictionLines(output.kept)) terminal.print(line);
        if (units) for (const line of unitLines(units, pooling)) terminal.print(line);
        for (const line of thresholdLines(checkpoint)) terminal.print(line);
        for (const line of referralLines(checkpoint, output.kept, options)) terminal.print(line);
      }
      await output.result({
        predictions: output.objects(),
        ...(units && { pooled: { ...pooling, units } }),
        ...(threshold !== undefined && { threshold }),
      });
      for (const line of output.summary()) terminal.status(line);
      expectAll(output, terminal);
    } finally {
      checkpoint.model.dispose();
      await output?.close();
    }
  });
}

/** @throws CommandError that counts what could not be predicted, or not be written */
function expectAll(
  { failed, taken, unwritten, earlier, earlierErrors }: PredictionOutput,
  terminal: Terminal,
): void {
  for (const reason of unwritten.slice(0, warningsShown)) terminal.warn(reason);
  if (unwritten.length > warningsShown)
    terminal.warn(`the same of ${unwritten.length - warningsShown} more; the output has the reason of each.`);
  const images = plural(taken, "image");
  const files = unwritten.length;
  if (earlierErrors > 0)
    terminal.warn(
      `${earlierErrors} of ${plural(earlier, "earlier line")} ${earlierErrors === 1 ? "has an error" : "have errors"}: remove them to try again.`,
    );
  if (failed > 0 && files > 0)
    throw new CommandError(
      `${failed} of ${images} could not be predicted, and ${files} reports or maps could not be written.`,
    );
  if (failed > 0) throw new CommandError(`${failed} of ${images} could not be predicted.`);
  if (files > 0) throw new CommandError(`${files} reports or maps could not be written.`);
  if (earlierErrors > 0) throw new CommandError("the output is not complete.");
}
