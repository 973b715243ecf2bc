/** Starting a training from weights of an earlier one, whose classes may have been others. */
import { existsSync } from "node:fs";
import { StateDictError, WeightsError } from "../errors.js";
import type { MedMamba } from "../models/medmamba.js";
import type { Tensor } from "../tensor/tensor.js";
import { loadWeights, type TrainingState } from "../training/checkpoint.js";
import { readHeader } from "../weights/safetensors.js";
import { load } from "../weights/tensors.js";
import { CommandError } from "./failure.js";

const isHead = (name: string): boolean => name.startsWith("head.");
const isTrainingState = (name: string): boolean => name.startsWith("training/");

/**
 * Copies weights from a checkpoint or a bare state dict.
 *
 * @returns  what was taken: all, or all but the classifying layer, if it is of another number of classes
 * @throws WeightsError naming the file, if anything but the head differs or a value is not finite
 */
export async function startFrom(path: string, model: MedMamba): Promise<string> {
  if (!existsSync(path)) throw new CommandError(`${path}: the weights to start from are not there any more.`);
  const stored = (await readHeader(path)).tensors.get("head.weight");
  const classes = stored?.shape[0];
  if (classes === undefined || classes === model.config.numClasses) {
    closeState(await loadWeights(path, model));
    return "all layers";
  }
  const weights = await load(path, { device: model.device });
  try {
    await expectFinite(path, weights);
    const body = Object.fromEntries(
      Object.entries(weights).filter(([name]) => !isHead(name) && !isTrainingState(name)),
    );
    const own = Object.entries(model.stateDict()).filter(([name]) => isHead(name));
    model.loadStateDict({ ...body, ...Object.fromEntries(own) });
  } catch (error) {
    if (!(error instanceof StateDictError)) throw error;
    throw new WeightsError(`${path}: ${error.reason}.`, { cause: error });
  } finally {
    for (const tensor of Object.values(weights)) tensor.dispose();
  }
  return `all but the last layer, which is for ${classes} classes`;
}

function closeState(state: TrainingState | undefined): void {
  for (const tensor of Object.values(state?.tensors ?? {})) tensor.dispose();
}

async function expectFinite(path: string, weights: Readonly<Record<string, Tensor>>): Promise<void> {
  for (const [name, tensor] of Object.entries(weights)) {
    const values = tensor.dtype === "float32" ? await tensor.data() : new Float32Array(0);
    const bad = values.find((value) => !Number.isFinite(value));
    if (bad !== undefined)
      throw new WeightsError(`${path}: "${name}" holds ${bad}: these weights are damaged.`);
  }
}
