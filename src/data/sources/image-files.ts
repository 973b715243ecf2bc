/** Data sets whose images are files, and finding the ones that cannot be read before training meets them. */
import { readFile } from "node:fs/promises";
import { DataError } from "../../errors.js";
import { cached, type MemoryBudget } from "../cache.js";
import { contentHashes, frameMark, hashOf } from "../contents.js";
import type { LabelledImages, PerImage, Sample } from "../dataset.js";
import { chosenFrames, type FrameChoice, isSingle } from "../decoding/frame-choice.js";
import {
  decodeImage,
  decodePixels,
  type ImageFile,
  type Several,
  severalOf,
  withImageFile,
} from "../decoding/sample.js";
import type { TaskName } from "../labels.js";
import type { Preprocessing } from "../preprocessing.js";
import { pseudonym } from "../pseudonyms.js";
import type { ContentKey, SampleStore } from "../sample-store.js";
import type { SplitName } from "../splitting/split-names.js";
import type { ImageEntry } from "./source.js";

/** More than this part of the images unreadable is taken for a broken data set, not for a few broken files. */
const tolerated = 0.01;
const namedInError = 5;
const readAhead = 32;

export interface ReadableOptions {
  readonly preprocessing: Preprocessing;
  readonly classes: readonly string[];
  readonly task: TaskName | undefined;
  /** Titles of the entries' attributes. */
  readonly attributes: readonly string[] | undefined;
  /** Whether every image is decoded once, and left out if it cannot be; true unless told. */
  readonly check?: boolean;
  /** Which pictures of a file that has several. */
  readonly frames: FrameChoice;
  /** Memory for decoded images, shared by all splits. */
  readonly budget: MemoryBudget;
  /** Where decoded images are kept beyond this process. */
  readonly store: SampleStore | undefined;
  readonly onWarning: (message: string) => void;
  readonly onProgress: (progress: { done: number; total: number }) => void;
  readonly signal: AbortSignal | undefined;
  readonly maxPixels: number | undefined;
}

/** One picture of an entry that can be read. */
interface Picture extends ImageEntry {
  readonly frame: number;
  /** Whether others of its file are images, too. */
  readonly isOneOfSeveral: boolean;
  /** Hash of what it is decoded from. */
  readonly content: string | undefined;
  /** In the store, if there is one. */
  readonly key: ContentKey | undefined;
  /** If there was memory for it. */
  readonly kept: Sample | undefined;
  /** A hash of the sample; undefined of what was not decoded yet. */
  readonly fingerprint: string | undefined;
}

/**
 * Data sets of those files that can be read.
 *
 * Every image is decoded once, now: a file that breaks off in its last rows looks sound until then, and a data set
 * whose length changed under way would give other batches in every epoch and on every rank. The work is not lost, as
 * the samples stay in memory while the budget lasts. Of a file with several pictures, all that are wanted are decoded while it
 * is open.
 *
 * @throws DataError if more than 1 % of the images cannot be read
 */
export async function readableImages(
  path: string,
  splits: Partial<Record<SplitName, readonly ImageEntry[]>>,
  options: ReadableOptions,
): Promise<Partial<Record<SplitName, LabelledImages>>> {
  const { onWarning, onProgress, signal } = options;
  const total = Object.values(splits).reduce((sum, entries) => sum + entries.length, 0);
  const broken: DataError[] = [];
  const several = new Map<string, Several>();
  const result: Partial<Record<SplitName, LabelledImages>> = {};
  let done = 0;
  let images = 0;
  for (const [name, entries] of Object.entries(splits) as [SplitName, readonly ImageEntry[]][]) {
    const pictures: Picture[] = [];
    for (let start = 0; start < entries.length; start += readAhead) {
      signal?.throwIfAborted();
      const group = entries.slice(start, start + readAhead);
      const counts = new Map<string, Several>();
      const look = options.check === false ? listedPictures : picturesOf;
      const outcomes = await Promise.all(group.map((entry) => look(entry, options, counts)));
      // In the order of the entries, whichever was decoded first: the same data set draws the same warning.
      for (const { file } of group) {
        const found = counts.get(file);
        if (found) several.set(file, found);
      }
      for (const outcome of outcomes.flat()) {
        images += 1;
        if (outcome instanceof DataError) broken.push(outcome);
        else pictures.push(outcome);
      }
      done += group.length;
      onProgress({ done, total });
    }
    result[name] = pictureFiles(pictures, options);
  }
  warnOfSeveral(path, several, options);
  const sentences = broken.map(({ message }) => message.replace(/\.$/, ""));
  if (broken.length > images * tolerated) {
    const named = sentences.slice(0, namedInError).join("; ");
    const more = broken.length > namedInError ? `; and ${broken.length - namedInError} more` : "";
    const count = `${broken.length} of ${images} images ${broken.length === 1 ? "is" : "are"} unreadable`;
    const advice = "More than one in a hundred is no accident: mend or remove them.";
    throw new DataError(`${path}: ${count}: ${named}${more}. ${advice}`, { file: path });
  }
  for (const sentence of sentences) onWarning(`${sentence}; it is left out.`);
  if (broken.length > 0)
    onWarning(`${path}: ${broken.length} of ${images} images are unreadable and left out.`);
  return result;
}

