/**
 * One class of two an image, the second of which is the finding: as `multiClass`, but called from a threshold on that is chosen
 * on validation images, because what a finding's probability is worth depends on how rare it is.
 */
import type { ClassificationMetrics } from "../metrics/classification.js";
import { chooseThreshold } from "../metrics/threshold.js";
import { classLabels } from "./class-labels.js";
import type { Task } from "./task.js";

/** One class of two an image; the second is the finding. */
export const binary: Task<ClassificationMetrics> = {
  ...classLabels,
  name: "binary",
  metrics: (labels, probabilities, classes) => classLabels.metrics(labels, probabilities, classes),
  chooseThresholds(labels, probabilities) {
    if (new Set(labels).size < 2) return undefined;
    const positive = probabilities.filter((_, i) => i % 2 === 1);
    return [chooseThreshold(labels, positive)];
  },
  decide(probabilities, [threshold] = []) {
    if (threshold === undefined) return classLabels.decide(probabilities);
    return [Number((probabilities[1] ?? 0) >= threshold)];
  },
};
