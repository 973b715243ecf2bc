/** Carrying out a planned training run: data, model, `fit`, then a verdict on images that were not learned from. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { readCheckpoint } from "../checkpoints/checkpoint.js";
import { initialWeights } from "../checkpoints/initial-weights.js";
import { asUsage } from "../cli/console/failure.js";
import type { Terminal } from "../cli/console/terminal.js";
import { decimals, duration, plural, shortPath } from "../cli/console/wording.js";
import { type Dataset, describeDataset, type OpenedDataset, openDataset } from "../data/index.js";
import { type Evaluation, evaluate } from "../inference/evaluate.js";
import { MedMamba } from "../models/medmamba.js";
import { writeReport } from "../reports/evaluation-report.js";
import { trainingCurves } from "../reports/figures/training-curves.js";
import type { Device } from "../tensor/device.js";
import { manualSeed } from "../tensor/generator.js";
import { type FitProgress, type FitResult, fit } from "../training/fit.js";
import type { EpochRecord } from "../training/history.js";
import { resolveClassWeights } from "../training/settings.js";
import { replaceText } from "../weights/atomic-file.js";
import { beginRun, type RunStart, runFiles } from "./run-directory.js";
import type { RunPlan } from "./run-plan.js";

export interface TrainingOutcome {
  readonly result: FitResult;
  /** The checkpoint to use: the best, or the last where there are no validation images. */
  readonly checkpoint: string;
  /** On the test images, else the validation images; undefined if there are neither, or the run was stopped. */
  readonly verdict?: {
    readonly split: "test" | "val";
    readonly evaluation: Evaluation;
    readonly threshold: number | undefined;
  };
  /** Names of the figures and the report in the run's folder. */
  readonly files: readonly string[];
}

const chosenOnGpu = ", the default on a GPU; --precision float32 or tf32 is closer";

export async function carryOut(
  start: RunStart,
  { device, terminal, signal }: { device: Device; terminal: Terminal; signal: AbortSignal },
): Promise<TrainingOutcome> {
  const { directory, resume } = start;
  const { precision } = device;
  const plan: RunPlan = { ...start.plan, settings: { ...start.plan.settings, precision } };
  const dataset = await openForTraining(plan, terminal, signal);
  const { preprocessing, settings, saveEvery, checkpointing, graphs } = plan;
  asUsage(() => resolveClassWeights(settings.classWeights, dataset.train));
  manualSeed(settings.seed);
  const model = new MedMamba({
    ...plan.model,
    inChannels: preprocessing.channels,
    numClasses: dataset.classes.length,
    device,
  });
  try {
    describe(plan, dataset, model, terminal);
    const chosen = start.plan.settings.precision === undefined;
    if (precision !== "float32") terminal.status(`Precision ${precision}${chosen ? chosenOnGpu : ""}`);
    if (plan.init !== undefined && !resume) {
      const { head, classes } = await initialWeights(plan.init, model);
      const taken = head ? "all layers" : `all but the last layer, which is for ${classes} classes`;
      terminal.status(`Weights   from ${shortPath(plan.init)}: ${taken}`);
    }
    // Only now is anything replaced: data or weights that cannot be read leave an earlier run as it was.
    await beginRun({ directory, plan, resume });
    terminal.status("");
    let epochs = 0;
    const result = await fit(model, {
      ...settings,
      train: dataset.train,
      validation: dataset.val.length > 0 ? dataset.val : undefined,
      directory,
      resume,
      saveEvery,
      checkpointing,
      graphs,
      provenance: { split: plan.split },
      signal,
      onProgress: (progress) => {
        if (progress.type === "epoch") epochs += 1;
        showProgress(progress, terminal);
      },
    });
    terminal.clearProgress();
    if (epochs === 0 && result.stopped !== "aborted") terminal.status("Nothing was left to train.");
    const best = join(directory, runFiles.best);
    const checkpoint = result.best && existsSync(best) ? best : join(directory, runFiles.last);
    if (result.stopped === "aborted") return { result, checkpoint, files: [] };
    return {
      result,
      checkpoint,
      ...(await judge(model, dataset, result, { directory, checkpoint, terminal })),
    };
  } finally {
    model.dispose();
  }
}

