/**
 * What can be said of a picture without a network: how bright, how contrasted, how coarse and how colourful it is. A network's
 * later stages have learned to overlook much of that; blank, inverted and noisy pictures, and those of another device, differ
 * in it first.
 */
import type { BatchImages } from "../data/batch.js";
import { isBytes } from "../settings/realms.js";

/** Levels of grey that are told apart: those that the sum of three bytes has. */
const levels = 766;
const shares = [0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99];
/** Sides of the squares of pixels whose means are compared with their neighbours'. */
const coarseness = [1, 2, 4];
/** Of the pixels by rising grey, those whose colour is looked at by itself: the darkest, the middling and the brightest. */
const parts = [
  [0, 0.1],
  [0.45, 0.55],
  [0.9, 1],
] as const;
const little = 1e-3;

/** Numbers that a picture is described by. */
export const pictureWidth = (channels: number): number =>
  shares.length + 2 + 2 * coarseness.length + (channels === 3 ? 12 + 3 * parts.length : 0);

/**
 * For each picture: seven quantiles of its greys, their mean and the logarithm of their standard deviation; logarithms of the
 * mean step from one pixel, or square of pixels, to the next, across and down; and for colours how far each channel's mean is
 * from that of all, over the picture and over its darkest, middling and brightest pixels, the logarithms of how far it is from
 * grey at a pixel and of its standard deviation, and how the channels are correlated. Values are from 0 to 1.
 *
 * @returns (b, pictureWidth(channels)) row-major
 */
export function pictureStatistics({ images, shape }: Pick<BatchImages, "images" | "shape">): Float64Array {
  const [count, channels, height, width] = shape;
  const size = height * width;
  const unit = isBytes(images) ? 1 / 255 : 1;
  const each = pictureWidth(channels);
  const found = new Float64Array(count * each);
  const grey = new Float64Array(size);
  for (let image = 0; image < count; image++) {
    const own = images.subarray(image * channels * size, (image + 1) * channels * size);
    grey.fill(0);
    for (let at = 0; at < own.length; at++) grey[at % size]! += (own[at]! * unit) / channels;
    const counts = cumulated(grey);
    const numbers = [...greysOf(grey, counts), ...stepsOf(grey, height, width)];
    if (channels === 3) numbers.push(...colorsOf(own, grey, counts, unit));
    found.set(numbers, image * each);
  }
  return found;
}

/** Of each level how many pixels are at it or below. */
function cumulated(grey: Float64Array): Int32Array {
  const counts = new Int32Array(levels);
  for (const value of grey) counts[levelOf(value)]! += 1;
  for (let level = 1; level < levels; level++) counts[level]! += counts[level - 1]!;
  return counts;
}

const levelOf = (value: number): number => Math.round(Math.min(1, Math.max(0, value)) * (levels - 1));

/** The first level that a share of the pixels is at or below. */
const quantileOf = (counts: Int32Array, share: number): number =>
  Math.max(
    0,
    counts.findIndex((count) => count >= share * counts[levels - 1]!),
  );

function greysOf(grey: Float64Array, counts: Int32Array): number[] {
  const { mean, deviation } = spreadOf(grey);
  const quantiles = shares.map((share) => quantileOf(counts, share) / (levels - 1));
  return [...quantiles, mean, Math.log(deviation + little)];
}

function spreadOf(values: ArrayLike<number>): { mean: number; deviation: number } {
  let [mean, square] = [0, 0];
  for (let at = 0; at < values.length; at++) mean += values[at]! / values.length;
  for (let at = 0; at < values.length; at++) square += (values[at]! - mean) ** 2 / values.length;
  return { mean, deviation: Math.sqrt(square) };
}

function stepsOf(grey: Float64Array, height: number, width: number): number[] {
  return coarseness.flatMap((side) => {
    const [rows, columns] = [Math.max(1, Math.floor(height / side)), Math.max(1, Math.floor(width / side))];
    const means = squareMeans(grey, width, { side, rows, columns });
    let [across, down] = [0, 0];
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        const value = means[row * columns + column]!;
        if (column > 0) across += Math.abs(value - means[row * columns + column - 1]!);
        if (row > 0) down += Math.abs(value - means[(row - 1) * columns + column]!);
      }
    }
    const mean = (sum: number, pairs: number) => Math.log(sum / Math.max(1, pairs) + little);
    return [mean(across, rows * (columns - 1)), mean(down, (rows - 1) * columns)];
  });
}

function squareMeans(
  grey: Float64Array,
  width: number,
  { side, rows, columns }: { side: number; rows: number; columns: number },
): Float64Array {
  if (side === 1) return grey;
  const means = new Float64Array(rows * columns);
  for (let row = 0; row < rows * side; row++) {
    for (let column = 0; column < columns * side; column++) {
      const square = Math.floor(row / side) * columns + Math.floor(column / side);
      means[square]! += (grey[row * width + column] ?? 0) / side ** 2;
    }
  }
  return means;
}

function colorsOf(
  own: Uint8Array | Float32Array,
  grey: Float64Array,
  counts: Int32Array,
  unit: number,
): number[] {
  const size = grey.length;
  const channels = [0, 1, 2].map((channel) =>
    Float64Array.from(own.subarray(channel * size, (channel + 1) * size), (value) => value * unit),
  ) as [Float64Array, Float64Array, Float64Array];
  const all = spreadOf(grey);
  const each = channels.map(spreadOf);
  const fromGrey = channels.map((values) => {
    let distance = 0;
    for (let at = 0; at < size; at++) distance += Math.abs(values[at]! - grey[at]!) / size;
    return Math.log(distance + little);
  });
  const ofParts = parts.flatMap(([from, to]) => {
    const [lowest, highest] = [quantileOf(counts, from), quantileOf(counts, to)];
    const within = (value: number) => levelOf(value) >= lowest && levelOf(value) <= highest;
    const sums = [0, 0, 0];
    let found = 0;
    for (let at = 0; at < size; at++) {
      if (!within(grey[at]!)) continue;
      found += 1;
      for (let channel = 0; channel < 3; channel++) sums[channel]! += channels[channel]![at]! - grey[at]!;
    }
    return sums.map((sum) => sum / Math.max(1, found));
  });
  const correlation = (first: number, second: number): number => {
    let product = 0;
    const [a, b] = [each[first]!, each[second]!];
    for (let at = 0; at < size; at++)
      product += ((channels[first]![at]! - a.mean) * (channels[second]![at]! - b.mean)) / size;
    return product / ((a.deviation + little) * (b.deviation + little));
  };
  return [
    ...each.map(({ mean }) => mean - all.mean),
    ...ofParts,
    ...fromGrey,
    ...each.map(({ deviation }) => Math.log(deviation + little)),
    correlation(0, 1),
    correlation(0, 2),
    correlation(1, 2),
  ];
}
