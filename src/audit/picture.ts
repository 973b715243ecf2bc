/** What is measured of a picture: how it is stored, what it looks like, and what a network could tell it by without looking. */
import { hashOf } from "../data/contents.js";
import type { Sample } from "../data/dataset.js";
import type { Pixels } from "../data/decoding/decoder.js";
import { type Look, lookOf } from "../data/splitting/near-duplicates.js";
import { thumbnailOf } from "../data/splitting/perceptual-hash.js";
import { DataError } from "../errors.js";
import { inWords } from "../settings/given.js";
import { typedArrayKind } from "../settings/realms.js";

/** What is known of a picture once it has been decoded. */
export interface Picture {
  /** Of size and values: pictures of one fingerprint are the same, whatever files they are in. */
  readonly fingerprint: string;
  readonly width: number;
  readonly height: number;
  /** Values of a pixel; 1 where all three of every pixel are the same. */
  readonly channels: 1 | 3;
  readonly bitDepth: number;
  readonly spacing: Pixels["spacing"];
  /** Undefined where there is nothing to be seen. */
  readonly look: Look | undefined;
  /** Whether every pixel has the same value. */
  readonly constant: boolean;
  /** Whether nearly every pixel has. */
  readonly blank: boolean;
  /** Measures that are no finding, by name. */
  readonly measures: Readonly<Record<MeasureName, number>>;
}

/** Measures of a picture, in words for people; values run from 0 to 1 unless said. */
export const measureWords = {
  meanGrey: "mean grey",
  contrast: "contrast (standard deviation of grey)",
  black: "share of black pixels",
  white: "share of white pixels",
  border: "uniform border",
  cornerText: "sharp edges in the corners, as of burnt-in text",
  color: "color (mean saturation)",
} as const;

export type MeasureName = keyof typeof measureWords;

/** So many pixels of one value, and what the others have is taken for dust. */
const blankShare = 0.995;

/** Grey values of a picture (height, width), from 0 to 2 ** bitDepth - 1, and what was seen of its colors. */
interface Grey {
  readonly values: Uint8Array | Uint16Array;
  readonly channels: 1 | 3;
  readonly color: number;
}

export function measurePicture(pixels: Pixels): Picture {
  const { width, height, bitDepth, spacing } = pixels;
  const grey = greyOf(pixels);
  const { values } = grey;
  const largest = 2 ** bitDepth - 1;
  const histogram = histogramOf(values, bitDepth);
  const commonest = histogram.reduce((most, count) => Math.max(most, count), 0);
  const [mean, deviation] = moments(values);
  const constant = deviation === 0;
  const blank = commonest >= blankShare * values.length;
  const identity = grey.channels === 1 ? values : pixels.data;
  return {
    fingerprint: `${width}x${height}x${bitDepth} ${hashOf(identity)}`,
    width,
    height,
    channels: grey.channels,
    bitDepth,
    spacing,
    look: blank ? undefined : lookOf(thumbnailOf(values, pixels)),
    constant,
    blank,
    measures: {
      meanGrey: mean / largest,
      contrast: deviation / largest,
      black: histogram[0]! / values.length,
      white: histogram[255]! / values.length,
      border: borderOf(values, pixels, largest),
      cornerText: cornerEdges(values, pixels, largest),
      color: grey.color,
    },
  };
}

/** @throws DataError unless a data set's picture is one: of that size, and of values that fit its depth */
export function expectPixels(pixels: Pixels, name: string): void {
  const { width, height, channels, bitDepth, data } = Object(pixels) as Partial<Pixels>;
  const refuse = (reason: string): never => {
    throw new DataError(`${name}: ${reason}.`, { file: name, reason });
  };
  for (const [what, side] of Object.entries({ width, height }))
    if (!Number.isSafeInteger(side) || (side as number) < 1) refuse(`its ${what} is ${inWords(side)}`);
  if (channels !== 1 && channels !== 3)
    refuse(`it has ${inWords(channels)} channels, where 1 or 3 are expected`);
  if (!Number.isInteger(bitDepth) || (bitDepth as number) < 8 || (bitDepth as number) > 16)
    refuse(`its depth is ${inWords(bitDepth)}, where 8 to 16 bits are expected`);
  const kind = bitDepth === 8 ? "Uint8Array" : "Uint16Array";
  if (typedArrayKind(data) !== kind) refuse(`its values are ${inWords(data)}, where a ${kind} is expected`);
  const size = (width as number) * (height as number) * (channels as number);
  if (data?.length !== size) refuse(`it has ${data?.length} values where ${size} are expected`);
}

