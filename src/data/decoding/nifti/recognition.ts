/** Telling NIfTI files by how they begin, compressed ones too. Decoder.ts loads this at once, and the rest when it is needed. */
import { constants, gunzipSync } from "node:zlib";

/** Bytes of a header of NIfTI-1 and of NIfTI-2, which is also the number that it begins with. */
export const headerBytes = { 1: 348, 2: 540 } as const;

/** Whether bytes are compressed with gzip. */
export const isGzip = (bytes: Uint8Array): boolean => bytes[0] === 0x1f && bytes[1] === 0x8b;

/** Which of two versions a header is of, in which order its bytes lie, and whether the values are in a file beside it. */
export interface NiftiKind {
  readonly version: 1 | 2;
  readonly littleEndian: boolean;
  /** Of a pair, .hdr and .img. */
  readonly isPair: boolean;
  /** Of the format before NIfTI, which has the same header but says nothing of directions. */
  readonly isAnalyze: boolean;
}

/** @param start  at least 348 bytes of the file, uncompressed; undefined if it is none */
export function kindOf(start: Uint8Array): NiftiKind | undefined {
  if (start.length < headerBytes[1]) return undefined;
  const view = new DataView(start.buffer, start.byteOffset, start.byteLength);
  for (const littleEndian of [true, false]) {
    const size = view.getInt32(0, littleEndian);
    if (size !== headerBytes[1] && size !== headerBytes[2]) continue;
    const version = size === headerBytes[1] ? 1 : 2;
    const magic = Buffer.from(start).toString("latin1", version === 1 ? 344 : 4, version === 1 ? 347 : 7);
    if (magic === `n+${version}` || magic === `ni${version}`)
      return { version, littleEndian, isPair: magic.startsWith("ni"), isAnalyze: false };
    // Analyze headers have no word of their own; their "regular" is one that hardly anything else has there.
    if (version === 1 && start[38] === "r".charCodeAt(0))
      return { version, littleEndian, isPair: true, isAnalyze: true };
  }
  return undefined;
}

/** What the first bytes of a gzip file hold, as far as they go; nothing if they are damaged. */
export function firstBytes(start: Uint8Array): Uint8Array {
  try {
    return gunzipSync(start, { finishFlush: constants.Z_SYNC_FLUSH });
  } catch {
    return new Uint8Array(0);
  }
}

const endings = /\.nii(\.gz)?$/i;

/** Beginnings of pictures whose names may be wrong: PNG, JPEG, GIF, TIFF, WebP. */
const otherPictures = /^(\x89PNG|\xff\xd8\xff|GIF8|II[*+]\0|MM\0[*+]|RIFF)/;

/** Whether a file is NIfTI, by its first bytes; by its name where they are nothing else's, so that what is wrong can be said. */
export function isNifti(start: Uint8Array, file: string | undefined): boolean {
  if (kindOf(isGzip(start) ? firstBytes(start) : start)) return true;
  if (file === undefined || !endings.test(file)) return false;
  return !otherPictures.test(Buffer.from(start.subarray(0, 8)).toString("latin1"));
}
