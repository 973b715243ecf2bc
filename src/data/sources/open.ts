/**
 * Opening whatever a user has: the first source in the list that recognises it does. Each is imported when it is needed,
 * for the sake of those who bring data sets of their own, or none.
 */
import type { Stats } from "node:fs";
import { stat } from "node:fs/promises";
import { basename, extname, isAbsolute, relative, resolve, sep } from "node:path";
import { ArgumentError, DataError } from "../../errors.js";
import {
  expectCounts,
  expectFlags,
  expectFunction,
  expectNumbers,
  expectSignal,
  expectTexts,
  inWords,
  type NamesOf,
  optionsOf,
} from "../../settings/given.js";
import { type Path, pathOf } from "../../settings/paths.js";
import { complete, pick } from "../../settings/table.js";
import { cached, MemoryBudget } from "../cache.js";
import { cachePlan, cacheRows } from "../cache-choice.js";
import {
  countLabels,
  type Dataset,
  type LabelledImages,
  type MultiLabelDataset,
  subset,
} from "../dataset.js";
import { checkedMaxPixels } from "../decoding/limits.js";
import type { TaskName } from "../labels.js";
import { definePreprocessing, type Preprocessing } from "../preprocessing.js";
import { SampleStore } from "../sample-store.js";
import { divided, type Listed } from "../splitting/divide.js";
import { findLeaks, leakWarnings, withoutLeaks } from "../splitting/leaks.js";
import { type SplitName, splitNames } from "../splitting/split-names.js";
import { checkSplitOptions, type SplitOptions } from "../splitting/stratified.js";
import { archiveDataset, needsNoDecoding } from "./arrays.js";
import { listingWithPatients } from "./dicom-patients.js";
import { tableIn } from "./folder-table.js";
import { readableImages } from "./image-files.js";
import { howToGet } from "./medmnist/files.js";
import { type Opening, openingRows } from "./opening.js";
import {
  type Archive,
  type ImageEntry,
  type Listing,
  listed,
  type Source,
  type SourceOptions,
} from "./source.js";

const isFile = (found: Stats, path: string, ending: string): boolean =>
  found.isFile() && extname(path).toLowerCase() === ending;

const sources: readonly Source[] = [
  {
    name: "a MedMNIST .npz file",
    recognizes: (path, found) => isFile(found, path, ".npz"),
    open: async (path, options) => (await import("./archive.js")).readArchive(path, options),
  },
  {
    name: "a folder of class folders, or with a table of its images",
    recognizes: (_, found) => found.isDirectory(),
    async open(path, options) {
      const table = await tableIn(path);
      if (table === undefined) return (await import("./folder.js")).listFolder(path, options);
      options.onWarning(`${path}: its images are those of the table ${basename(table)} in it.`);
      return (await import("./manifest.js")).listManifest(table, options);
    },
  },
  {
    name: "a .csv file",
    recognizes: (path, found) => isFile(found, path, ".csv"),
    open: async (path, options) => (await import("./manifest.js")).listManifest(path, options),
  },
];

