/**
 * Folders of images: a folder a class, either below train, val and test or to be divided by us.
 *
 *     data/train/cyst/a.png        data/cyst/a.png
 *     data/train/mass/b.png        data/mass/b.png
 *     data/test/cyst/c.png
 *
 * Class folders may have folders of their own (one a patient, say). Classes are numbered in the order of their names.
 */
import { extname, join } from "node:path";
import { DataError } from "../../errors.js";
import { imageExtensions } from "../decoding/decoder.js";
import { parseSplitName, type SplitName } from "../splitting/split-names.js";
import {
  expectSeveralClasses,
  type ImageEntry,
  type Listing,
  type SourceOptions,
  unknownLabel,
} from "./source.js";
import { filesBelow, foldersIn, isImageFile, sortedNames } from "./walk.js";

const layouts =
  "expected a folder for each class (path/CLASS/image.png), or train, val and test folders with a folder for each class";

export async function listFolder(path: string, options: SourceOptions): Promise<Listing> {
  const folders = await foldersIn(path);
  const splitFolders = findSplitFolders(path, folders, options.onWarning);
  if (splitFolders.size === 0) {
    if (folders.length === 0) throw new DataError(`${path} has no folders in it; ${layouts}.`);
    const classes = options.classes ?? sortedNames(folders);
    expectSeveralClasses(path, classes);
    return { classes, splits: {}, undivided: await listClasses(path, folders, classes, options) };
  }

  // All splits are listed even if one is wanted: whether val and test are there decides what train is.
  if (!splitFolders.has("train") && options.split === undefined) {
    throw new DataError(
      `${path} has a ${[...splitFolders.keys()].join(" and a ")} folder but no train folder.`,
    );
  }
  const classFolders = new Map<SplitName, string[]>();
  for (const [split, folder] of splitFolders) classFolders.set(split, await foldersIn(join(path, folder)));
  const classes =
    options.classes ?? sortedNames(classFolders.get("train") ?? [...classFolders.values()].flat());
  expectSeveralClasses(join(path, splitFolders.get("train") ?? ""), classes);

  const splits: Partial<Record<SplitName, ImageEntry[]>> = {};
  for (const [split, folder] of splitFolders) {
    splits[split] = await listClasses(join(path, folder), classFolders.get(split) ?? [], classes, options);
  }
  return { classes, splits };
}

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
  { onWarning }: SourceOptions,
): Promise<ImageEntry[]> {
  if (folders.length === 0) throw new DataError(`${path} has no class folders in it; ${layouts}.`);
  const entries: ImageEntry[] = [];
  for (const folder of folders) {
    const label = classes.indexOf(folder);
    if (label < 0) throw unknownLabel({ file: join(path, folder), label: folder, classes });
    const files = await filesBelow(join(path, folder));
    const images = files.filter(isImageFile);
    const others = files.filter((file) => !isImageFile(file));
    if (images.length === 0) {
      const instead = others.length > 0 ? ` (it has files ending in ${endings(others)})` : "";
      throw new DataError(
        `${join(path, folder)} has no images${instead}; ${imageExtensions.join(" ")} are read. Fill the folder or remove it.`,
      );
    }
    if (others.length > 0) {
      const count = others.length === 1 ? "1 file" : `${others.length} files`;
      onWarning(
        `${join(path, folder)}: left out ${count} that ${others.length === 1 ? "is" : "are"} not an image by name (${endings(others)}).`,
      );
    }
    for (const file of images) entries.push({ file, label });
  }
  return entries;
}

const endings = (files: readonly string[]): string =>
  sortedNames(files.map((file) => extname(file) || "nothing")).join(" ");
