/** What `fit` is told, and what becomes of it: every setting with its default, checked before anything is done. */
import type { Assurance } from "../checkpoints/assurance.js";
import { expectDataset } from "../data/dataset.js";
import type { LabelledImages } from "../data/index.js";
import { Group } from "../distributed/group.js";
import { ArgumentError, TrainingError } from "../errors.js";
import { expectClassifier, type ImageClassifier } from "../models/image-classifier.js";
import {
  expectFlags,
  expectFunction,
  expectJson,
  expectList,
  expectNamed,
  expectSignal,
  inWords,
} from "../settings/given.js";
import type { Path } from "../settings/paths.js";
import { complete, expectKnown, pick } from "../settings/table.js";
import { type Task, taskOf } from "../tasks/index.js";
import { expectTask } from "../tasks/task.js";
import { expectSeveralValues } from "./batch-statistics.js";
import type { EpochRecord } from "./history.js";
import { expectObserver, type FitProgress, type Observer } from "./observers/observer.js";
import {
  type ExecutionSettings,
  executionRows,
  type TrainingSettings,
  trainingRows,
  trainingSettings,
} from "./settings.js";

/** What to train on, and every setting that differs from its default. */
export interface FitOptions extends Partial<TrainingSettings>, Partial<ExecutionSettings> {
  /** Images to learn from. */
  train: LabelledImages;
  /** Images that decide which epoch is best, and when to stop early; none unless given. */
  validation?: LabelledImages | undefined;
  /** What is learned; default: what the data set says, or the number of its classes. */
  task?: Task | undefined;
  /** Where `best.safetensors`, `last.safetensors` and `metrics.jsonl` go; nothing is written without it. */
  directory?: Path | undefined;
  /** Go on from `last.safetensors` in `directory`; default false. */
  resume?: boolean;
  /**
   * When resuming, whether `epochs` may be others than those that the run began with, but none that are done; from there
   * on the learning rate is that of a run of so many. The checkpoints' provenance says where it was. Default false.
   */
  extend?: boolean;
  /**
   * Whether to find out on the validation images, in the end, how far the best weights can be believed: see
   * `CheckpointDescription.assurance`. It takes as long as predicting these and up to 2,000 of the training images. Default true.
   */
  assess?: boolean;
  /** @deprecated `recompute` */
  checkpointing?: boolean;
  /** Plain JSON that the checkpoints carry in their own provenance: where the data came from, say. */
  provenance?: Readonly<Record<string, unknown>>;
  /**
   * Processes that train together, each with its part of every batch; default: those that the launcher started, which `fit` then
   * joins. All of them call `fit` with the same options; observers and `onProgress` of rank 0 alone are told, and it alone writes.
   */
  group?: Group | undefined;
  /** When aborted, the step is finished, `last.safetensors` saved, and the result returned. */
  signal?: AbortSignal | undefined;
  /** Called after each step, during validation, and after each epoch, when its checkpoints are written. */
  onProgress?: (progress: FitProgress) => void;
  /** Followers of the training, beside `onProgress`. */
  observers?: readonly Observer[];
}

const besideSettings = [
  "train",
  "validation",
  "task",
  "directory",
  "resume",
  "extend",
  "assess",
  "checkpointing",
  "provenance",
  "group",
  "signal",
  "onProgress",
  "observers",
] as const satisfies readonly (keyof FitOptions)[];

/** What came of a training. */
export interface FitResult {
  /** All epochs, those before a resumption included. */
  readonly history: readonly EpochRecord[];
  /** The epoch whose weights the model has now; undefined without validation or when aborted before the first. */
  readonly best: EpochRecord | undefined;
  /** Whether all epochs were trained, `patience` ran out, or the signal was aborted. */
  readonly stopped: "completed" | "early" | "aborted";
  /** By what the best weights' probabilities are calibrated, classes ruled out and other images known; where it was found out. */
  readonly assurance?: Assurance;
  /** From which probability, calibrated so, classes are called, where the task has thresholds. */
  readonly thresholds?: readonly number[] | undefined;
}

