/**
 * What of a file belongs to the weights, and what only to a training that goes on: the latter has names under `training/`,
 * where strict loaders of weights alone would trip over it.
 */
import { StateDictError, WeightsError } from "../errors.js";
import type { Module } from "../nn/module.js";
import type { Device } from "../tensor/device.js";
import type { Tensor } from "../tensor/tensor.js";
import { toTensor } from "../weights/conversion.js";
import { readTensors } from "../weights/safetensors.js";

/** What a training needs to go on exactly where it stopped. */
export interface TrainingState<Progress = unknown> {
  /** Plain JSON. */
  readonly progress: Progress;
  /** Optimiser state and averages. */
  readonly tensors: Readonly<Record<string, Tensor>>;
}

type Tensors = Readonly<Record<string, Tensor>>;

const prefix = "training/";

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;

/** What the fields of a progress have to be. A sum of losses that was not finite is null in JSON. */
const progressFields: Readonly<Record<string, (value: unknown) => boolean>> = {
  settings: isObject,
  data: isObject,
  epoch: isCount,
  batch: isCount,
  step: isCount,
  bestEpoch: isCount,
  lossSum: (value) => value === null || typeof value === "number",
  history: (value) => Array.isArray(value) && value.every(isObject),
  plateau: (value) => value === undefined || isObject(value),
  worldSizes: (value) => value === undefined || (Array.isArray(value) && value.every(isObject)),
  extensions: (value) => value === undefined || (Array.isArray(value) && value.every(isObject)),
};

/**
 * Where a training stands, as a file has it, is only JSON until it is looked at.
 *
 * @throws WeightsError naming the file and the field that cannot be
 */
export function expectProgress(path: string, progress: unknown): unknown {
  if (!isObject(progress)) throw new WeightsError(`${path}: the checkpoint's "training" is damaged.`);
  for (const [name, holds] of Object.entries(progressFields)) {
    if (!holds(progress[name]))
      throw new WeightsError(`${path}: the checkpoint's "training" is damaged in "${name}".`);
  }
  return progress;
}

/** Weights and training state under the names that they have in a file. */
export function joinState(weights: Tensors, training: Tensors = {}): Tensors {
  const state = Object.entries(training).map(([name, tensor]) => [prefix + name, tensor] as const);
  return { ...weights, ...Object.fromEntries(state) };
}

/**
 * The tensors of a file on a device, the two kinds apart.
 *
 * @throws WeightsError naming the file, if it cannot be read or a weight is not finite
 */
export async function readState(
  path: string,
  device: Device,
): Promise<{ weights: Tensors; training: Tensors }> {
  const weights: Record<string, Tensor> = Object.create(null);
  const training: Record<string, Tensor> = Object.create(null);
  try {
    for (const [name, stored] of await readTensors(path)) {
      const tensor = toTensor(path, name, stored, device);
      if (name.startsWith(prefix)) {
        training[name.slice(prefix.length)] = tensor;
      } else {
        weights[name] = tensor;
        await expectFinite(path, name, tensor);
      }
    }
  } catch (error) {
    disposeAll(weights);
    disposeAll(training);
    throw error;
  }
  return { weights, training };
}

/** What PyTorch puts before every name of a model that it wraps: DataParallel, compile, and Lightning. */
const wrappers = ["module.", "_orig_mod.", "model."];

/** Weights under the names of a model: without what a wrapper has put before all of them. */
export function withoutWrappers(weights: Tensors, model: Module): Tensors {
  const own = Object.keys(model.stateDict());
  const names = Object.keys(weights);
  const wrapper = wrappers.find(
    (prefix) =>
      names.every((name) => name.startsWith(prefix)) && !own.every((name) => name.startsWith(prefix)),
  );
  if (wrapper === undefined || names.length === 0) return weights;
  const unwrapped: Record<string, Tensor> = Object.create(null);
  for (const [name, weight] of Object.entries(weights)) unwrapped[name.slice(wrapper.length)] = weight;
  return withoutWrappers(unwrapped, model);
}

/** The counters of BatchNorm, which PyTorch did not save before 0.4.1, are the model's own where a file lacks them. */
function withCounters(weights: Tensors, model: Module): Tensors {
  const counters = Object.entries(model.stateDict()).filter(([name]) =>
    name.endsWith(".num_batches_tracked"),
  );
  return { ...Object.fromEntries(counters), ...weights };
}

/** Copies weights of a file into a model, named as PyTorch takes them. @throws WeightsError naming the file, if they are another model's */
export function takeWeights(path: string, weights: Tensors, model: Module): void {
  try {
    model.loadStateDict(withCounters(withoutWrappers(weights, model), model));
  } catch (error) {
    if (!(error instanceof StateDictError)) throw error;
    throw new WeightsError(`${path}: ${error.reason}.`, { cause: error });
  }
}

export function disposeAll(tensors: Tensors): void {
  for (const tensor of Object.values(tensors)) tensor.dispose();
}

/** @throws WeightsError naming the file and the tensor, if a value is not a finite number */
export async function expectFinite(path: string, name: string, tensor: Tensor): Promise<void> {
  if (tensor.dtype !== "float32" && tensor.dtype !== "bfloat16") return;
  const values = await tensor.data();
  const bad = values.find((value) => !Number.isFinite(value));
  if (bad === undefined) return;
  throw new WeightsError(
    `${path}: "${name}" holds ${bad}: these weights are damaged, or come from a training that diverged.`,
  );
}