function warnOfSeveral(
  path: string,
  several: ReadonlyMap<string, Several>,
  { frames, onWarning }: ReadableOptions,
): void {
  const [first] = several;
  if (!first) return;
  const someVolume = [...several.values()].some(({ isVolume }) => isVolume);
  const which =
    frames === "middle"
      ? "the one in the middle of each is taken"
      : frames === "first"
        ? "the first of each is taken (in a volume the one at its edge): --frames middle, all or every:K takes others"
        : someVolume
          ? "of each volume the slice in the middle is taken, of others the first: --frames all or every:K takes others"
          : "the first of each is taken: --frames middle, all or every:K takes others";
  onWarning(
    `${path}: ${several.size} of the images have several pages or pictures (such as ${first[0]}, with ${first[1].count}); ${which}.`,
  );
}

/** The pictures of an entry's file that are wanted; what cannot be read is an error in its place. */
async function picturesOf(
  entry: ImageEntry,
  { preprocessing, maxPixels, frames, budget, store }: ReadableOptions,
  several: Map<string, Several>,
): Promise<(Picture | DataError)[]> {
  const { file } = entry;
  const read = async (opened: ImageFile): Promise<(Picture | DataError)[]> => {
    // Of the bytes that are decoded, so that no file is read twice, or hashed as another than it is learned as.
    const contentHash = contentHashes(opened.bytes);
    const key = store?.keyOf(contentHash(0), preprocessing);
    const image = store && key ? withStore(opened, store, key) : opened;
    const count = await image.count();
    const chosen = entry.frame === undefined ? await chosenFrames(image, frames) : [entry.frame];
    const found = entry.frame === undefined && isSingle(frames) ? await severalOf(image) : undefined;
    if (found) several.set(file, found);
    const isOneOfSeveral = entry.frame !== undefined || (count > 1 && !isSingle(frames));
    const group = entry.group ?? (isOneOfSeveral && !entry.patient ? pseudonym(file) : undefined);
    const pictures: (Picture | DataError)[] = [];
    for (const frame of chosen) {
      const outcome = await orDataError(image.sample(frame));
      if (outcome instanceof DataError) pictures.push(outcome);
      else {
        const kept = budget.take(outcome.data.byteLength) ? outcome : undefined;
        pictures.push({
          ...entry,
          group,
          frame,
          isOneOfSeveral,
          content: contentHash(frame),
          key,
          kept,
          fingerprint: hashOf(outcome.data),
        });
      }
    }
    return pictures;
  };
  const outcome = await orDataError(withImageFile(file, preprocessing, { maxPixels }, read));
  return outcome instanceof DataError ? [outcome] : outcome;
}

/** The pictures of an entry's file that are wanted, none of them decoded: it is opened only where their number decides. */
async function listedPictures(
  entry: ImageEntry,
  { preprocessing, maxPixels, frames }: ReadableOptions,
): Promise<Picture[]> {
  const { file } = entry;
  const unread = { content: undefined, key: undefined, kept: undefined, fingerprint: undefined };
  const own = entry.frame !== undefined;
  if (own || frames === "first" || (frames === "auto" && !/\.nii(\.gz)?$/i.test(file)))
    return [{ ...entry, frame: entry.frame ?? 0, isOneOfSeveral: own, ...unread }];
  const looked = withImageFile(file, preprocessing, { maxPixels }, async (image) => ({
    count: await image.count(),
    chosen: await chosenFrames(image, frames),
  }));
  const found = await orDataError(looked);
  if (found instanceof DataError) return [{ ...entry, frame: 0, isOneOfSeveral: false, ...unread }];
  const isOneOfSeveral = found.count > 1 && !isSingle(frames);
  const group = entry.group ?? (isOneOfSeveral && !entry.patient ? pseudonym(file) : undefined);
  return found.chosen.map((frame) => ({ ...entry, group, frame, isOneOfSeveral, ...unread }));
}

