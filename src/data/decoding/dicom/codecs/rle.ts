/**
 * RLE Lossless (PS3.5, annex G): a frame is one segment for each byte of a value of each sample, most significant first,
 * and a segment is runs and literals as PackBits has them.
 */
import { DataError } from "../../../../errors.js";
import { readNative } from "../native-pixels.js";
import { expectBits, frameDamaged, type PixelCodec } from "./codec.js";

const headerBytes = 64; // the number of segments, and where 15 of them begin

export const rle: PixelCodec = (bytes, image) => {
  const { rows, columns, samples, bitsAllocated } = image;
  if (bytes.length < headerBytes) throw frameDamaged();
  if (bitsAllocated % 8 !== 0)
    throw new DataError(`it is RLE of ${bitsAllocated} bits, which is not defined`);
  const size = bitsAllocated / 8;
  const header = new DataView(bytes.buffer, bytes.byteOffset, headerBytes);
  const segments = header.getUint32(0, true);
  if (segments !== size * samples || segments > 15) {
    throw new DataError(`its picture has ${segments} RLE segments, where ${size * samples} are expected`);
  }
  const pixels = rows * columns;
  expectBits(bytes, (pixels * size * samples) / 8); // two bytes make 128 at most
  const interleaved = new Uint8Array(pixels * size * samples);
  for (let segment = 0; segment < segments; ++segment) {
    const start = header.getUint32(4 + 4 * segment, true);
    const end = segment + 1 < segments ? header.getUint32(8 + 4 * segment, true) : bytes.length;
    if (start < headerBytes || end < start || end > bytes.length) throw frameDamaged();
    const sample = Math.floor(segment / size);
    const byte = size - 1 - (segment % size); // little endian, as everything is that is compressed
    unpack(bytes.subarray(start, end), interleaved, sample * size + byte, size * samples);
  }
  const photometric = image.photometric.replace("_422", ""); // each pixel has its colours
  return readNative(interleaved, { ...image, photometric, planar: false, bigEndian: false }, 0);
};

/** Writes a segment to every `stride`-th byte from `first`, to the last there is. */
function unpack(segment: Uint8Array, out: Uint8Array, first: number, stride: number): void {
  let to = first;
  let from = 0;
  while (to < out.length) {
    if (from + 1 >= segment.length) throw frameDamaged(); // not even a run is left
    const control = segment[from++] as number;
    if (control < 128) {
      const end = Math.min(from + control + 1, segment.length);
      for (; from < end && to < out.length; to += stride) out[to] = segment[from++] as number;
    } else if (control > 128) {
      const value = segment[from++] as number;
      for (let left = 257 - control; left > 0 && to < out.length; --left, to += stride) out[to] = value;
    } // 128 is nothing
  }
}
