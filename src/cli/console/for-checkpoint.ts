/** Opening a checkpoint, and data sets in the way that its training saw images. */
import { type Checkpoint, type CheckpointDescription, loadCheckpoint } from "../../checkpoints/checkpoint.js";
import { isDataIdentity, isSameSplit, splitIdentity } from "../../data/contents.js";
import { concatenated } from "../../data/dataset.js";
import { type FrameChoice, isSingle, type SingleChoice } from "../../data/decoding/frame-choice.js";
import {
  type LabelledImages,
  type OpenDatasetOptions,
  openDataset,
  type SplitName,
  type SplitOptions,
  splitNames,
} from "../../data/index.js";
import type { Opening } from "../../data/sources/opening.js";
import { DataError } from "../../errors.js";
import type { Device } from "../../tensor/device.js";
import { CommandError } from "./failure.js";
import { expectCheckpoint } from "./paths.js";
import type { Terminal } from "./terminal.js";

/** Images to judge a checkpoint by. */
export interface Judged {
  readonly dataset: LabelledImages;
  readonly part: SplitName | "all";
  /** Why that part was taken, where nobody has named one. */
  readonly because?: string;
}

/** Where what goes on is told, and what ends it. */
export interface Judging {
  readonly terminal: Terminal;
  readonly signal: AbortSignal;
  /** Which images there are, where that is to be otherwise than in training, and how they are read and kept. */
  readonly asked: Pick<OpenDatasetOptions, "groups" | "frames" | "cache" | "maxPixels">;
}

/** @throws CommandError or WeightsError naming the file */
export async function openCheckpoint(path: string, device: Device, terminal: Terminal): Promise<Checkpoint> {
  expectCheckpoint(path);
  return loadCheckpoint(path, { device, onWarning: (message) => terminal.warn(message) });
}

/** Which pictures of a file with several a checkpoint's training took; undefined if it does not say. */
export function framesOf({ provenance }: Pick<CheckpointDescription, "provenance">): FrameChoice | undefined {
  return (provenance?.opening as Opening | undefined)?.frames;
}

/** Which one of a file to show: as the training took it, if it took one of each. */
export function singleFrameOf(checkpoint: Pick<CheckpointDescription, "provenance">): SingleChoice {
  const frames = framesOf(checkpoint);
  return frames !== undefined && isSingle(frames) ? frames : "auto";
}

/**
 * The images to judge a checkpoint by, with its classes and preprocessing: the part that was asked for; otherwise the test
 * images of the data that it was trained on, divided as for its training, and all of any others.
 *
 * @throws CommandError if its classes are others
 */
export async function openJudged(
  data: string,
  part: SplitName | "all" | undefined,
  checkpoint: Checkpoint,
  judging: Judging,
): Promise<Judged> {
  if (part === "all") return openAll(data, checkpoint, judging);
  if (part !== undefined) return { dataset: await openSplit(data, part, checkpoint, judging), part };
  const trained = checkpoint.provenance?.data;
  if (!isDataIdentity(trained)) {
    const because = "the checkpoint does not say what it was trained on; --split all takes everything";
    return { dataset: await openSplit(data, "test", checkpoint, judging), part: "test", because };
  }
  const own = trained.test.images > 0 ? "test" : trained.val.images > 0 ? "val" : "train";
  const found = await ifThere(own, openSplit(data, own, checkpoint, judging));
  if (found && isSameSplit(await splitIdentity(found, judging.signal), trained[own])) {
    if (own === "test") return { dataset: found, part: "test" };
    throw new CommandError(
      `${data} is what ${checkpoint.path} was trained on, and no images were left for testing: name a part with --split ${own}, or other data.`,
    );
  }
  const because = "these are not the data that it was trained on";
  return { ...(await openAll(data, checkpoint, judging)), because };
}

/** Every image of a data set, however it is divided. */
async function openAll(data: string, checkpoint: Checkpoint, judging: Judging): Promise<Judged> {
  const parts: LabelledImages[] = [];
  for (const name of splitNames) {
    const part = await ifThere(name, openSplit(data, name, checkpoint, judging));
    if (part && part.length > 0) parts.push(part);
  }
  if (parts.length === 0) throw new CommandError(`${data} has no images.`);
  return { dataset: concatenated(parts), part: "all" };
}

/** A split, or undefined where the data set has no images of it. */
function ifThere(name: SplitName, opened: Promise<LabelledImages>): Promise<LabelledImages | undefined> {
  return opened.catch((error: unknown) => {
    if (error instanceof DataError && error.split === name) return undefined;
    throw error;
  });
}

/** How the data of a training were divided. Before it was kept, images of a patient were not kept together. */
function divisionOf(provenance: Checkpoint["provenance"]): Partial<SplitOptions> {
  const split = provenance?.split as Partial<SplitOptions> | undefined;
  return split ? { ...split, keepTogether: split.keepTogether ?? false } : {};
}

async function openSplit(
  data: string,
  split: SplitName,
  { path, task, classes, preprocessing, provenance }: Checkpoint,
  { terminal, signal, asked }: Judging,
): Promise<LabelledImages> {
  const { groups, frames } = (provenance?.opening ?? {}) as Opening;
  const options: OpenDatasetOptions = {
    preprocessing,
    split,
    ...divisionOf(provenance),
    groups,
    frames,
    ...definedOf(asked),
    ...(task && { task }),
    classes,
    onWarning: (message) => terminal.warn(message),
    onProgress: ({ done, total }) => terminal.progress(`reading images ${done}/${total}`),
    signal,
  };
  const opened = await openDataset(data, options)
    .catch((error: unknown) => {
      // Other data need not have the column by which those of the training were divided.
      const isInherited = asked.groups === undefined && error instanceof DataError && error.column === groups;
      if (groups === undefined || !isInherited) throw error;
      return openDataset(data, { ...options, groups: undefined });
    })
    .catch((error: unknown) => {
      if (!(error instanceof DataError) || error.label === undefined) throw error;
      const { file, line, reason, problems } = error;
      const place = line === undefined || problems ? file : `${file} line ${line}`;
      const whose = problems ? `\n  The classes are those of ${path}.` : `, the classes of ${path}.`;
      throw new CommandError(`${place}: ${reason}${whose}`, { cause: error });
    });
  terminal.clearProgress();
  return opened[split];
}

const definedOf = <T extends object>(options: T): T =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as T;
