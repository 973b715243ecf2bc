/**
 * Folders of images: a folder a class, either below train, val and test or to be divided by us.
 *
 *     data/train/cyst/a.png        data/cyst/a.png
 *     data/train/mass/b.png        data/mass/b.png
 *     data/test/cyst/c.png
 *
 * Class folders may have folders of their own (one a patient, say). Classes are numbered in the order of their names.
 */
import { basename, extname, join, relative } from "node:path";
import { DataError } from "../../errors.js";
import { imageExtensions } from "../decoding/decoder.js";
import { parseSplitName, type SplitName } from "../splitting/split-names.js";
import { isCompanionFolder } from "./companions.js";
import { type FileWithoutPicture, leftOutWithoutPicture } from "./dicom-files.js";
import {
  ambiguousClasses,
  expectSeveralClasses,
  type ImageEntry,
  type Listing,
  listed,
  type SourceOptions,
  unknownLabel,
} from "./source.js";
import { type FoundFiles, filesIn, foldersIn, picturesAmong, searchFolder, sortedNames } from "./walk.js";

const layouts =
  "expected a folder for each class (path/CLASS/image.png), or train, val and test folders with a folder for each class";

/** A folder by the name that it has, as the file system spells it, and the class that this means. */
const className = (folder: string): string => folder.normalize("NFC");

export async function listFolder(path: string, options: SourceOptions): Promise<Listing> {
  expectNoColumns(path, options);
  const folders = withoutStrangers(path, await foldersIn(path), options);
  const splitFolders = findSplitFolders(path, folders, options.onWarning);
  const leftOut = new LeftOut(path);
  if (splitFolders.size === 0) {
    if (folders.length === 0) throw await withoutFolders(path);
    if (!options.classes) await expectClasses(path, folders);
    const classes = options.classes ?? classesOf(path, folders);
    expectSeveralClasses(path, classes);
    const undivided = await listClasses(path, folders, classes, { ...options, leftOut });
    leftOut.loose.push(...(await imagesIn(path)));
    leftOut.warn(options.onWarning);
    return { classes, splits: {}, undivided };
  }

  // All splits are listed even if one is wanted: whether val and test are there decides what train is.
  if (!splitFolders.has("train") && options.split === undefined) {
    throw new DataError(
      `${path} has a ${[...splitFolders.values()].join(" and a ")} folder but no train folder: put what is to be learned into one beside.`,
    );
  }
  const classFolders = new Map<SplitName, string[]>();
  for (const [split, folder] of splitFolders) {
    const place = join(path, folder);
    classFolders.set(split, withoutStrangers(place, await foldersIn(place), options));
  }
  const [first, names] = [...classFolders].find(([split]) => split === "train") ?? ["", []];
  const classes =
    options.classes ??
    classesOf(join(path, splitFolders.get("train") ?? ""), first ? names : [...classFolders.values()].flat());
  expectSeveralClasses(join(path, splitFolders.get("train") ?? ""), classes);

  const splits: Partial<Record<SplitName, ImageEntry[]>> = {};
  for (const [split, folder] of splitFolders) {
    const place = join(path, folder);
    splits[split] = await listClasses(place, classFolders.get(split) ?? [], classes, { ...options, leftOut });
    leftOut.loose.push(...(await imagesIn(place)));
  }
  leftOut.loose.push(...(await imagesIn(path)));
  leftOut.warn(options.onWarning);
  return { classes, splits };
}

function expectNoColumns(path: string, { task, labels, groups }: SourceOptions): void {
  const asked = task === "multi-label" ? "several labels" : labels ? "columns of labels" : groups && "groups";
  if (!asked) return;
  throw new DataError(
    `${path} is a folder of class folders, which have one class an image and no columns: for ${asked}, write a table (.csv).`,
    { file: path, column: groups },
  );
}

/** What there is instead of class folders, and what to give in its place. */
async function withoutFolders(path: string): Promise<DataError> {
  const tables = (await filesIn(path)).filter((name) => extname(name).toLowerCase() === ".csv");
  const count = (await imagesIn(path)).length;
  const table =
    tables.length > 0
      ? `If ${tables[0]} says which class each image has, give ${join(path, tables[0] ?? "")}.`
      : count > 0
        ? "If it is one of several classes, give the folder above it; otherwise a .csv file with the columns path and label says which class each image has."
        : "";
  const instead = count > 0 ? `, but ${count} images` : "";
  return new DataError(`${path} has no folders in it${instead}; ${layouts}. ${table}`.trimEnd());
}

/** Names of the images right in a folder. */
async function imagesIn(path: string): Promise<string[]> {
  return (await picturesAmong((await filesIn(path)).map((name) => join(path, name)))).pictures;
}

function classesOf(path: string, folders: readonly string[]): string[] {
  const classes = sortedNames(folders.map(className));
  const alike = ambiguousClasses(classes);
  if (!alike) return classes;
  throw new DataError(
    `${path}: the folders ${alike.join(" and ")} differ in case or spaces only. Put their images into one folder, or rename one if they are two classes.`,
  );
}

/** Folders of masks and thumbnails beside the classes are none, unless somebody names them. */
function withoutStrangers(
  path: string,
  folders: readonly string[],
  { classes, onWarning }: SourceOptions,
): string[] {
  const strangers = folders.filter((name) => isCompanionFolder(name) && !classes?.includes(className(name)));
  if (strangers.length > 0) {
    onWarning(
      `${path}: left out ${strangers.join(", ")}, taken by name for masks or thumbnails of the images and not for a class.`,
    );
  }
  return folders.filter((name) => !strangers.includes(name));
}

