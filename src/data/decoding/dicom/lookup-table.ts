/** Tables from values to values, as modality, VOI and palettes have them (PS3.3, C.11.1.1), whole or in segments (C.7.9.2). */
import { DataError } from "../../../errors.js";
import type { Attributes, Keyword } from "./attributes.js";

/** Values below `first` become the first entry, those beyond the table the last. */
export interface LookupTable {
  readonly first: number;
  readonly entries: Uint16Array;
  /** Bits of an entry. */
  readonly bits: number;
}

interface Parts {
  readonly descriptor: Keyword;
  readonly data: Uint8Array | undefined;
  readonly segmented?: Uint8Array | undefined;
  /** Whether the first value that the table is for may be below 0. */
  readonly signed: boolean;
}

/** Undefined where there is no table, or one that cannot be. */
export function readLut(
  attributes: Attributes,
  { descriptor, data, segmented, signed }: Parts,
): LookupTable | undefined {
  const [declared, , declaredBits] = attributes.numbers(descriptor);
  const first = attributes.numbers(descriptor, { signed })[1];
  if (declared === undefined || first === undefined || declaredBits === undefined) return undefined;
  // 16 bits do not hold 65536, so 0 stands for it; as a signed number a large count is negative.
  const count = declared === 0 ? 65536 : declared < 0 ? declared + 65536 : declared;
  const source = data ?? segmented;
  if (!source) return undefined;
  const inBytes = data ? data.length < 2 * count && data.length >= count : declaredBits === 8;
  const words = inBytes ? Uint16Array.from(source) : attributes.words(source);
  const entries = data ? words.subarray(0, count) : expanded(words, count);
  if (entries.length === 0) return undefined;
  return { first, entries, bits: bitsOf(declaredBits, entries) };
}

/** Files say 16 bits of entries that use fewer, which is right, and 8 of entries that use more, which is not. */
function bitsOf(declared: number, entries: Uint16Array): number {
  const most = entries.reduce((a, b) => (a > b ? a : b), 0);
  const bits = Math.min(Math.max(declared, 1), 16);
  return most < 2 ** bits ? bits : 16;
}

/** Segments: 0 n and n values; 1 n and the end of a line of n values; 2 n and where n segments stand that come again. */
function expanded(words: Uint16Array, count: number): Uint16Array {
  const out = new Uint16Array(count);
  let size = 0;
  const walk = (start: number, segments: number, again: boolean): void => {
    let at = start;
    for (let left = segments; left > 0 && at + 1 < words.length && size < count; --left) {
      const [kind, length] = [words[at] as number, words[at + 1] as number];
      if (kind === 0) {
        for (let i = 0; i < length && size < count; ++i) out[size++] = words[at + 2 + i] ?? 0;
        at += 2 + length;
      } else if (kind === 1) {
        const [from, to] = [size > 0 ? (out[size - 1] as number) : 0, words[at + 2] ?? 0];
        for (let i = 1; i <= length && size < count; ++i)
          out[size++] = from + Math.round(((to - from) * i) / length);
        at += 3;
      } else if (kind === 2 && !again) {
        const words16 = [words[at + 2] ?? 0, words[at + 3] ?? 0] as const;
        walk((words16[0] + words16[1] * 65536) >>> 1, length, true);
        at += 4;
      } else {
        throw new DataError("its colour palette is damaged");
      }
    }
  };
  walk(0, words.length, false);
  return out.subarray(0, size);
}
