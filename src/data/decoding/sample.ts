/**
 * From image files to samples at working size: whichever decoder a file is for, this is the way that training, evaluation
 * and prediction take, so that a network sees one image the same in all three.
 */
import { readFile, stat } from "node:fs/promises";
import { ArgumentError, DataError, MedMambaError } from "../../errors.js";
import { expectFunction, inWords, optionsOf } from "../../settings/given.js";
import { isUrl, type Path, pathOf } from "../../settings/paths.js";
import { arrayHere, isBytes, isError } from "../../settings/realms.js";
import { Gate } from "../concurrency.js";
import type { Sample } from "../dataset.js";
import { definePreprocessing, type Preprocessing } from "../preprocessing.js";
import { type Decoder, type Frames, loadRaster, openFrames, type Pixels } from "./decoder.js";
import { singleFrame } from "./frame-choice.js";
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

/** Of a file of which one picture was taken, and nobody had said which. */
export interface Several {
  /** Its pictures. */
  readonly count: number;
  /** Whether they are slices, of which the one in the middle was taken, and not the first. */
  readonly isVolume: boolean;
}

/** That of a file with several pictures one was taken. */
export const severalIn = (name: string, { count, isVolume }: Several): string =>
  isVolume
    ? `${name} has ${count} slices; the one in the middle is taken.`
    : `${name} has ${count} pages or pictures; the first is taken.`;

/** The same of an opened file; undefined if it has one picture alone. */
export async function severalOf(image: ImageFile): Promise<Several | undefined> {
  const count = await image.count();
  return count > 1 ? { count, isVolume: await image.isVolume() } : undefined;
}

/** What of a file is decoded, and by whom. */
export interface DecodeOptions extends ReadImageOptions {
  /** Which picture of a file that has several, from 0; of a volume the one in the middle, otherwise the first unless told. */
  readonly frame?: number | undefined;
  /** The decoders to choose from; all unless told. */
  readonly decoders?: readonly Decoder[];
  /** Gets the file as it was read. */
  readonly onBytes?: (bytes: Uint8Array) => void;
  /** Is told where a file has several pictures and none was chosen. */
  readonly onSeveral?: (several: Several) => void;
}

/**
 * Reads one image for prediction, exactly as a data set reads its images.
 *
 * @param source  a path or `file:` URL, or the bytes of an image file
 * @throws DataError naming the file and what is wrong with it
 */
export async function loadImage(
  source: Path | Uint8Array,
  preprocessing: Partial<Preprocessing> = {},
  options: ReadImageOptions & WarningOptions = {},
): Promise<Sample> {
  const { maxPixels, onWarning } = optionsOf("loadImage", options, { maxPixels: true, onWarning: true });
  if (onWarning !== undefined) expectFunction("loadImage", onWarning, "onWarning");
  const name = typeof source === "string" ? source : "the image";
  const onSeveral = (several: Several) => onWarning?.(severalIn(name, several));
  return decodeImage(source, definePreprocessing(preprocessing), { maxPixels, onSeveral });
}

/**
 * As `loadImage`, with preprocessing that is complete.
 *
 * @throws DataError naming the file and what is wrong with it; another error if it is not the image's fault
 */
export async function decodeImage(
  source: Path | Uint8Array,
  preprocessing: Preprocessing,
  { frame: chosen, decoders, onSeveral, maxPixels }: DecodeOptions = {},
): Promise<Sample> {
  return withImageFile(source, preprocessing, { decoders, maxPixels }, async (image) => {
    if (chosen !== undefined) return image.sample(chosen);
    const several = onSeveral && (await severalOf(image));
    if (several) onSeveral(several);
    return image.sample(await singleFrame(image, "auto"));
  });
}

/**
 * A picture at its own size and depth.
 *
 * @throws DataError naming the file and what is wrong with it; another error if it is not the image's fault
 */
export async function decodePixels(
  source: Path | Uint8Array,
  preprocessing: Preprocessing,
  { frame = 0, ...options }: DecodeOptions = {},
): Promise<Pixels> {
  return withImageFile(source, preprocessing, options, (image) => image.pixels(frame));
}

/** An image file that has been read; what it is, is found out when a picture of it is asked for. */
export interface ImageFile {
  readonly bytes: Uint8Array;
  /** Its pictures. @throws DataError naming the file and what is wrong with it */
  count(): Promise<number>;
  /** Whether its pictures are the slices of a volume, as those of NIfTI are. @throws DataError as `count` */
  isVolume(): Promise<boolean>;
  /** The picture in the middle, of several volumes that of the first. @throws DataError as `count` */
  middle(): Promise<number>;
  /** A picture at working size. @throws DataError naming the file, the picture if it is not the first, and what is wrong */
  sample(frame: number): Promise<Sample>;
  /** The same at its own size and depth. @throws as `sample` */
  pixels(frame: number): Promise<Pixels>;
}

/**
 * Reads a file, and does something with its pictures while only so many other files are in memory.
 *
 * @throws DataError naming the file, if it cannot be read; what `work` throws
 */
