/** A second checkpoint on the same images: the areas of both, and their difference. */
import { basename, dirname, resolve } from "node:path";
import type { Checkpoint } from "../checkpoints/checkpoint.js";
import { isDataIdentity, isSameSplit, splitIdentity } from "../data/contents.js";
import { StudyError } from "../errors.js";
import { type Evaluation, evaluate } from "../inference/evaluate.js";
import type { AreaComparison } from "../metrics/delong.js";
import { comparisonOf } from "../reports/evidence.js";
import { expectOneClassAnImage } from "./chosen-point.js";
import { evaluateOptions, thresholdsOf } from "./evaluating.js";
import { acquaintance, type Judged, type Judging, openJudged } from "./judged-images.js";
import { lookAt } from "./seal.js";

/** A second checkpoint beside the first. */
export interface Against extends AreaComparison {
  /** The end of its path. */
  readonly checkpoint: string;
}

/** @throws StudyError if the classes of two checkpoints are others, or an image has several */
export function expectComparable(checkpoint: Checkpoint, other: Checkpoint): void {
  for (const one of [checkpoint, other]) expectOneClassAnImage("--against", one);
  if (other.classes.join("\n") === checkpoint.classes.join("\n")) return;
  throw new StudyError(
    `${other.path} tells ${other.classes.join(", ")}, ${checkpoint.path} ${checkpoint.classes.join(", ")}: only the same classes in the same order can be compared.`,
  );
}

/** Another checkpoint on the same images. That is a look at its test images, too, if these are. */
export async function comparedWith(
  other: Checkpoint,
  checkpoint: Checkpoint,
  { dataset, part }: Judged,
  evaluation: Evaluation,
  judging: Judging,
): Promise<Against> {
  const onWarning = (message: string) => judging.onProgress({ type: "warning", message });
  // The same images, so divided as the first says; prepared as the second needs them.
  const again = await openJudged(part, { ...other, provenance: checkpoint.provenance }, judging);
  const trained = other.provenance?.data;
  if (
    isDataIdentity(trained) &&
    part !== "all" &&
    !isSameSplit(await splitIdentity(dataset, judging.signal), trained[part])
  ) {
    onWarning(
      `${other.path} was trained on other data, or on these divided otherwise: it may have seen some of these images.`,
    );
  }
  const second = (await evaluate(other.model, again.dataset, evaluateOptions(other, judging))) as Evaluation;
  const { findings } = await lookAt(other, {
    by: "evaluate --against",
    acquaintance: await acquaintance(other, again, judging.signal),
    thresholds: thresholdsOf(other),
    chosenBy: "training",
    scores: keyScores(second),
  });
  for (const { code, state, words } of findings)
    if (code === "recorded" && state === "broken") onWarning(`${other.path}: ${words}`);
  const path = resolve(other.path);
  return {
    checkpoint: `${basename(dirname(path))}/${basename(path)}`,
    ...comparisonOf(evaluation, second),
  };
}

/** What the ledger keeps of scores. */
export function keyScores({
  metrics,
}: {
  readonly metrics: { readonly samples: number; readonly accuracy: number; readonly auc: number };
}): Readonly<Record<string, number | null>> {
  const { samples, accuracy, auc } = metrics;
  return { samples, accuracy, auc: Number.isFinite(auc) ? auc : null };
}
