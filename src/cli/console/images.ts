/** Image files that are named on the command line. */
import { stat } from "node:fs/promises";
import { imageExtensions } from "../../data/index.js";
import { searchFolder } from "../../data/sources/walk.js";
import { CommandError } from "./failure.js";

/**
 * The images that arguments stand for: a folder for those in it and below; what is not there stands for itself, and fails when
 * it is read.
 *
 * @throws CommandError for a folder without images
 */
export async function expandImages(paths: readonly string[]): Promise<string[]> {
  return (await Promise.all(paths.map(expand))).flat();
}

async function expand(path: string): Promise<readonly string[]> {
  const found = await stat(path).catch(() => undefined);
  if (!found?.isDirectory()) return [path];
  const { images } = await searchFolder(path);
  if (images.length === 0)
    throw new CommandError(`${path} has no images in it; ${imageExtensions.join(" ")} are read.`);
  return images;
}
