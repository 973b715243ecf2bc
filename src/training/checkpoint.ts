/**
 * Checkpoints: safetensors files whose metadata holds the architecture, the class names and the preprocessing, so that
 * the file alone is enough to predict. What only a resumed training needs lies beside the weights under the prefix
 * `training/`, where strict loaders of weights alone would trip over it: it is in `last`, never in `best`.
 */
import { definePreprocessing, type Preprocessing } from "../data/index.js";
import { StateDictError, WeightsError } from "../errors.js";
import { MedMamba, type MedMambaConfig, medMambaConfig } from "../models/medmamba.js";
import type { DeviceLike, Precision } from "../tensor/device.js";
import type { Tensor } from "../tensor/tensor.js";
import { readHeader, readTensors, writeTensors } from "../weights/safetensors.js";
import { toStored, toTensor } from "../weights/tensors.js";

/** What a checkpoint says about its weights. */
export interface CheckpointDescription {
  /** The architecture. */
  readonly config: MedMambaConfig;
  /** Names of the model's outputs, in their order. */
  readonly classes: readonly string[];
  /** How images were prepared in training. */
  readonly preprocessing: Preprocessing;
  /** Two classes: probability of the second from which it is called, chosen on the validation split. */
  readonly threshold?: number | undefined;
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

/** What a training needs to go on exactly where it stopped. */
export interface TrainingState<Progress = unknown> {
  /** Plain JSON. */
  readonly progress: Progress;
  /** Optimiser state and averages. */
  readonly tensors: Readonly<Record<string, Tensor>>;
}

const format = "medmamba-1";
const trainingPrefix = "training/";

/**
 * Saves weights with what is needed to use them, and the state of the training if given. The file replaces an older one
 * only when it is complete on the disk.
 *
 * @throws WeightsError naming the file, if it cannot be written; an existing file is left as it was
 */
export async function saveCheckpoint(
  path: string,
  weights: Readonly<Record<string, Tensor>>,
  description: CheckpointDescription,
  training?: TrainingState,
): Promise<void> {
  const tensors: Record<string, Tensor> = { ...weights };
  for (const [name, tensor] of Object.entries(training?.tensors ?? {}))
    tensors[trainingPrefix + name] = tensor;
  const { config, classes, preprocessing, threshold, provenance } = description;
  const fields = { config, classes, preprocessing, threshold, provenance, training: training?.progress };
  const metadata: Record<string, string> = { format };
  for (const [name, value] of Object.entries(fields)) {
    if (value !== undefined) metadata[name] = JSON.stringify(value);
  }
  await writeTensors(path, await toStored(tensors), metadata);
}

/** The description alone, without reading the weights. @throws WeightsError naming the file */
export async function readCheckpoint(path: string): Promise<CheckpointDescription> {
  return describe(path, (await readHeader(path)).metadata);
}

/**
 * Loads a model from a checkpoint, in evaluation mode.
 *
 * @param device  default "cpu", with precision "float32"; an opened device keeps its own
 * @throws WeightsError naming the file: not a checkpoint, of another architecture than it says, or damaged weights
 */
export async function loadCheckpoint(
  path: string,
  {
    device = "cpu",
    precision,
  }: {
    device?: DeviceLike;
    /** How the device multiplies; default "float32", or that of an opened device. */
    precision?: Precision;
  } = {},
): Promise<Checkpoint> {
  const description = await readCheckpoint(path);
  const model = new MedMamba({ ...description.config, device, precision });
  try {
    const training = await loadWeights(path, model);
    for (const tensor of Object.values(training?.tensors ?? {})) tensor.dispose();
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
export async function loadWeights(path: string, model: MedMamba): Promise<TrainingState | undefined> {
  const { metadata } = await readHeader(path);
  const weights: Record<string, Tensor> = Object.create(null);
  const training: Record<string, Tensor> = Object.create(null);
  try {
    for (const [name, stored] of await readTensors(path)) {
      const tensor = toTensor(path, name, stored, model.device);
      const state = name.startsWith(trainingPrefix);
      if (state) training[name.slice(trainingPrefix.length)] = tensor;
      else weights[name] = tensor;
      if (!state) await expectFinite(path, name, tensor);
    }
    model.loadStateDict(weights);
  } catch (error) {
    for (const tensor of Object.values(training)) tensor.dispose();
    if (!(error instanceof StateDictError)) throw error;
    throw new WeightsError(`${path}: ${error.reason}.`, { cause: error });
  } finally {
    for (const tensor of Object.values(weights)) tensor.dispose();
  }
  if (metadata.training === undefined) return undefined;
  return { progress: parse(path, "training", metadata.training), tensors: training };
}

async function expectFinite(path: string, name: string, tensor: Tensor): Promise<void> {
  if (tensor.dtype !== "float32" && tensor.dtype !== "bfloat16") return;
  const values = await tensor.data();
  if (values.every(Number.isFinite)) return;
  const bad = values.find((value) => !Number.isFinite(value));
  throw new WeightsError(
    `${path}: "${name}" holds ${bad}: these weights are damaged, or come from a training that diverged.`,
  );
}

function describe(path: string, metadata: Readonly<Record<string, string>>): CheckpointDescription {
  if (metadata.format !== format) {
    throw new WeightsError(
      `${path}: this is not a medmamba checkpoint (it has no "${format}" metadata); bare weights are loaded with loadStateDict.`,
    );
  }
  const field = (name: string) => parse(path, name, metadata[name]);
  const classes = field("classes");
  if (!Array.isArray(classes) || !classes.every((name) => typeof name === "string")) {
    throw new WeightsError(`${path}: the checkpoint's class names are damaged.`);
  }
  try {
    const config = medMambaConfig(field("config") as MedMambaConfig);
    const preprocessing = definePreprocessing(field("preprocessing") as Preprocessing);
    if (classes.length !== config.numClasses) {
      throw new WeightsError(
        `${path}: the checkpoint names ${classes.length} classes, but its model has ${config.numClasses}.`,
      );
    }
    const threshold = metadata.threshold === undefined ? undefined : Number(metadata.threshold);
    if (threshold !== undefined && !(threshold >= 0 && threshold <= 1))
      throw new WeightsError(`${path}: the checkpoint's "threshold" is damaged.`);
    const provenance =
      metadata.provenance === undefined ? undefined : (field("provenance") as Record<string, unknown>);
    return { config, classes, preprocessing, threshold, provenance };
  } catch (error) {
    if (error instanceof WeightsError) throw error;
    throw new WeightsError(`${path}: the checkpoint's description is damaged: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

function parse(path: string, name: string, text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? "");
  } catch (error) {
    throw new WeightsError(`${path}: the checkpoint's "${name}" is damaged.`, { cause: error });
  }
}
