/**
 * Compressed frames lie in fragments (PS3.5, annex A.4): items of a sequence, behind one that may say where each frame begins.
 * A frame may have several fragments, so where no table tells and there are more of them than frames, it is told by how
 * the compressed pictures begin.
 */
import { DataError } from "../../../errors.js";
import type { Attributes } from "./attributes.js";

interface Fragment {
  /** From the first byte after the Basic Offset Table's to the item that this is. */
  readonly offset: number;
  readonly bytes: Uint8Array;
}

const itemTag = 0xe000fffe; // (FFFE,E000), little endian as all that is compressed
const endTag = 0xe0ddfffe;
const unknownLength = 0xffffffff;
const mostFragments = 2 ** 22;

/**
 * The frames of an object, each as the bytes of its fragments.
 *
 * @throws DataError if there are fewer than `count`, or they cannot be told apart
 */
export function encapsulatedFrames(
  bytes: Uint8Array,
  offset: number,
  count: number,
  attributes: Attributes,
): readonly (readonly Uint8Array[])[] {
  const [table, ...fragments] = fragmentsAt(bytes, offset);
  if (!table || fragments.length === 0) throw new DataError("it has no compressed pictures");
  if (fragments.length < count) throw tooFew(fragments.length, count);
  const all = fragments.map((fragment) => fragment.bytes);
  if (count === 1) return [all];
  const starts = extendedTable(attributes, count) ?? basicTable(table.bytes, count);
  const groups = starts && groupedByOffset(fragments, starts);
  if (groups) return groups;
  if (fragments.length === count) return all.map((fragment) => [fragment]);
  return groupedByBeginning(all, count);
}

const tooFew = (found: number, count: number): DataError =>
  new DataError(`it says that it has ${count} frames, and ${found} are there`);

/** The items from the Basic Offset Table on; the last may be cut off, and the end of the sequence be missing. */
function fragmentsAt(bytes: Uint8Array, start: number): Fragment[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found: Fragment[] = [];
  let first: number | undefined;
  for (let at = start; at + 8 <= bytes.length && found.length < mostFragments; ) {
    const tag = view.getUint32(at, true);
    if (tag === endTag) break;
    const length = view.getUint32(at + 4, true);
    if (tag !== itemTag || length === unknownLength)
      throw new DataError("its compressed pictures are damaged");
    const end = Math.min(at + 8 + length, bytes.length);
    found.push({ offset: first === undefined ? -1 : at - first, bytes: bytes.subarray(at + 8, end) });
    first ??= at + 8 + length;
    at += 8 + length;
  }
  return found;
}

/** Where frames begin, in 64 bits; undefined if that is not told. */
function extendedTable(attributes: Attributes, count: number): number[] | undefined {
  const table = attributes.bytes("ExtendedOffsetTable");
  if (!table || table.length < 8 * count) return undefined;
  const view = new DataView(table.buffer, table.byteOffset, table.byteLength);
  return Array.from({ length: count }, (_, i) => Number(view.getBigUint64(8 * i, true)));
}

/** Where frames begin, in 32 bits; undefined if that is not told. */
function basicTable(table: Uint8Array, count: number): number[] | undefined {
  if (table.length < 4 * count) return undefined;
  const view = new DataView(table.buffer, table.byteOffset, table.byteLength);
  return Array.from({ length: count }, (_, i) => view.getUint32(4 * i, true));
}

/** Undefined if the table does not belong to the fragments, as in files that were changed after it was made. */
function groupedByOffset(
  fragments: readonly Fragment[],
  starts: readonly number[],
): Uint8Array[][] | undefined {
  const frames: Uint8Array[][] = [];
  for (const { offset, bytes } of fragments) {
    if (offset === starts[frames.length]) frames.push([]);
    const frame = frames.at(-1);
    if (!frame) return undefined;
    frame.push(bytes);
  }
  return frames.length === starts.length ? frames : undefined;
}

/** A fragment that begins as JPEG and JPEG-LS (FFD8) or JPEG 2000 (FF4F) pictures do is a frame's first. */
function groupedByBeginning(fragments: readonly Uint8Array[], count: number): Uint8Array[][] {
  const frames: Uint8Array[][] = [];
  for (const bytes of fragments) {
    const begins = bytes[0] === 0xff && (bytes[1] === 0xd8 || (bytes[1] === 0x4f && bytes[2] === 0xff));
    if (begins || frames.length === 0) frames.push([]);
    frames.at(-1)?.push(bytes);
  }
  if (frames.length >= count) return frames;
  throw new DataError(
    `it has ${count} frames in ${fragments.length} pieces, and does not say which pieces belong to which`,
  );
}
