/** Starting a training from weights of an earlier one, whose classes may have been others. */
import { expectClassifier } from "../models/image-classifier.js";
import type { MedMamba } from "../models/medmamba.js";
import { concat, slice } from "../ops/shape.js";
import { expectTexts, optionsOf } from "../settings/given.js";
import { type Path, pathOf } from "../settings/paths.js";
import { tidy } from "../tensor/scope.js";
import type { Tensor } from "../tensor/tensor.js";
import { readHeader } from "../weights/safetensors.js";
import { checkpointFormat, readCheckpoint } from "./checkpoint.js";
import { disposeAll, readState, takeWeights, withoutWrappers } from "./training-state.js";

/** What `initialWeights` took from a file. */
export interface InitialWeights {
  /** Whether the classifying layer was taken, too: false where the file's is for other classes. */
  readonly head: boolean;
  /** Classes that the file's model tells apart; undefined if it has no classifying layer by MedMamba's name. */
  readonly classes: number | undefined;
  /** Names of the file's classes, where they were compared with the model's and are others, or in another order. */
  readonly named?: readonly string[];
}

/** How weights are taken from a file. */
export interface InitialWeightsOptions {
  /**
   * Names of the model's outputs, in their order. With them the classifying layer of a checkpoint is taken only where its
   * classes are the same, and its rows are put into their order; without, where it is for as many.
   */
  readonly classes?: readonly string[];
}

type Weights = Readonly<Record<string, Tensor>>;

const isHead = (name: string): boolean => name.startsWith("head.");

/**
 * Copies the weights of a checkpoint or a bare state dict into a model that shall be trained further. If the file's classes
 * are others, everything but the classifying layer is taken, which stays as it was initialised.
 *
 * @param location  a .safetensors file, by a path or a `file:` URL
 * @param model  of the same architecture, apart from `numClasses`
 * @throws WeightsError naming the file, if it cannot be read, anything but the head differs or a value is not finite
 *
 * @example
 * const model = new MedMamba({ numClasses: 2 });
 * await initialWeights("published.safetensors", model, { classes: train.classes });
 * await fit(model, { train, validation, lr: 1e-4 });
 */
export async function initialWeights(
  location: Path,
  model: MedMamba,
  options: InitialWeightsOptions = {},
): Promise<InitialWeights> {
  const path = pathOf("initialWeights", location);
  expectClassifier("initialWeights", model);
  const { classes: wanted } = optionsOf("initialWeights", options, { classes: true });
  if (wanted !== undefined) expectTexts("initialWeights", "classes", wanted);
  const theirs = wanted && (await namesOf(path));
  const { weights: stored, training } = await readState(path, model.device);
  disposeAll(training);
  const made: Tensor[] = [];
  try {
    const weights = withoutWrappers(stored, model);
    const classes = weights["head.weight"]?.shape[0];
    const order = wanted && theirs ? wanted.map((name) => theirs.indexOf(name)) : undefined;
    const head =
      (classes === undefined || classes === model.config.numClasses) && !order?.some((row) => row < 0);
    const isMoved = order?.some((row, place) => row !== place) ?? false;
    const named = theirs && (isMoved || wanted.length !== theirs.length) ? { named: theirs } : {};
    const rows = head && isMoved && order ? reordered(part(weights, true), order) : {};
    made.push(...Object.values(rows));
    const taken = { ...weights, ...rows };
    takeWeights(path, head ? taken : { ...part(weights, false), ...part(model.stateDict(), true) }, model);
    return { head, classes, ...named };
  } finally {
    for (const tensor of made) tensor.dispose();
    disposeAll(stored);
  }
}

/** The names of a checkpoint's classes; undefined for bare weights, which have none. */
async function namesOf(path: string): Promise<readonly string[] | undefined> {
  if ((await readHeader(path)).metadata.format !== checkpointFormat) return undefined;
  return (await readCheckpoint(path)).classes;
}

/** The rows of a layer, each in its new place: row i becomes what row `order[i]` was. */
function reordered(layer: Weights, order: readonly number[]): Weights {
  const inOrder = (weight: Tensor) =>
    concat(
      order.map((row) => slice(weight, 0, row, row + 1)),
      0,
    );
  return tidy(() =>
    Object.fromEntries(Object.entries(layer).map(([name, weight]) => [name, inOrder(weight)])),
  );
}

/** The classifying layer, or the rest. */
function part(state: Weights, head: boolean): Record<string, Tensor> {
  return Object.fromEntries(Object.entries(state).filter(([name]) => isHead(name) === head));
}
