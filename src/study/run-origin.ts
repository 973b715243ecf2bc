/** What a run takes from the checkpoint that it starts from, beside the weights: the network and how it sees images. */
import { checkpointFormat, readCheckpoint } from "../checkpoints/checkpoint.js";
import { definePreprocessing } from "../data/index.js";
import { medMambaConfig } from "../models/config.js";
import type { Settings } from "../settings/kind.js";
import { readHeader } from "../weights/safetensors.js";
import type { RunPlan } from "./run-plan.js";

/** The part of a plan that a checkpoint decides unless options say otherwise. */
export type RunOrigin = Pick<RunPlan, "model" | "preprocessing">;

/**
 * @returns undefined for bare weights, which say nothing of either
 * @throws WeightsError naming the file, if it cannot be read
 */
export async function readOrigin(path: string): Promise<RunOrigin | undefined> {
  if ((await readHeader(path)).metadata.format !== checkpointFormat) return undefined;
  const { config, preprocessing } = await readCheckpoint(path);
  const { numClasses: _, inChannels: __, ...model } = config;
  return { model, preprocessing };
}

/** The settings that a plan has from there and that are not the defaults. */
export function inheritedFrom(origin: RunOrigin, plan: RunPlan): Settings {
  const { channels } = plan.preprocessing;
  const flat = ({ model, preprocessing }: RunOrigin): Settings => ({ ...model, ...preprocessing });
  const defaults = flat({ model: medMambaConfig(), preprocessing: definePreprocessing({ channels }) });
  const plain = flat({ model: medMambaConfig(), preprocessing: definePreprocessing() });
  const [theirs, ours] = [flat(origin), flat(plan)];
  const isTaken = (name: string) => {
    const [value, own, usual] = [
      theirs[name],
      ours[name],
      (name === "channels" ? plain : defaults)[name],
    ].map((setting) => JSON.stringify(setting));
    return value === own && value !== usual;
  };
  return Object.fromEntries(Object.entries(theirs).filter(([name]) => isTaken(name)));
}