/** How `openDataset` reads and divides images. */
export interface OpenDatasetOptions extends Partial<SplitOptions>, Opening {
  /** How images become the network's input; 224 pixels and 3 channels unless told. */
  readonly preprocessing?: Partial<Preprocessing>;
  /** Read and check only this split; the other two come back empty. */
  readonly split?: SplitName;
  /** The classes and their order, such as a checkpoint's; found out from the data unless given. */
  readonly classes?: readonly string[];
  /**
   * What is kept of what was decoded, over all splits: "off", memory as "2GB" or "25%" of what is free, or a folder, "./cache" or
   * "./cache:50GB"; "25%" unless told. A folder serves later processes, too; it holds the images, and no names.
   */
  readonly cache?: string | undefined;
  /** Memory for it in bytes, in place of what `cache` says. */
  readonly cacheBytes?: number | undefined;
  /**
   * What is done about patients with images in two splits, and about images of one split that are identical to images of
   * another: "warn" (default), or "remove", which refuses the former and leaves the latter out of train.
   */
  readonly leaks?: "warn" | "remove";
  /**
   * Decode every image once, compare all, and leave out what cannot be read; true unless told. What cannot be read is an error
   * of its `sample` otherwise.
   */
  readonly check?: boolean;
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
export interface OpenedDataset<D extends LabelledImages = Dataset> extends Readonly<Record<SplitName, D>> {
  /** To learn from. */
  readonly train: D;
  /** To choose the best epoch by. */
  readonly val: D;
  /** To judge by, once. */
  readonly test: D;
  /** Names of the classes, in the order of the labels. */
  readonly classes: readonly string[];
}

/**
 * Opens a data set for training or evaluation.
 *
 * `location`, a path or a `file:` URL, is a MedMNIST archive (`.npz`), a folder of class folders, with or without `train`, `val` (or `valid`,
 * `validation`) and `test` above them, or a CSV manifest. What the source does not divide is divided by `seed`, class
 * by class: 70 % train, 15 % val, 15 % test; a missing val or test is drawn from train, with a warning. Where patients
 * are known, none has images in two of the splits that are drawn.
 *
 * Images that cannot be read are named in a warning each and left out.
 *
 * @throws DataError naming the file and what is wrong, and if more than 1 % of the images cannot be read
 */
export function openDataset(
  location: Path,
  options: OpenDatasetOptions & { readonly task: "multi-label" },
): Promise<OpenedDataset<MultiLabelDataset>>;
/** The same where each image has one class. */
export function openDataset(
  location: Path,
  options?: OpenDatasetOptions & { readonly task?: Exclude<TaskName, "multi-label"> },
): Promise<OpenedDataset>;
/** The same, whatever the task. */
export function openDataset(
  location: Path,
  options: OpenDatasetOptions,
): Promise<OpenedDataset<LabelledImages>>;
export async function openDataset(
  location: Path,
  options: OpenDatasetOptions = {},
): Promise<OpenedDataset<LabelledImages>> {
  const path = pathOf("openDataset", location);
  expectOptions(options);
  const { seed = 0, validationFraction = 0.15, testFraction = 0.15, split } = options;
  const { onWarning = () => {}, onProgress = () => {}, signal, maxPixels } = options;
  const { keepTogether = true, check = true, leaks: onLeaks = "warn" } = options;
  const division = { seed, validationFraction, testFraction, keepTogether };
  checkSplitOptions(division);
  if (options.classes && new Set(options.classes).size !== options.classes.length) {
    throw new ArgumentError(`openDataset: classes [${options.classes.join(", ")}] names one class twice.`);
  }
  const preprocessing = definePreprocessing(options.preprocessing);
  const opening = complete("openDataset", openingRows, pick(openingRows, options));
  const { cache } = complete("openDataset", cacheRows, pick(cacheRows, options));
  const { bytes, folder, folderBytes } = cachePlan(cache);
  if (folder !== undefined) expectOutside(path, folder);
  const budget = new MemoryBudget(options.cacheBytes ?? bytes);
  const source = await sourceOf(path);
  const { task: asked, labels, groups, frames } = opening;
  const opened = await source.open(path, {
    classes: options.classes,
    task: asked,
    labels,
    groups,
    split,
    onWarning,
    signal,
  });
  const task = taskFrom(path, opened, asked);
  const { classes } = opened;
  let parts: Partial<Record<SplitName, LabelledImages>>;
  if ("arrays" in opened) {
    const whole = archiveSplits(path, { ...opened, task }, preprocessing, budget);
    parts = divideArchive(path, whole, division, { split, onWarning });
  } else {
    const listing = await listingWithPatients(path, opened, onWarning);
    const keyOf = ({ file, frame = 0 }: ImageEntry) =>
      `${relative(path, file).split(sep).join("/")} ${frame}`;
    const entries = divide(path, listing, division, { split, onWarning, keyOf });
    const { attributes } = opened;
    const store =
      folder === undefined ? undefined : await SampleStore.open(folder, { bytes: folderBytes, onWarning });
    const reading = {
      preprocessing,
      classes,
      task,
      attributes,
      check,
      frames,
      budget,
      store,
      onWarning,
      onProgress,
      signal,
      maxPixels,
    };
    parts = await readableImages(path, entries, reading);
  }
  for (const name of splitNames) warnOfMissingClasses(path, name, parts[name], onWarning);
  if (split === undefined && check) {
    const leaks = await findLeaks(parts, signal);
    if (onLeaks === "remove") parts = withoutLeaks(path, leaks, parts, onWarning);
    else for (const sentence of leakWarnings(path, leaks, parts)) onWarning(sentence);
  }
  const some = parts.train ?? parts.val ?? parts.test;
  if (!some) throw new DataError(`${path} has no images.`);
  const empty = subset(some, []);
  return { train: parts.train ?? empty, val: parts.val ?? empty, test: parts.test ?? empty, classes };
}

/**
 * The files of a data set with their labels, none of them opened.
 *
 * @throws DataError naming the file and what is wrong, and for an archive, whose images are no files
 */
export async function listImages(
  path: string,
  options: Pick<OpenDatasetOptions, "classes" | "task" | "labels" | "groups" | "onWarning" | "signal">,
): Promise<Listing> {
  const { classes, task, labels, groups, onWarning = () => {}, signal } = options;
  const source = await sourceOf(path);
  const asked = { classes, task, labels, groups, split: undefined, onWarning, signal };
  const opened = await source.open(path, asked);
  if ("arrays" in opened)
    throw new DataError(`${path} is an archive, whose images are no files that a table could name.`);
  const listing = await listingWithPatients(path, opened, onWarning);
  return { ...listing, task: taskFrom(path, opened, task) };
}

/** @throws ArgumentError if decoded images would be kept among those of the data set, where the next opening would find them */
function expectOutside(path: string, folder: string): void {
  const way = relative(resolve(path), resolve(folder));
  if (way.startsWith("..") || isAbsolute(way)) return;
  throw new ArgumentError(
    `openDataset: cache ${folder} is in the data set ${path}: choose a folder beside it.`,
  );
}

/** @throws DataError if the labels are of another kind than the one that is asked for */
function taskFrom(
  path: string,
  opened: Listing | Archive,
  asked: TaskName | undefined,
): TaskName | undefined {
  const several = opened.task === "multi-label";
  if (several && asked !== "multi-label")
    throw new DataError(`${path} has several labels an image: ask for the task multi-label.`);
  if (!several && asked === "multi-label")
    throw new DataError(`${path} has one class an image, which is no multi-label task.`);
  if (asked === "binary" && opened.classes.length !== 2)
    throw new DataError(`${path} has ${opened.classes.length} classes, and the task binary is of two.`);
  return asked ?? opened.task;
}

const optionNames: NamesOf<OpenDatasetOptions> = {
  preprocessing: true,
  split: true,
  classes: true,
  task: true,
  labels: true,
  groups: true,
  frames: true,
  cache: true,
  cacheBytes: true,
  keepTogether: true,
  check: true,
  leaks: true,
  maxPixels: true,
  onWarning: true,
  onProgress: true,
  signal: true,
  validationFraction: true,
  testFraction: true,
  seed: true,
};

/** @throws ArgumentError for an option of another kind, and for an unknown name, with the nearest one */
function expectOptions(options: OpenDatasetOptions): void {
  const operation = "openDataset";
  const {
    seed = 0,
    split,
    classes,
    cacheBytes = 0,
    keepTogether = true,
    check = true,
    leaks = "warn",
    maxPixels,
    onWarning,
    onProgress,
    signal,
  } = optionsOf(operation, options, optionNames);
  expectCounts(operation, { seed }, 0);
  expectNumbers(operation, { cacheBytes });
  expectFlags(operation, { keepTogether, check });
  if (leaks !== "warn" && leaks !== "remove")
    throw new ArgumentError(`${operation}: leaks ${inWords(leaks)} is neither "warn" nor "remove".`);
  if (maxPixels !== undefined) checkedMaxPixels("openDataset: maxPixels", maxPixels);
  if (classes !== undefined) expectTexts(operation, "classes", classes);
  if (split !== undefined && !splitNames.includes(split))
    throw new ArgumentError(
      `${operation}: there is no split ${inWords(split)}: choose from ${splitNames.join(", ")}.`,
    );
  for (const [name, callback] of Object.entries({ onWarning, onProgress }))
    if (callback !== undefined) expectFunction(operation, callback, name);
  expectSignal(operation, signal);
}

async function sourceOf(path: string): Promise<Source> {
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
    const advice = error.code === "ENOENT" ? howToGet(path) : undefined;
    const problem = error.code === "ENOENT" ? "does not exist" : `cannot be opened: ${error.message}`;
    throw new DataError(`${path} ${problem}${advice ? `; ${advice}` : ""}.`, { cause: error });
  });
  const source = sources.find(({ recognizes }) => recognizes(path, found));
  if (source) return source;
  const names = sources.map(({ name }) => name);
  throw new DataError(`${path} is not a data set: expected ${listed(names, "or")}.`);
}

