/**
 * Any number of findings an image: each label is a question of its own, answered by a sigmoid. The loss is the binary
 * cross-entropy, mean over images and labels; class weights are factors of the positive answers.
 */
import { chooseThresholds, type MultiLabelMetrics, multiLabelMetrics } from "../metrics/multi-label.js";
import { exp, log, relu, sigmoid } from "../ops/activation.js";
import { binaryCrossEntropyWithLogits } from "../ops/loss.js";
import "../ops/methods.js"; // The command line starts without index.ts, which has them for programs.
import { sum } from "../ops/reduction.js";
import { slice } from "../ops/shape.js";
import { tensor } from "../tensor/creation.js";
import type { Tensor } from "../tensor/tensor.js";
import type { Task } from "./task.js";

/** Any number of labels an image, 0 or 1 each. */
export const multiLabel: Task<MultiLabelMetrics> = {
  name: "multi-label",

  targets({ labels, weights }, classes, { labelSmoothing, classWeights }, device) {
    const images = labels.length / classes;
    const smoothed = Float32Array.from(labels, (label) => label * (1 - labelSmoothing) + labelSmoothing / 2);
    if (!weights && !classWeights) return tensor(smoothed, [images, classes], { device });
    const mass = multiLabel.mass({ labels, weights }, classes, { labelSmoothing, classWeights });
    // The two coefficients of `weightedLoss`, one row after the other.
    const coefficients = new Float32Array(2 * labels.length);
    for (const [at, target] of smoothed.entries()) {
      const [image, label] = [Math.floor(at / classes), at % classes];
      const weight = (weights?.[image] ?? 1) / mass;
      const positive = weight * (classWeights?.[label] ?? 1) * target;
      coefficients[2 * image * classes + label] = positive + weight * (1 - target);
      coefficients[(2 * image + 1) * classes + label] = positive;
    }
    return tensor(coefficients, [images, 2, classes], { device });
  },

  loss(logits, targets) {
    return targets.shape.length === 2
      ? binaryCrossEntropyWithLogits(logits, targets)
      : weightedLoss(logits, targets);
  },

  mass({ labels, weights }, classes) {
    return classes * (weights?.reduce((total, weight) => total + weight, 0) ?? labels.length / classes);
  },

  /** "balanced": what makes an image with a label count as much as those without together; "auto": none. */
  classWeights(how, counts, images) {
    if (how === "auto") return undefined;
    return Float32Array.from(counts, (count) =>
      count === 0 || count === images ? 1 : (images - count) / count,
    );
  },

  activation: sigmoid,

  metrics: multiLabelMetrics,

  chooseThresholds,

  decide(probabilities, thresholds = []) {
    const names = Array.from(probabilities, (_, label) => label);
    return names.filter((label) => probabilities[label]! >= (thresholds[label] ?? 0.5));
  },
};

/**
 * The sum of p t softplus(-x) + (1 - t) softplus(x), with the weights of image and label in p t and 1 - t. Since
 * softplus(-x) = softplus(x) - x, that is (p t + 1 - t) softplus(x) - p t x; softplus(x) = max(x, 0) + log(1 + exp(-|x|)).
 */
function weightedLoss(logits: Tensor, targets: Tensor): Tensor {
  const shape = logits.shape;
  const both = slice(targets, 1, 0, 1).reshape(shape);
  const positive = slice(targets, 1, 1, 2).reshape(shape);
  const magnitude = relu(logits).add(relu(logits.neg()));
  const softplus = relu(logits).add(log(exp(magnitude.neg()).add(1)));
  return sum(softplus.mul(both).sub(logits.mul(positive)));
}
