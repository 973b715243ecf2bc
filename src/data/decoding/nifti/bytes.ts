/**
 * The bytes of a NIfTI file, uncompressed: no more of them than its header declares, and no more than a bound, whatever a
 * compressed file would swell to.
 */
import { createGunzip } from "node:zlib";
import { DataError } from "../../../errors.js";
import { type NiftiHeader, parseHeader } from "./header.js";
import { firstBytes, headerBytes, isGzip } from "./recognition.js";

/** A file whose values are all there, from `header.offset` on. */
export interface NiftiFile {
  readonly header: NiftiHeader;
  readonly bytes: Uint8Array;
}

/** What deflate makes of a byte at most. */
const mostDeflated = 1032;

/** Enough of a compressed file for its header. */
const beginning = 4096;

/** Voxels of all volumes. */
export const voxelsOf = ({ extents }: NiftiHeader): number =>
  extents.reduce((product, extent) => product * extent, 1);

/** Whatever the header says of itself, before the values are looked at. @throws DataError if it is none, or none that is read */
export function headerOf(bytes: Uint8Array): NiftiHeader {
  const start = isGzip(bytes) ? firstBytes(bytes.subarray(0, beginning)) : bytes;
  if (isGzip(bytes) && start.length < headerBytes[1])
    throw new DataError("its compressed data are damaged or cut off");
  return parseHeader(start);
}

/**
 * @param mostBytes  that the file may have uncompressed
 * @throws DataError if it is damaged, cut off or larger
 */
export async function readNifti(bytes: Uint8Array, mostBytes: number): Promise<NiftiFile> {
  const header = headerOf(bytes);
  const needed = header.offset + voxelsOf(header) * header.type.bytes;
  if (needed > mostBytes) {
    throw new DataError(
      `it declares ${header.extents.join(" x ").replace(/( x 1)+$/, "")} voxels, ${needed} bytes, and at most ${mostBytes} are read: raise the option maxPixels or MEDMAMBA_MAX_PIXELS if it is a volume`,
    );
  }
  const missing = (found: number | string): DataError =>
    new DataError(`it is cut off: its header declares ${needed} bytes, but ${found} are there`);
  if (!isGzip(bytes)) {
    if (bytes.length < needed) throw missing(bytes.length);
    return { header, bytes: bytes.subarray(0, needed) };
  }
  if (needed > bytes.length * mostDeflated) throw missing("so many cannot be packed into what");
  return { header, bytes: await inflate(bytes, needed, missing) };
}

/** The first `needed` bytes; what comes behind them is not unpacked. */
async function inflate(
  bytes: Uint8Array,
  needed: number,
  missing: (found: number) => DataError,
): Promise<Uint8Array> {
  const unpacked = new Uint8Array(needed);
  let filled = 0;
  const stream = createGunzip({ chunkSize: 1 << 18 });
  stream.end(bytes);
  try {
    for await (const chunk of stream as AsyncIterable<Uint8Array>) {
      const part = chunk.subarray(0, needed - filled);
      unpacked.set(part, filled);
      filled += part.length;
      if (filled === needed) break;
    }
  } catch (cause) {
    throw new DataError(`its compressed data are damaged: ${(cause as Error).message}`, { cause });
  }
  if (filled < needed) throw missing(filled);
  return unpacked;
}
