/**
 * Checkpoints: safetensors files whose metadata holds the architecture, the class names and the preprocessing, so that
 * the file alone is enough to predict. What only a resumed training needs lies beside the weights; it is in `last`, never in
 * `best`.
 */
import {
  definePreprocessing,
  oddStatistics,
  type Preprocessing,
  savedPreprocessing,
} from "../data/preprocessing.js";
import { ArgumentError, WeightsError } from "../errors.js";
import { expectArchitecture } from "../models/architecture.js";
import { type MedMambaConfig, medMambaConfig } from "../models/config.js";
import { expectClassifier, type ImageClassifier } from "../models/image-classifier.js";
import { MedMamba } from "../models/medmamba.js";
import {
  expectFunction,
  expectJson,
  expectNamed,
  expectTexts,
  inWords,
  optionsOf,
} from "../settings/given.js";
import { type Path, pathOf } from "../settings/paths.js";
import { type TaskName, taskOf } from "../tasks/index.js";
import type { Precision } from "../tensor/device.js";
import type { DeviceLike } from "../tensor/devices.js";
import type { Tensor } from "../tensor/tensor.js";
import { expectTensors, toStored } from "../weights/conversion.js";
import { readHeader, type SafetensorsHeader, writeTensors } from "../weights/safetensors.js";
import { type Assurance, readAssurance, storedAssurance } from "./assurance.js";
import {
  disposeAll,
  expectProgress,
  joinState,
  readState,
  type TrainingState,
  takeWeights,
} from "./training-state.js";

/** What a checkpoint says about its weights. */
export interface CheckpointDescription {
  /** The architecture. */
  readonly config: MedMambaConfig;
  /** Names of the model's outputs, in their order. */
  readonly classes: readonly string[];
  /** How images were prepared in training. */
  readonly preprocessing: Preprocessing;
  /** What the model tells; default: what the number of classes means. */
  readonly task?: TaskName | undefined;
  /** Two classes: probability of the second from which it is called, chosen on the validation split. */
  readonly threshold?: number | undefined;
  /** The same of each label, where there may be several. */
  readonly thresholds?: readonly number[] | undefined;
  /**
   * By what its probabilities are calibrated, classes ruled out and images of another kind known. `threshold` and `thresholds`
   * are those of calibrated probabilities. Not there in checkpoints of trainings without validation images, and older ones.
   */
  readonly assurance?: Assurance | undefined;
  /** Where the weights come from: epoch, validation metrics, package version. */
  readonly provenance?: Readonly<Record<string, unknown>> | undefined;
}

/** A checkpoint as loaded. */
export interface Checkpoint extends CheckpointDescription {
  /** The file that it was loaded from. */
  readonly path: string;
  /** With the weights, in evaluation mode. */
  readonly model: MedMamba;
}

/** What the metadata of a checkpoint has as `format`. */
export const checkpointFormat = "medmamba-1";

/**
 * Saves weights with what is needed to use them, and the state of the training if given. The file replaces an older one
 * only when it is complete on the disk.
 *
 * @throws WeightsError naming the file, if it cannot be written; an existing file is left as it was
 */
export async function saveCheckpoint(
  path: Path,
  weights: Readonly<Record<string, Tensor>>,
  description: CheckpointDescription,
  training?: TrainingState,
): Promise<void> {
  expectTensors("saveCheckpoint", weights);
  expectDescription(description, "patch_embed.proj.weight" in weights);
  if (training !== undefined) expectTraining(training);
  const { config, classes, preprocessing, threshold, thresholds, assurance, provenance } = description;
  const { name } = taskOf(description);
  const task = name === taskOf({ classes }).name ? undefined : name; // Files of these two are as they were in 0.1.0.
  const decision = { threshold, thresholds };
  const fields = {
    task,
    config,
    classes,
    preprocessing,
    ...decision,
    provenance,
    training: training?.progress,
  };
  const metadata: Record<string, string> = { format: checkpointFormat };
  for (const [name, value] of Object.entries(fields)) {
    if (value !== undefined) metadata[name] = JSON.stringify(value);
  }
  if (assurance !== undefined)
    metadata.assurance = storedAssurance(assurance, classes.length, name === "multi-label");
  await writeTensors(path, await toStored(joinState(weights, training?.tensors)), metadata);
}

