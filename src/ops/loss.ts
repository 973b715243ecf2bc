/** Losses: means over the batch, as scalars. */
import { ArgumentError, DTypeError } from "../errors.js";
import { expectNumbers, optionsOf } from "../settings/given.js";
import { record } from "../tensor/tape.js";
import { Tensor } from "../tensor/tensor.js";
import { expectFloats, expectShape, expectTensor, extents } from "./check.js";

/** Options of `crossEntropy`. */
export interface CrossEntropyOptions {
  /** Share of the target that is spread evenly over all classes, in [0, 1); default 0. */
  labelSmoothing?: number;
  /** (classes) factor of each class; the mean is taken relative to their sum, as in PyTorch. */
  classWeights?: Tensor | undefined;
}

/** Options of `focalLoss`. */
export interface FocalLossOptions {
  /** Exponent that plays down what is classified well already; default 2, and 0 is the cross-entropy. */
  gamma?: number;
  /** (classes) factor of each class. */
  classWeights?: Tensor | undefined;
}

/** Labels as int64 (rows), converted if they are int32 or uint8; `own` if a new tensor was made. */
function asLabels(operation: string, labels: Tensor, rows: number): { labels: Tensor; own: boolean } {
  expectTensor(operation, "labels", labels);
  expectShape(operation, { labels }, [rows]);
  if (labels.dtype === "int64") return { labels, own: false };
  if (labels.dtype === "int32" || labels.dtype === "uint8")
    return { labels: labels.cast("int64"), own: true };
  throw new DTypeError(`${operation}: labels are ${labels.dtype}; class numbers are int64 or int32.`);
}

function classLoss(
  operation: "cross_entropy" | "focal_loss",
  logits: Tensor,
  givenLabels: Tensor,
  classWeights: Tensor | undefined,
  settings: Readonly<Record<string, number>>,
): Tensor {
  const name = operation === "cross_entropy" ? "crossEntropy" : "focalLoss";
  expectFloats(name, { logits }, { classWeights });
  const [rows, classes] = extents(name, "logits", logits, ["batch", "classes"]);
  expectShape(name, { classWeights }, [classes]);
  const { labels, own } = asLabels(name, givenLabels, rows);
  const loss = Tensor.empty([], logits);
  const probabilities = Tensor.like(logits);
  const common = { rows, classes, ...settings };
  logits.device.call(`${operation}_forward`, {
    ...common,
    logits,
    labels,
    class_weights: classWeights,
    loss,
    probabilities,
  });
  const result = record(
    name,
    loss,
    { logits },
    { probabilities, labels: labels.detach(), classWeights: classWeights?.detach() },
    (dloss, saved, into) => {
      const dlogits = into("logits");
      if (dlogits) {
        const kept = {
          probabilities: saved.probabilities,
          labels: saved.labels,
          class_weights: saved.classWeights,
        };
        dloss.device.call(`${operation}_backward`, { ...common, ...kept, dloss, dlogits });
      }
      return { logits: dlogits };
    },
  );
  if (own) labels.dispose();
  return result;
}

/**
 * Cross-entropy of softmax(logits) against class numbers: the mean over the batch, weighted if `classWeights` is given.
 *
 * @param logits  (batch, classes)
 * @param labels  (batch) int64 or int32; a label outside 0..classes-1 rejects the next wait on the device
 * @returns       scalar
 * @throws ShapeError, DTypeError, ArgumentError
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.CrossEntropyLoss.html
 */
export function crossEntropy(logits: Tensor, labels: Tensor, options: CrossEntropyOptions = {}): Tensor {
  const { labelSmoothing = 0, classWeights } = optionsOf("crossEntropy", options, {
    labelSmoothing: true,
    classWeights: true,
  });
  expectNumbers("crossEntropy", { labelSmoothing });
  if (!(labelSmoothing >= 0 && labelSmoothing < 1)) {
    throw new ArgumentError(`crossEntropy: labelSmoothing ${labelSmoothing} is not in [0, 1).`);
  }
  return classLoss("cross_entropy", logits, labels, classWeights, { label_smoothing: labelSmoothing });
}

/**
 * Focal loss: mean of `weight[t] * (1 - p[t])^gamma * (-log p[t])`, p[t] the probability of the true class.
 *
 * @param logits  (batch, classes)
 * @param labels  (batch) int64 or int32
 * @returns       scalar
 * @throws ShapeError, DTypeError, ArgumentError
 * @see https://arxiv.org/abs/1708.02002
 */
export function focalLoss(logits: Tensor, labels: Tensor, options: FocalLossOptions = {}): Tensor {
  const { gamma = 2, classWeights } = optionsOf("focalLoss", options, { gamma: true, classWeights: true });
  expectNumbers("focalLoss", { gamma });
  if (!(gamma >= 0)) throw new ArgumentError(`focalLoss: gamma ${gamma} is negative.`);
  return classLoss("focal_loss", logits, labels, classWeights, { gamma });
}

/**
 * Binary cross-entropy of sigmoid(logits) against targets in 0..1: the mean over all elements.
 *
 * @param logits          any shape
 * @param targets         the same shape, float32
 * @param options.positiveWeight  factor of the positive term; default 1
 * @returns               scalar
 * @throws ShapeError, DTypeError
 */
export function binaryCrossEntropyWithLogits(
  logits: Tensor,
  targets: Tensor,
  options: { positiveWeight?: number } = {},
): Tensor {
  const operation = "binaryCrossEntropyWithLogits";
  const { positiveWeight = 1 } = optionsOf(operation, options, { positiveWeight: true });
  expectNumbers(operation, { positiveWeight });
  expectFloats(operation, { logits, targets });
  expectShape(operation, { targets }, logits.shape);
  const sizes = { count: logits.size, positive_weight: positiveWeight };
  const loss = Tensor.empty([], logits);
  logits.device.call("binary_cross_entropy_forward", { ...sizes, logits, targets, loss });
  return record(operation, loss, { logits }, { logits, targets: targets.detach() }, (dloss, saved, into) => {
    const dlogits = into("logits");
    if (dlogits) dloss.device.call("binary_cross_entropy_backward", { ...sizes, ...saved, dloss, dlogits });
    return { logits: dlogits };
  });
}

/**
 * Mean squared error over all elements.
 *
 * @param x       any shape
 * @param target  the same shape
 * @returns       scalar
 * @throws ShapeError, DTypeError
 */
export function mseLoss(x: Tensor, target: Tensor): Tensor {
  expectFloats("mseLoss", { x, target });
  expectShape("mseLoss", { target }, x.shape);
  const count = x.size;
  const loss = Tensor.empty([], x);
  x.device.call("mse_forward", { count, x, target, loss });
  return record("mseLoss", loss, { x, target }, { x, target }, (dloss, saved, into) => {
    const [dx, dtarget] = [into("x"), into("target")];
    if (dx) dloss.device.call("mse_backward", { count, x: saved.x, target: saved.target, dloss, dx });
    if (dtarget)
      dloss.device.call("mse_backward", { count, x: saved.target, target: saved.x, dloss, dx: dtarget });
    return { x: dx, target: dtarget };
  });
}
