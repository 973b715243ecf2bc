/** The files that the lines of a manifest mean. */
import { access } from "node:fs/promises";
import { dirname, extname, isAbsolute, join, sep } from "node:path";
import { imageExtensions } from "../decoding/decoder.js";

/** A file, which need not be there, or what is wrong with the path. */
export type FoundFile = { readonly file: string } | { readonly problem: string };

/**
 * The file that a path means. Where there is none of that very name, backslashes are taken for the separators of a table
 * that Windows wrote, composed letters for the same ones in several characters, and the other way round, and a name without
 * an ending for the only image of that name.
 */
export async function findFile(manifest: string, path: string): Promise<FoundFile> {
  const resolve = (name: string): string => (isAbsolute(name) ? name : join(dirname(manifest), name));
  const isPlain = /^[\x20-\x7e]*$/.test(path) && (sep === "\\" || !path.includes("\\"));
  const isPlace = sep === "\\" || !/^[a-z]:/i.test(path);
  if (isPlain && isPlace) return { file: await withEnding(resolve(path)) };
  const spellings = [path, path.replaceAll("\\", "/")];
  for (const form of [undefined, "NFC", "NFD"]) {
    for (const name of spellings) {
      const file = await withEnding(resolve(form ? name.normalize(form) : name));
      if (await exists(file)) return { file };
    }
  }
  if (sep !== "\\" && /^([a-z]:[\\/]|\\\\)/i.test(path)) {
    return {
      problem: `"${path}" is a place on a Windows computer and not on this one: write paths that begin at the folder of the table`,
    };
  }
  return { file: resolve(path.replaceAll("\\", "/")) };
}

/** Files without an ending are looked for as they are first: those of DICOM often have none. */
async function withEnding(file: string): Promise<string> {
  if (extname(file) !== "" || (await exists(file))) return file;
  const found: string[] = [];
  for (const ending of imageExtensions) if (await exists(file + ending)) found.push(file + ending);
  const [only] = found;
  return only !== undefined && found.length === 1 ? only : file;
}

const exists = (file: string): Promise<boolean> =>
  access(file).then(
    () => true,
    () => false,
  );