/** @throws ArgumentError for what no file of this kind can say, or what would be read as something else */
function expectDescription(description: CheckpointDescription, ofMedMamba: boolean): void {
  const operation = "saveCheckpoint";
  const { classes, config, preprocessing, task, threshold, thresholds, provenance } = expectNamed(
    operation,
    "the description",
    description,
  );
  expectNamed(operation, "config", config);
  if (ofMedMamba) medMambaConfig(config);
  definePreprocessing(expectNamed(operation, "preprocessing", preprocessing));
  expectTexts(operation, "classes", classes);
  taskOf({ task, classes });
  if (threshold !== undefined && !isProbability(threshold))
    throw new ArgumentError(`${operation}: threshold ${inWords(threshold)} is no probability.`);
  if (thresholds !== undefined && !isThresholds(thresholds, classes.length))
    throw new ArgumentError(`${operation}: thresholds has to be a probability for each class.`);
  if (provenance !== undefined) expectNamed(operation, "provenance", provenance);
  expectJson(operation, "the description", { config, provenance });
}

function expectTraining(training: TrainingState): void {
  const names = { progress: true, tensors: true } as const;
  const { progress, tensors } = expectNamed("saveCheckpoint", "the training state", training, names);
  expectTensors("saveCheckpoint", tensors);
  expectJson("saveCheckpoint", "progress", progress);
}

/** The description alone, without reading the weights. @throws WeightsError naming the file */
export async function readCheckpoint(path: Path): Promise<CheckpointDescription> {
  const { metadata, tensors } = await readHeader(path);
  return describe(pathOf("readCheckpoint", path), metadata, tensors);
}

/**
 * Where a training stood that a checkpoint belongs to, without reading the weights; undefined where it belongs to none.
 *
 * @throws WeightsError naming the file
 */
export async function readProgress(path: string): Promise<unknown> {
  const { training } = (await readHeader(path)).metadata;
  return training === undefined ? undefined : expectProgress(path, parse(path, "training", training));
}

/**
 * Loads a model from a checkpoint, in evaluation mode.
 *
 * @param options.device  default "cpu", with precision "float32"; an opened device keeps its own
 * @throws WeightsError naming the file: not a checkpoint, of another architecture than it says, or damaged weights
 */
export async function loadCheckpoint(
  location: Path,
  options: {
    device?: DeviceLike;
    /** How the device multiplies; default "float32", or that of an opened device. */
    precision?: Precision;
    /** Gets a sentence about what is odd and no obstacle. */
    onWarning?: (message: string) => void;
  } = {},
): Promise<Checkpoint> {
  const path = pathOf("loadCheckpoint", location);
  const names = { device: true, precision: true, onWarning: true } as const;
  const { device = "cpu", precision, onWarning } = optionsOf("loadCheckpoint", options, names);
  if (onWarning !== undefined) expectFunction("loadCheckpoint", onWarning, "onWarning");
  const { metadata, tensors } = await readHeader(path);
  const description = describe(path, metadata, tensors);
  if (!isMedMamba(tensors)) throw ofAnotherNetwork(path);
  const shapes = new Map([...tensors].map(([name, { shape }]) => [name, shape]));
  expectArchitecture(path, description.config, shapes, "the checkpoint describes");
  const odd = oddStatistics(description.preprocessing);
  if (odd !== undefined) onWarning?.(`${path}: ${odd}. It was trained so, and is used so.`);
  const model = new MedMamba({ ...description.config, device, precision });
  try {
    const training = await loadWeights(path, model);
    disposeAll(training?.tensors ?? {});
  } catch (error) {
    model.dispose();
    throw error;
  }
  return { ...description, path, model: model.eval() };
}

/**
 * Copies the weights of a file, a checkpoint or a bare state dict, into a model, and returns the training state.
 *
 * @throws WeightsError naming the file, if names or shapes are those of another architecture or a value is not finite
 */
