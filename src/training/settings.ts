/**
 * What a training run is told: everything that decides its outcome, as plain JSON, and how it is carried out, which changes
 * no bit of it. A row of these tables is all that a new option needs beside its use.
 */
import { type Augmentation, augmentations, checkAugmentation } from "../data/augmentation.js";
import { countLabels, type LabelledImages } from "../data/dataset.js";
import { ArgumentError } from "../errors.js";
import {
  count,
  countOrZero,
  fraction,
  fractionBelowOne,
  isShortList,
  type Kind,
  nonNegative,
  number,
  oneOf,
  optional,
  positive,
  seed,
  toggle,
} from "../settings/kind.js";
import { complete, type Part, setting, type ValuesOf } from "../settings/table.js";
import { type Task, taskOf } from "../tasks/index.js";
import { precisions } from "../tensor/device.js";
import { oneCycle, type Plateau, type Schedule, stepDecay, warmupCosine } from "./schedule.js";

/** Which validation measure decides what is best: the area under the ROC curve, accuracies, or the loss. */
export type Monitor = "auc" | "accuracy" | "balancedAccuracy" | "loss";

/** "auto", "balanced", "none", or a factor for each class. */
export type ClassWeights = "auto" | "balanced" | "none" | readonly number[];

const classWeights: Kind<ClassWeights> = {
  range: "auto, balanced, none, or positive numbers",
  written: "auto, balanced, none, or positive numbers with commas between",
  holds: (value) =>
    ["auto", "balanced", "none"].includes(value as string) ||
    (isShortList(value) && value.length > 0 && value.every((factor) => positive.holds(factor, {}))),
  parse: (text) =>
    classWeights.holds(text, {})
      ? (text as ClassWeights)
      : text.split(",").map((part) => (part.trim() === "" ? Number.NaN : Number(part))),
};

/** Flags of those changes that are a number from 0 to 1. */
const chances = (
  [
    ["horizontalFlip", "--horizontal-flip <chance>", "chance that left and right change places"],
    ["verticalFlip", "--vertical-flip <chance>", "chance that top and bottom change places"],
    ["translation", "--translation <part>", "largest random shift, as a part of the side"],
    ["brightness", "--brightness <part>", "largest random brightness, either way"],
    ["contrast", "--contrast <part>", "largest random contrast, either way"],
  ] as const
).map(
  ([name, flag, words]): Part<Augmentation> => ({
    flag,
    kind: fraction,
    words,
    defaultWords: String(augmentations.standard[name]),
    apply: (before, value: number) => ({ ...before, [name]: value }),
  }),
);

const augmentation: Kind<Augmentation> = {
  range: "ranges as `data.augmentations` has them",
  holds: (value) => {
    checkAugmentation(value as Augmentation);
    return true;
  },
  parse: () => undefined,
};

