/** Image files for whoever looks at them: a picture at its own size, and what a file says of itself. */

import type { Facts } from "../facts.js";
import { definePreprocessing, type Reading } from "../preprocessing.js";
import { describeImage, type EncodedImage, loadRaster, type Pixels } from "./decoder.js";
import { singleFrame } from "./frame-choice.js";
import { defaultMaxPixels, largestFile } from "./limits.js";
import { type ReadImageOptions, readWhole, unreadable, withImageFile } from "./sample.js";

/** A picture of a file that may have several. */
export interface Picture {
  readonly pixels: Pixels;
  /** Which of the file's it is, from 0. */
  readonly frame: number;
  /** Pictures of the file. */
  readonly frames: number;
}

/**
 * A picture as it is decoded, before it is brought to a network's size.
 *
 * @param frame  from 0; of a volume the slice in the middle, otherwise the first unless told
 * @throws DataError naming the file and what is wrong with it
 */
export function decodePicture(
  path: string,
  reading: Reading,
  { frame: chosen, maxPixels }: ReadImageOptions & { readonly frame?: number | undefined } = {},
): Promise<Picture> {
  return withImageFile(path, definePreprocessing(reading), { maxPixels }, async (image) => {
    const frame = chosen ?? (await singleFrame(image, "auto"));
    return { pixels: await image.pixels(frame), frame, frames: await image.count() };
  });
}

/** What an image file is. @throws DataError naming the file and what is wrong with it */
export function describePicture(path: string, { maxPixels }: ReadImageOptions = {}): Promise<Facts> {
  return withFile(path, { maxPixels }, (image) => describeImage(image));
}

/** A picture as the bytes of a PNG file, of 16 bits where it has more than 8. */
export async function pngOf(pixels: Pixels): Promise<Uint8Array> {
  return (await loadRaster()).encodePng(pixels);
}

async function withFile<T>(
  path: string,
  { maxPixels = defaultMaxPixels() }: ReadImageOptions,
  work: (image: EncodedImage) => Promise<T>,
): Promise<T> {
  try {
    return await work({ bytes: await readWhole(path, largestFile(maxPixels)), file: path, maxPixels });
  } catch (error) {
    throw unreadable(path, error);
  }
}
