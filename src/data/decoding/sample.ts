/**
 * From image files to samples at working size: whichever decoder a file is for, this is the way that training, evaluation
 * and prediction take, so that a network sees one image the same in all three.
 */
import { readFile, stat } from "node:fs/promises";
import { DataError, MedMambaError } from "../../errors.js";
import { Gate } from "../concurrency.js";
import type { Sample } from "../dataset.js";
import { definePreprocessing, type Preprocessing, type Reading } from "../preprocessing.js";
import { type Decoder, type Frames, loadRaster, openFrames, type Pixels } from "./decoder.js";
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

/** What of a file is decoded, and by whom. */
export interface DecodeOptions extends ReadImageOptions {
  /** Which picture of a file that has several, from 0; the first unless told. */
  readonly frame?: number | undefined;
  /** The decoders to choose from; all unless told. */
  readonly decoders?: readonly Decoder[];
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
  { maxPixels }: ReadImageOptions = {},
): Promise<Sample> {
  return decodeImage(source, definePreprocessing(preprocessing), { maxPixels });
}

/**
 * As `loadImage`, with preprocessing that is complete.
 *
 * @throws DataError naming the file and what is wrong with it; another error if it is not the image's fault
 */
export function decodeImage(
  source: string | Uint8Array,
  preprocessing: Preprocessing,
  options: DecodeOptions = {},
): Promise<Sample> {
  return withFrame(source, preprocessing, options, async (frames, index) => {
    if (frames.sample) return frames.sample(index, preprocessing);
    return (await loadRaster()).resizePixels(await frames.frame(index), preprocessing);
  });
}

/**
 * A picture at its own size, for whoever looks at it or draws on it.
 *
 * @throws as `decodeImage`
 */
export function decodePicture(
  source: string | Uint8Array,
  reading: Reading,
  options: DecodeOptions = {},
): Promise<Pixels> {
  return withFrame(source, reading, options, (frames, index) => frames.frame(index));
}

/** What `use` makes of the frame that was chosen. */
async function withFrame<T>(
  source: string | Uint8Array,
  reading: Reading,
  { frame: chosen, decoders, onSeveral, maxPixels = defaultMaxPixels() }: DecodeOptions,
  use: (frames: Frames, index: number) => Promise<T>,
): Promise<T> {
  checkedMaxPixels("maxPixels", maxPixels);
  const file = typeof source === "string" ? source : undefined;
  try {
    return await decoding.run(async () => {
      const bytes = typeof source === "string" ? await readWhole(source, largestFile(maxPixels)) : source;
      const frames = await openFrames({ bytes, file, maxPixels, reading }, decoders);
      if (chosen === undefined && frames.count > 1) onSeveral?.(frames.count);
      const frame = chosen ?? 0;
      if (!(frame >= 0 && frame < frames.count)) {
        throw new DataError(`there is no frame ${frame}, frames are 0 to ${frames.count - 1}`);
      }
      return await use(frames, frame);
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
      `it has ${found.size} bytes, and a picture within maxPixels at most ${most}: raise the option maxPixels or MEDMAMBA_MAX_PIXELS if it is one`,
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
  return cause instanceof DataError ? cause.reason : cause.message;
}