async function openForTraining(
  plan: RunPlan,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<OpenedDataset> {
  const dataset = await openDataset(plan.data, {
    preprocessing: plan.preprocessing,
    ...plan.split,
    onWarning: (message) => terminal.warn(message),
    onProgress: ({ done, total }) => terminal.progress(`reading images ${done}/${total}`),
    signal,
  });
  terminal.clearProgress();
  return dataset;
}

function describe(
  { data, model: { depths, dims }, settings }: RunPlan,
  dataset: OpenedDataset,
  model: MedMamba,
  terminal: Terminal,
): void {
  const { model: processor = "", simd, threads } = model.device.describe();
  const cpu = simd ? `, ${plural(threads ?? 1, "thread")}, ${simd}` : "";
  const millions = (model.parameterCount / 1e6).toFixed(2);
  terminal.status(`Data      ${shortPath(data)}`);
  for (const [name, split] of Object.entries({
    train: dataset.train,
    val: dataset.val,
    test: dataset.test,
  })) {
    if (split.length > 0) terminal.status(`  ${name.padEnd(8)}${describeDataset(split)}`);
  }
  terminal.status(
    `Model     MedMamba of depths ${depths.join(",")} and widths ${dims.join(",")}: ${millions} M parameters`,
  );
  terminal.status(
    `Training  ${plural(settings.epochs, "epoch")} in batches of ${settings.batchSize}, learning rate ${settings.lr}, seed ${settings.seed}`,
  );
  terminal.status(`Device    ${model.device.name}: ${processor}${cpu}`);
}

function showProgress(progress: FitProgress, terminal: Terminal): void {
  if (progress.type === "validation") terminal.progress(`validating ${progress.done}/${progress.total}`);
  else if (progress.type === "epoch") terminal.status(epochLine(progress.record, progress.epochs));
  else {
    const { epoch, epochs, step, steps, loss, imagesPerSecond, secondsLeft } = progress;
    const speed = `${decimals(imagesPerSecond, imagesPerSecond < 10 ? 1 : 0)} images/s`;
    terminal.progress(
      `epoch ${epoch}/${epochs}  step ${step}/${steps}  loss ${decimals(loss)}  ${speed}  ${duration(secondsLeft)} left`,
    );
  }
}

/** At most 80 columns, one below the other. */
function epochLine({ epoch, trainLoss, validation, best, seconds }: EpochRecord, epochs: number): string {
  const position = `${String(epoch).padStart(String(epochs).length)}/${epochs}`;
  const scores = validation
    ? `  validation ${decimals(validation.loss)}  accuracy ${decimals(validation.accuracy)}  AUC ${decimals(validation.auc)}`
    : "";
  return `${position}  loss ${decimals(trainLoss)}${scores}  ${duration(seconds).padStart(5)}${best ? "  best" : ""}`;
}

/** Evaluates the best weights, which the model holds now, and writes figures and report. */
async function judge(
  model: MedMamba,
  dataset: OpenedDataset,
  { history, best }: FitResult,
  { directory, checkpoint, terminal }: { directory: string; checkpoint: string; terminal: Terminal },
): Promise<Pick<TrainingOutcome, "verdict" | "files">> {
  const split = dataset.test.length > 0 ? "test" : "val";
  const images: Dataset = dataset[split];
  if (images.length === 0) {
    const curves = trainingCurves(history, best && { bestEpoch: best.epoch });
    await replaceText(join(directory, runFiles.curves), curves);
    return { files: [runFiles.curves] };
  }
  const evaluation = await evaluate(model, images, {
    onProgress: ({ done, total }) => terminal.progress(`evaluating ${done}/${total}`),
  });
  terminal.clearProgress();
  const { threshold } = await readCheckpoint(checkpoint);
  const name = split === "test" ? "test images" : "validation images";
  const files = await writeReport(directory, {
    title: `MedMamba on ${evaluation.metrics.samples} ${name}`,
    description: `A training of ${history.length} epochs, judged on images that its weights were not fitted to.`,
    facts: {
      Checkpoint: shortPath(checkpoint),
      ...(best && { "Best epoch": `${best.epoch} of ${history.length}` }),
      Images: describeDataset(images),
    },
    evaluation,
    threshold,
    history: { epochs: history, best: best?.epoch },
  });
  return { verdict: { split, evaluation, threshold }, files };
}
