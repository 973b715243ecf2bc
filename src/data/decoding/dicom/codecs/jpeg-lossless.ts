/** JPEG Lossless, process 14 with any selection value, by jpeg-lossless-decoder-js. */
import { storedBits } from "../native-pixels.js";
import { expectBits, expectSame, frameDamaged, type PixelCodec } from "./codec.js";
import { jpegHeader } from "./jpeg-header.js";

export const jpegLossless: PixelCodec = async (bytes, image) => {
  const header = jpegHeader(bytes);
  if (header.frameType !== 0xc3) return (await import("./jpeg.js")).jpeg(bytes, image);
  expectSame(header, image);
  expectBits(bytes, header.width * header.height * header.components); // a code for each value
  const { Decoder } = await import("jpeg-lossless-decoder-js");
  const own = Uint8Array.from(bytes); // at the beginning of a buffer
  const size = header.precision > 8 ? 2 : 1;
  const decoded = new Decoder().decode(own.buffer, 0, own.length, size) as Uint8Array | Uint16Array | null;
  const { rows, columns, samples } = image;
  if (!decoded || decoded.length !== rows * columns * samples) throw frameDamaged();
  return { values: storedBits(decoded, { ...image, highBit: image.bitsStored - 1 }), isRgb: false };
};
