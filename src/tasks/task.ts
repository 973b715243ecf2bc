/**
 * What a task is: what is compared with the network's logits, what probabilities are, how they are
 * scored and when an image is called something. Data sets, training, inference and checkpoints go through such an object
 * and know no more.
 */
import type { TaskName } from "../data/labels.js";
import { expectFunction, expectNamed, expectText } from "../settings/given.js";
import type { Device } from "../tensor/device.js";
import type { Tensor } from "../tensor/tensor.js";

export type { TaskName } from "../data/labels.js";

/** The truth about some images. */
export interface Truth {
  /** A class number an image, or a 0 or 1 for each class of each. */
  readonly labels: Int32Array;
  /** Factor of each image in the loss; each 1 unless given. */
  readonly weights?: Float32Array | undefined;
}

/** What a loss is told beside logits and truth. */
export interface LossOptions {
  /** Share of the target that is spread evenly, in [0, 1). */
  readonly labelSmoothing: number;
  /** Factor of each class; each 1 unless given. */
  readonly classWeights?: Float32Array | undefined;
}

/** The same, where the class weights are on the device already. */
export interface DeviceLossOptions {
  /** Share of the target that is spread evenly, in [0, 1). */
  readonly labelSmoothing: number;
  /** (classes) */
  readonly classWeights?: Tensor | undefined;
}

/** The scores of a validation that the history keeps, and that decide which epoch is best. */
export interface TaskScores {
  /** The loss in nats, without smoothing and weights. */
  readonly crossEntropy: number;
  /** 0 to 1. */
  readonly accuracy: number;
  /** 0 to 1. */
  readonly balancedAccuracy: number;
  /** 0 to 1; NaN where it is undefined. */
  readonly auc: number;
  /** 0 to 1. */
  readonly macroF1: number;
}

/** A task. */
export interface Task<Metrics extends TaskScores = TaskScores> {
  /** What checkpoints and data sets call it. */
  readonly name: TaskName;
  /**
   * What `loss` compares logits with: a tensor whose first axis is the images.
   *
   * @param classes  outputs of the network
   */
  targets(truth: Truth, classes: number, options: LossOptions, device: Device): Tensor;
  /**
   * The mean loss over some images.
   *
   * @param logits   (images, classes)
   * @param targets  of `targets`, for these images
   * @returns        scalar
   */
  loss(logits: Tensor, targets: Tensor, options: DeviceLossOptions): Tensor;
  /** What the mean of `loss` divides by: losses of parts of a batch, weighted by it, add up to that of the whole. */
  mass(truth: Truth, classes: number, options: LossOptions): number;
  /** (images, classes) logits -> probabilities */
  activation(logits: Tensor): Tensor;
  /**
   * All scores.
   *
   * @param labels         as of `Truth`
   * @param probabilities  (images, classes)
   * @param thresholds     of `chooseThresholds`; the task's own default unless given
   * @throws EvaluationError if the samples are malformed
   */
  metrics(
    labels: Int32Array,
    probabilities: Float32Array,
    classes: readonly string[],
    thresholds?: readonly number[],
  ): Metrics;
  /**
   * Factors of the classes in the loss where the setting is in words; undefined where all are 1.
   *
   * @param counts  training images that have each class
   * @param images  training images in all
   */
  classWeights(how: "auto" | "balanced", counts: readonly number[], images: number): Float32Array | undefined;
  /** Thresholds of the decision, found on validation images; undefined for a task without, or where they say nothing. */
  chooseThresholds(
    labels: Int32Array,
    probabilities: Float32Array,
    classes: number,
  ): readonly number[] | undefined;
  /**
   * What an image is called: numbers of classes, one unless classes do not exclude each other.
   *
   * @param probabilities  of the classes
   */
  decide(probabilities: ArrayLike<number>, thresholds?: readonly number[]): readonly number[];
}

/** What every task has, for the check of one that a program brings. */
const methods = [
  "targets",
  "loss",
  "mass",
  "activation",
  "metrics",
  "classWeights",
  "chooseThresholds",
  "decide",
] as const satisfies readonly (keyof Task)[];

/** @internal @throws ArgumentError unless it is a task, or nothing */
export function expectTask(operation: string, task: Task | undefined): void {
  if (task === undefined) return;
  expectText(operation, "task.name", expectNamed(operation, "task", task).name);
  for (const method of methods) expectFunction(operation, task[method], `task.${method}`);
}
