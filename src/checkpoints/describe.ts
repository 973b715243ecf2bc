/** What a file of weights is: a checkpoint of this package, or tensors of others. */
import type { Facts } from "../data/facts.js";
import { taskOf } from "../tasks/index.js";
import { readHeader, type TensorEntry } from "../weights/safetensors.js";
import { type Assurance, isAbsent, risksOf } from "./assurance.js";
import { checkpointFormat, readCheckpoint } from "./checkpoint.js";

/** A tensor that every MedMamba has; wrappers put words before it. */
const ofMedMamba = /(^|\.)layers\.0\.blocks\.0\.self_attention\.A_logs$/;

/**
 * The header alone is read, however large the file is.
 *
 * @throws WeightsError naming the file and what is wrong with it
 */
export async function describeWeights(path: string): Promise<Facts> {
  const { metadata, tensors } = await readHeader(path);
  const own = [...tensors].filter(([name]) => !name.startsWith("training/"));
  const about = {
    tensors: own.length,
    numbers: own.reduce((sum, [, entry]) => sum + sizeOf(entry), 0),
    types: [...new Set(own.map(([, { dtype }]) => dtype))],
  };
  if (metadata.format !== checkpointFormat) {
    const isMedMamba = own.some(([name]) => ofMedMamba.test(name));
    const network = isMedMamba ? "MedMamba" : "another";
    return { kind: "weights", network, ...about, metadata: Object.keys(metadata) };
  }
  const description = await readCheckpoint(path);
  const { config, classes, preprocessing, threshold, thresholds, assurance, provenance } = description;
  const { depths, dims, dState, patchSize, inChannels } = config;
  return {
    kind: "checkpoint",
    task: taskOf(description).name,
    classes,
    network: { depths, dims, dState, patchSize, inChannels },
    ...about,
    input: { ...preprocessing },
    threshold,
    thresholds,
    ...assuranceFacts(assurance, taskOf(description).name === "multi-label"),
    epoch: numberIn(provenance, "epoch"),
    validation: scoresIn(provenance),
    canBeResumed: metadata.training !== undefined,
  };
}

/** How probabilities are calibrated, for which risks there are sets, and whether other images are known; or why not. */
function assuranceFacts(assurance: Assurance | undefined, severalLabels: boolean): Facts {
  if (assurance === undefined) return {};
  const { calibration, sets, outliers } = assurance;
  const risks = risksOf(assurance, severalLabels).map((risk) => `${Number((100 * risk).toFixed(4))} %`);
  return {
    temperature: isAbsent(calibration) ? `none: ${calibration.reason}` : calibration.temperature,
    predictionSets: isAbsent(sets) ? `none: ${sets.reason}` : `at a risk of ${risks.join(", ")}`,
    otherImages: isAbsent(outliers)
      ? `are not known: ${outliers.reason}`
      : `are known by ${outliers.views.length} looks, from a score of ${outliers.limit.toFixed(2)} on`,
  };
}

const sizeOf = ({ shape }: TensorEntry): number => shape.reduce((product, extent) => product * extent, 1);

/** Of where weights come from only numbers are told: a file may have said anything there. */
function numberIn(record: unknown, name: string): number | undefined {
  const value = (record as Record<string, unknown> | undefined | null)?.[name];
  return typeof value === "number" ? value : undefined;
}

/** Scores on the validation images. */
function scoresIn(provenance: CheckpointProvenance): Facts | undefined {
  const scores = provenance?.validation;
  if (typeof scores !== "object" || scores === null) return undefined;
  return Object.fromEntries(
    Object.entries(scores).filter((entry): entry is [string, number] => typeof entry[1] === "number"),
  );
}

type CheckpointProvenance = Readonly<Record<string, unknown>> | undefined;
