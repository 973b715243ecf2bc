/**
 * `last.safetensors`: where a run stands, and everything it needs to go on to the same bits. Beside the weights it holds
 * the optimiser's state, the averages, the position in the data and the history.
 */
import { type CheckpointDescription, loadWeights, saveCheckpoint } from "../checkpoints/checkpoint.js";
import { checksum } from "../data/contents.js";
import type { LabelledImages, Preprocessing } from "../data/index.js";
import { savedPreprocessing } from "../data/preprocessing.js";
import { ArgumentError, TrainingError } from "../errors.js";
import type { ImageClassifier } from "../models/image-classifier.js";
import { norm } from "../ops/updates.js";
import { tensor } from "../tensor/creation.js";
import type { Tensor } from "../tensor/tensor.js";
import { removeAbandoned } from "../weights/atomic-file.js";
import type { EpochRecord } from "./history.js";
import type { MovingAverage } from "./moving-average.js";
import type { AdamW } from "./optimizer.js";
import type { Plateau } from "./schedule.js";
import { type TrainingSettings, trainingSettings } from "./settings.js";

/** What tells one training set from another without a look at its images, which `dataIdentity` of data takes; plain JSON. */
export interface TrainingSetIdentity {
  images: number;
  classes: readonly string[];
  /** CRC-32 of the labels in their order. */
  labelsChecksum: number;
  preprocessing: Preprocessing;
  /** CRC-32 of the images' weights, if they have some. */
  weightsChecksum?: number;
}

/** Where a run was when its number of epochs was changed; plain JSON. */
export interface Extension {
  /** As many as there were to be until then. */
  readonly epochs: number;
  /** Epochs that were done. */
  readonly epoch: number;
  /** Batches of the next epoch that were done. */
  readonly batch: number;
}

/** Where a run stands; plain JSON. */
export interface Progress {
  settings: TrainingSettings;
  data: TrainingSetIdentity;
  /** Epochs done. */
  epoch: number;
  /** Batches of the current epoch that are done. */
  batch: number;
  /** Steps done in all. */
  step: number;
  /** Sum of the losses of the current epoch. */
  lossSum: number;
  /** Counted from 1; 0 before the first. */
  bestEpoch: number;
  history: EpochRecord[];
  plateau?: Plateau["state"] | undefined;
  /** Changes of the number of epochs, in their order: only a run with the same ones has the same bits. */
  extensions?: readonly Extension[];
  /** How many processes trained together, from which step on; undefined where it was one all the time. */
  worldSizes?: readonly WorldSize[];
}

/** From which step on how many processes trained together; plain JSON. */
export interface WorldSize {
  /** Steps done before. */
  readonly step: number;
  readonly worldSize: number;
}

/** What of a run is saved and restored. */
export interface RunParts {
  readonly model: ImageClassifier;
  readonly optimizer: AdamW;
  readonly average: MovingAverage | undefined;
  readonly plateau: Plateau | undefined;
  readonly progress: Progress;
}

export function identityOf(dataset: LabelledImages): TrainingSetIdentity {
  const { length, classes, labels, weights, preprocessing } = dataset;
  const identity = { images: length, classes, labelsChecksum: checksum(labels), preprocessing };
  return weights ? { ...identity, weightsChecksum: checksum(weights) } : identity;
}

/** Whether all weights and running statistics are finite numbers: if one is not, neither is their joint norm. */
export async function hasFiniteState(model: ImageClassifier): Promise<boolean> {
  const floats = Object.values(model.stateDict()).filter(({ dtype }) => dtype === "float32");
  const size = norm(model.device, floats);
  return Number.isFinite(await size.item().finally(() => size.dispose()));
}

/**
 * @param statistics  running statistics of each rank within an epoch, where several train together; the model has their mean
 * @throws WeightsError naming the file, if it cannot be written; an existing one is left as it was
 */
export async function saveRun(
  path: string,
  run: RunParts,
  description: CheckpointDescription,
  statistics: readonly Float32Array[] = [],
): Promise<void> {
  const ofRanks = statistics.map((own, rank) => [`ranks/${rank}`, tensor(own, [own.length])] as const);
  const tensors = {
    ...renamed(run.optimizer.stateDict().tensors, (name) => `optimizer/${name}`),
    ...renamed(run.average?.stateDict() ?? {}, (name) => `average/${name}`),
    ...Object.fromEntries(ofRanks),
  };
  const progress = { ...run.progress, plateau: run.plateau?.state };
  try {
    await saveCheckpoint(path, run.model.stateDict(), description, { progress, tensors });
  } finally {
    for (const [, own] of ofRanks) own.dispose();
  }
}

/**
 * Puts a run back to where `saveRun` left it; `run.progress` has the settings and data of now.
 *
 * @param extend  whether its epochs may be others now
 * @returns       running statistics of each rank, where several trained together within an epoch
 * @throws TrainingError if the file holds no run, or one of other settings or data: its outcome would belong to neither
 * @throws WeightsError naming the file, if it cannot be read
 */