/** Everything that decides the outcome of a training, apart from model and data. */
export const trainingRows = {
  /** Passes over the training images; default 30. */
  epochs: setting({
    kind: count,
    default: 30,
    flag: "--epochs <count>",
    words: "passes over the images",
    alsoKnownAs: ["numEpochs", "maxEpochs"],
  }),
  /** Images of one step of the optimiser; default 32. */
  batchSize: setting({
    kind: count,
    default: 32,
    flag: "--batch-size <count>",
    words: "images in a training step",
    alsoKnownAs: ["batch"],
  }),
  /**
   * Passes that a step's batch is divided into, as evenly as it goes, at most one an image: less memory, and the same step but for what depends on the images that pass
   * together, BatchNorm's statistics and the draws of DropPath; default 1.
   */
  accumulate: setting({
    kind: count,
    default: 1,
    flag: "--accumulate <count>",
    words: "passes that a step's batch is divided into: less memory",
    alsoKnownAs: ["accumulationSteps", "gradientAccumulation"],
  }),
  /** Highest learning rate; default 1e-3. */
  lr: setting({
    kind: positive,
    default: 1e-3,
    flag: "--lr <rate>",
    words: "learning rate, after the warm-up",
    alsoKnownAs: ["learningRate", "rate"],
  }),
  /** Learning rate at the end of the cosine, as a fraction of `lr`; default 0.01. */
  minLrFraction: setting({
    kind: fraction,
    default: 0.01,
    words: "learning rate at the end of the cosine, as a part of the highest",
  }),
  /** Epochs of linear growth from 0; default a tenth of all, at most 5. */
  warmupEpochs: setting({
    kind: number(
      "from 0 to below epochs",
      (value, { epochs }) => value >= 0 && (epochs === undefined || value < Number(epochs)),
    ),
    default: ({ epochs }) => Math.min(5, Number(epochs) / 10),
    flag: "--warmup-epochs <count>",
    words: "the rate rises from 0 over these",
    defaultWords: "a tenth, at most 5",
    alsoKnownAs: ["warmup"],
  }),
  /**
   * "cosine" (default); "one-cycle": up for three tenths of the steps and down to almost nothing, without a warm-up of its own;
   * "step": a tenth after each third of the epochs; "plateau": a tenth when validation stalls.
   */
  schedule: setting({
    kind: oneOf(["cosine", "one-cycle", "step", "plateau"]),
    default: "cosine",
    flag: "--schedule <name>",
    words: "how the rate falls after that",
    alsoKnownAs: ["scheduler", "lrSchedule"],
  }),
  /** Decoupled weight decay of AdamW, on matrices and kernels only; default 0.05. */
  weightDecay: setting({
    kind: nonNegative,
    default: 0.05,
    flag: "--weight-decay <rate>",
    words: "weight decay of AdamW",
    alsoKnownAs: ["wd", "decay"],
  }),
  /** Share of the target that is spread evenly over all classes; default 0. */
  labelSmoothing: setting({
    kind: fractionBelowOne,
    default: 0,
    flag: "--label-smoothing <part>",
    words: "share of the target spread over all classes",
    alsoKnownAs: ["smoothing"],
  }),
  /**
   * Factor of each class in the loss. "balanced": inverse to its frequency; "none"; default "auto": balanced where the
   * largest class has more than 1.5 times the images of the smallest. Of several labels an image, the factor of having one:
   * "balanced" is images without it by images with it, "auto" is none.
   */
  classWeights: setting({
    kind: classWeights,
    default: "auto",
    flag: "--class-weights <how>",
    words: "auto (balanced if classes are unequal), balanced, none, or a factor for each class: 1,2.5",
  }),
  /** Random changes of the training images; default `augmentations.standard`. */
  augmentation: setting({
    kind: augmentation,
    default: augmentations.standard,
    words: "random changes of training images",
    parts: [
      {
        flag: "--augmentation <name>",
        kind: oneOf(["standard", "none"]),
        words: "random changes of training images",
        defaultWords: "standard",
        apply: (_, name: keyof typeof augmentations) => augmentations[name],
      },
      {
        flag: "--rotation <degrees>",
        kind: number("from 0 to 180", (value) => value >= 0 && value <= 180),
        words: "largest random rotation, either way",
        defaultWords: String(augmentations.standard.rotation),
        apply: (before, rotation: number) => ({ ...before, rotation }),
      },
      {
        flag: "--no-flip",
        kind: toggle,
        words: "never mirror images: for findings whose side matters",
        apply: (before) => ({ ...before, horizontalFlip: 0, verticalFlip: 0 }),
      },
      ...chances,
      {
        flag: "--crop-scale <part>",
        kind: number("above 0, at most 1", (value) => value > 0 && value <= 1),
        words: "random crops keep at least this part of the area",
        defaultWords: String(augmentations.standard.scale[0]),
        apply: (before, part: number) => ({ ...before, scale: [part, 1] as const }),
      },
      {
        flag: "--stretch <ratio>",
        kind: number("1 or more", (value) => value >= 1 && Number.isFinite(value)),
        words: "random crops are at most so many times wider than high, or higher than wide",
        defaultWords: augmentations.standard.aspect[1].toFixed(2),
        apply: (before, ratio: number) => ({ ...before, aspect: [1 / ratio, ratio] as const }),
      },
    ],
  }),
  /**
   * Where several processes train together: BatchNorm's statistics are those of the whole batch, not of each process' part; default
   * false. It costs some small messages a layer.
   */
  syncBatchNorm: setting({
    kind: toggle,
    default: false,
    flag: "--sync-batch-norm",
    words: "BatchNorm sees the whole batch, not each process' part",
    alsoKnownAs: ["syncBn", "syncBN"],
  }),
  /** Decay of the moving average of weights that is evaluated and saved as best; 0 for none; default 0.98. */
  averageDecay: setting({
    kind: fractionBelowOne,
    default: 0.98,
    flag: "--average-decay <rate>",
    words: "of the moving average of weights that is judged and saved; 0 for none",
    alsoKnownAs: ["ema", "emaDecay"],
  }),
  /** Largest norm of the gradient; 0 for no limit; default 5. */
  maxGradNorm: setting({
    kind: nonNegative,
    default: 5,
    flag: "--max-grad-norm <norm>",
    words: "clip gradients to this norm; 0 for no limit",
    alsoKnownAs: ["clipGradNorm", "gradientClip"],
  }),
  /** Of shuffling, augmentation and DropPath; default 0. */
  seed: setting({
    kind: seed,
    default: 0,
    flag: "--seed <number>",
    words: "of initial weights, order and augmentation",
  }),
  /** Which validation score decides what is best; default "auc". */
  monitor: setting({
    kind: oneOf(["auc", "accuracy", "balancedAccuracy", "loss"]),
    default: "auc",
    flag: "--monitor <score>",
    words: "validation score that decides which epoch is best",
    alsoKnownAs: ["metric"],
  }),
  /** Stop after so many epochs without improvement; 0 for never; default 0. */
  patience: setting({
    kind: countOrZero,
    default: 0,
    flag: "--patience <epochs>",
    words: "stop when so many bring no better one; 0 for never",
    alsoKnownAs: ["earlyStopping"],
  }),
  /** How matrix products and convolutions multiply; default: as the model's device does. */
  precision: setting({
    kind: optional(oneOf(precisions)),
    default: undefined,
    flag: "--precision <name>",
    words: "how products are computed",
    defaultWords: "bf16 on a GPU, else float32",
  }),
};

