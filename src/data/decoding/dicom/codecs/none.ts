/** Frames that are encapsulated as compressed ones are, and not compressed, or by deflate alone. */
import { inflateRawSync } from "node:zlib";
import { readNative } from "../native-pixels.js";
import { frameDamaged, type PixelCodec } from "./codec.js";

export const none: PixelCodec = (bytes, image) => readNative(bytes, image, 0);

export const deflatedFrame: PixelCodec = (bytes, image) => {
  const { rows, columns, samples, bitsAllocated } = image;
  const most = Math.ceil((rows * columns * samples * bitsAllocated) / 8) + 1;
  let inflated: Uint8Array;
  try {
    inflated = inflateRawSync(bytes, { maxOutputLength: most });
  } catch (cause) {
    throw frameDamaged(cause);
  }
  return readNative(inflated, image, 0);
};