export function withImageFile<T>(
  source: Path | Uint8Array,
  preprocessing: Preprocessing,
  options: Pick<DecodeOptions, "decoders" | "maxPixels">,
  work: (image: ImageFile) => Promise<T>,
): Promise<T> {
  return decoding.run(async () => work(await readImageFile(source, preprocessing, options)));
}

/**
 * The same for pictures that are taken one after another, with other work in between: each is decoded in its turn.
 *
 * @throws DataError naming the file, if it cannot be read
 */
export async function openImageFile(
  source: Path | Uint8Array,
  preprocessing: Preprocessing,
  options: Pick<DecodeOptions, "decoders" | "maxPixels"> = {},
): Promise<ImageFile> {
  const image = await decoding.run(() => readImageFile(source, preprocessing, options));
  return {
    bytes: image.bytes,
    count: () => decoding.run(() => image.count()),
    isVolume: () => decoding.run(() => image.isVolume()),
    middle: () => decoding.run(() => image.middle()),
    sample: (frame) => decoding.run(() => image.sample(frame)),
    pixels: (frame) => decoding.run(() => image.pixels(frame)),
  };
}

async function readImageFile(
  given: Path | Uint8Array,
  preprocessing: Preprocessing,
  { decoders, maxPixels = defaultMaxPixels() }: Pick<DecodeOptions, "decoders" | "maxPixels">,
): Promise<ImageFile> {
  checkedMaxPixels("maxPixels", maxPixels);
  const source = sourceOf(given);
  const file = typeof source === "string" ? source : undefined;
  const naming = <T>(work: () => Promise<T>, frame = 0): Promise<T> =>
    work().catch((error: unknown) => {
      throw unreadable(file, error, frame);
    });
  const bytes =
    typeof source === "string" ? await naming(() => readWhole(source, largestFile(maxPixels))) : source;
  let opened: Promise<Frames> | undefined;
  const frames = (): Promise<Frames> => {
    opened ??= openFrames({ bytes, file, maxPixels, reading: preprocessing }, decoders);
    return opened;
  };
  const framesWith = (frame: number): Promise<Frames> =>
    naming(async () => {
      const { count } = await frames();
      if (frame >= 0 && frame < count) return frames();
      throw new DataError(`there is no frame ${frame}, frames are 0 to ${count - 1}`);
    });
  return {
    bytes,
    count: () => naming(async () => (await frames()).count),
    isVolume: () => naming(async () => (await frames()).perVolume !== undefined),
    middle: () =>
      naming(async () => {
        const { count, perVolume = count } = await frames();
        return Math.floor(perVolume / 2);
      }),
    async sample(frame) {
      const pictures = await framesWith(frame);
      return naming(async () => {
        if (pictures.sample) return pictures.sample(frame, preprocessing);
        return (await loadRaster()).resizePixels(await pictures.frame(frame), preprocessing);
      }, frame);
    },
    async pixels(frame) {
      const pictures = await framesWith(frame);
      return naming(() => pictures.frame(frame), frame);
    },
  };
}

/** What a picture is called in messages: its file, and its number unless it is the first. */
export const frameName = (file: string, frame = 0): string => (frame > 0 ? `${file} frame ${frame}` : file);

/** A path as text, or bytes. @throws ArgumentError for anything else, which is no fault of an image */
function sourceOf(given: Path | Uint8Array): string | Uint8Array {
  if (isBytes(given)) return arrayHere(given);
  if (typeof given === "string" || isUrl(given)) return pathOf("loadImage", given);
  throw new ArgumentError(
    `loadImage: an image is a path, a file: URL or the bytes of its file as Uint8Array, not ${inWords(given)}.`,
  );
}

/** A pipe would be waited for and a device never ends: only regular files of a sensible size are read. */
export async function readWhole(path: string, most: number): Promise<Uint8Array> {
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

/** A picture as a small JPEG, for a page. @param longest  pixels of its longer side */
export function miniature(pixels: Pixels, longest: number): Promise<Uint8Array> {
  return decoding.run(async () => (await loadRaster()).miniature(pixels, longest));
}

/** Pixels that are in memory already, as `decodeImage` treats those of a file. */
export function resizePixels(pixels: Pixels, preprocessing: Preprocessing): Promise<Sample> {
  return decoding.run(async () => (await loadRaster()).resizePixels(pixels, preprocessing));
}

/** An image that cannot be read, by its name. What is wrong with the installation instead stays what it is. */
export function unreadable(file: string | undefined, cause: unknown, frame = 0): Error {
  if (cause instanceof MedMambaError && !(cause instanceof DataError)) return cause;
  const reason = reasonOf(cause);
  return new DataError(`${frameName(file ?? "The image", frame)} could not be read: ${reason}.`, {
    file,
    reason,
    cause,
  });
}

/** Why an image cannot be read, as the end of a sentence. */
function reasonOf(cause: unknown): string {
  if (!isError(cause)) return String(cause);
  if ("code" in cause && cause.code === "ENOENT") return "there is no such file";
  // "EACCES: permission denied, open '/scans/1.png'" names the file once more.
  const plain = /^E[A-Z0-9]+: (.*), \w+ '.*'$/s.exec(cause.message)?.[1];
  return cause instanceof DataError ? cause.reason : (plain ?? cause.message);
}
