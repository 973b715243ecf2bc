/** The images to judge a checkpoint by, prepared as its training saw images: which they are, and whether it has seen them. */
import { dirname } from "node:path";
import type { CheckpointDescription } from "../checkpoints/checkpoint.js";
import {
  type DataIdentity,
  isDataIdentity,
  isSameSplit,
  isSplitIdentity,
  type SplitIdentity,
  splitIdentity,
} from "../data/contents.js";
import { concatenated } from "../data/dataset.js";
import {
  type LabelledImages,
  type OpenDatasetOptions,
  openDataset,
  type SplitName,
  type SplitOptions,
  splitNames,
} from "../data/index.js";
import type { Opening } from "../data/sources/opening.js";
import type { Group } from "../distributed/group.js";
import { DataError, StudyError } from "../errors.js";
import type { TestKind } from "../reports/sections/seal.js";
import { countKnown, labelledHash, readRunImages } from "./run-images.js";

/** A checkpoint that is judged: what it says, and its file. */
export type JudgedCheckpoint = CheckpointDescription & { readonly path: string };

/** Images to judge a checkpoint by. */
export interface Judged {
  readonly dataset: LabelledImages;
  readonly part: SplitName | "all";
  /** Where all are judged: the parts that they are of. */
  readonly parts?: Partial<Record<SplitName, LabelledImages>>;
  /** Why that part was taken, where nobody has named one. */
  readonly because?: string;
}

/** What is told on the way. */
export type JudgingProgress =
  /** Something odd that is no obstacle. */
  | { readonly type: "warning"; readonly message: string }
  /** While images are read and checked. */
  | { readonly type: "reading"; readonly done: number; readonly total: number }
  /** While they are run through the network. */
  | { readonly type: "evaluating"; readonly done: number; readonly total: number }
  /** While pictures of mistakes are made for a report. */
  | { readonly type: "picturing"; readonly done: number; readonly total: number };

/** Where images are, how they are read, where it is told what goes on, and what ends it. */
export interface Judging {
  /** Path of the data set. */
  readonly data: string;
  /** Which images there are, where that is to be otherwise than in training, and how they are read and kept. */
  readonly asked: Pick<OpenDatasetOptions, "groups" | "frames" | "cache" | "maxPixels">;
  /** Images computed at once. */
  readonly batchSize: number;
  readonly signal: AbortSignal;
  /** Processes that share the images; default: this one alone. */
  readonly group?: Group | undefined;
  readonly onProgress: (progress: JudgingProgress) => void;
}

/**
 * The part that was asked for; otherwise the test images of the data that the checkpoint was trained on, divided as for its
 * training, and all of any others.
 *
 * @throws StudyError if its classes are others, or it was trained on these data and none were left for testing
 */
export async function openJudged(
  part: SplitName | "all" | undefined,
  checkpoint: JudgedCheckpoint,
  judging: Judging,
): Promise<Judged> {
  const { data, signal } = judging;
  if (part === "all") return openAll(checkpoint, judging);
  if (part !== undefined) return { dataset: await openSplit(part, checkpoint, judging), part };
  const trained = checkpoint.provenance?.data;
  if (!isDataIdentity(trained)) {
    const because = "the checkpoint does not say what it was trained on; --split all takes everything";
    return { dataset: await openSplit("test", checkpoint, judging), part: "test", because };
  }
  const own = trained.test.images > 0 ? "test" : trained.val.images > 0 ? "val" : "train";
  const found = await ifThere(own, openSplit(own, checkpoint, judging));
  if (found && (await isOwn(found, own, checkpoint, trained, signal))) {
    if (own === "test") return { dataset: found, part: "test" };
    throw new StudyError(
      `${data} is what ${checkpoint.path} was trained on, and no images were left for testing: name a part with --split ${own}, or other data.`,
    );
  }
  const because = "these are not the data that it was trained on";
  return { ...(await openAll(checkpoint, judging)), because };
}

/** Whether these are the very images of a part of the training, in whatever order and with whatever labels. */
async function isOwn(
  found: LabelledImages,
  part: SplitName,
  { path, provenance }: JudgedCheckpoint,
  trained: DataIdentity,
  signal: AbortSignal,
): Promise<boolean> {
  const images = await splitIdentity(found, signal);
  if (images.images !== trained[part].images) return false;
  if (images.contents === trained[part].contents) return true;
  const known = await readRunImages(dirname(path));
  if (known?.run === undefined || known.run !== provenance?.run) return false;
  return (await countKnown(known, found, signal))[part] === images.images;
}

/** Every image of a data set, however it is divided. */
async function openAll(checkpoint: JudgedCheckpoint, judging: Judging): Promise<Judged> {
  const parts: Partial<Record<SplitName, LabelledImages>> = {};
  for (const name of splitNames) {
    const part = await ifThere(name, openSplit(name, checkpoint, judging));
    if (part && part.length > 0) parts[name] = part;
  }
  const there = splitNames.flatMap((name) => parts[name] ?? []);
  if (there.length === 0) throw new StudyError(`${judging.data} has no images.`);
  return { dataset: concatenated(there), part: "all", parts };
}

