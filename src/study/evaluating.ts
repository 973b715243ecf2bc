/** How a checkpoint is run over images to judge it, and from which probabilities it calls what it sees. */
import type { CheckpointDescription } from "../checkpoints/checkpoint.js";
import type { EvaluateLabelsOptions } from "../inference/evaluate.js";
import { taskOf } from "../tasks/index.js";
import type { Judging } from "./judged-images.js";

/** The options of `evaluate`. */
export const evaluateOptions = (
  checkpoint: CheckpointDescription,
  { batchSize, group, signal, onProgress }: Pick<Judging, "batchSize" | "group" | "signal" | "onProgress">,
): EvaluateLabelsOptions => ({
  batchSize,
  task: taskOf(checkpoint),
  assurance: checkpoint.assurance,
  thresholds: thresholdsOf(checkpoint) ?? undefined,
  group,
  signal,
  onProgress: ({ done, total }: { done: number; total: number }) =>
    onProgress({ type: "evaluating", done, total }),
});

/** The probabilities from which classes are called, as the training chose them; null where the most probable is called. */
export const thresholdsOf = ({
  threshold,
  thresholds = threshold === undefined ? undefined : [threshold],
}: Pick<CheckpointDescription, "threshold" | "thresholds">): readonly number[] | null => thresholds ?? null;
