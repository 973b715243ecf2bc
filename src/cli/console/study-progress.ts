/** What a run tells on its way, in words: a line an epoch, and what goes on in between rewritten in place. */

import type { InitialWeights } from "../../checkpoints/initial-weights.js";
import { describeDataset } from "../../data/index.js";
import type { Place } from "../../distributed/group.js";
import type { StudyProgress } from "../../study/carry-out.js";
import type { EpochRecord } from "../../training/history.js";
import type { FitProgress } from "../../training/observers/observer.js";
import type { Extension } from "../../training/resumption.js";
import type { TrainingSettings } from "../../training/settings.js";
import type { Terminal } from "./terminal.js";
import { decimals, duration, lineWidth, plural, shortPath, wrapped } from "./wording.js";

type Prepared = Extract<StudyProgress, { type: "prepared" }>;
type Step = Extract<FitProgress, { type: "step" }>;

/** Tells a run's progress; `chosen` if nobody has asked for its precision. */
export function tellProgress(
  terminal: Terminal,
  { chosen }: { chosen: boolean },
): (progress: StudyProgress) => void {
  return (progress) => {
    switch (progress.type) {
      case "warning":
        return terminal.warn(progress.message);
      case "reading":
        return terminal.progress(`reading images ${progress.done}/${progress.total}`);
      case "prepared":
        for (const line of preparedLines(progress, chosen)) terminal.status(line);
        if (progress.detour !== undefined)
          terminal.warn(
            `the gradients of all processes pass through the first one, which is slow: ${progress.detour}.`,
          );
        return;
      case "step":
        return terminal.progress(stepLine(progress));
      case "validation":
        return terminal.progress(`validating ${progress.done}/${progress.total}`);
      case "assessment":
        return terminal.progress(`assessing ${progress.done}/${progress.total}`);
      case "epoch":
        return terminal.status(epochLine(progress.record, progress.epochs));
      case "evaluating":
        return terminal.progress(`evaluating ${progress.done}/${progress.total}`);
      case "picturing":
        return terminal.progress(`picturing mistakes ${progress.done}/${progress.total}`);
    }
  };
}

const defaultOnGpu = ", the default on a GPU; --precision float32 or tf32 is closer";

function preparedLines(
  { plan, dataset, model, initial, inherited = {}, extension, group, worldSize }: Prepared,
  chosen: boolean,
): string[] {
  const { data, init = "", model: architecture, settings } = plan;
  const { model: processor = "", simd, threads } = model.device.describe();
  const cpu = simd ? `, ${plural(threads ?? 1, "thread")}, ${simd}` : "";
  const millions = (model.parameterCount / 1e6).toFixed(2);
  const { train, val, test } = dataset;
  const splits = Object.entries({ train, val, test }).filter(([, { length }]) => length > 0);
  const { precision } = model.device;
  const lines = [
    `Data      ${shortPath(data)}`,
    ...splits.flatMap(([name, split]) =>
      wrapped(describeDataset(split), lineWidth - 10).map(
        (line, at) => `  ${(at === 0 ? name : "").padEnd(8)}${line}`,
      ),
    ),
    `Model     MedMamba of depths ${architecture.depths.join(",")} and widths ${architecture.dims.join(",")}: ${millions} M parameters`,
    `Training  ${plural(settings.epochs, "epoch")} in batches of ${settings.batchSize}, learning rate ${settings.lr}, seed ${settings.seed}`,
    `Device    ${model.device.name}: ${processor}${cpu}`,
  ];
  if (group) lines.push(...rankLines(group, settings));
  const ranks = group?.worldSize ?? 1;
  if (worldSize !== undefined && worldSize !== ranks)
    lines.push(
      `Resumed   by ${ranks === 1 ? "one process" : `${ranks} processes`}, before by ${worldSize}: from here on with other bits`,
    );
  if (extension) lines.push(...extensionLines(extension, settings));
  if (precision !== "float32") lines.push(`Precision ${precision}${chosen ? defaultOnGpu : ""}`);
  if (initial) {
    lines.push(`Weights   from ${shortPath(init)}: ${takenFrom(initial)}`);
    const settings = Object.entries(inherited).map(([name, value]) => `  ${name} ${String(value)}`);
    if (settings.length > 0) lines.push("  and, as nothing else was asked for, its", ...settings);
  }
  return [...lines, ""];
}

/** Fewer images make poor statistics of BatchNorm. */
const fewestForStatistics = 16;

/** How a batch is divided: "batch 128 = 4 x 32". */
function rankLines({ worldSize, launcher }: Place, { batchSize, accumulate }: TrainingSettings): string[] {
  const own = batchSize / worldSize;
  const lines = [
    `Processes ${worldSize}, started by ${launcher}; batch ${batchSize} = ${worldSize} x ${own}`,
  ];
  if (own / accumulate < fewestForStatistics)
    lines.push(
      `          BatchNorm sees ${own / accumulate} images at once: a larger --batch-size is better`,
    );
  return lines;
}

/** What becomes of the learning rate, which follows from the number of epochs unless the validation decides it. */
function extensionLines({ epochs, epoch }: Extension, { epochs: now, schedule }: TrainingSettings): string[] {
  const lines = [`Extended  after epoch ${epoch}, from ${epochs} epochs to ${now}`];
  if (schedule !== "plateau")
    lines.push(
      `          from here on the learning rate is that of a run of ${now} epochs (run.json has both)`,
    );
  return lines;
}

/** What was taken of weights to start from; a layer for other classes is made anew, as it would call them by wrong names. */
function takenFrom({ head, classes, named }: InitialWeights): string {
  if (head && named === undefined) return "all layers";
  if (head)
    return `all layers, the rows of the last in the order of these classes (there: ${named?.join(", ")})`;
  const theirs = named === undefined ? `${classes} classes` : named.join(", ");
  return `all but the last layer, which is made anew: there it tells ${theirs} apart`;
}

function stepLine({ epoch, epochs, step, steps, loss, imagesPerSecond, secondsLeft }: Step): string {
  const speed = `${decimals(imagesPerSecond, imagesPerSecond < 10 ? 1 : 0)} images/s`;
  return `epoch ${epoch}/${epochs}  step ${step}/${steps}  loss ${decimals(loss)}  ${speed}  ${duration(secondsLeft)} left`;
}

/** At most 80 columns, one below the other. */
function epochLine({ epoch, trainLoss, validation, best, seconds }: EpochRecord, epochs: number): string {
  const position = `${String(epoch).padStart(String(epochs).length)}/${epochs}`;
  const scores = validation
    ? `  validation ${decimals(validation.loss)}  accuracy ${decimals(validation.accuracy)}  AUC ${decimals(validation.auc)}`
    : "";
  return `${position}  loss ${decimals(trainLoss)}${scores}  ${(seconds < 9.95 ? `${decimals(seconds, 1)} s` : duration(seconds)).padStart(5)}${best ? "  best" : ""}`;
}
