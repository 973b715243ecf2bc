/** `medmamba demo`: the whole way from images to a prediction, on images that it draws itself. */
import { existsSync, readdirSync, statSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Command } from "commander";
import { demoClasses, writeDemoDataset } from "../../data/index.js";
import { predictImages } from "../../inference/predict.js";
import { scoresOf } from "../../reports/scores.js";
import { carryOut } from "../../study/carry-out.js";
import { planStart, runFiles } from "../../study/run-directory.js";
import type { RunOptions } from "../../study/run-plan.js";
import { CommandError } from "../console/failure.js";
import { openCheckpoint } from "../console/for-checkpoint.js";
import {
  type CommonOptions,
  count,
  countOrZero,
  openTrainingDevice,
  withCommonOptions,
} from "../console/options.js";
import { filePrediction, predictionLines } from "../console/prediction-lines.js";
import { scoreLines } from "../console/score-lines.js";
import { tellProgress } from "../console/study-progress.js";
import { interruptible, Terminal } from "../console/terminal.js";
import { columns, duration, shortPath } from "../console/wording.js";

interface DemoOptions extends CommonOptions {
  readonly out: string;
  readonly seed: number;
  readonly epochs: number;
}

const images = { train: 80, val: 20, test: 30 };

/** Small enough for a minute on two cores, with some accuracy to spare above what a demo should show. */
const recipe: RunOptions = {
  depths: [1, 1, 2, 1],
  dims: [32, 64, 128, 256],
  imageSize: 64,
  channels: 1,
  batchSize: 16,
  dropPath: 0,
};

const examples = `
Examples:
  $ medmamba demo
  $ medmamba demo --out /tmp/demo --seed 1`;

export function define(command: Command): void {
  command
    .description("Draw ultrasound-like images, train a small MedMamba on them, evaluate it and predict.")
    .option("--out <folder>", "where images, model and report go", "medmamba-demo")
    .option("--seed <number>", "of images and training", countOrZero, 0)
    .option("--epochs <count>", "passes over the images", count, 15);
  withCommonOptions(command).addHelpText("after", examples).action(run);
}

async function run(options: DemoOptions): Promise<void> {
  const { out, seed, epochs } = options;
  const terminal = new Terminal(options);
  const started = performance.now();
  expectOwnFolder(out);
  const device = openTrainingDevice(options, undefined);
  const [data, directory] = [join(out, "data"), join(out, "run")];
  await interruptible(terminal, "Stopping.", async (signal) => {
    terminal.print("MedMamba learns to tell ultrasound images of three findings apart: a cyst,");
    terminal.print("a mass, and normal tissue. No patient was involved: the images are drawn.\n");
    await mkdir(data, { recursive: true });
    await writeDemoDataset(data, { seed, perClass: images, size: 64, signal });
    const start = await planStart(directory, { ...recipe, data, seed, epochs }, { overwrite: true });
    const { result, checkpoint, verdict } = await carryOut(start, {
      device,
      signal,
      onProgress: tellProgress(terminal, { chosen: true }),
    });
    if (result.stopped === "aborted" || !verdict)
      throw new CommandError("stopped; `medmamba demo` begins anew.");
    const { evaluation, threshold } = verdict;
    terminal.print(
      `\nThe best weights, of epoch ${result.best?.epoch}, on ${evaluation.metrics.samples} test images they have never seen:\n`,
    );
    for (const line of scoreLines(evaluation, threshold)) terminal.print(line);

    const file = join(data, "test", demoClasses[1], `${demoClasses[1]}-0000.png`);
    const classifier = await openCheckpoint(checkpoint, device, terminal);
    const [prediction] = await predictImages(classifier, [file]);
    classifier.model.dispose();
    const predictions = prediction ? [{ source: file, index: 0, ...prediction }] : [];
    terminal.print(`\nAsked about one image, a ${demoClasses[1]}:\n`);
    for (const line of predictionLines(predictions)) terminal.print(`  ${line}`);

    const seconds = (performance.now() - started) / 1000;
    for (const line of farewell(out, data, directory, checkpoint, seconds)) terminal.print(line);
    terminal.result({
      seconds,
      checkpoint,
      data,
      report: join(directory, runFiles.report),
      curves: join(directory, runFiles.curves),
      confusion: join(directory, runFiles.confusion),
      bestEpoch: result.best?.epoch ?? null,
      history: result.history,
      test: scoresOf(evaluation, threshold),
      predictions: predictions.map(filePrediction),
    });
  });
}

/** An earlier demo may be replaced, anything else may not. */
function expectOwnFolder(out: string): void {
  if (!existsSync(out)) return;
  if (!statSync(out).isDirectory()) throw new CommandError(`${out} is a file: choose a folder with --out.`);
  const own = existsSync(join(out, "data", "train", demoClasses[0]));
  if (!own && readdirSync(out).length > 0) {
    throw new CommandError(
      `${out} holds something else than an earlier demo: choose an empty folder with --out.`,
    );
  }
}

function farewell(
  out: string,
  data: string,
  directory: string,
  checkpoint: string,
  seconds: number,
): string[] {
  const places = [
    [shortPath(data), "the images"],
    [shortPath(checkpoint), "the model"],
    [shortPath(join(directory, runFiles.report)), "all scores and figures: open it in a browser"],
    [shortPath(join(directory, runFiles.curves)), "how the training went"],
    [shortPath(join(directory, runFiles.confusion)), "what was taken for what"],
  ];
  return [
    `\nDone in ${duration(seconds)}. In ${shortPath(out)}:\n`,
    ...columns(places, { left: true, longest: 50 }).map((line) => `  ${line}`),
    "\nThe same with images of your own, a folder for each class:\n",
    "  npx medmamba train --data scans --out run",
    "  npx medmamba evaluate --checkpoint run/best.safetensors --data scans",
    "  npx medmamba predict --checkpoint run/best.safetensors image.png",
  ];
}