/** What was asked for, completed. */
export interface ResolvedOptions {
  readonly settings: TrainingSettings;
  readonly execution: ExecutionSettings;
  readonly task: Task;
}

/**
 * @throws ArgumentError for a setting that cannot be, and for an unknown one with the nearest name
 * @throws TrainingError if model and data do not belong together
 */
export function resolveOptions(
  model: ImageClassifier,
  options: FitOptions,
  { worldSize }: Pick<Group, "worldSize">,
): ResolvedOptions {
  expectKnown("fit", options, { ...trainingRows, ...executionRows }, besideSettings);
  expectClassifier("fit", model);
  expectOptions(options);
  const { train, checkpointing = model.recompute } = options;
  const settings = settingsFor(model, options);
  const execution = complete("fit", executionRows, {
    recompute: checkpointing,
    ...pick(executionRows, options),
  });
  if (execution.recompute && !("recompute" in model))
    throw new ArgumentError("fit: this network has no `recompute`: train it without.");
  if (train.classes.length !== model.config.numClasses) {
    throw new TrainingError(
      `fit: the model has ${model.config.numClasses} classes, the data set ${train.classes.length}: make it with as many, by numClasses.`,
    );
  }
  expectParts(settings.batchSize, train.length, worldSize);
  if (settings.syncBatchNorm && Math.floor(train.length / worldSize) < settings.accumulate && worldSize > 1)
    throw new ArgumentError(
      "fit: with syncBatchNorm every process needs an image for each pass of a batch (--accumulate): use fewer passes or processes.",
    );
  expectSeveralValues({
    config: model.config,
    settings: { ...settings, batchSize: settings.batchSize / worldSize },
    images: Math.floor(train.length / worldSize),
    imageSize: train.preprocessing.imageSize,
  });
  return { settings, execution, task: options.task ?? taskOf(train) };
}

/** @throws ArgumentError if a batch cannot be divided among the processes */
function expectParts(batchSize: number, images: number, worldSize: number): void {
  if (batchSize % worldSize !== 0) {
    const [less, more] = [Math.floor(batchSize / worldSize), Math.ceil(batchSize / worldSize)];
    const near = [less, more].filter((part) => part > 0).map((part) => part * worldSize);
    throw new ArgumentError(
      `fit: a batch of ${batchSize} images cannot be divided among ${worldSize} processes: batchSize (--batch-size) is that of all together; use ${near.join(" or ")}.`,
    );
  }
  // Of no images at all the loader tells.
  if (images > 0 && images < worldSize)
    throw new ArgumentError(
      `fit: ${images} training images are fewer than the ${worldSize} processes: use fewer.`,
    );
}

/** The options beside the settings. @throws ArgumentError if one is of a wrong kind */
function expectOptions(options: FitOptions): void {
  const { train, validation, task, resume = false, extend = false, provenance, signal } = options;
  const { assess = true, group } = options;
  const { onProgress, observers = [] } = options;
  expectDataset("fit", "train", train);
  if (validation !== undefined) expectDataset("fit", "validation", validation);
  expectTask("fit", task);
  expectFlags("fit", { resume, extend, assess });
  if (provenance !== undefined) {
    expectNamed("fit", "provenance", provenance);
    expectJson("fit", "provenance", provenance);
  }
  expectSignal("fit", signal);
  if (group !== undefined && !(group instanceof Group))
    throw new ArgumentError(`fit: group has to be what distributed.init gives, but is ${inWords(group)}.`);
  if (onProgress !== undefined) expectFunction("fit", onProgress, "onProgress");
  expectList("fit", "observers", observers);
  for (const [at, observer] of observers.entries()) expectObserver(observer, at);
}

/** @throws ArgumentError if a setting cannot be, or asks for another precision than the model's */
function settingsFor(model: ImageClassifier, options: FitOptions): TrainingSettings {
  const { precision, name } = model.device;
  const given = pick(trainingRows, options);
  const settings = trainingSettings({ ...given, precision: given.precision ?? precision });
  if (settings.precision === precision) return settings;
  throw new ArgumentError(
    `fit: precision "${settings.precision}" was asked for, but the model is on ${name} with ` +
      `"${precision}": make the model with that precision.`,
  );
}
