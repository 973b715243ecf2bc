/** What tasks have in common whose images are each of one class: cross-entropy of softmax, and the most probable class. */
import { classificationMetrics } from "../metrics/classification.js";
import { crossEntropy } from "../ops/loss.js";
import "../ops/methods.js"; // The command line starts without index.ts, which has them for programs.
import { sum } from "../ops/reduction.js";
import { logSoftmax, softmax } from "../ops/softmax.js";
import { tensor } from "../tensor/creation.js";
import type { Tensor } from "../tensor/tensor.js";
import type { LossOptions, Task, Truth } from "./task.js";

type ClassTask = Omit<Task, "name" | "metrics" | "chooseThresholds">;

/** A class number an image. */
export const classLabels: ClassTask & { metrics: typeof classificationMetrics } = {
  targets(truth, classes, options, device) {
    const images = truth.labels.length;
    if (!truth.weights) return tensor(truth.labels, [images], { dtype: "int64", device });
    const share = options.labelSmoothing / classes;
    const target = (label: number, name: number) => (name === label ? 1 - options.labelSmoothing : 0) + share;
    return softTargets(truth, classes, options, target, device);
  },

  loss(logits, targets, options) {
    return targets.dtype === "float32"
      ? softCrossEntropy(logits, targets)
      : crossEntropy(logits, targets, options);
  },

  mass({ labels, weights }, _, { classWeights }) {
    return labels.reduce((total, label, i) => total + (weights?.[i] ?? 1) * (classWeights?.[label] ?? 1), 0);
  },

  /** Inverse to frequency, with mean 1 over the training images; "auto": only where the largest class is 1.5 times the smallest. */
  classWeights(how, counts, images) {
    const unequal = Math.max(...counts) > 1.5 * Math.min(...counts);
    if (how === "auto" && !unequal) return undefined;
    return Float32Array.from(counts, (count) => images / (counts.length * Math.max(1, count)));
  },

  activation: softmax,

  metrics: classificationMetrics,

  decide(probabilities) {
    const values = Array.from(probabilities);
    return [values.indexOf(Math.max(...values))];
  },
};

/**
 * Coefficients of -log p in the mean loss: target distributions, times the weights of image and class, over the batch's mass.
 * By PyTorch's definition a class weight is that of the true class where it meets a hard label, and that of each class where
 * a share of the target is spread.
 *
 * @param target  (true class, class) -> share of the target
 * @returns       (images, classes) float32
 */
export function softTargets(
  truth: Truth,
  classes: number,
  options: LossOptions,
  target: (label: number, name: number) => number,
  device: Tensor["device"],
): Tensor {
  const { labels, weights } = truth;
  const mass = classLabels.mass(truth, classes, options);
  const coefficients = Float32Array.from({ length: labels.length * classes }, (_, at) => {
    const [image, name] = [Math.floor(at / classes), at % classes];
    const weight = (weights?.[image] ?? 1) * (options.classWeights?.[name] ?? 1);
    return (weight * target(labels[image] ?? 0, name)) / mass;
  });
  return tensor(coefficients, [labels.length, classes], { device });
}

/** The sum of -log p, each times its coefficient. */
export function softCrossEntropy(logits: Tensor, coefficients: Tensor): Tensor {
  return sum(logSoftmax(logits).mul(coefficients)).neg();
}
