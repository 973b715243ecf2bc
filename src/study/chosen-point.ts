/**
 * A threshold for a wish, such as "find at least 95 %". It is chosen on validation images and then tried on those that are judged,
 * whose labels the choosing never gets.
 */
import type { Checkpoint } from "../checkpoints/checkpoint.js";
import { contentsOf } from "../data/contents.js";
import { StudyError } from "../errors.js";
import { type Evaluation, evaluate } from "../inference/evaluate.js";
import type { DiagnosticMetrics } from "../metrics/diagnostic.js";
import { operatingPoint, type ScoredSamples } from "../metrics/operating-point.js";
import { type OperatingEvidence, ofSecondClass } from "../reports/evidence.js";
import { taskOf } from "../tasks/index.js";
import { evaluateOptions } from "./evaluating.js";
import { type Judged, type Judging, openSplit } from "./judged-images.js";

/** What a chosen threshold does to the images that are judged, and to those that it was chosen on. */
export interface ChosenPoint extends OperatingEvidence {
  readonly criterion: { readonly criterion: "sensitivity"; readonly atLeast: number };
  readonly validation: DiagnosticMetrics;
  /** Judged images that are among those that it was chosen by; 0 where all is well. */
  readonly judgedAmongChosen: number;
}

/** @throws StudyError where images have several labels: what is asked for is for classes that exclude each other */
export function expectOneClassAnImage(flag: string, checkpoint: Checkpoint): void {
  if (taskOf(checkpoint).name !== "multi-label") return;
  throw new StudyError(
    `${flag} is for images of one class each; ${checkpoint.path} tells several labels an image. Leave it out: every label's AUC has an interval.`,
  );
}

/** @throws StudyError if there are not two classes, or the validation images are among those that are judged */
export function expectChoosable(checkpoint: Checkpoint, { part }: Judged): void {
  expectOneClassAnImage("--sensitivity", checkpoint);
  if (checkpoint.classes.length !== 2) {
    throw new StudyError(
      `--sensitivity is for two classes; ${checkpoint.path} has ${checkpoint.classes.length}.`,
    );
  }
  if (part === "val" || part === "all") {
    throw new StudyError(
      `--sensitivity chooses a threshold on the val images, which are among those judged here: judge --split test.`,
    );
  }
}

/** A threshold that finds a share of the second class. */
export async function chosenPoint(
  checkpoint: Checkpoint,
  { dataset }: Judged,
  evaluation: Evaluation,
  sensitivity: number,
  judging: Judging,
): Promise<ChosenPoint> {
  const val = await openSplit("val", checkpoint, judging);
  const options = evaluateOptions(checkpoint, judging);
  const validation = (await evaluate(checkpoint.model, val, options)) as Evaluation;
  const criterion = { criterion: "sensitivity", atLeast: sensitivity } as const;
  const chosen = operatingPoint(samplesOf(validation), samplesOf(evaluation), criterion);
  const among = new Set(await contentsOf(val, judging.signal));
  const judged = await contentsOf(dataset, judging.signal);
  return {
    threshold: chosen.threshold,
    ...chosen.test,
    criterion,
    validation: chosen.validation,
    judgedAmongChosen: judged.filter((content) => among.has(content)).length,
  };
}

const samplesOf = (judged: Evaluation): ScoredSamples => ({
  labels: judged.labels,
  scores: ofSecondClass(judged),
  patients: judged.patients,
});
