/** Colours as they are stored to red, green and blue of 8 or 16 bits: YBR (PS3.3, C.7.6.3.1.2) and palettes (C.7.9). */
import { DataError } from "../../../errors.js";
import type { Attributes, Keyword } from "./attributes.js";
import type { StoredPixels } from "./codecs/codec.js";
import type { ImageAttributes } from "./image-attributes.js";
import { readLut } from "./lookup-table.js";

type Output = Uint8Array | Uint16Array;

const outputOf = (length: number, bitDepth: 8 | 16): Output =>
  bitDepth === 8 ? new Uint8Array(length) : new Uint16Array(length);

/** (rows, columns, 3) of the whole range of `bitDepth`. */
export function renderColor(
  { values, isRgb }: StoredPixels,
  { photometric, bitsStored }: ImageAttributes,
  bitDepth: 8 | 16,
): Output {
  const from = 2 ** bitsStored - 1;
  const scale = (2 ** bitDepth - 1) / from;
  if (isRgb || photometric === "RGB" || photometric === "YBR_ICT" || photometric === "YBR_RCT") {
    if (values instanceof Uint8Array && bitDepth === 8 && bitsStored === 8) return values;
    const out = outputOf(values.length, bitDepth);
    for (let i = 0; i < values.length; ++i) out[i] = (values[i] as number) * scale + 0.5;
    return out;
  }
  return ybrToRgb(values, photometric.startsWith("YBR_PARTIAL"), from, bitDepth);
}

/** ITU-R BT.601, of the whole range (YBR_FULL) or of 16 to 235 and 16 to 240 in 255 (YBR_PARTIAL). */
function ybrToRgb(values: StoredPixels["values"], partial: boolean, from: number, bitDepth: 8 | 16): Output {
  const out = outputOf(values.length, bitDepth);
  const most = 2 ** bitDepth - 1;
  const black = partial ? 16 / 255 : 0;
  const luma = (partial ? 255 / 219 : 1) * most;
  const chroma = (partial ? 255 / 224 : 1) * most;
  const middle = (from + 1) / 2;
  for (let i = 0; i + 2 < values.length; i += 3) {
    const y = ((values[i] as number) / from - black) * luma;
    const cb = (((values[i + 1] as number) - middle) / from) * chroma;
    const cr = (((values[i + 2] as number) - middle) / from) * chroma;
    out[i] = clamped(y + 1.402 * cr, most);
    out[i + 1] = clamped(y - 0.344136 * cb - 0.714136 * cr, most);
    out[i + 2] = clamped(y + 1.772 * cb, most);
  }
  return out;
}

const clamped = (value: number, most: number): number =>
  value <= 0 ? 0 : value >= most ? most : Math.round(value);

const channels = ["Red", "Green", "Blue"] as const;

/**
 * Entries of palettes at `bitDepth`, and the value that the first is for.
 *
 * @throws DataError if one of the three is missing or damaged
 */
export function readPalette(attributes: Attributes, signed: boolean, bitDepth: 8 | 16) {
  const tables = channels.map((name) => {
    const descriptor = `${name}PaletteColorLookupTableDescriptor` as Keyword;
    const data = attributes.bytes(`${name}PaletteColorLookupTableData` as Keyword);
    const segmented = attributes.bytes(`Segmented${name}PaletteColorLookupTableData` as Keyword);
    const table = readLut(attributes, { descriptor, data, segmented, signed });
    if (!table) throw new DataError("its colour palette is missing or damaged");
    const most = 2 ** bitDepth - 1;
    const scale = most / (2 ** table.bits - 1);
    const entries = outputOf(table.entries.length, bitDepth);
    // 8 bits are the upper ones of 16, as palettes of 8 are often written: 0x0101 to 0xFFFF, or 0x0100 to 0xFF00.
    const isUpper = bitDepth === 8 && table.bits === 16;
    for (let i = 0; i < entries.length; ++i) {
      const value = table.entries[i] as number;
      entries[i] = isUpper ? value >>> 8 : Math.min(value * scale + 0.5, most);
    }
    return { first: table.first, entries };
  });
  return tables;
}

/** Values to colours by palettes. */
export function renderPalette(
  values: StoredPixels["values"],
  palettes: ReturnType<typeof readPalette>,
  bitDepth: 8 | 16,
): Output {
  const out = outputOf(3 * values.length, bitDepth);
  for (const [channel, { first, entries }] of palettes.entries()) {
    const last = entries.length - 1;
    for (let i = 0, to = channel; i < values.length; ++i, to += 3) {
      const index = (values[i] as number) - first;
      out[to] = entries[index < 0 ? 0 : index > last ? last : index] as number;
    }
  }
  return out;
}
