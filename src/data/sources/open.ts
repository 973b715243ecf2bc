/**
 * Opening whatever a user has: the first source in the list that recognises it does. Each is imported when it is needed,
 * for the sake of those who bring data sets of their own, or none.
 */
import type { Stats } from "node:fs";
import { stat } from "node:fs/promises";
import { extname } from "node:path";
import { ArgumentError, DataError } from "../../errors.js";
import { cached, MemoryBudget } from "../cache.js";
import { warnOfCopies } from "../contents.js";
import { countLabels, type Dataset, subset } from "../dataset.js";
import { definePreprocessing, type Preprocessing } from "../preprocessing.js";
import { type SplitName, splitNames } from "../splitting/split-names.js";
import { checkSplitOptions, type SplitOptions, stratifiedSplit } from "../splitting/stratified.js";
import { archiveDataset, needsNoDecoding } from "./arrays.js";
import { readableImages } from "./image-files.js";
import { type Archive, listed, type Source, type SourceOptions } from "./source.js";

const isFile = (found: Stats, path: string, ending: string): boolean =>
  found.isFile() && extname(path).toLowerCase() === ending;

const sources: readonly Source[] = [
  {
    name: "a MedMNIST .npz file",
    recognizes: (path, found) => isFile(found, path, ".npz"),
    open: async (path, options) => (await import("./archive.js")).readArchive(path, options),
  },
  {
    name: "a folder of class folders",
    recognizes: (_, found) => found.isDirectory(),
    open: async (path, options) => (await import("./folder.js")).listFolder(path, options),
  },
  {
    name: "a .csv file",
    recognizes: (path, found) => isFile(found, path, ".csv"),
    open: async (path, options) => (await import("./manifest.js")).listManifest(path, options),
  },
];

/** How `openDataset` reads and divides images. */
export interface OpenDatasetOptions extends Partial<SplitOptions> {
  /** How images become the network's input; 224 pixels and 3 channels unless told. */
  readonly preprocessing?: Partial<Preprocessing>;
  /** Read and check only this split; the other two come back empty. */
  readonly split?: SplitName;
  /** The classes and their order, such as a checkpoint's; found out from the data unless given. */
  readonly classes?: readonly string[];
  /** Memory for decoded images, over all splits; 1 GiB unless told. */
  readonly cacheBytes?: number;
  /** Pixels that an image file may have; 2^26, as 8192 x 8192, or MEDMAMBA_MAX_PIXELS unless told. */
  readonly maxPixels?: number | undefined;
  /** Gets one sentence for everything that is odd but no obstacle. */
  readonly onWarning?: (message: string) => void;
  /** Called while files are read and checked, with the images done and in all. */
  readonly onProgress?: (progress: { done: number; total: number }) => void;
  /** Stops reading with its reason when aborted. */
  readonly signal?: AbortSignal;
}

/** The three splits of a data set; a split that there is not has length 0. */
export interface OpenedDataset extends Readonly<Record<SplitName, Dataset>> {
  /** To learn from. */
  readonly train: Dataset;
  /** To choose the best epoch by. */
  readonly val: Dataset;
  /** To judge by, once. */
  readonly test: Dataset;
  /** Names of the classes, in the order of the labels. */
  readonly classes: readonly string[];
}

/**
 * Opens a data set for training or evaluation.
 *
 * `path` is a MedMNIST archive (`.npz`), a folder of class folders, with or without `train`, `val` (or `valid`,
 * `validation`) and `test` above them, or a CSV manifest. What the source does not divide is divided by `seed`, class
 * by class: 70 % train, 15 % val, 15 % test; a missing val or test is drawn from train, with a warning.
 *
 * Images that cannot be read are named in a warning each and left out.
 *
 * @throws DataError naming the file and what is wrong, and if more than 1 % of the images cannot be read
 */
export async function openDataset(path: string, options: OpenDatasetOptions = {}): Promise<OpenedDataset> {
  const { seed = 0, validationFraction = 0.15, testFraction = 0.15, cacheBytes = 2 ** 30, split } = options;
  const { onWarning = () => {}, onProgress = () => {}, signal, maxPixels } = options;
  const division = { seed, validationFraction, testFraction };
  checkSplitOptions(division);
  if (options.classes && new Set(options.classes).size !== options.classes.length) {
    throw new ArgumentError(`openDataset: classes [${options.classes.join(", ")}] names one class twice.`);
  }
  const preprocessing = definePreprocessing(options.preprocessing);
  const budget = new MemoryBudget(cacheBytes);
  const source = await sourceOf(path);
  const opened = await source.open(path, { classes: options.classes, split, onWarning, signal });
  const { classes } = opened;
  let parts: Partial<Record<SplitName, Dataset>>;
  if ("arrays" in opened) {
    const whole = archiveSplits(path, opened, preprocessing, budget);
    parts = divideArchive(path, whole, division, { split, onWarning });
  } else {
    const entries = divide(path, opened, division, { split, onWarning });
    const reading = { preprocessing, classes, budget, onWarning, onProgress, signal, maxPixels };
    parts = await readableImages(path, entries, reading);
  }
  for (const name of splitNames) warnOfMissingClasses(path, name, parts[name], onWarning);
  if (split === undefined) await warnOfCopies(path, parts, { onWarning, signal });
  const some = parts.train ?? parts.val ?? parts.test;
  if (!some) throw new DataError(`${path} has no images.`);
  const empty = subset(some, []);
  return { train: parts.train ?? empty, val: parts.val ?? empty, test: parts.test ?? empty, classes };
}

