/**
 * From image files to samples at working size: whichever decoder a file is for, this is the way that training, evaluation
 * and prediction take, so that a network sees one image the same in all three.
 */
import { readFile, stat } from "node:fs/promises";
import { DataError, MedMambaError } from "../../errors.js";
import { Gate } from "../concurrency.js";
import type { Sample } from "../dataset.js";
import { definePreprocessing, type Preprocessing } from "../preprocessing.js";
import { type Decoder, loadRaster, openFrames, type Pixels } from "./decoder.js";
import { checkedMaxPixels, defaultMaxPixels, largestFile } from "./limits.js";

// libuv's pool runs the decodes; more at once than it has threads would only hold memory and starve file access.
// As libuv takes what its variable says: 4 unless it is a number, 1 at least and 1024 at most.
const threads = Number.parseInt(process.env.UV_THREADPOOL_SIZE ?? "4", 10) || 4;
const decoding = new Gate(Math.min(Math.max(threads, 1), 1024));

/** What bounds the reading of an image. */
export interface ReadImageOptions {
  /**
   * Pixels that a picture may have; 2^26, as 8192 x 8192, or MEDMAMBA_MAX_PIXELS unless told. What says that it is larger
   * is refused before it is decoded.
   */
  readonly maxPixels?: number | undefined;
}

/** Who is told what is odd about an image and no obstacle. */
export interface WarningOptions {
  /** Gets one sentence for each image of which only a part was taken. */
  readonly onWarning?: ((message: string) => void) | undefined;
}

/** That of a file with several pictures the first was taken. */
export const severalIn = (name: string, count: number): string =>
  `${name} has ${count} pages or pictures; the first is taken.`;

/** What of a file is decoded, and by whom. */
export interface DecodeOptions extends ReadImageOptions {
  /** Which picture of a file that has several, from 0; the first unless told. */
  readonly frame?: number | undefined;
  /** The decoders to choose from; all unless told. */
  readonly decoders?: readonly Decoder[];
  /** Gets the file as it was read. */
  readonly onBytes?: (bytes: Uint8Array) => void;
  /** Gets the number of pictures, where a file has several and none was chosen. */
  readonly onSeveral?: (count: number) => void;
}

/**
 * Reads one image for prediction, exactly as a data set reads its images.
 *
 * @param source  a path, or the bytes of an image file
 * @throws DataError naming the file and what is wrong with it
 */
export async function loadImage(
  source: string | Uint8Array,
  preprocessing: Partial<Preprocessing> = {},
  { maxPixels, onWarning }: ReadImageOptions & WarningOptions = {},
): Promise<Sample> {
  const name = typeof source === "string" ? source : "the image";
  const onSeveral = (count: number) => onWarning?.(severalIn(name, count));
  return decodeImage(source, definePreprocessing(preprocessing), { maxPixels, onSeveral });
}

/**
 * As `loadImage`, with preprocessing that is complete.
 *
 * @throws DataError naming the file and what is wrong with it; another error if it is not the image's fault
 */
export async function decodeImage(
  source: string | Uint8Array,
  preprocessing: Preprocessing,
  { frame: chosen, decoders, onSeveral, onBytes, maxPixels = defaultMaxPixels() }: DecodeOptions = {},
): Promise<Sample> {
  checkedMaxPixels("maxPixels", maxPixels);
  const file = typeof source === "string" ? source : undefined;
  try {
    return await decoding.run(async () => {
      const bytes = typeof source === "string" ? await readWhole(source, largestFile(maxPixels)) : source;
      onBytes?.(bytes);
      const frames = await openFrames({ bytes, file, maxPixels, reading: preprocessing }, decoders);
      if (chosen === undefined && frames.count > 1) onSeveral?.(frames.count);
      const frame = chosen ?? 0;
      if (!(frame >= 0 && frame < frames.count)) {
        throw new DataError(`there is no frame ${frame}, frames are 0 to ${frames.count - 1}`);
      }
      if (frames.sample) return await frames.sample(frame, preprocessing);
      return await (await loadRaster()).resizePixels(await frames.frame(frame), preprocessing);
    });
  } catch (error) {
    throw unreadable(file, error);
  }
}

/** A pipe would be waited for and a device never ends: only regular files of a sensible size are read. */
async function readWhole(path: string, most: number): Promise<Uint8Array> {
  const found = await stat(path);
  if (found.isDirectory()) throw new DataError("it is a directory");
  if (!found.isFile()) throw new DataError("it is not a regular file but a pipe, socket or device");
  if (found.size > most) {
    throw new DataError(
      `it has ${found.size} bytes, and a picture within maxPixels at most ${most}: raise the option maxPixels (--max-pixels) or MEDMAMBA_MAX_PIXELS if it is one`,
    );
  }
  return readFile(path);
}

/** Pixels that are in memory already, as `decodeImage` treats those of a file. */
export function resizePixels(pixels: Pixels, preprocessing: Preprocessing): Promise<Sample> {
  return decoding.run(async () => (await loadRaster()).resizePixels(pixels, preprocessing));
}

/** An image that cannot be read, by its name. What is wrong with the installation instead stays what it is. */
function unreadable(file: string | undefined, cause: unknown): Error {
  if (cause instanceof MedMambaError && !(cause instanceof DataError)) return cause;
  const reason = reasonOf(cause);
  return new DataError(`${file ?? "The image"} could not be read: ${reason}.`, { file, reason, cause });
}

/** Why an image cannot be read, as the end of a sentence. */
function reasonOf(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  if ("code" in cause && cause.code === "ENOENT") return "there is no such file";
  // "EACCES: permission denied, open '/scans/1.png'" names the file once more.
  const plain = /^E[A-Z0-9]+: (.*), \w+ '.*'$/s.exec(cause.message)?.[1];
  return cause instanceof DataError ? cause.reason : (plain ?? cause.message);
}
