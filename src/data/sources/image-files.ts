/** Data sets whose images are files, and finding the ones that cannot be read before training meets them. */
import { readFile } from "node:fs/promises";
import { DataError } from "../../errors.js";
import { cached, type MemoryBudget } from "../cache.js";
import { contentHash, frameMark } from "../contents.js";
import { type Dataset, subset } from "../dataset.js";
import { decodeImage } from "../decoding/sample.js";
import type { Preprocessing } from "../preprocessing.js";
import type { SplitName } from "../splitting/split-names.js";
import type { ImageEntry } from "./source.js";

/** More than this part of the images unreadable is taken for a broken data set, not for a few broken files. */
const tolerated = 0.01;
const namedInError = 5;
const readAhead = 32;

export interface ReadableOptions {
  readonly preprocessing: Preprocessing;
  readonly classes: readonly string[];
  /** Memory for decoded images, shared by all splits. */
  readonly budget: MemoryBudget;
  readonly onWarning: (message: string) => void;
  readonly onProgress: (progress: { done: number; total: number }) => void;
  readonly signal: AbortSignal | undefined;
  readonly maxPixels: number | undefined;
}

/**
 * Data sets of those files that can be read.
 *
 * Every image is decoded once, now: a file that breaks off in its last rows looks sound until then, and a data set
 * whose length changed under way would give other batches in every epoch and on every rank. The work is not lost, as
 * the samples stay in memory while the budget lasts.
 *
 * @throws DataError if more than 1 % of the images cannot be read
 */
export async function readableImages(
  path: string,
  splits: Partial<Record<SplitName, readonly ImageEntry[]>>,
  options: ReadableOptions,
): Promise<Partial<Record<SplitName, Dataset>>> {
  const { onWarning, onProgress, signal } = options;
  const total = Object.values(splits).reduce((sum, entries) => sum + entries.length, 0);
  const broken: DataError[] = [];
  const several = new Map<string, number>();
  const result: Partial<Record<SplitName, Dataset>> = {};
  let done = 0;
  for (const [name, entries] of Object.entries(splits) as [SplitName, readonly ImageEntry[]][]) {
    const all = imageFiles(entries, options, several);
    const sound: number[] = [];
    for (let start = 0; start < entries.length; start += readAhead) {
      signal?.throwIfAborted();
      const group = entries.slice(start, start + readAhead);
      const outcomes = await Promise.allSettled(group.map((_, i) => all.sample(start + i)));
      outcomes.forEach((outcome, i) => {
        if (outcome.status === "fulfilled") sound.push(start + i);
        else if (outcome.reason instanceof DataError) broken.push(outcome.reason);
        else throw outcome.reason; // no fault of the image
      });
      done += group.length;
      onProgress({ done, total });
    }
    result[name] = sound.length === entries.length ? all : subset(all, sound);
  }
  const [first] = several;
  if (first) {
    onWarning(
      `${path}: ${several.size} of the images have several pages or pictures (such as ${first[0]}, with ${first[1]}); the first of each is taken.`,
    );
  }
  const sentences = broken.map(({ file, reason }) => `${file} could not be read: ${reason}`);
  if (broken.length > total * tolerated) {
    const named = sentences.slice(0, namedInError).join("; ");
    const more = broken.length > namedInError ? `; and ${broken.length - namedInError} more` : "";
    const count = `${broken.length} of ${total} images ${broken.length === 1 ? "is" : "are"} unreadable`;
    const advice = "More than one in a hundred is no accident: mend or remove them.";
    throw new DataError(`${path}: ${count}: ${named}${more}. ${advice}`, { file: path });
  }
  for (const sentence of sentences) onWarning(`${sentence}; it is left out.`);
  if (broken.length > 0)
    onWarning(`${path}: ${broken.length} of ${total} images are unreadable and left out.`);
  return result;
}

function imageFiles(
  entries: readonly ImageEntry[],
  { preprocessing, classes, budget, maxPixels }: ReadableOptions,
  several: Map<string, number>,
): Dataset {
  const patients = entries.map(({ patient }) => patient);
  const weights = Float32Array.from(entries, ({ weight = 1 }) => weight);
  const name = (index: number): string => entries[index]?.file ?? `image ${index}`;
  // Of the bytes that were decoded, so that no file is read twice, or hashed as another than it was learned as.
  const hashes: string[] = [];
  const files: Dataset = {
    length: entries.length,
    classes,
    labels: Int32Array.from(entries, ({ label }) => label),
    ...(patients.some((patient) => patient !== undefined) && { patients }),
    ...(entries.some(({ weight }) => weight !== undefined) && { weights }),
    preprocessing,
    name,
    content: async (index) => fileContent(name(index), entries[index]?.frame),
    contentHash: (index) => hashes[index],
    sample: (index) =>
      decodeImage(name(index), preprocessing, {
        frame: entries[index]?.frame,
        onBytes: (bytes) => {
          hashes[index] ??= contentHash(bytes, entries[index]?.frame);
        },
        maxPixels,
        onSeveral: (count) => several.set(name(index), count),
      }),
  };
  return cached(files, budget);
}

/** A file's bytes; of a later picture of one, with its number behind. */
async function fileContent(file: string, frame = 0): Promise<Uint8Array> {
  const bytes = await readFile(file);
  return frame === 0 ? bytes : Buffer.concat([bytes, frameMark(frame)]);
}
