/**
 * Values that are no greys yet, as measurements have them, and the window through which they become greys: what lies at or
 * below its lower end is black, at or above its upper end white, between them grey in equal steps.
 */
import { DataError } from "../../errors.js";
import { namedWindows } from "../preprocessing.js";
import { type Pieces, percentiles } from "./percentiles.js";

/** The values that become black and white. */
export interface GreyRange {
  readonly black: number;
  readonly white: number;
}

/** What is known of values beside themselves. */
export interface Measured {
  /** For sentences, with its article: "a TIFF". */
  readonly format: string;
  /** Whether windows in Hounsfield units may be meant for them. */
  readonly hounsfield: boolean;
  /** The values, a piece at a time, of which percentiles are taken. */
  readonly pieces: Pieces;
}

/** What the window "percentile" leaves beyond its ends, of all values. */
const [lowest, highest] = [0.005, 0.995];

/**
 * What a window means for some values: "percentile", a name of Hounsfield units, or "C,W", which is from C - W / 2 to C + W / 2.
 *
 * @throws DataError if the window is one that values of their kind do not have
 */
export async function greyRange(
  window: string,
  { format, hounsfield, pieces }: Measured,
): Promise<GreyRange> {
  if (window === "percentile") return percentileRange(pieces);
  if (window.startsWith("name:")) {
    throw new DataError(
      `the window "${window}" asks for one that the file itself names, which ${format} does not: use "percentile" or a center and width such as "40,400"`,
    );
  }
  const named = Object.entries(namedWindows).find(([name]) => name === window)?.[1];
  if (named && !hounsfield) {
    throw new DataError(
      `the window "${window}" is in Hounsfield units, and ${format} does not say that its values are: if they are, give it as "${named.join(",")}"`,
    );
  }
  const [center = 0, width = 1] = named ?? window.split(",").map(Number);
  return { black: center - width / 2, white: center + width / 2 };
}

/** From the 0.5th to the 99.5th percentile; from the least to the largest value where nearly all are the same. */
export async function percentileRange(pieces: Pieces): Promise<GreyRange> {
  const [black, white] = (await percentiles(pieces, lowest, highest)) ?? [0, 0];
  if (black < white) return { black, white };
  const [least, largest] = (await percentiles(pieces, 0, 1)) ?? [0, 0];
  return { black: least, white: largest };
}

/**
 * Values as greys. NaN is black, as are values that are all the same under a window of their own.
 *
 * @returns values from 0 to 2 ** bitDepth - 1
 */
export function toGreys(
  values: ArrayLike<number>,
  { black, white }: GreyRange,
  bitDepth: 8 | 16,
): Uint8Array | Uint16Array {
  const most = 2 ** bitDepth - 1;
  const greys = bitDepth === 8 ? new Uint8Array(values.length) : new Uint16Array(values.length);
  for (let i = 0; i < values.length; ++i) {
    const value = values[i] as number;
    if (value >= white && white > black) greys[i] = most;
    // Halves, as the distance of two doubles may be beyond the largest.
    else if (value > black) greys[i] = Math.round(((value / 2 - black / 2) / (white / 2 - black / 2)) * most);
  }
  return greys;
}
