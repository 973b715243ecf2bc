/** Starting a training from weights of an earlier one, whose classes may have been others. */
import { expectClassifier } from "../models/image-classifier.js";
import type { MedMamba } from "../models/medmamba.js";
import { type Path, pathOf } from "../settings/paths.js";
import type { Tensor } from "../tensor/tensor.js";
import { disposeAll, readState, takeWeights, withoutWrappers } from "./training-state.js";

/** What `initialWeights` took from a file. */
export interface InitialWeights {
  /** Whether the classifying layer was taken, too: false where the file's is for another number of classes. */
  readonly head: boolean;
  /** Classes that the file's model tells apart; undefined if it has no classifying layer by MedMamba's name. */
  readonly classes: number | undefined;
}

const isHead = (name: string): boolean => name.startsWith("head.");

/**
 * Copies the weights of a checkpoint or a bare state dict into a model that shall be trained further. If the file's classes
 * are of another number, everything but the classifying layer is taken, which stays as it was initialised.
 *
 * @param location  a .safetensors file, by a path or a `file:` URL
 * @param model  of the same architecture, apart from `numClasses`
 * @throws WeightsError naming the file, if it cannot be read, anything but the head differs or a value is not finite
 *
 * @example
 * const model = new MedMamba({ numClasses: 2 });
 * await initialWeights("published.safetensors", model);
 * await fit(model, { train, validation, lr: 1e-4 });
 */
export async function initialWeights(location: Path, model: MedMamba): Promise<InitialWeights> {
  const path = pathOf("initialWeights", location);
  expectClassifier("initialWeights", model);
  const { weights: stored, training } = await readState(path, model.device);
  disposeAll(training);
  try {
    const weights = withoutWrappers(stored, model);
    const classes = weights["head.weight"]?.shape[0];
    const head = classes === undefined || classes === model.config.numClasses;
    takeWeights(path, head ? weights : { ...part(weights, false), ...part(model.stateDict(), true) }, model);
    return { head, classes };
  } finally {
    disposeAll(stored);
  }
}

/** The classifying layer, or the rest. */
function part(state: Readonly<Record<string, Tensor>>, head: boolean): Record<string, Tensor> {
  return Object.fromEntries(Object.entries(state).filter(([name]) => isHead(name) === head));
}