/** Everything that decides the outcome of a training, apart from model and data. */
export interface TrainingSettings extends ValuesOf<typeof trainingRows> {}

/** How a training is carried out: with the same bits, whatever these say. */
export const executionRows = {
  /** Also save `last.safetensors` every so many steps; default 0: after each epoch only. */
  saveEvery: setting({
    kind: countOrZero,
    default: 0,
    flag: "--save-every <steps>",
    words: "save within epochs too, so often; 0 for no",
  }),
  /** Compute blocks again in backward instead of keeping their results; see `MedMamba.recompute`. Default: as the model does. */
  recompute: setting({
    kind: toggle,
    default: false,
    flag: "--recompute",
    words: "less memory for more time: compute blocks again in backward",
    alsoKnownAs: ["gradientCheckpointing"],
  }),
  /**
   * Launch a whole step (forward, loss, backward, clipping, AdamW, averages) as one graph from the third on; see
   * `captureGraph`. Default false: graphs keep their memory reserved, beside what validation needs.
   */
  graphs: setting({
    kind: toggle,
    default: false,
    flag: "--graphs",
    words: "launch each step as one CUDA graph: less of the processor's time",
    alsoKnownAs: ["cudaGraphs"],
  }),
};

/** How a training is carried out. */
export interface ExecutionSettings extends ValuesOf<typeof executionRows> {}

/**
 * Settings with their defaults.
 *
 * @throws ArgumentError naming the setting that is out of range, or the nearest one to a name that is none
 */
export function trainingSettings(given: Partial<TrainingSettings> = {}): TrainingSettings {
  return complete("training", trainingRows, given);
}

/**
 * Factors of the classes in the loss; undefined where all are 1.
 *
 * @param task  what the words mean to; default: the data set's
 * @throws ArgumentError if there is not one positive factor for each class
 */
export function resolveClassWeights(
  setting: ClassWeights,
  train: LabelledImages,
  task: Task = taskOf(train),
): Float32Array | undefined {
  const counts = countLabels(train);
  if (typeof setting === "string")
    return setting === "none" ? undefined : task.classWeights(setting, counts, train.length);
  if (setting.length !== counts.length || !setting.every((weight) => weight > 0)) {
    throw new ArgumentError(
      `training: classWeights [${setting.join(", ")}] are not ${counts.length} positive factors, one for each class.`,
    );
  }
  return Float32Array.from(setting);
}

/** The learning rate of each step that the settings ask for; `plateau` decides it where they ask for one. */
export function scheduleOf(
  settings: TrainingSettings,
  stepsPerEpoch: number,
  plateau: Plateau | undefined,
): Schedule {
  const { lr, minLrFraction, epochs, warmupEpochs, schedule } = settings;
  const warmupSteps = Math.round(warmupEpochs * stepsPerEpoch);
  const totalSteps = epochs * stepsPerEpoch;
  if (schedule === "one-cycle") return oneCycle({ lr, totalSteps });
  if (schedule === "cosine") return warmupCosine({ lr, totalSteps, warmupSteps, minLr: lr * minLrFraction });
  const base: Schedule = plateau ? () => plateau.lr : stepDecay({ lr, every: Math.ceil(totalSteps / 3) });
  return (step) => base(step) * Math.min(1, (step + 1) / Math.max(1, warmupSteps));
}
