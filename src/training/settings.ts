/** What a training run is told: everything that decides its outcome, as plain JSON, with defaults. */
import { type Augmentation, augmentations, countLabels, type Dataset } from "../data/index.js";
import { ArgumentError } from "../errors.js";
import { type Precision, precisions } from "../tensor/device.js";
import { type Plateau, type Schedule, stepDecay, warmupCosine } from "./schedule.js";

/** Which validation measure decides what is best: the area under the ROC curve, accuracies, or the loss. */
export type Monitor = "auc" | "accuracy" | "balancedAccuracy" | "loss";

/** Everything that decides the outcome of a training, apart from model and data. */
export interface TrainingSettings {
  /** Passes over the training images; default 30. */
  epochs: number;
  /** Images of one step; default 32. */
  batchSize: number;
  /** Highest learning rate; default 5e-4. */
  lr: number;
  /** Learning rate at the end of the cosine, as a fraction of `lr`; default 0.01. */
  minLrFraction: number;
  /** Epochs of linear growth from 0; default a tenth of all, at most 5. */
  warmupEpochs: number;
  /** "cosine"; "step": a tenth after each third of the epochs; "plateau": a tenth when validation stalls. */
  schedule: "cosine" | "step" | "plateau";
  /** Decoupled weight decay of AdamW, on matrices and kernels only; default 0.05. */
  weightDecay: number;
  /** Default 0.05. */
  labelSmoothing: number;
  /**
   * Factor of each class in the loss. "balanced": inverse to its frequency; "none"; default "auto": balanced where the
   * largest class has more than 1.5 times the images of the smallest.
   */
  classWeights: "auto" | "balanced" | "none" | readonly number[];
  /** Random changes of the training images; default `augmentations.standard`. */
  augmentation: Augmentation;
  /** Decay of the moving average of weights that is evaluated and saved as best; 0 for none; default 0.998. */
  averageDecay: number;
  /** Largest norm of the gradient; 0 for no limit; default 5. */
  maxGradNorm: number;
  /** Of shuffling, augmentation and DropPath; default 0. */
  seed: number;
  /** Default "auc". */
  monitor: Monitor;
  /** Stop after so many epochs without improvement; 0 for never; default 0. */
  patience: number;
  /** How matrix products and convolutions multiply; default: as the model's device does. */
  precision: Precision | undefined;
}

/**
 * Settings with their defaults.
 *
 * @throws ArgumentError naming the setting that is out of range
 */
export function trainingSettings(given: Partial<TrainingSettings> = {}): TrainingSettings {
  const epochs = given.epochs ?? 30;
  const defaults: TrainingSettings = {
    epochs,
    batchSize: 32,
    lr: 5e-4,
    minLrFraction: 0.01,
    warmupEpochs: Math.min(5, epochs / 10),
    schedule: "cosine",
    weightDecay: 0.05,
    labelSmoothing: 0.05,
    classWeights: "auto",
    augmentation: augmentations.standard,
    averageDecay: 0.998,
    maxGradNorm: 5,
    seed: 0,
    monitor: "auc",
    patience: 0,
    precision: undefined,
  };
  const settings = { ...defaults };
  for (const [name, value] of Object.entries(given))
    if (value !== undefined) Object.assign(settings, { [name]: value });
  const expect = (holds: boolean, name: keyof TrainingSettings, range: string) => {
    if (!holds)
      throw new ArgumentError(`training: ${name} ${JSON.stringify(settings[name])} must be ${range}.`);
  };
  const count = (value: number, least: number) => Number.isSafeInteger(value) && value >= least;
  expect(count(settings.epochs, 1), "epochs", "a positive integer");
  expect(count(settings.batchSize, 1), "batchSize", "a positive integer");
  expect(count(settings.seed, 0), "seed", "an integer from 0 to 2^53 - 1");
  expect(count(settings.patience, 0), "patience", "a non-negative integer");
  expect(settings.lr > 0 && Number.isFinite(settings.lr), "lr", "a positive number");
  expect(settings.minLrFraction >= 0 && settings.minLrFraction <= 1, "minLrFraction", "from 0 to 1");
  expect(
    settings.warmupEpochs >= 0 && settings.warmupEpochs < epochs,
    "warmupEpochs",
    "from 0 to below epochs",
  );
  expect(settings.weightDecay >= 0, "weightDecay", "0 or more");
  expect(settings.labelSmoothing >= 0 && settings.labelSmoothing < 1, "labelSmoothing", "from 0 to below 1");
  expect(settings.averageDecay >= 0 && settings.averageDecay < 1, "averageDecay", "from 0 to below 1");
  expect(settings.maxGradNorm >= 0, "maxGradNorm", "0 or more");
  expect(["cosine", "step", "plateau"].includes(settings.schedule), "schedule", "cosine, step or plateau");
  expect(
    ["auc", "accuracy", "balancedAccuracy", "loss"].includes(settings.monitor),
    "monitor",
    "auc, accuracy, balancedAccuracy or loss",
  );
  const { precision } = settings;
  expect(
    precision === undefined || precisions.includes(precision),
    "precision",
    `one of ${precisions.join(", ")}`,
  );
  return settings;
}

/**
 * Factors of the classes in the loss, with mean 1 over the training images; undefined where all are 1.
 *
 * @throws ArgumentError if there is not one positive factor for each class
 */
export function resolveClassWeights(
  setting: TrainingSettings["classWeights"],
  train: Dataset,
): Float32Array | undefined {
  const counts = countLabels(train);
  if (typeof setting !== "string") {
    if (setting.length !== counts.length || !setting.every((weight) => weight > 0)) {
      throw new ArgumentError(
        `training: classWeights [${setting.join(", ")}] are not ${counts.length} positive factors, one for each class.`,
      );
    }
    return Float32Array.from(setting);
  }
  const unequal = Math.max(...counts) > 1.5 * Math.min(...counts);
  if (setting === "none" || (setting === "auto" && !unequal)) return undefined;
  return Float32Array.from(counts, (count) => train.length / (counts.length * Math.max(1, count)));
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
  if (schedule === "cosine") return warmupCosine({ lr, totalSteps, warmupSteps, minLr: lr * minLrFraction });
  const base: Schedule = plateau ? () => plateau.lr : stepDecay({ lr, every: Math.ceil(totalSteps / 3) });
  return (step) => base(step) * Math.min(1, (step + 1) / Math.max(1, warmupSteps));
}