/** @throws DataError if the folders look like the parts of a data set, each with all classes in it, and not like classes */
async function expectClasses(path: string, folders: readonly string[]): Promise<void> {
  const inside = await Promise.all(folders.map((name) => foldersIn(join(path, name))));
  const parts = inside.map((names) => names.filter((name) => !isCompanionFolder(name)));
  const [first = []] = parts;
  if (folders.length === 1 && first.length > 0) {
    let there = join(path, folders[0] ?? "");
    let inside = first;
    for (let depth = 0; inside.length === 1; ++depth) {
      const below = join(there, inside[0] ?? "");
      const next = await foldersIn(below);
      if (next.length === 0 || depth === 8) return; // Folders all the way, and then images: one class.
      [there, inside] = [below, next];
    }
    throw new DataError(
      `${path} has only one folder, ${relative(path, there)}, with ${some(inside)} in it. If those are the classes, or train and test, give ${there} instead.`,
    );
  }
  const key = (name: string): string => className(name).toLowerCase();
  const sets = parts.map((names) => new Set(names.map(key)));
  const common = first.filter((name) => sets.every((set) => set.has(key(name))));
  const all = new Set(sets.flatMap((set) => [...set]));
  // Folders of patients may be numbered in every class; only where all are the same is that no coincidence.
  const numbered = common.every((name) => /^\d+$/.test(name));
  if (folders.length < 2 || common.length < 2 || common.length < all.size * (numbered ? 1 : 0.5)) return;
  const advice = common.every(parseSplitName)
    ? `Put these above: path/train/CLASS/image.png and so on`
    : "If these are the classes, and the folders above them folds, patients or parts of the data, name those train, val and test, or put the images of each class together";
  throw new DataError(
    `${path}: all of ${some(folders)} have the same folders in them (${some(common)}), so they do not look like classes. ${advice}; if they are classes after all, write a table or put the images right into them.`,
  );
}

/** Names for a sentence, the first few of many. */
const some = (names: readonly string[]): string =>
  names.length <= 6 ? listed(names, "and") : `${names.slice(0, 5).join(", ")} and ${names.length - 5} more`;

function findSplitFolders(
  path: string,
  folders: readonly string[],
  onWarning: (message: string) => void,
): Map<SplitName, string> {
  const found = new Map<SplitName, string>();
  const others: string[] = [];
  for (const folder of folders) {
    const split = parseSplitName(folder);
    const twin = split && found.get(split);
    if (twin !== undefined)
      throw new DataError(`${path} has both ${twin} and ${folder}; keep one of the two.`);
    if (split) found.set(split, folder);
    else others.push(folder);
  }
  if (found.size > 0 && others.length > 0) {
    onWarning(
      `${path}: left out ${others.join(", ")}, because the folder is divided into ${[...found.values()].join(", ")}.`,
    );
  }
  return found;
}

async function listClasses(
  path: string,
  folders: readonly string[],
  classes: readonly string[],
  { onWarning, leftOut }: SourceOptions & { readonly leftOut: LeftOut },
): Promise<ImageEntry[]> {
  if (folders.length === 0) throw new DataError(`${path} has no class folders in it; ${layouts}.`);
  const numbers = new Map(classes.map((name, label) => [className(name), label]));
  const entries: ImageEntry[] = [];
  for (const folder of folders) {
    const label = numbers.get(className(folder));
    if (label === undefined) throw unknownLabel({ file: join(path, folder), label: folder, classes });
    const found = await searchFolder(join(path, folder));
    const { images, others } = found;
    leftOut.add(found);
    if (images.length === 0) {
      const instead = others.length > 0 ? ` (it has files ending in ${endings(others)})` : "";
      throw new DataError(
        `${join(path, folder)} has no images${instead}; ${imageExtensions.join(" ")} and DICOM files by any name are read. Fill the folder or remove it.`,
      );
    }
    if (others.length > 0) {
      const count = others.length === 1 ? "1 file" : `${others.length} files`;
      onWarning(
        `${join(path, folder)}: left out ${count} that ${others.length === 1 ? "is" : "are"} not an image by name (${endings(others)}).`,
      );
    }
    for (const file of images) entries.push({ file, labels: [label] });
  }
  return entries;
}

const endings = (files: readonly string[]): string =>
  sortedNames(files.map((file) => extname(file) || "nothing")).join(" ");

/** What of all class folders was not taken, for one warning of each kind. */
class LeftOut {
  readonly #companions: string[] = [];
  readonly #unnameable: string[] = [];
  readonly #withoutPicture: FileWithoutPicture[] = [];
  /** Images that lie beside class folders and are of no class. */
  readonly loose: string[] = [];

  constructor(private readonly path: string) {}

  add({ companions, unnameable, withoutPicture }: FoundFiles): void {
    for (const file of withoutPicture) this.#withoutPicture.push(file);
    for (const file of companions) this.#companions.push(file);
    for (const file of unnameable) this.#unnameable.push(file);
  }

  warn(onWarning: (message: string) => void): void {
    const [masks, names, { loose }] = [this.#companions, this.#unnameable, this];
    if (loose.length > 0) {
      onWarning(
        `${this.path}: left out ${loose.length} of the images, which lie beside the folders of the classes and not in one (such as ${loose[0]}).`,
      );
    }
    if (masks.length > 0) {
      onWarning(
        `${this.path}: left out ${masks.length} of the images, by name masks or thumbnails of others beside them (such as ${basename(masks[0] ?? "")}). Rename them if they are images of their own.`,
      );
    }
    if (this.#withoutPicture.length > 0) onWarning(leftOutWithoutPicture(this.path, this.#withoutPicture));
    if (names.length > 0) {
      onWarning(
        `${this.path}: left out ${names.length} files or folders whose names are not UTF-8 and cannot be opened by them (such as ${names[0]}): rename them, with convmv for example.`,
      );
    }
  }
}
