/**
 * `images.json` in the folder of a run: by which images are recognised that the run has trained, validated or tested on, so that
 * other data can be searched for them.
 *
 * Of each image two hashes: of the bytes that it is read from, and of the picture that was decoded, which finds it in another
 * format, too. Nothing can be had from them but one thing: who has an image can find out whether the run had it. The run's
 * identity goes into each, so that lists of two runs cannot be compared with each other; they are sorted, so that they tell no
 * order. One more hash is of all test images with their labels: it tells whether labels were changed, and of no image which it has.
 */
import { createHash } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { contentsOf, fingerprintsOf } from "../data/contents.js";
import { type LabelledImages, type SplitName, splitNames } from "../data/index.js";
import { labelsAt } from "../data/splitting/leaks.js";
import { replaceText } from "../weights/atomic-file.js";

export const runImagesFile = "images.json";

/** Hashes of the images of each part, and of which run. */
export type RunImages = Readonly<Record<SplitName, ReadonlySet<string>>> & {
  readonly run: string;
  /** Of the test images with their labels. */
  readonly labelled: string;
};

const digits = 12; // 48 bits: among a million images and ten thousand others no two are alike by chance.
const mostBytes = 2 ** 29;

/** @returns two hashes an image */
async function hashesOf(run: string, dataset: LabelledImages, signal?: AbortSignal): Promise<string[][]> {
  const [contents, prints] = [await contentsOf(dataset, signal), await fingerprintsOf(dataset, signal)];
  const salted = (hash: string) =>
    createHash("sha256").update(`${run} ${hash}`).digest("hex").slice(0, digits);
  return contents.map((content, at) => [salted(content), salted(prints[at]!)]);
}

/** What `images.json` holds. */
export interface RunImagesText extends Readonly<Record<SplitName, readonly string[]>> {
  readonly run: string;
  readonly labelled: string;
}

/** The lists of a run's images. */
export async function listRunImages(
  run: string,
  dataset: Readonly<Record<SplitName, LabelledImages>>,
  signal?: AbortSignal,
): Promise<RunImagesText> {
  const list = async (name: SplitName) =>
    [...new Set((await hashesOf(run, dataset[name], signal)).flat())].sort();
  const [train, val, test] = [await list("train"), await list("val"), await list("test")];
  return { run, labelled: await labelledHash(run, dataset.test, signal), train, val, test };
}

/** @throws WeightsError naming the file, if it cannot be written */
export async function writeRunImages(directory: string, images: RunImagesText): Promise<void> {
  await replaceText(join(directory, runImagesFile), `${JSON.stringify(images)}\n`);
}

/** The same for the same images with the same labels, in whatever order they are. */
export async function labelledHash(
  run: string,
  dataset: LabelledImages,
  signal?: AbortSignal,
): Promise<string> {
  const contents = await contentsOf(dataset, signal);
  const pairs = contents.map((content, at) => `${content} ${labelsAt(dataset, at)}`).sort();
  return createHash("sha256")
    .update(JSON.stringify([run, pairs]))
    .digest("hex");
}

/** What a folder holds; undefined if there is nothing of the kind, or it is damaged. */
export async function readRunImages(directory: string): Promise<RunImages | undefined> {
  const path = join(directory, runImagesFile);
  try {
    if ((await stat(path)).size > mostBytes) return undefined;
    const { run, labelled, ...lists } = JSON.parse(await readFile(path, "utf8")) as Record<string, unknown>;
    if (typeof run !== "string" || !splitNames.every((name) => Array.isArray(lists[name]))) return undefined;
    const sets = splitNames.map((name) => [name, new Set(lists[name] as string[])]);
    return { run, labelled, ...Object.fromEntries(sets) } as RunImages;
  } catch {
    return undefined; // Without it, it is not known which images these were: which is said.
  }
}

/** How many of some images a run has trained, validated and tested on. */
export async function countKnown(
  known: RunImages,
  dataset: LabelledImages,
  signal?: AbortSignal,
): Promise<Readonly<Record<SplitName, number>>> {
  const hashes = await hashesOf(known.run, dataset, signal);
  const count = (name: SplitName) => hashes.filter((own) => own.some((hash) => known[name].has(hash))).length;
  return { train: count("train"), val: count("val"), test: count("test") };
}