/** A sample's pixels, for data sets that have nothing else. */
export function pixelsOfSample({ channels, height, width, data }: Sample): Pixels {
  const area = height * width;
  const deep = typedArrayKind(data) === "Float32Array";
  const interleaved = deep ? new Uint16Array(data.length) : new Uint8Array(data.length);
  for (let channel = 0; channel < channels; ++channel) {
    for (let i = 0; i < area; ++i) {
      const value = data[channel * area + i]!;
      interleaved[i * channels + channel] = deep ? Math.round(value * 65535) : value;
    }
  }
  const photometric = channels === 1 ? "grey" : "rgb";
  return {
    channels: channels as 1 | 3,
    height,
    width,
    bitDepth: deep ? 16 : 8,
    photometric,
    data: interleaved,
  };
}

/** Luma by ITU-R BT.601. A picture in three equal channels is a grey one. */
function greyOf({ data, channels, width, height, bitDepth }: Pixels): Grey {
  if (channels === 1) return { values: data, channels, color: 0 };
  const area = width * height;
  const values = bitDepth > 8 ? new Uint16Array(area) : new Uint8Array(area);
  let saturation = 0;
  for (let i = 0, at = 0; i < area; ++i, at += 3) {
    const [r, g, b] = [data[at]!, data[at + 1]!, data[at + 2]!];
    values[i] = Math.round(0.299 * r + 0.587 * g + 0.114 * b);
    saturation += Math.max(r, g, b) - Math.min(r, g, b);
  }
  return { values, channels: saturation === 0 ? 1 : 3, color: saturation / area / (2 ** bitDepth - 1) };
}

/** How many pixels have each of 256 grey levels. */
function histogramOf(values: Uint8Array | Uint16Array, bitDepth: number): Uint32Array {
  const counts = new Uint32Array(256);
  const shift = Math.max(bitDepth - 8, 0);
  for (let i = 0; i < values.length; ++i) counts[values[i]! >> shift]! += 1;
  return counts;
}

function moments(values: Uint8Array | Uint16Array): [mean: number, deviation: number] {
  let [sum, squares] = [0, 0];
  for (let i = 0; i < values.length; ++i) {
    const value = values[i]!;
    sum += value;
    squares += value * value;
  }
  const mean = sum / values.length;
  return [mean, Math.sqrt(Math.max(squares / values.length - mean ** 2, 0))];
}

interface Size {
  readonly height: number;
  readonly width: number;
}

/** The part of a picture that lies in rows and columns of one value at its edges, as of letter boxes. */
function borderOf(values: Uint8Array | Uint16Array, { height, width }: Size, largest: number): number {
  const tolerance = 0.02 * largest;
  const uniform = (start: number, step: number, count: number): boolean => {
    const first = values[start]!;
    for (let i = 0, at = start; i < count; ++i, at += step)
      if (Math.abs(values[at]! - first) > tolerance) return false;
    return true;
  };
  const lines = (count: number, isUniform: (line: number) => boolean): number => {
    let [first, last] = [0, count];
    while (first < last && isUniform(first)) first += 1;
    while (last > first && isUniform(last - 1)) last -= 1;
    return last - first;
  };
  const rows = lines(height, (row) => uniform(row * width, 1, width));
  const columns = lines(width, (column) => uniform(column, width, height));
  return 1 - (rows * columns) / (height * width);
}

/** Of neighboring pixels in the corners (a quarter wide, a sixth high), how many differ by a third of black to white. */
function cornerEdges(values: Uint8Array | Uint16Array, { height, width }: Size, largest: number): number {
  const [deep, wide] = [Math.max(Math.floor(height / 6), 1), Math.max(Math.floor(width / 4), 2)];
  let edges = 0;
  for (const top of [0, height - deep]) {
    for (const left of [0, width - wide]) {
      for (let row = Math.max(top, 0); row < top + deep; ++row) {
        const start = row * width + Math.max(left, 0);
        for (let at = start + 1; at < Math.min(start + wide, (row + 1) * width); ++at)
          if (Math.abs(values[at]! - values[at - 1]!) * 3 > largest) edges += 1;
      }
    }
  }
  return edges / (4 * deep * (wide - 1));
}
