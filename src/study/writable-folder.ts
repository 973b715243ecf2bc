/** A folder for results, made and tried before the work that they come of: it would be lost where they cannot be written. */
import { randomBytes } from "node:crypto";
import { mkdir, rm, rmdir, stat, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { StudyError } from "../errors.js";
import { weightsError } from "../weights/file-errors.js";

/** A folder that can be written to. */
export interface WritableFolder {
  /** Removes it where it was made for nothing, and those above it that were made for it. */
  removeEmpty(): Promise<void>;
}

/**
 * Makes a folder if need be, and tries whether files can be written there.
 *
 * @param option  by which another one is chosen, for the message
 * @throws StudyError naming the folder that cannot be written to
 */
export async function writableFolder(directory: string, option: string): Promise<WritableFolder> {
  const refuse = (path: string, cause: unknown): never => {
    const reason = weightsError(path, cause).message.replace(/\.$/, "");
    throw new StudyError(`nothing can be written to ${reason}: choose another folder with ${option}.`, {
      cause,
    });
  };
  // One by one: where a folder cannot be made in one that is there, Node's way of making all says ENOENT, or never ends.
  let made: string | undefined;
  const missing = await missingFolders(directory);
  for (const folder of missing) {
    await mkdir(folder).catch((error: NodeJS.ErrnoException) => {
      if (error.code === "EEXIST") return;
      refuse(error.code === "ENOENT" ? dirname(folder) : folder, error);
    });
    made ??= folder;
  }
  const trial = join(directory, `.${process.pid}.${randomBytes(6).toString("hex")}.tmp`);
  try {
    await writeFile(trial, "");
    await rm(trial, { force: true });
  } catch (error) {
    refuse(directory, error);
  }
  return { removeEmpty: () => removeEmpty(directory, made) };
}

/** The folders on the way to one that are not there, uppermost first. */
async function missingFolders(path: string): Promise<string[]> {
  const missing: string[] = [];
  for (let folder = resolve(path); dirname(folder) !== folder; folder = dirname(folder)) {
    if (await stat(folder).catch(() => undefined)) break;
    missing.unshift(folder);
  }
  return missing;
}

async function removeEmpty(directory: string, made: string | undefined): Promise<void> {
  if (made === undefined) return;
  const uppermost = resolve(made);
  for (let folder = resolve(directory); folder.length >= uppermost.length; folder = dirname(folder)) {
    const removed = await rmdir(folder).then(
      () => true,
      () => false,
    );
    if (!removed) return;
  }
}
