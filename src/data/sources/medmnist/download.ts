/** Getting a set of MedMNIST from where it is published, or from a mirror. */
import { mkdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { ArgumentError, DataError } from "../../../errors.js";
import { fetchFile, md5OfFile, RemoteFileError } from "../../../files/remote-file.js";
import {
  expectFlags,
  expectFunction,
  expectSignal,
  expectText,
  inWords,
  type NamesOf,
  optionsOf,
} from "../../../settings/given.js";
import { nearest } from "../../../settings/nearest.js";
import { type Path, pathOf } from "../../../settings/paths.js";
import { medMnistFile, published } from "./files.js";
import { type MedMnistName, type MedMnistSize, medMnist, medMnistNames, medMnistSizes } from "./table.js";

/** What to get, and where to. */
export interface DownloadOptions {
  /** Side of the images in pixels: 28 (default), 64, 128 or 224. */
  readonly size?: MedMnistSize | undefined;
  /** Folder for the file; made if it is missing; default the current one. */
  readonly directory?: Path | undefined;
  /** Replace a file that is there and is not as published; default false. */
  readonly overwrite?: boolean | undefined;
  /** Address of a folder with the files, such as a mirror in a hospital's network; where they are published unless given. */
  readonly from?: string | undefined;
  /** Called while bytes come, with those that are there and in all, where the server says that. */
  readonly onProgress?: ((progress: { bytes: number; total: number | undefined }) => void) | undefined;
  /** Stops with its reason when aborted; what has come stays for the next time. */
  readonly signal?: AbortSignal | undefined;
}

const optionNames: NamesOf<DownloadOptions> = {
  size: true,
  directory: true,
  overwrite: true,
  from: true,
  onProgress: true,
  signal: true,
};

/** A file that is there as published. */
export interface Download {
  /** Where it is. */
  readonly path: string;
  /** Of the set. */
  readonly name: MedMnistName;
  /** Side of its images in pixels. */
  readonly size: MedMnistSize;
  /** Of the file. */
  readonly bytes: number;
  /** As it is and as it was published. */
  readonly md5: string;
  /** Whether it was there before. */
  readonly already: boolean;
}

/**
 * Gets a set of MedMNIST as an `.npz` file that `openDataset` reads. The file is there only when it is whole and its MD5 is
 * the published one; what was interrupted goes on.
 *
 * @param name  such as "pneumoniamnist"
 * @throws ArgumentError if there is no such set or size; DataError if the file cannot be had, with its public address, is not
 *   as published, or something else is in its place
 */
export async function download(name: string, options: DownloadOptions = {}): Promise<Download> {
  const {
    size = 28,
    overwrite = false,
    from = published,
    ...given
  } = optionsOf("download", options, optionNames);
  const { onProgress, signal } = given;
  const directory = pathOf(
    "download",
    given.directory === undefined ? "." : given.directory,
    "the directory",
  );
  expectSet(name, size);
  expectFlags("download", { overwrite });
  expectText("download", "from", from);
  if (onProgress !== undefined) expectFunction("download", onProgress, "onProgress");
  expectSignal("download", signal);
  const file = medMnistFile(name, size);
  const url = addressOf(file, from);
  const path = join(directory, file);
  const md5 = medMnist[name].md5[size];
  const result = { path, name, size, md5 };
  const present = await stat(path).catch(() => undefined);
  if (present) {
    if (present.isFile() && (await md5OfFile(path, signal)) === md5)
      return { ...result, bytes: present.size, already: true };
    if (!overwrite || !present.isFile()) {
      throw new DataError(
        `${path} is there, but not as it is published (its MD5 is not ${md5}): move it away, or replace it by --overwrite (in a program, overwrite: true).`,
      );
    }
  }
  await mkdir(directory, { recursive: true }).catch((cause: Error) => {
    throw new DataError(`${directory} cannot be made: ${cause.message}.`, { cause });
  });
  const bytes = await fetchFile({ url, path, md5, onProgress, signal }).catch((error: unknown) => {
    if (!(error instanceof RemoteFileError)) throw error;
    const kept = error.kept > 0 ? " What has come is kept: the same command goes on." : "";
    throw new DataError(
      `${file} could not be downloaded: ${error.message}. It is public at ${addressOf(file, published)}: where that cannot be reached, bring it from elsewhere and put it at ${path}.${kept}`,
      { cause: error },
    );
  });
  return { ...result, bytes, already: false };
}

function expectSet(name: string, size: number): asserts name is MedMnistName {
  expectText("download", "the name of the set", name);
  if (!Object.hasOwn(medMnist, name)) {
    const similar = nearest(name, medMnistNames);
    const advice = similar ? `did you mean ${similar}?` : `choose from ${medMnistNames.join(", ")}.`;
    throw new ArgumentError(`download: there is no set "${name}" in MedMNIST; ${advice}`);
  }
  if (!medMnistSizes.some((known) => known === size))
    throw new ArgumentError(`download: size ${inWords(size)} is not one of ${medMnistSizes.join(", ")}.`);
}

function addressOf(file: string, from: string): string {
  try {
    const address = new URL(file, from.endsWith("/") ? from : `${from}/`);
    if (/^https?:$/.test(address.protocol))
      return from === published ? `${address}?download=1` : `${address}`;
  } catch {
    // Said below.
  }
  throw new ArgumentError(`download: "${from}" is no address such as https://mirror.example/medmnist/.`);
}
