/** Finding the table that says what the images of a folder are, as those of DICOM files often have one beside them. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { DataError } from "../../errors.js";
import { listed } from "./source.js";

/**
 * The table in a folder, by its ending and a column `path`, if there is one.
 *
 * @throws DataError if there are several
 */
export async function tableIn(folder: string): Promise<string | undefined> {
  const names = await readdir(folder);
  const found: string[] = [];
  for (const name of names.filter((name) => /^[^.].*\.csv$/i.test(name)).sort()) {
    if (await hasPaths(join(folder, name))) found.push(name);
  }
  if (found.length > 1)
    throw new DataError(
      `${folder} has several tables of images, ${listed(found, "and")}: name the one to take.`,
    );
  return found[0] === undefined ? undefined : join(folder, found[0]);
}

async function hasPaths(table: string): Promise<boolean> {
  try {
    const { readTable } = await import("./table.js");
    for await (const { cells } of readTable(table))
      return cells.some((title) => title.toLowerCase() === "path");
  } catch {
    // It is no table of images, whatever else it is.
  }
  return false;
}
