/** Image files for whoever looks at them: a picture at its own size, and what a file says of itself. */

import { DataError } from "../../errors.js";
import type { Facts } from "../facts.js";
import type { Reading } from "../preprocessing.js";
import { describeImage, type EncodedImage, loadRaster, openFrames, type Pixels } from "./decoder.js";
import { defaultMaxPixels, largestFile } from "./limits.js";
import { type ReadImageOptions, readWhole, unreadable } from "./sample.js";

/** A picture of a file that may have several. */
export interface Picture {
  readonly pixels: Pixels;
  /** Pictures of the file. */
  readonly frames: number;
}

/**
 * A picture as it is decoded, before it is brought to a network's size.
 *
 * @param frame  from 0
 * @throws DataError naming the file and what is wrong with it
 */
export function decodePicture(
  path: string,
  reading: Reading,
  { frame = 0, maxPixels }: ReadImageOptions & { readonly frame?: number | undefined } = {},
): Promise<Picture> {
  return withFile(path, { frame, maxPixels }, async (image) => {
    const { count, frame: decode } = await openFrames({ ...image, reading });
    if (frame >= count) throw new DataError(`there is no frame ${frame}, frames are 0 to ${count - 1}`);
    return { pixels: await decode(frame), frames: count };
  });
}

/** What an image file is. @throws DataError naming the file and what is wrong with it */
export function describePicture(path: string, { maxPixels }: ReadImageOptions = {}): Promise<Facts> {
  return withFile(path, { frame: 0, maxPixels }, (image) => describeImage(image));
}

/** A picture as the bytes of a PNG file, of 16 bits where it has more than 8. */
export async function pngOf(pixels: Pixels): Promise<Uint8Array> {
  return (await loadRaster()).encodePng(pixels);
}

async function withFile<T>(
  path: string,
  { frame, maxPixels = defaultMaxPixels() }: ReadImageOptions & { readonly frame: number },
  work: (image: EncodedImage) => Promise<T>,
): Promise<T> {
  try {
    return await work({ bytes: await readWhole(path, largestFile(maxPixels)), file: path, maxPixels });
  } catch (error) {
    throw unreadable(path, error, frame);
  }
}
