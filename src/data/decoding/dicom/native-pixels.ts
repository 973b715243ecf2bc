/** Pixels that are not compressed: from bytes to values, whatever their width, order and sign (PS3.5, section 8.1.1). */
import { DataError } from "../../../errors.js";
import type { StoredPixels } from "./codecs/codec.js";
import type { ImageAttributes } from "./image-attributes.js";

/** Two pixels share their colours: Y Y Cb Cr. */
const isSubsampled = ({ photometric }: ImageAttributes): boolean => photometric.endsWith("_422");

/** Values that a frame has in a file. */
function storedValues(image: ImageAttributes): number {
  const { rows, columns, samples } = image;
  return isSubsampled(image) ? 4 * Math.ceil((rows * columns) / 2) : rows * columns * samples;
}

/** Bytes that the frames of an object take up. */
export const nativeBytes = (image: ImageAttributes): number =>
  Math.ceil((storedValues(image) * image.bitsAllocated * image.frames) / 8);

/**
 * A frame of several that lie behind each other, with nothing between them: those of single bits begin within a byte.
 *
 * @throws DataError if there are fewer bytes
 */
export function readNative(bytes: Uint8Array, image: ImageAttributes, frame: number): StoredPixels {
  const { bitsAllocated } = image;
  const count = storedValues(image);
  const firstBit = frame * count * bitsAllocated;
  if (Math.ceil((firstBit + count * bitsAllocated) / 8) > bytes.length)
    throw new DataError("its pixels are cut off");
  const packed = bitsAllocated === 1 || bitsAllocated === 12;
  const values = packed ? unpackedBits(bytes, image, frame) : wholeBytes(bytes, image, firstBit / 8, count);
  const stored = image.float ? values : storedBits(values as Uint8Array | Uint16Array | Uint32Array, image);
  if (isSubsampled(image)) return { values: withAllColors(stored, image), isRgb: false };
  return { values: image.planar ? interleaved(stored, image) : stored, isRgb: false };
}

/** Values of whole bytes, in an array of their own that may be written to. */
function wholeBytes(
  bytes: Uint8Array,
  { bitsAllocated, bigEndian, float }: ImageAttributes,
  start: number,
  count: number,
): Uint8Array | Uint16Array | Uint32Array | Float32Array | Float64Array {
  const size = bitsAllocated / 8;
  const own = Buffer.from(new ArrayBuffer(count * size));
  own.set(bytes.subarray(start, start + count * size));
  if (bigEndian && size === 2) own.swap16();
  if (bigEndian && size === 4) own.swap32();
  if (bigEndian && size === 8) own.swap64();
  if (float) return size === 4 ? new Float32Array(own.buffer) : new Float64Array(own.buffer);
  if (size === 1) return new Uint8Array(own.buffer);
  return size === 2 ? new Uint16Array(own.buffer) : new Uint32Array(own.buffer);
}

/** Values of 1 or 12 bits, packed from the least significant bit of the first byte on. */
function unpackedBits(bytes: Uint8Array, image: ImageAttributes, frame: number): Uint8Array | Uint16Array {
  const { bitsAllocated } = image;
  const count = storedValues(image);
  if (bitsAllocated === 1) {
    const values = new Uint8Array(count);
    for (let i = 0, bit = frame * count; i < count; ++i, ++bit)
      values[i] = ((bytes[bit >>> 3] as number) >>> (bit & 7)) & 1;
    return values;
  }
  const values = new Uint16Array(count);
  for (let i = 0, half = 3 * frame * count; i < count; ++i, half += 3) {
    const at = half >>> 1; // in bytes, from the number of half ones
    const word = (bytes[at] as number) | ((bytes[at + 1] as number) << 8);
    values[i] = (half & 1 ? word >>> 4 : word) & 0xfff;
  }
  return values;
}

/** Of each value the bits that are stored, as a number with its sign. What else lies there, such as overlays, is left out. */
export function storedBits(
  values: Uint8Array | Uint16Array | Uint32Array,
  { bitsStored, highBit, signed }: Pick<ImageAttributes, "bitsStored" | "highBit" | "signed">,
): StoredPixels["values"] {
  const bits = 8 * values.BYTES_PER_ELEMENT;
  // A codec may have found that fewer bits are enough, of which the highest is then no sign.
  if (bitsStored > bits) return Uint16Array.from(values);
  const shift = highBit + 1 - bitsStored;
  if (!signed) {
    if (bitsStored === bits) return values;
    const mask = 2 ** bitsStored - 1;
    for (let i = 0; i < values.length; ++i) values[i] = ((values[i] as number) >>> shift) & mask;
    return values;
  }
  const { buffer, byteOffset, length } = values;
  const numbers =
    bits === 8
      ? new Int8Array(buffer, byteOffset, length)
      : bits === 16
        ? new Int16Array(buffer, byteOffset, length)
        : new Int32Array(buffer, byteOffset, length);
  if (bitsStored === bits) return numbers;
  const up = 32 - bitsStored - shift;
  const down = 32 - bitsStored;
  for (let i = 0; i < length; ++i) numbers[i] = ((numbers[i] as number) << up) >> down;
  return numbers;
}

/** (samples, rows, columns) to (rows, columns, samples) */
export function interleaved<T extends StoredPixels["values"]>(
  values: T,
  { rows, columns, samples }: Pick<ImageAttributes, "rows" | "columns" | "samples">,
): T {
  const area = rows * columns;
  const result = new (values.constructor as new (length: number) => T)(values.length);
  for (let sample = 0; sample < samples; ++sample) {
    for (let i = 0, to = sample, from = sample * area; i < area; ++i, ++from, to += samples)
      result[to] = values[from] as number;
  }
  return result;
}

/** Y Y Cb Cr, of two pixels, to Y Cb Cr of each. */
function withAllColors(
  values: StoredPixels["values"],
  { rows, columns }: ImageAttributes,
): StoredPixels["values"] {
  const area = rows * columns;
  const result = new (values.constructor as new (length: number) => StoredPixels["values"])(3 * area);
  for (let i = 0; i < area; ++i) {
    const pair = (i >>> 1) * 4;
    result[3 * i] = values[pair + (i & 1)] as number;
    result[3 * i + 1] = values[pair + 2] as number;
    result[3 * i + 2] = values[pair + 3] as number;
  }
  return result;
}
