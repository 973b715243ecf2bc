/** How a checkpoint is run over images to judge it. */
import type { CheckpointDescription } from "../checkpoints/checkpoint.js";
import type { EvaluateLabelsOptions } from "../inference/evaluate.js";
import { taskOf } from "../tasks/index.js";
import type { Judging } from "./judged-images.js";
import { thresholdsOf } from "./seal.js";

/** The options of `evaluate`. */
export const evaluateOptions = (
  checkpoint: CheckpointDescription,
  { batchSize, signal, onProgress }: Pick<Judging, "batchSize" | "signal" | "onProgress">,
): EvaluateLabelsOptions => ({
  batchSize,
  task: taskOf(checkpoint),
  thresholds: thresholdsOf(checkpoint) ?? undefined,
  signal,
  onProgress: ({ done, total }: { done: number; total: number }) =>
    onProgress({ type: "evaluating", done, total }),
});
