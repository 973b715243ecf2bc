/**
 * Finding image files: what is one by its name, or of DICOM by its content, and which files are below a folder. Training
 * and predicting both find them here, so that a folder holds the same images for both.
 */
import type { Dirent, Stats } from "node:fs";
import { lstat, readdir, realpath, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { imageEnding } from "../decoding/decoder.js";
import { companionsAmong } from "./companions.js";
import { type FileWithoutPicture, type FoundDicom, findDicom, isNamedDicom } from "./dicom-files.js";

/** Whether a file is taken for an image by the ending of its name. */
export function isImageFile(name: string): boolean {
  return imageEnding(name) !== undefined;
}

/** What operating systems and network storage put beside images: previews, waste, and other programs' notes. */
const litter = [
  "thumbs.db",
  "desktop.ini",
  "__macosx",
  "@eadir",
  "#recycle",
  "@recycle",
  "$recycle.bin",
  "lost+found",
  "system volume information",
];

/** Whether files and folders of this name are passed over: hidden ones, and what nobody put there on purpose. */
const isPassedOver = (name: string): boolean => name.startsWith(".") || litter.includes(name.toLowerCase());

/** Names in the order of their code units, which no locale changes; whole numbers by value. */
export function sortedNames(names: Iterable<string>): string[] {
  const sorted = [...new Set(names)].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  return sorted.every((name) => /^\d+$/.test(name)) ? sorted.sort((a, b) => Number(a) - Number(b)) : sorted;
}

/** What there is below a folder, images and what is not to be taken for them. */
export interface FoundFiles {
  readonly images: readonly string[];
  /** Images by name that were made of others, such as `x_mask.png` beside `x.png`. */
  readonly companions: readonly string[];
  /** DICOM files that have no picture, such as DICOMDIR and reports. */
  readonly withoutPicture: readonly FileWithoutPicture[];
  /** Files that are no images by name, and not DICOM. */
  readonly others: readonly string[];
  /** Files whose names are not UTF-8, so that they cannot be opened by them. */
  readonly unnameable: readonly string[];
}

/** The files below a folder at any depth, sorted, told apart: the one rule for training and for prediction. */
export async function searchFolder(folder: string): Promise<FoundFiles> {
  const files = await filesBelow(folder);
  const unnameable = new Set<string>();
  for (const file of files) if (await isUnnameable(file)) unnameable.add(file);
  const named = files.filter((file) => !unnameable.has(file));
  const { pictures, dicom } = await picturesAmong(named);
  const companions = companionsAmong(pictures, folder);
  const without = new Set(dicom.withoutPicture.map(({ file }) => file));
  return {
    images: pictures.filter((file) => !companions.has(file)),
    companions: [...companions],
    withoutPicture: dicom.withoutPicture,
    others: named.filter((file) => !isImageFile(file) && !dicom.pictures.has(file) && !without.has(file)),
    unnameable: [...unnameable],
  };
}

/** Those of some files that are pictures, in their order, and what was found out about those that may be DICOM. */
export async function picturesAmong(
  files: readonly string[],
): Promise<{ readonly pictures: string[]; readonly dicom: FoundDicom }> {
  const dicom = await findDicom(files.filter((file) => !isImageFile(file) || isNamedDicom(file)));
  const isPicture = (file: string) => dicom.pictures.has(file) || (isImageFile(file) && !isNamedDicom(file));
  return { pictures: files.filter(isPicture), dicom };
}

/** Node writes U+FFFD for bytes that are not UTF-8, and then does not find the file. */
async function isUnnameable(path: string): Promise<boolean> {
  return path.includes("\uFFFD") && (await lstat(path).catch(() => undefined)) === undefined;
}

/**
 * The files below a folder at any depth, sorted. Linked folders are followed, each folder once however many links lead
 * to it: links in a circle end, and no image comes twice. A link to what the folder itself lies in is not followed: it would
 * bring what lies beside the folder, other classes say.
 */
export async function filesBelow(folder: string): Promise<string[]> {
  const files: string[] = [];
  const visited = new Set<string>(foldersAbove(await realpath(folder).catch(() => folder)));
  const folders = [folder];
  const linked: string[] = []; // after all that lie here by themselves, so that those keep their own names
  for (let next = folders.pop(); next !== undefined; next = folders.pop() ?? linked.shift()) {
    if (await isUnnameable(next)) {
      files.push(next);
      continue;
    }
    const place = await realpath(next);
    if (visited.has(place)) continue;
    visited.add(place);
    const links: string[] = [];
    for (const entry of await entriesOf(next)) {
      const path = join(next, entry.name);
      if (entry.isDirectory()) folders.push(path);
      else if (entry.isFile()) files.push(path);
      else if (entry.isSymbolicLink()) links.push(path);
    }
    for (const path of sortedNames(links)) {
      // A link that leads nowhere is a file that cannot be read, which is said where it is read.
      const target = await stat(path).catch(() => undefined);
      if (target?.isDirectory()) linked.push(path);
      else if (!target || target.isFile()) files.push(path);
    }
  }
  return sortedNames(files);
}

function foldersAbove(path: string): string[] {
  const above = dirname(path);
  return above === path ? [] : [above, ...foldersAbove(above)];
}

/** Names of the folders in a folder, linked ones included, sorted. */
export async function foldersIn(folder: string): Promise<string[]> {
  const names: string[] = [];
  for (const entry of await entriesOf(folder)) {
    const { name } = entry;
    const target: Dirent | Stats = entry.isSymbolicLink()
      ? await stat(join(folder, name)).catch(() => entry)
      : entry;
    if (target.isDirectory()) names.push(name);
  }
  return sortedNames(names);
}

/** Names of the files right in a folder, linked ones included, sorted. */
export async function filesIn(folder: string): Promise<string[]> {
  const names: string[] = [];
  for (const entry of await entriesOf(folder)) {
    const target = entry.isSymbolicLink()
      ? await stat(join(folder, entry.name)).catch(() => undefined)
      : entry;
    if (target?.isFile()) names.push(entry.name);
  }
  return sortedNames(names);
}

async function entriesOf(folder: string): Promise<Dirent[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  return entries.filter(({ name }) => !isPassedOver(name));
}
