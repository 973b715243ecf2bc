/** One class of several an image: cross-entropy of softmax, and the most probable class. */
import type { ClassificationMetrics } from "../metrics/classification.js";
import { classLabels } from "./class-labels.js";
import type { Task } from "./task.js";

/** One class of three or more an image. */
export const multiClass: Task<ClassificationMetrics> = {
  ...classLabels,
  name: "multi-class",
  metrics: (labels, probabilities, classes) => classLabels.metrics(labels, probabilities, classes),
  chooseThresholds: () => undefined,
};
