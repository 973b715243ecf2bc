/**
 * Finding image files: what is one by its name, and which files are below a folder. Training and predicting both find
 * them here, so that a folder holds the same images for both.
 */
import type { Dirent, Stats } from "node:fs";
import { readdir, realpath, stat } from "node:fs/promises";
import { extname, join } from "node:path";
import { imageExtensions } from "../decoding/decoder.js";

/** Whether a file is taken for an image by the ending of its name. */
export function isImageFile(name: string): boolean {
  return imageExtensions.includes(extname(name).toLowerCase());
}

/** What operating systems and network storage put beside images: previews, and other programs' notes. */
const litter = ["thumbs.db", "__macosx", "@eadir"];

/** Whether files and folders of this name are passed over: hidden ones, and what nobody put there on purpose. */
const isPassedOver = (name: string): boolean => name.startsWith(".") || litter.includes(name.toLowerCase());

/** Names in the order of their code units, which no locale changes; whole numbers by value. */
export function sortedNames(names: Iterable<string>): string[] {
  const sorted = [...new Set(names)].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  return sorted.every((name) => /^\d+$/.test(name)) ? sorted.sort((a, b) => Number(a) - Number(b)) : sorted;
}

/**
 * The files below a folder at any depth, sorted. Linked folders are followed, each folder once however many links lead
 * to it: links in a circle end, and no image comes twice.
 */
export async function filesBelow(folder: string): Promise<string[]> {
  const files: string[] = [];
  const visited = new Set<string>();
  const folders = [folder];
  const linked: string[] = []; // after all that lie here by themselves, so that those keep their own names
  for (let next = folders.pop(); next !== undefined; next = folders.pop() ?? linked.shift()) {
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

async function entriesOf(folder: string): Promise<Dirent[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  return entries.filter(({ name }) => !isPassedOver(name));
}
