/** JPEG 2000 by OpenJPEG, and its high-throughput kind by OpenJPH. */
import { DataError } from "../../../../errors.js";
import { storedBits } from "../native-pixels.js";
import { type CompressedHeader, expectSame, frameDamaged, type PixelCodec } from "./codec.js";
import { WasmCodec, words } from "./wasm-codec.js";

const openjpeg = new WasmCodec(() => import("@cornerstonejs/codec-openjpeg/decodewasmjs"), "J2KDecoder");
const openjph = new WasmCodec(() => import("@cornerstonejs/codec-openjph/wasmjs"), "HTJ2KDecoder");

export const jpeg2000: PixelCodec = (bytes, image) => decodeBy(openjpeg, bytes, image);
export const htj2k: PixelCodec = (bytes, image) => decodeBy(openjph, bytes, image);

async function decodeBy(codec: WasmCodec, bytes: Uint8Array, image: Parameters<PixelCodec>[1]) {
  const header = codestreamHeader(bytes);
  expectSame(header, image);
  const decoded = await codec.decode(bytes);
  const values = decoded.bitsPerSample > 8 ? words(decoded.bytes) : decoded.bytes;
  const { rows, columns, samples } = image;
  if (decoded.width !== columns || decoded.height !== rows || values.length !== rows * columns * samples)
    throw frameDamaged();
  // The codestream may have signs where the object has none, and the other way round: the bits are the same.
  const stored = storedBits(values, { ...image, highBit: image.bitsStored - 1 });
  return { values: stored, isRgb: samples === 3 && header.transformed };
}

/**
 * The size, and whether the components were transformed, in which case the codec makes RGB of them (ITU-T T.800, annex A).
 * The codestream may be wrapped in a JP2 file, which DICOM forbids.
 */
function codestreamHeader(bytes: Uint8Array): CompressedHeader & { readonly transformed: boolean } {
  const start = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.byteLength, 4096)).indexOf(
    "ff4fff51",
    "hex",
  );
  if (start < 0 || start + 45 > bytes.length) throw frameDamaged();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const size = start + 4; // of the segment SIZ, behind its marker
  const [right, bottom, left, top] = [4, 8, 12, 16].map((at) => view.getUint32(size + at)) as [
    number,
    number,
    number,
    number,
  ];
  const components = view.getUint16(size + 36);
  const precision = ((bytes[size + 38] as number) & 0x7f) + 1;
  for (let i = 0; i < Math.min(components, 3); ++i) {
    const [depth, horizontal, vertical] = bytes.subarray(size + 38 + 3 * i, size + 41 + 3 * i);
    if (depth !== bytes[size + 38] || horizontal !== 1 || vertical !== 1) {
      throw new DataError("its compressed picture has components of several sizes, which is not read");
    }
  }
  let transformed = false;
  for (let at = size + view.getUint16(size); at + 12 < bytes.length && bytes[at] === 0xff; ) {
    const marker = bytes[at + 1];
    if (marker === 0x52) transformed = bytes[at + 8] === 1; // COD
    if (marker === 0x90) break; // the first tile
    at += 2 + view.getUint16(at + 2);
  }
  return { width: right - left, height: bottom - top, components, precision, transformed };
}
