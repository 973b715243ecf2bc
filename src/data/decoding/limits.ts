/**
 * How large a picture may say it is. A file of 71 bytes can declare a billion pixels, so there is a bound, which whoever has
 * such pictures raises: by the option `maxPixels`, which is --max-pixels on the command line, or by MEDMAMBA_MAX_PIXELS.
 */
import { ArgumentError, DataError } from "../../errors.js";
import { inWords } from "../../settings/given.js";
import { count, optional } from "../../settings/kind.js";
import { setting, type ValuesOf } from "../../settings/table.js";

const ordinary = 2 ** 26;

/** The settings that bound what is read. */
export const limitRows = {
  /** Pixels that a picture may have; 2^26, as 8192 x 8192, or MEDMAMBA_MAX_PIXELS unless told. */
  maxPixels: setting({
    kind: optional(count),
    default: undefined,
    flag: "--max-pixels <count>",
    words: "pixels that a picture may have",
    defaultWords: "67108864, as 8192 x 8192",
    alsoKnownAs: ["maxImagePixels", "pixels"],
  }),
};

/** What bounds what is read. */
export interface ReadingLimits extends Readonly<Partial<ValuesOf<typeof limitRows>>> {}

/** Seconds that decoding a picture may take: longer than any within the limits does on a busy machine. */
export const longestDecode = 60;

/** Of a picture, in pixels; what no scanner of one picture makes, and a slide in one piece is no picture for this. */
export const largestSide = 2 ** 16;

/** 2^26, as 8192 x 8192, unless MEDMAMBA_MAX_PIXELS says another number. */
export function defaultMaxPixels(): number {
  const text = process.env.MEDMAMBA_MAX_PIXELS;
  return text ? checkedMaxPixels("MEDMAMBA_MAX_PIXELS", Number(text)) : ordinary;
}

/** @throws ArgumentError if a bound is none */
export function checkedMaxPixels(name: string, value: number): number {
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new ArgumentError(`${name} ${inWords(value)} is not a whole number of pixels above 0.`);
}

export function tooLarge(width: number, height: number, maxPixels: number): DataError {
  return new DataError(
    `it is ${width} x ${height} pixels, and at most ${maxPixels} are read: raise the option maxPixels (--max-pixels) or MEDMAMBA_MAX_PIXELS if it is a picture`,
  );
}

/** Bytes of a file that may hold a picture of so many pixels: four channels of 16 bits, and as much again. */
export const largestFile = (maxPixels: number): number => Math.max(16 * maxPixels, 2 ** 24);

/**
 * A size is only what a file says of itself: it is judged before memory and time are spent on it.
 *
 * @throws DataError if a picture has more pixels, or a longer side, than are read
 */
export function expectWithin(width: number, height: number, maxPixels: number): void {
  if (width * height > maxPixels) throw tooLarge(width, height, maxPixels);
  if (Math.max(width, height) <= largestSide) return;
  throw new DataError(
    `it is ${width} x ${height} pixels, and a side may have ${largestSide}: cut it into pieces or shrink it`,
  );
}
