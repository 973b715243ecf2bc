/** JPEG-LS, lossless and near-lossless, by CharLS. */
import { interleaved, storedBits } from "../native-pixels.js";
import { expectSame, frameDamaged, type PixelCodec } from "./codec.js";
import { jpegHeader } from "./jpeg-header.js";
import { WasmCodec, words } from "./wasm-codec.js";

const charls = new WasmCodec(() => import("@cornerstonejs/codec-charls/decodewasmjs"), "JpegLSDecoder");
const endOfImage = Uint8Array.of(0xff, 0xd9);

export const jpegLs: PixelCodec = async (bytes, image) => {
  const header = jpegHeader(bytes);
  if (header.frameType !== 0xf7) throw frameDamaged();
  expectSame(header, image);
  // CharLS looks for the end of a picture that breaks off in all of its memory, which takes it seconds.
  const decoded = await charls.decode(Buffer.concat([bytes, endOfImage]));
  const values = decoded.bitsPerSample > 8 ? words(decoded.bytes) : decoded.bytes;
  const { rows, columns, samples } = image;
  if (values.length !== rows * columns * samples) throw frameDamaged();
  const ordered = samples > 1 && decoded.interleaveMode === 0 ? interleaved(values, image) : values;
  return { values: storedBits(ordered, { ...image, highBit: image.bitsStored - 1 }), isRgb: false };
};
