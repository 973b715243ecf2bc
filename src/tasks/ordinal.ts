/**
 * One grade of an ordered scale an image, such as 0 to 4 of a retinopathy: a mistake by one grade costs less than one by three.
 * The target of grade g gives every grade k the share softmax(-|g - k|), so that a prediction beside the truth is better than
 * one far from it, while there is still one probability a grade.
 *
 * @see Díaz and Marathe, Soft labels for ordinal regression, CVPR 2019
 */
import type { ClassificationMetrics } from "../metrics/classification.js";
import { type OrdinalAgreement, ordinalAgreement } from "../metrics/ordinal.js";
import { classLabels, softCrossEntropy, softTargets } from "./class-labels.js";
import type { Task } from "./task.js";

/** Metrics of grades: those of classes, and how far off the mistakes are. */
export type OrdinalMetrics = ClassificationMetrics & OrdinalAgreement;

/** One grade of an ordered scale an image; the order is that of the classes. */
export const ordinal: Task<OrdinalMetrics> = {
  ...classLabels,
  name: "ordinal",
  targets(truth, classes, options, device) {
    const totals = Array.from({ length: classes }, (_, grade) =>
      Array.from({ length: classes }, (_, other) => Math.exp(-Math.abs(grade - other))).reduce(
        (a, b) => a + b,
      ),
    );
    const smoothing = options.labelSmoothing;
    const target = (grade: number, other: number) =>
      ((1 - smoothing) * Math.exp(-Math.abs(grade - other))) / (totals[grade] ?? 1) + smoothing / classes;
    return softTargets(truth, classes, options, target, device);
  },
  loss: softCrossEntropy,
  metrics(labels, probabilities, classes) {
    const metrics = classLabels.metrics(labels, probabilities, classes);
    return { ...metrics, ...ordinalAgreement(metrics.confusionMatrix) };
  },
  chooseThresholds: () => undefined,
};
