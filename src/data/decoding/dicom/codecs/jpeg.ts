/**
 * JPEG by cosine transforms: baseline, extended and progressive of 8 bits by libjpeg-turbo, extended of 12 bits by our own
 * decoder, since that build of libjpeg-turbo is for 8.
 */
import { DataError } from "../../../../errors.js";
import { expectBits, expectSame, frameDamaged, type PixelCodec } from "./codec.js";
import { type JpegHeader, jpegHeader } from "./jpeg-header.js";
import { WasmCodec } from "./wasm-codec.js";

const turbo = new WasmCodec(
  () => import("@cornerstonejs/codec-libjpeg-turbo-8bit/decodewasmjs"),
  "JPEGDecoder",
);

export const jpeg: PixelCodec = async (bytes, image) => {
  const header = jpegHeader(bytes);
  expectSame(header, image);
  expectBits(bytes, (header.width * header.height) / 64); // a code for each block of 8 x 8
  // Some files have the lossless process under the name of the extended one.
  if (header.frameType === 0xc3) return (await import("./jpeg-lossless.js")).jpegLossless(bytes, image);
  if (header.precision === 12) {
    const { decodeExtended } = await import("./jpeg-extended.js");
    return { values: decodeExtended(bytes, header), isRgb: false };
  }
  if (header.precision !== 8)
    throw new DataError(`it is JPEG of ${header.precision} bits, and 8 and 12 are read`);
  const isRgb = header.components === 3;
  const {
    bytes: values,
    width,
    height,
    componentCount,
  } = await turbo.decode(isRgb ? withColors(bytes, header, image.photometric) : bytes);
  if (width !== image.columns || height !== image.rows || componentCount !== image.samples)
    throw frameDamaged();
  return { values, isRgb };
};

/**
 * The picture with Adobe's marker, which tells libjpeg what its colours are. A picture that does not say is what the object
 * says; without either libjpeg would take it for YCbCr.
 */
function withColors(
  bytes: Uint8Array,
  { adobeTransform, isJfif }: JpegHeader,
  photometric: string,
): Uint8Array {
  if (adobeTransform !== undefined || isJfif) return bytes;
  const transform = photometric === "RGB" ? 0 : 1;
  const marker = [0xff, 0xee, 0, 14, ...Buffer.from("Adobe"), 0, 100, 0, 0, 0, 0, transform];
  return Buffer.concat([bytes.subarray(0, 2), Uint8Array.from(marker), bytes.subarray(2)]);
}