/** The splits of an archive as data sets. Samples are remembered where they are more than a copy of the array. */
function archiveSplits(
  path: string,
  { classes, task, arrays }: Archive,
  preprocessing: Preprocessing,
  budget: MemoryBudget,
): Partial<Record<SplitName, LabelledImages>> {
  const parts: Partial<Record<SplitName, LabelledImages>> = {};
  for (const [split, { pixels, labels }] of Object.entries(arrays)) {
    const name = (index: number): string => `${path} ${split}_images[${index}]`;
    const dataset = archiveDataset(pixels, { labels, classes, task, preprocessing, name });
    parts[split as SplitName] = needsNoDecoding(pixels, preprocessing) ? dataset : cached(dataset, budget);
  }
  return parts;
}

/** The splits of an archive that are wanted, missing ones drawn from train. */
function divideArchive(
  path: string,
  whole: Partial<Record<SplitName, LabelledImages>>,
  division: SplitOptions,
  wanted: Wanted,
): Partial<Record<SplitName, LabelledImages>> {
  const splits: Partial<Record<SplitName, (Listed & { dataset: LabelledImages; index: number })[]>> = {};
  for (const name of splitNames) {
    const dataset = whole[name];
    if (!dataset) continue;
    const entry = (_: unknown, index: number) => ({ labels: labelsAt(dataset, index), dataset, index });
    splits[name] = Array.from({ length: dataset.length }, entry);
  }
  const keyOf = ({ index }: { index: number }) => String(index);
  const parts: Partial<Record<SplitName, LabelledImages>> = {};
  for (const [name, entries] of Object.entries(divide(path, { splits }, division, { ...wanted, keyOf }))) {
    const dataset = entries[0]?.dataset;
    if (!dataset) continue;
    const indices = entries.map(({ index }) => index);
    parts[name as SplitName] = indices.length === dataset.length ? dataset : subset(dataset, indices);
  }
  return parts;
}