/** @throws what is no fault of the image */
function orDataError<T>(work: Promise<T>): Promise<T | DataError> {
  return work.catch((error: unknown) => {
    if (error instanceof DataError) return error;
    throw error;
  });
}

/** An image file whose pictures are decoded only where the store has none. */
function withStore(image: ImageFile, store: SampleStore, key: ContentKey): ImageFile {
  return {
    bytes: image.bytes,
    async count() {
      const known = await store.count(key);
      if (known !== undefined) return known;
      const count = await image.count();
      await store.keepCount(key, count);
      return count;
    },
    isVolume: () => image.isVolume(),
    middle: () => image.middle(),
    async sample(frame) {
      const known = await store.sample(key, frame);
      if (known) return known;
      const sample = await image.sample(frame);
      await store.keep(key, frame, sample);
      return sample;
    },
    pixels: (frame) => image.pixels(frame),
  };
}

function pictureFiles(
  pictures: readonly Picture[],
  { preprocessing, classes, task, attributes, budget, store, maxPixels }: ReadableOptions,
): LabelledImages {
  const at = (index: number): Picture => {
    const picture = pictures[index];
    if (!picture) throw new DataError(`There is no image ${index} among ${pictures.length}.`);
    return picture;
  };
  const name = (index: number): string => {
    const { file, frame, isOneOfSeveral } = at(index);
    return isOneOfSeveral ? `${file} frame ${frame}` : file;
  };
  const dataset: LabelledImages = {
    length: pictures.length,
    classes,
    ...(task && { task }),
    ...aboutPictures(pictures, { classes, task, attributes }),
    preprocessing,
    name,
    content: async (index) => fileContent(at(index).file, at(index).frame),
    contentHash: (index) => at(index).content,
    async sample(index) {
      const { file, frame, key } = at(index);
      const known = key && (await store?.sample(key, frame));
      return known || decodeImage(file, preprocessing, { frame, maxPixels });
    },
    fingerprint: async (index) => at(index).fingerprint ?? hashOf((await dataset.sample(index)).data),
    picture: (index) => decodePixels(at(index).file, preprocessing, { frame: at(index).frame, maxPixels }),
  } as LabelledImages;
  const kept = new Map<number, Sample>();
  for (const [index, picture] of pictures.entries()) if (picture.kept) kept.set(index, picture.kept);
  return cached(dataset, budget, kept);
}

/** What entries say of their images, as a data set has it. */
function aboutPictures(
  entries: readonly Picture[],
  { classes, task, attributes = [] }: Pick<ReadableOptions, "classes" | "task" | "attributes">,
): PerImage {
  const column = (value: (entry: Picture) => string | undefined) => {
    const values = entries.map(value);
    return values.some((text) => text !== undefined) ? values : undefined;
  };
  const patients = column(({ patient }) => patient);
  const groups = column(({ group }) => group);
  const files = column(({ file, isOneOfSeveral }) => (isOneOfSeveral ? file : undefined));
  const texts = attributes.map(
    (title, at) => [title, entries.map((entry) => entry.attributes?.[at])] as const,
  );
  const zerosAndOnes = ({ labels }: Picture) => classes.map((_, label) => Number(labels.includes(label)));
  return {
    labels: Int32Array.from(
      task === "multi-label" ? entries.flatMap(zerosAndOnes) : entries.map(({ labels }) => labels[0] ?? 0),
    ),
    ...(patients && { patients }),
    ...(groups && { groups }),
    ...(files && { files }),
    ...(texts.length > 0 && { attributes: Object.fromEntries(texts) }),
    ...(entries.some(({ weight }) => weight !== undefined) && {
      weights: Float32Array.from(entries, ({ weight = 1 }) => weight),
    }),
  };
}

/** A file's bytes; of a later picture of one, with its number behind. */
async function fileContent(file: string, frame = 0): Promise<Uint8Array> {
  const bytes = await readFile(file);
  return frame === 0 ? bytes : Buffer.concat([bytes, frameMark(frame)]);
}
