/** Names and addresses of MedMNIST's files: the set and the size that a name tells, and the other way round. */
import { basename } from "node:path";
import { type MedMnistName, type MedMnistSet, type MedMnistSize, medMnist, medMnistSizes } from "./table.js";

/** Where the files are published. */
export const published = "https://zenodo.org/records/10519652/files/";

/** "pneumoniamnist_64.npz"; of 28 pixels "pneumoniamnist.npz". */
export function medMnistFile(name: MedMnistName, size: MedMnistSize): string {
  return size === 28 ? `${name}.npz` : `${name}_${size}.npz`;
}

/** The set that a path names, whether there is such a file or not: "data/pneumoniamnist_64.npz", "pneumoniamnist". */
export function medMnistOf(
  path: string,
): { name: MedMnistName; size: MedMnistSize; set: MedMnistSet } | undefined {
  const [, name = "", digits] = /^([a-z]+)(?:_(\d+))?(?:\.npz)?$/.exec(basename(path).toLowerCase()) ?? [];
  const size = medMnistSizes.find((known) => known === Number(digits ?? 28));
  if (!Object.hasOwn(medMnist, name) || size === undefined) return undefined;
  return { name: name as MedMnistName, size, set: medMnist[name as MedMnistName] };
}

/** What to do where a path names a set and nothing is there: a sentence without its end; undefined for other paths. */
export function howToGet(path: string): string | undefined {
  const found = medMnistOf(path);
  if (!found) return undefined;
  const size = found.size === 28 ? "" : ` --size ${found.size}`;
  return `\`medmamba download ${found.name}${size}\` gets it as ${medMnistFile(found.name, found.size)}`;
}