export async function restoreRun(
  path: string,
  run: RunParts,
  { extend = false } = {},
): Promise<readonly Float32Array[]> {
  await removeAbandoned(path);
  const state = await loadWeights(path, run.model);
  if (!state)
    throw new TrainingError(
      `${path} holds no training state: it cannot be resumed. Train further from its weights with initialWeights.`,
    );
  const { progress, tensors } = state as { progress: Progress; tensors: Readonly<Record<string, Tensor>> };
  const statistics: Float32Array[] = [];
  try {
    expectSame(path, progress, run.progress, extend);
    expectEnough(path, progress, run.progress.settings.epochs);
    const under = (prefix: string) => withPrefix(tensors, prefix);
    run.optimizer.loadStateDict({ step: progress.step, tensors: under("optimizer/") });
    run.average?.loadStateDict(under("average/"));
    if (progress.plateau) run.plateau?.loadState(progress.plateau);
    const ofRanks = withPrefix(tensors, "ranks/");
    for (let rank = 0, own = ofRanks[rank]; own; own = ofRanks[++rank])
      statistics.push((await own.data()) as Float32Array);
  } finally {
    for (const saved of Object.values(tensors)) saved.dispose();
  }
  const { settings, data } = run.progress;
  const extensions = extensionsFor(progress, settings.epochs);
  Object.assign(run.progress, progress, { settings, data, ...(extensions && { extensions }) });
  return statistics;
}

/** How many processes trained together so far, when a run goes on with so many; undefined if it was one all the time. */
export function worldSizesFor(
  { worldSizes = [], step }: Pick<Progress, "worldSizes" | "step">,
  worldSize: number,
): readonly WorldSize[] | undefined {
  const before = worldSizes.at(-1)?.worldSize ?? 1;
  if (before === worldSize) return worldSizes.length > 0 ? worldSizes : undefined;
  return [
    ...(worldSizes.length === 0 && step > 0 ? [{ step: 0, worldSize: 1 }] : worldSizes),
    { step, worldSize },
  ];
}

/** The changes of its epochs that a run has behind it when it goes on to `epochs`; undefined if there are none. */
export function extensionsFor(progress: Progress, epochs: number): readonly Extension[] | undefined {
  const { settings, epoch, batch, extensions } = progress;
  if (settings.epochs === epochs) return extensions;
  return [...(extensions ?? []), { epochs: settings.epochs, epoch, batch }];
}

/** Epochs that a run cannot have fewer of any more: those done, and the one that it is in. */
export const leastEpochs = ({ epoch, batch }: Progress): number => epoch + (batch > 0 ? 1 : 0);

function expectEnough(path: string, progress: Progress, epochs: number): void {
  const least = leastEpochs(progress);
  if (epochs >= least) return;
  throw new TrainingError(`${path} has ${least} epochs behind it or begun: ${epochs} are fewer.`);
}

/** What was saved passes through today's defaults first: settings that came later were at their defaults then. */
function expectSame(path: string, { settings, data }: Progress, now: Progress, extend: boolean): void {
  const { epochs, warmupEpochs } = now.settings; // The latter follows from the former unless told.
  const saved = completed(path, () => ({
    settings: trainingSettings(extend ? { ...settings, epochs, warmupEpochs } : settings),
    data: { ...data, preprocessing: savedPreprocessing(data.preprocessing) },
  }));
  for (const part of ["settings", "data"] as const) {
    const differing = differences<object>(saved[part], now[part]);
    if (differing.length > 0) {
      const longer = differing.some((difference) => difference.startsWith("epochs "));
      throw new TrainingError(
        `${path} was written with other ${part} (${differing.join("; ")}): resume with the same${longer ? ", or with `extend` for other epochs" : ""}.`,
      );
    }
  }
}

/** @throws TrainingError for settings that this version does not know */
function completed<T>(path: string, complete: () => T): T {
  try {
    return complete();
  } catch (error) {
    if (!(error instanceof ArgumentError)) throw error;
    throw new TrainingError(
      `${path} was written by another version of this package (${error.message.replace(/\.$/, "")}): resume with that one.`,
      { cause: error },
    );
  }
}

/** "lr 0.002, now 0.001" for each field that differs. */
function differences<T extends object>(saved: T, now: T): string[] {
  const names = new Set([...Object.keys(now), ...Object.keys(saved)]);
  return ([...names] as (keyof T & string)[]).flatMap((name) => {
    const [before, after] = [JSON.stringify(saved[name]), JSON.stringify(now[name])];
    return before === after ? [] : [`${name} ${before}, now ${after}`];
  });
}

function renamed(
  tensors: Readonly<Record<string, Tensor>>,
  rename: (name: string) => string,
): Record<string, Tensor> {
  return Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [rename(name), tensor]));
}

function withPrefix(tensors: Readonly<Record<string, Tensor>>, prefix: string): Record<string, Tensor> {
  const own = Object.entries(tensors).filter(([name]) => name.startsWith(prefix));
  return Object.fromEntries(own.map(([name, tensor]) => [name.slice(prefix.length), tensor]));
}
