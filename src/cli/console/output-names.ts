/**
 * Names of files that are made of images: the name that the image has, and eight digits of a hash of its path, so that images of one
 * name in two folders, or of two processes that write into one folder, never take each other's, and a run that goes on finds its own.
 */
import { createHash, randomBytes } from "node:crypto";
import { rm, stat, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { imageEnding } from "../../data/decoding/decoder.js";
import { renameFile } from "../../files/held-files.js";
import { CommandError } from "./failure.js";

const longestStem = 100; // characters; file systems take 255 bytes

/** "IM000121-3fa2b1c0", "volume-3fa2b1c0-frame-7" */
export function outputName(file: string, frame?: number): string {
  const name = basename(file);
  const ending = imageEnding(name) ?? /(?<=.)\.[^.]*$/.exec(name)?.[0] ?? "";
  const stem = [...name.slice(0, name.length - ending.length)].slice(0, longestStem).join("");
  const digits = createHash("sha256").update(file).digest("hex").slice(0, 8);
  return `${stem || "image"}-${digits}${frame === undefined ? "" : `-frame-${frame}`}`;
}

/** Places files of a run in a folder, each whole or not at all, and none in the place of what was there before unless told. */
export class OutputFiles {
  readonly #written = new Set<string>();
  readonly #folder: string;
  readonly #option: string;
  readonly #mayReplace: boolean;

  /**
   * @param option      by which the folder was named, for messages
   * @param mayReplace  whether files that are there already are replaced
   */
  constructor(folder: string, option: string, mayReplace: boolean) {
    this.#folder = folder;
    this.#option = option;
    this.#mayReplace = mayReplace;
  }

  /** @throws CommandError if there is such a file, of another run or of somebody else */
  async place(name: string, bytes: Uint8Array): Promise<string> {
    const path = join(this.#folder, name);
    if (!this.#mayReplace && !this.#written.has(path) && (await stat(path).catch(() => undefined)))
      throw new CommandError(
        `${path} is there already: choose another folder with ${this.#option}, or add --overwrite to replace it.`,
      );
    const temporary = join(dirname(path), `.${randomBytes(6).toString("hex")}.tmp`);
    try {
      await writeFile(temporary, bytes, { flag: "wx" });
      await renameFile(temporary, path);
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => undefined);
      throw error;
    }
    this.#written.add(path);
    return path;
  }
}
