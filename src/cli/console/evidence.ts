/** What `evaluate` does beside scores: a threshold for a wish, chosen on validation images, and a second checkpoint. */
import type { Checkpoint } from "../../checkpoints/checkpoint.js";
import { isDataIdentity, isSameSplit, splitIdentity } from "../../data/contents.js";
import { type EvaluateLabelsOptions, type Evaluation, evaluate } from "../../inference/evaluate.js";
import type { AreaComparison } from "../../metrics/delong.js";
import type { DiagnosticMetrics } from "../../metrics/diagnostic.js";
import type { Estimate } from "../../metrics/estimate.js";
import { operatingPoint } from "../../metrics/operating-point.js";
import { comparisonOf, type OperatingEvidence, ofSecondClass } from "../../reports/evidence.js";
import { taskOf } from "../../tasks/index.js";
import type { Device } from "../../tensor/device.js";
import { CommandError } from "./failure.js";
import { type Judged, type Judging, openCheckpoint, openJudged } from "./for-checkpoint.js";
import { columns, decimals, lastNames, shortPath } from "./wording.js";

/** How images are run through a model here. */
export interface Evaluating extends Judging {
  readonly data: string;
  readonly batchSize: number;
}

/** What a chosen threshold does to the images that are judged, and to those that it was chosen on. */
export interface ChosenPoint extends OperatingEvidence {
  readonly criterion: { readonly criterion: "sensitivity"; readonly atLeast: number };
  readonly validation: DiagnosticMetrics;
}

/** A second checkpoint beside the first. */
export interface Against extends AreaComparison {
  readonly checkpoint: string;
}

/** The options of `evaluate`. */
export const optionsOf = (
  { batchSize, terminal, signal }: Evaluating,
  checkpoint: Checkpoint,
): EvaluateLabelsOptions => ({
  batchSize,
  task: taskOf(checkpoint),
  assurance: checkpoint.assurance,
  thresholds:
    checkpoint.thresholds ?? (checkpoint.threshold === undefined ? undefined : [checkpoint.threshold]),
  signal,
  onProgress: ({ done, total }: { done: number; total: number }) =>
    terminal.progress(`evaluating ${done}/${total}`),
});

/** @throws CommandError where images have several labels: what is asked for is for classes that exclude each other */
export function expectOneClassAnImage(flag: string, checkpoint: Checkpoint): void {
  if (taskOf(checkpoint).name !== "multi-label") return;
  throw new CommandError(
    `${flag} is for images of one class each; ${checkpoint.path} tells several labels an image. Leave it out: every label's AUC has an interval.`,
  );
}

/**
 * A threshold that finds a share of the second class.
 *
 * @throws CommandError if there are not two classes, or the validation images are among those that are judged
 */
export async function chosenPoint(
  checkpoint: Checkpoint,
  { part }: Judged,
  evaluation: Evaluation,
  sensitivity: number,
  evaluating: Evaluating,
): Promise<ChosenPoint> {
  if (checkpoint.classes.length !== 2) {
    throw new CommandError(
      `--sensitivity is for two classes; ${checkpoint.path} has ${checkpoint.classes.length}.`,
    );
  }
  if (part === "val" || part === "all") {
    throw new CommandError(
      `--sensitivity chooses a threshold on the val images, which are among those judged here: judge --split test.`,
    );
  }
  const { dataset } = await openJudged(evaluating.data, "val", checkpoint, evaluating);
  const validation = (await evaluate(
    checkpoint.model,
    dataset,
    optionsOf(evaluating, checkpoint),
  )) as Evaluation;
  const criterion = { criterion: "sensitivity", atLeast: sensitivity } as const;
  const samples = (judged: Evaluation) => ({
    labels: judged.labels,
    scores: ofSecondClass(judged),
    patients: judged.patients,
  });
  const { threshold, test, ...chosen } = operatingPoint(samples(validation), samples(evaluation), criterion);
  return { threshold, ...test, criterion, validation: chosen.validation };
}

/**
 * Another checkpoint on the same images.
 *
 * @throws CommandError if its classes are others
 */
export async function comparedWith(
  path: string,
  device: Device,
  checkpoint: Checkpoint,
  { dataset, part }: Judged,
  evaluation: Evaluation,
  evaluating: Evaluating,
): Promise<Against> {
  const other = await openCheckpoint(path, device, evaluating.terminal);
  try {
    expectOneClassAnImage("--against", other);
    if (other.classes.join("\n") !== checkpoint.classes.join("\n")) {
      throw new CommandError(
        `${path} tells ${other.classes.join(", ")}, ${checkpoint.path} ${checkpoint.classes.join(", ")}: only the same classes in the same order can be compared.`,
      );
    }
    // The same images, so divided as the first says; prepared as the second needs them.
    const alike = { ...other, provenance: checkpoint.provenance };
    const again = await openJudged(evaluating.data, part, alike, evaluating);
    const trained = other.provenance?.data;
    if (
      isDataIdentity(trained) &&
      part !== "all" &&
      !isSameSplit(await splitIdentity(dataset, evaluating.signal), trained[part])
    ) {
      evaluating.terminal.warn(
        `${shortPath(path)} was trained on other data, or on these divided otherwise: it may have seen some of these images.`,
      );
    }
    const second = (await evaluate(other.model, again.dataset, optionsOf(evaluating, other))) as Evaluation;
    return { checkpoint: lastNames(path, 2), ...comparisonOf(evaluation, second) };
  } finally {
    other.model.dispose();
  }
}

const row = (name: string, estimate: Estimate): string[] =>
  estimate.reason === undefined
    ? [name, decimals(estimate.value), `${decimals(estimate.lower)} to ${decimals(estimate.upper)}`]
    : [name, decimals(estimate.value), "-"];

/** The chosen threshold as lines of 80 columns. */
export function chosenLines(chosen: ChosenPoint, classes: readonly string[]): string[] {
  const { threshold, criterion, sensitivity, specificity } = chosen;
  const { positivePredictiveValue, negativePredictiveValue, validation } = chosen;
  const rows = [
    ["", "value", "95 % interval"],
    row("sensitivity", sensitivity),
    row("specificity", specificity),
    row("predictive value of a call", positivePredictiveValue),
    row("predictive value of no call", negativePredictiveValue),
    row("sensitivity on the val images", validation.sensitivity),
  ];
  return [
    "",
    `  To find ${decimals(100 * criterion.atLeast, 1)} % of ${classes[1]}, by the val images, call it from ${decimals(threshold)} on:`,
    ...columns(rows).map((line) => `  ${line}`),
  ];
}

/** The comparison as lines of 80 columns. */
export function comparisonLines({ first, second, difference, pValue }: Against, path: string): string[] {
  const rows = [
    ["AUC", "value", "95 % interval"],
    row("this checkpoint", first),
    row("the other", second),
    row("difference", difference),
  ];
  const { reason } = difference;
  return [
    "",
    `  Against ${path}, on the same images:`,
    ...columns(rows).map((line) => `  ${line}`),
    ...(reason === undefined ? [] : [`  no interval of the difference, because ${reason}`]),
    ...(pValue === undefined
      ? []
      : [`  p ${pValue < 0.001 ? "below 0.001" : decimals(pValue)} (DeLong, paired)`]),
  ];
}
