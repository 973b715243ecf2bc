/** What a codec of compressed pixels gets and gives. Each is imported when the first frame of its transfer syntax is met. */
import { DataError } from "../../../../errors.js";
import type { ImageAttributes } from "../image-attributes.js";

/** The values of a frame as they are stored, before anything is made of them. */
export interface StoredPixels {
  /** (rows, columns, samples) */
  readonly values:
    | Uint8Array
    | Int8Array
    | Uint16Array
    | Int16Array
    | Uint32Array
    | Int32Array
    | Float32Array
    | Float64Array;
  /** Whether a codec has made RGB of colours already. */
  readonly isRgb: boolean;
}

/** What a compressed frame says of itself, at its own beginning. */
export interface CompressedHeader {
  readonly width: number;
  readonly height: number;
  /** Values of a pixel. */
  readonly components: number;
  /** Bits of a value. */
  readonly precision: number;
}

/**
 * @param bytes  a frame, its fragments joined
 * @throws DataError or anything else if it cannot be decoded
 */
export type PixelCodec = (bytes: Uint8Array, image: ImageAttributes) => Promise<StoredPixels> | StoredPixels;

/**
 * Compressed frames say their size a second time. A codec would believe it, and allocate what it says.
 *
 * @throws DataError if the frame is not what the object says
 */
export function expectSame(
  { width, height, components, precision }: CompressedHeader,
  { rows, columns, samples, bitsAllocated }: ImageAttributes,
): void {
  if (width !== columns || height !== rows || components !== samples) {
    throw new DataError(
      `its compressed picture is ${width} x ${height} with ${components} values a pixel, where ${columns} x ${rows} with ${samples} are declared`,
    );
  }
  if (precision > bitsAllocated || precision > 16) {
    throw new DataError(
      `its compressed picture has ${precision} bits a value, where ${bitsAllocated} are declared`,
    );
  }
}

/**
 * Whether a frame has so many bits as the smallest of its size has. Few bytes could ask for a large picture otherwise, which
 * would be allocated before it is missed.
 *
 * @throws DataError if it has not
 */
export function expectBits(bytes: Uint8Array, least: number): void {
  if (8 * bytes.length < least) throw frameDamaged();
}

export const frameDamaged = (cause?: unknown): DataError =>
  new DataError("its compressed picture is damaged or cut off", { cause });