/** A split, or undefined where the data set has no images of it. */
function ifThere(name: SplitName, opened: Promise<LabelledImages>): Promise<LabelledImages | undefined> {
  return opened.catch((error: unknown) => {
    if (error instanceof DataError && error.split === name) return undefined;
    throw error;
  });
}

/** How the data of a training were divided. Before it was kept, images of a patient were not kept together. */
function divisionOf(provenance: CheckpointDescription["provenance"]): Partial<SplitOptions> {
  const split = provenance?.split as Partial<SplitOptions> | undefined;
  return split ? { ...split, keepTogether: split.keepTogether ?? false } : {};
}

/** One part of a data set, divided and prepared as for the training. @throws StudyError if its classes are others */
export async function openSplit(
  split: SplitName,
  { path, task, classes, preprocessing, provenance }: JudgedCheckpoint,
  { data, signal, asked, onProgress }: Judging,
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
    onWarning: (message) => onProgress({ type: "warning", message }),
    onProgress: ({ done, total }) => onProgress({ type: "reading", done, total }),
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
      throw new StudyError(`${place}: ${reason}${whose}`, { cause: error });
    });
  return opened[split];
}

const definedOf = <T extends object>(options: T): T =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as T;

/** What images are to a checkpoint. */
export interface Acquaintance {
  readonly kind: TestKind;
  readonly images: SplitIdentity;
  /** How many of them it was trained, validated and is to be tested on; null where that is not known. */
  readonly of: Readonly<Record<SplitName, number>> | null;
  /** Whether they are its test images, or all of its images divided as they were, with other labels. */
  readonly relabelled: boolean;
}

/** Which part of a training's images these are, if they are. @throws what reading an image throws */
export async function acquaintance(
  { path, provenance }: JudgedCheckpoint,
  { dataset, part, parts = {} }: Pick<Judged, "dataset" | "part" | "parts">,
  signal?: AbortSignal,
): Promise<Acquaintance> {
  const images = await splitIdentity(dataset, signal);
  const trained = provenance?.data;
  if (!isDataIdentity(trained)) {
    const chosenBy = isSplitIdentity(provenance?.validatedOn) && isSameSplit(images, provenance.validatedOn);
    return { kind: chosenBy ? "validation" : "unknown", images, of: null, relabelled: false };
  }
  const none = { train: 0, val: 0, test: 0 };
  const own = splitNames.find((name) => images.images > 0 && isSameSplit(images, trained[name]));
  if (own !== undefined) {
    const kind = ({ train: "train", val: "validation", test: "internal" } as const)[own];
    return { kind, images, of: { ...none, [own]: images.images }, relabelled: false };
  }
  if (part === "all" && (await areAll(parts, trained, isSameSplit, signal))) {
    const of = { train: trained.train.images, val: trained.val.images, test: trained.test.images };
    return { kind: "all", images, of, relabelled: false };
  }
  const relabelled = images.images > 0 && images.contents === trained.test.contents;
  const known = await readRunImages(dirname(path));
  if (known?.run !== undefined && known.run === provenance?.run) {
    const of = await countKnown(known, dataset, signal);
    const { train, val, test } = of;
    if (train + val + test === 0) return { kind: "external", images, of, relabelled };
    if (train + val > 0 || test < images.images || test !== trained.test.images)
      return {
        kind: "mixed",
        images,
        of,
        relabelled: relabelled || (part === "all" && (await areAll(parts, trained, isSameImages, signal))),
      };
    // The same images, in another order at least.
    const alike = (await labelledHash(known.run, dataset, signal)) === known.labelled;
    return { kind: alike ? "internal" : "mixed", images, of, relabelled: !alike };
  }
  return relabelled
    ? { kind: "mixed", images, of: { ...none, test: images.images }, relabelled }
    : { kind: "external", images, of: null, relabelled };
}

type Likeness = (a: SplitIdentity, b: SplitIdentity) => boolean;

/** In their order, so that only labels can be others. */
const isSameImages: Likeness = (a, b) => a.contents === b.contents;

/** Whether the parts are all those of the training, each as it was. */
async function areAll(
  parts: Partial<Record<SplitName, LabelledImages>>,
  trained: DataIdentity,
  isAsBefore: Likeness,
  signal?: AbortSignal,
): Promise<boolean> {
  for (const name of splitNames) {
    const part = parts[name];
    if ((part?.length ?? 0) !== trained[name].images) return false;
    if (part && part.length > 0 && !isAsBefore(await splitIdentity(part, signal), trained[name]))
      return false;
  }
  return true;
}