/** Numbers of the classes that an image has. */
function labelsAt({ task, labels, classes }: LabelledImages, index: number): readonly number[] {
  if (task !== "multi-label") return [labels[index] ?? 0];
  return classes.map((_, label) => label).filter((label) => labels[index * classes.length + label] === 1);
}

type Wanted = Pick<SourceOptions, "split" | "onWarning">;

/** The entries of the splits that are wanted, missing ones drawn from train. */
function divide<Entry extends Listed>(
  path: string,
  { splits, undivided }: { splits: Partial<Record<SplitName, Entry[]>>; undivided?: Entry[] | undefined },
  division: SplitOptions,
  { split, onWarning, keyOf }: Wanted & { keyOf: (entry: Entry) => string },
): Partial<Record<SplitName, Entry[]>> {
  const wanted = split ? [split] : splitNames;
  let parts: Partial<Record<SplitName, Entry[]>> = splits;
  if (undivided) {
    parts = divided(undivided, division, keyOf);
  } else if (splits.train) {
    const drawing = {
      ...division,
      validationFraction: splits.val ? 0 : division.validationFraction,
      testFraction: splits.test ? 0 : division.testFraction,
    };
    const drawn = divided(splits.train, drawing, keyOf);
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
    else if (name === "train" || name === split)
      throw new DataError(`${path} has no ${name} images: choose another split.`, { split: name });
  }
  return result;
}

function warnOfMissingClasses(
  path: string,
  split: SplitName,
  dataset: LabelledImages | undefined,
  onWarning: (message: string) => void,
): void {
  if (!dataset) return;
  const missing = dataset.classes.filter((_, label) => countLabels(dataset)[label] === 0);
  if (missing.length > 0) onWarning(`${path}: ${split} has no images of ${missing.join(", ")}.`);
}
