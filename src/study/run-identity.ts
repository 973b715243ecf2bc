/** What tells a run from others, so that a checkpoint and a ledger know whether they belong together: the same in a run that is repeated. */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import type { DataIdentity } from "../data/contents.js";
import { fileHash } from "../weights/file-hash.js";
import type { RunPlan } from "./run-plan.js";

const digits = 32; // Of a hash, 4 bits each.

const hashOf = (value: unknown): string =>
  createHash("sha256").update(JSON.stringify(value)).digest("hex").slice(0, digits);

/** Hash of all that decides the outcome of a run beside its images; where files are has no part in it. */
export function settingsHash({ model, preprocessing, opening, split, settings, ...plan }: RunPlan): string {
  const { allowLeaks, extensions = [] } = plan;
  return hashOf({ model, preprocessing, opening, split, settings, allowLeaks, extensions });
}

/** Follows from images, settings, seed and the weights to start from. @throws WeightsError if those cannot be read */
export async function runIdentity(plan: RunPlan, contents: DataIdentity): Promise<string> {
  const weights = plan.init !== undefined && existsSync(plan.init) ? await fileHash(plan.init) : null;
  return hashOf({ settings: settingsHash(plan), contents, weights });
}