export async function loadWeights(
  location: Path,
  model: ImageClassifier,
): Promise<TrainingState | undefined> {
  const path = pathOf("loadWeights", location);
  expectClassifier("loadWeights", model);
  const { metadata } = await readHeader(path);
  const { weights, training } = await readState(path, model.device);
  try {
    takeWeights(path, weights, model);
    if (metadata.training !== undefined) {
      const progress = expectProgress(path, parse(path, "training", metadata.training));
      return { progress, tensors: training };
    }
    disposeAll(training);
    return undefined;
  } catch (error) {
    disposeAll(training);
    throw error;
  } finally {
    disposeAll(weights);
  }
}

type Tensors = SafetensorsHeader["tensors"];

/** Whether a file holds the weights of a MedMamba, however large: `fit` writes checkpoints of other networks, too. */
const isMedMamba = (tensors: Tensors): boolean => tensors.has("patch_embed.proj.weight");

function ofAnotherNetwork(path: string): WeightsError {
  return new WeightsError(
    `${path}: this checkpoint holds another network than MedMamba, which only its own program can make: make it there and call loadWeights(path, model).`,
  );
}

/** The config of another network is its own business, but for the classes. */
function configOf(path: string, config: unknown, tensors: Tensors): MedMambaConfig {
  if (isMedMamba(tensors) || tensors.size === 0) return medMambaConfig(config as MedMambaConfig);
  const { numClasses } = Object(config) as Partial<MedMambaConfig>;
  if (Number.isSafeInteger(numClasses) && Number(numClasses) > 0) return config as MedMambaConfig;
  throw new WeightsError(`${path}: the checkpoint's description is damaged: it has no number of classes.`);
}

function describe(
  path: string,
  metadata: Readonly<Record<string, string>>,
  tensors: Tensors,
): CheckpointDescription {
  if (metadata.format !== checkpointFormat) {
    throw new WeightsError(
      `${path}: this is not a medmamba checkpoint (it has no "${checkpointFormat}" metadata); bare weights are loaded with loadWeights(path, model).`,
    );
  }
  const field = (name: string) => parse(path, name, metadata[name]);
  const classes = field("classes");
  if (!Array.isArray(classes) || !classes.every((name) => typeof name === "string")) {
    throw new WeightsError(`${path}: the checkpoint's class names are damaged.`);
  }
  try {
    const config = configOf(path, field("config"), tensors);
    const preprocessing = savedPreprocessing(field("preprocessing") as Preprocessing);
    if (classes.length !== config.numClasses) {
      throw new WeightsError(
        `${path}: the checkpoint names ${classes.length} classes, but its model has ${config.numClasses}.`,
      );
    }
    const task =
      metadata.task === undefined ? undefined : taskOf({ task: field("task") as TaskName, classes });
    const threshold = metadata.threshold === undefined ? undefined : Number(metadata.threshold);
    if (threshold !== undefined && !isProbability(threshold))
      throw new WeightsError(`${path}: the checkpoint's "threshold" is damaged.`);
    const thresholds = metadata.thresholds === undefined ? undefined : field("thresholds");
    if (thresholds !== undefined && !isThresholds(thresholds, classes.length))
      throw new WeightsError(`${path}: the checkpoint's "thresholds" are damaged.`);
    const provenance =
      metadata.provenance === undefined ? undefined : (field("provenance") as Record<string, unknown>);
    const assurance =
      metadata.assurance === undefined
        ? undefined
        : readAssurance(path, metadata.assurance, classes.length, task?.name === "multi-label");
    return { task: task?.name, config, classes, preprocessing, threshold, thresholds, assurance, provenance };
  } catch (error) {
    if (error instanceof WeightsError) throw error;
    throw new WeightsError(`${path}: the checkpoint's description is damaged: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

const isProbability = (value: unknown): boolean => typeof value === "number" && value >= 0 && value <= 1;

const isThresholds = (value: unknown, count: number): value is readonly number[] =>
  Array.isArray(value) && value.length === count && value.every(isProbability);

function parse(path: string, name: string, text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? "");
  } catch (error) {
    throw new WeightsError(`${path}: the checkpoint's "${name}" is damaged.`, { cause: error });
  }
}
