/** What an object says of its pixels (PS3.3, C.7.6.3), checked against what can be and what is there. */
import { DataError } from "../../../errors.js";
import { tooLarge } from "../limits.js";
import type { Attributes } from "./attributes.js";

/** How the pixels of an object are stored. */
export interface ImageAttributes {
  readonly rows: number;
  readonly columns: number;
  /** Values of a pixel. */
  readonly samples: 1 | 3;
  /** In small words of PS3.3, such as "MONOCHROME2". */
  readonly photometric: string;
  readonly frames: number;
  /** Bits between the beginnings of two values. */
  readonly bitsAllocated: number;
  /** Bits of a value, of which `highBit` is the most significant. */
  readonly bitsStored: number;
  readonly highBit: number;
  /** Two's complement. */
  readonly signed: boolean;
  /** Red, green and blue in planes of their own. */
  readonly planar: boolean;
  readonly bigEndian: boolean;
  /** Values are floating-point numbers of `bitsAllocated` bits. */
  readonly float: boolean;
}

const colors = ["RGB", "YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_422", "YBR_ICT", "YBR_RCT"];
const greys = ["MONOCHROME1", "MONOCHROME2", "PALETTE COLOR"];
const mostFrames = 2 ** 20;

/**
 * @param float  whether pixels are in (7FE0,0008) or (7FE0,0009), whose bits need not be told
 * @throws DataError for what no picture of ours can be
 */
export function imageAttributes(
  attributes: Attributes,
  { bigEndian, float, maxPixels }: { bigEndian: boolean; float: 32 | 64 | undefined; maxPixels: number },
): ImageAttributes {
  const whole = (value: number | undefined, name: string, least: number, most: number): number => {
    if (value === undefined) throw new DataError(`it does not say its ${name}`);
    if (Number.isInteger(value) && value >= least && value <= most) return value;
    throw new DataError(`its ${name} is ${value}, where ${least} to ${most} is possible`);
  };
  const rows = whole(attributes.number("Rows"), "number of rows", 1, 65535);
  const columns = whole(attributes.number("Columns"), "number of columns", 1, 65535);
  if (rows * columns > maxPixels) throw tooLarge(columns, rows, maxPixels);
  const frames = whole(attributes.number("NumberOfFrames") ?? 1, "number of frames", 1, mostFrames);
  const samples = whole(attributes.number("SamplesPerPixel") ?? 1, "number of samples a pixel", 1, 4);
  const photometric = photometricOf(attributes.text("PhotometricInterpretation"), samples);
  const signed = attributes.number("PixelRepresentation") === 1;
  const planar = samples === 3 && attributes.number("PlanarConfiguration") === 1;
  const form = { rows, columns, samples: samples as 1 | 3, photometric, frames, signed, planar, bigEndian };
  if (float) {
    return { ...form, float: true, bitsAllocated: float, bitsStored: float, highBit: float - 1 };
  }
  const bitsAllocated = whole(attributes.number("BitsAllocated"), "number of bits allocated", 1, 64);
  if (![1, 8, 12, 16, 32].includes(bitsAllocated)) {
    throw new DataError(`its values have ${bitsAllocated} bits, and 1, 8, 12, 16 and 32 are read`);
  }
  const declared = whole(attributes.number("BitsStored") ?? bitsAllocated, "number of bits stored", 0, 64);
  // 0 and more than there are stand in files of some vendors: then all bits are the value.
  const bitsStored = declared === 0 || declared > bitsAllocated ? bitsAllocated : declared;
  const top = attributes.number("HighBit") ?? bitsStored - 1;
  const highBit = top >= bitsStored - 1 && top < bitsAllocated ? top : bitsStored - 1;
  return { ...form, float: false, bitsAllocated, bitsStored, highBit };
}

/** Files older than the attribute have greys. */
function photometricOf(declared: string | undefined, samples: number): string {
  const photometric = declared ?? (samples === 1 ? "MONOCHROME2" : "RGB");
  const known = samples === 1 ? greys : samples === 3 ? colors : [];
  if (known.includes(photometric)) return photometric;
  const named = [...greys, ...colors, ...retired].includes(photometric) ? photometric : "unknown";
  throw new DataError(`its colours are ${named} with ${samples} values a pixel, which is not read`);
}

/** Colours that are known and not read: most were retired before there was anything to write them. */
const retired = ["ARGB", "CMYK", "HSV", "YBR_PARTIAL_420", "XYB"];
