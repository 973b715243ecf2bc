/** Opening whatever a user has: an archive, folders, a manifest. */
import { stat } from "node:fs/promises";
import { extname } from "node:path";
import { ArgumentError, DataError } from "../errors.js";
import { cached, MemoryBudget } from "./cache.js";
import { countLabels, type Dataset } from "./dataset.js";
import { definePreprocessing, type Preprocessing } from "./preprocessing.js";
import { readArchive } from "./sources/archive.js";
import { archiveDataset, needsNoDecoding } from "./sources/arrays.js";
import { type ListingOptions, listFolder } from "./sources/folder.js";
import { readableImages } from "./sources/image-files.js";
import type { ImageEntry, Listing } from "./sources/listing.js";
import { listManifest } from "./sources/manifest.js";
import {
  checkSplitOptions,
  type SplitName,
  type SplitOptions,
  splitNames,
  stratifiedSplit,
} from "./splitting/stratified.js";

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
  const { onWarning = () => {}, onProgress = () => {}, signal } = options;
  const division = { seed, validationFraction, testFraction };
  checkSplitOptions(division);
  if (options.classes && new Set(options.classes).size !== options.classes.length) {
    throw new ArgumentError(`openDataset: classes [${options.classes.join(", ")}] names one class twice.`);
  }
  const preprocessing = definePreprocessing(options.preprocessing);
  const budget = new MemoryBudget(cacheBytes);
  const form = await recognise(path);
  const listingOptions = { classes: options.classes, split, onWarning };

  const parts: Partial<Record<SplitName, Dataset>> = {};
  let classes: readonly string[];
  if (form === "archive") {
    const archive = await readArchive(path, { classes: options.classes, split, signal });
    classes = archive.classes;
    for (const [name, { pixels, labels }] of Object.entries(archive.splits)) {
      const place = (index: number): string => `${path} ${name}_images[${index}]`;
      const dataset = archiveDataset(pixels, { labels, classes, preprocessing, name: place });
      parts[name as SplitName] = needsNoDecoding(pixels, preprocessing) ? dataset : cached(dataset, budget);
    }
  } else {
    const list: (path: string, options: ListingOptions) => Promise<Listing> =
      form === "folder" ? listFolder : listManifest;
    const listing = await list(path, listingOptions);
    classes = listing.classes;
    const entries = divide(path, listing, division, listingOptions);
    Object.assign(
      parts,
      await readableImages(path, entries, { preprocessing, classes, budget, onWarning, onProgress, signal }),
    );
  }
  for (const name of splitNames) warnOfMissingClasses(path, name, parts[name], onWarning);
  const empty = emptyDataset(classes, preprocessing);
  return { train: parts.train ?? empty, val: parts.val ?? empty, test: parts.test ?? empty, classes };
}

async function recognise(path: string): Promise<"archive" | "folder" | "manifest"> {
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
    const problem = error.code === "ENOENT" ? "does not exist" : `cannot be opened: ${error.message}`;
    throw new DataError(`${path} ${problem}.`, { cause: error });
  });
  if (found.isDirectory()) return "folder";
  const extension = extname(path).toLowerCase();
  if (extension === ".npz") return "archive";
  if (extension === ".csv") return "manifest";
  throw new DataError(
    `${path} is not a data set: expected a MedMNIST .npz file, a folder of class folders or a .csv file.`,
  );
}

/** The entries of the splits that are wanted, missing ones drawn from train. */
function divide(
  path: string,
  { splits, undivided }: Listing,
  division: SplitOptions,
  { split, onWarning }: ListingOptions,
): Partial<Record<SplitName, ImageEntry[]>> {
  const wanted = split ? [split] : splitNames;
  let parts: Partial<Record<SplitName, ImageEntry[]>> = splits;
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
  const result: Partial<Record<SplitName, ImageEntry[]>> = {};
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

function emptyDataset(classes: readonly string[], preprocessing: Preprocessing): Dataset {
  return {
    length: 0,
    classes,
    labels: new Int32Array(0),
    preprocessing,
    name: (index) => `image ${index}`,
    sample: (index) => Promise.reject(new DataError(`There is no image ${index} in an empty data set.`)),
  };
}