async function sourceOf(path: string): Promise<Source> {
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
    const problem = error.code === "ENOENT" ? "does not exist" : `cannot be opened: ${error.message}`;
    throw new DataError(`${path} ${problem}.`, { cause: error });
  });
  const source = sources.find(({ recognizes }) => recognizes(path, found));
  if (source) return source;
  const names = sources.map(({ name }) => name);
  throw new DataError(`${path} is not a data set: expected ${listed(names, "or")}.`);
}

/** The splits of an archive as data sets. Samples are remembered where they are more than a copy of the array. */
function archiveSplits(
  path: string,
  { classes, arrays }: Archive,
  preprocessing: Preprocessing,
  budget: MemoryBudget,
): Partial<Record<SplitName, Dataset>> {
  const parts: Partial<Record<SplitName, Dataset>> = {};
  for (const [split, { pixels, labels }] of Object.entries(arrays)) {
    const name = (index: number): string => `${path} ${split}_images[${index}]`;
    const dataset = archiveDataset(pixels, { labels, classes, preprocessing, name });
    parts[split as SplitName] = needsNoDecoding(pixels, preprocessing) ? dataset : cached(dataset, budget);
  }
  return parts;
}

/** The splits of an archive that are wanted, missing ones drawn from train. */
function divideArchive(
  path: string,
  whole: Partial<Record<SplitName, Dataset>>,
  division: SplitOptions,
  wanted: Wanted,
): Partial<Record<SplitName, Dataset>> {
  const splits: Partial<Record<SplitName, { label: number; dataset: Dataset; index: number }[]>> = {};
  for (const name of splitNames) {
    const dataset = whole[name];
    if (dataset) splits[name] = Array.from(dataset.labels, (label, index) => ({ label, dataset, index }));
  }
  const parts: Partial<Record<SplitName, Dataset>> = {};
  for (const [name, entries] of Object.entries(divide(path, { splits }, division, wanted))) {
    const dataset = entries[0]?.dataset;
    if (!dataset) continue;
    const indices = entries.map(({ index }) => index);
    parts[name as SplitName] = indices.length === dataset.length ? dataset : subset(dataset, indices);
  }
  return parts;
}

type Wanted = Pick<SourceOptions, "split" | "onWarning">;

/** The entries of the splits that are wanted, missing ones drawn from train. */
function divide<Entry extends { readonly label: number }>(
  path: string,
  { splits, undivided }: { splits: Partial<Record<SplitName, Entry[]>>; undivided?: Entry[] | undefined },
  division: SplitOptions,
  { split, onWarning }: Wanted,
): Partial<Record<SplitName, Entry[]>> {
  const wanted = split ? [split] : splitNames;
  let parts: Partial<Record<SplitName, Entry[]>> = splits;
  if (undivided) {
    parts = stratifiedSplit(undivided, division);
  } else if (splits.train) {
    const drawn = stratifiedSplit(splits.train, {
      ...division,
      validationFraction: splits.val ? 0 : division.validationFraction,
      testFraction: splits.test ? 0 : division.testFraction,
    });
    parts = { ...drawn, ...(splits.val && { val: splits.val }), ...(splits.test && { test: splits.test }) };
    for (const name of wanted) {
      const count = parts[name]?.length ?? 0;
      if (splits[name] || count === 0) continue;
      onWarning(`${path} has no ${name} images of its own: ${count} images of train are set aside for it.`);
    }
  }
  const result: Partial<Record<SplitName, Entry[]>> = {};
  for (const name of wanted) {
    const entries = parts[name] ?? [];
    if (entries.length > 0) result[name] = entries;
    else if (name === "train" || name === split) throw new DataError(`${path} has no ${name} images.`);
  }
  return result;
}

function warnOfMissingClasses(
  path: string,
  split: SplitName,
  dataset: Dataset | undefined,
  onWarning: (message: string) => void,
): void {
  if (!dataset) return;
  const missing = dataset.classes.filter((_, label) => countLabels(dataset)[label] === 0);
  if (missing.length > 0) onWarning(`${path}: ${split} has no images of ${missing.join(", ")}.`);
}
