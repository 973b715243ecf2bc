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
/** Steps are taken between pixels, squares of 2 x 2 and of 4 x 4. */
const scales = 3;
/** Of the pixels by rising grey, those whose colour is looked at by itself: the darkest, the middling and the brightest. */
const parts = [
  [0, 0.1],
  [0.45, 0.55],
  [0.9, 1],
] as const;
const little = 1e-3;

/** Numbers that a picture is described by. */
export const pictureWidth = (channels: number): number =>
  shares.length + 2 + 2 * scales + (channels === 3 ? 12 + 3 * parts.length : 0);

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
    const tally = new Tally();
    if (channels === 3) tally.takeColors(own, grey, unit);
    else tally.takeGreys(own, grey, unit);
    const numbers = [...tally.greys(), ...stepsOf(grey, height, width)];
    if (channels === 3) numbers.push(...tally.colors());
    found.set(numbers, image * each);
  }
  return found;
}

const levelOf = (value: number): number => Math.round(Math.min(1, Math.max(0, value)) * (levels - 1));

/** Sums over the pixels of a picture, in one pass, from which everything is told that does not ask where a pixel is. */
class Tally {
  /** Pixels at each level of grey, and then at it or below. */
  readonly #counts = new Int32Array(levels);
  /** (3, levels) by how much each channel is above grey, in all. */
  readonly #above = new Float64Array(3 * levels);
  readonly #sums = new Float64Array(3);
  /** Of red, green and blue with each other: rr, gg, bb, rg, rb, gb. */
  readonly #products = new Float64Array(6);
  readonly #fromGrey = new Float64Array(3);
  #grey = 0;
  #greySquares = 0;
  #pixels = 0;

  /** @param grey  becomes the picture in grey, 0 to 1 */
  takeGreys(own: Uint8Array | Float32Array, grey: Float64Array, unit: number): void {
    for (let at = 0; at < grey.length; at++) {
      const value = own[at]! * unit;
      grey[at] = value;
      this.#counts[levelOf(value)]! += 1;
      this.#grey += value;
      this.#greySquares += value * value;
    }
    this.#finish(grey.length);
  }

  /** @param grey  becomes the picture in grey, 0 to 1 */
  takeColors(own: Uint8Array | Float32Array, grey: Float64Array, unit: number): void {
    const size = grey.length;
    const [sums, products, fromGrey, above] = [this.#sums, this.#products, this.#fromGrey, this.#above];
    for (let at = 0; at < size; at++) {
      const red = own[at]! * unit;
      const green = own[size + at]! * unit;
      const blue = own[2 * size + at]! * unit;
      const value = (red + green + blue) / 3;
      const level = levelOf(value);
      grey[at] = value;
      this.#counts[level]! += 1;
      this.#grey += value;
      this.#greySquares += value * value;
      sums[0]! += red;
      sums[1]! += green;
      sums[2]! += blue;
      products[0]! += red * red;
      products[1]! += green * green;
      products[2]! += blue * blue;
      products[3]! += red * green;
      products[4]! += red * blue;
      products[5]! += green * blue;
      fromGrey[0]! += Math.abs(red - value);
      fromGrey[1]! += Math.abs(green - value);
      fromGrey[2]! += Math.abs(blue - value);
      above[level]! += red - value;
      above[levels + level]! += green - value;
      above[2 * levels + level]! += blue - value;
    }
    this.#finish(size);
  }

  #finish(size: number): void {
    this.#pixels = size;
    for (let level = 1; level < levels; level++) this.#counts[level]! += this.#counts[level - 1]!;
  }

  /** The first level that a share of the pixels is at or below. */
  #quantile(share: number): number {
    const wanted = share * this.#pixels;
    return Math.max(
      0,
      this.#counts.findIndex((count) => count >= wanted),
    );
  }

  greys(): number[] {
    const mean = this.#grey / this.#pixels;
    const variance = Math.max(0, this.#greySquares / this.#pixels - mean ** 2);
    const quantiles = shares.map((share) => this.#quantile(share) / (levels - 1));
    return [...quantiles, mean, Math.log(Math.sqrt(variance) + little)];
  }

  colors(): number[] {
    const pixels = this.#pixels;
    const means = Array.from(this.#sums, (sum) => sum / pixels) as [number, number, number];
    const covariance = (product: number, first: number, second: number) =>
      this.#products[product]! / pixels - means[first]! * means[second]!;
    const deviations = [0, 1, 2].map((channel) =>
      Math.sqrt(Math.max(0, covariance(channel, channel, channel))),
    );
    const correlation = (product: number, first: number, second: number) =>
      covariance(product, first, second) / ((deviations[first]! + little) * (deviations[second]! + little));
    return [
      ...means.map((mean) => mean - this.#grey / pixels),
      ...parts.flatMap(([from, to]) => this.#colorBetween(this.#quantile(from), this.#quantile(to))),
      ...Array.from(this.#fromGrey, (sum) => Math.log(sum / pixels + little)),
      ...deviations.map((deviation) => Math.log(deviation + little)),
      correlation(3, 0, 1),
      correlation(4, 0, 2),
      correlation(5, 1, 2),
    ];
  }

  /** By how much each channel is above grey, in the mean of the pixels at these levels. */
  #colorBetween(lowest: number, highest: number): number[] {
    const count = this.#counts[highest]! - (lowest === 0 ? 0 : this.#counts[lowest - 1]!);
    return [0, 1, 2].map((channel) => {
      let sum = 0;
      for (let level = lowest; level <= highest; level++) sum += this.#above[channel * levels + level]!;
      return sum / Math.max(1, count);
    });
  }
}

/** Logarithms of the mean step across and down, of pixels and of larger squares. */
function stepsOf(grey: Float64Array, height: number, width: number): number[] {
  const numbers: number[] = [];
  let [means, rows, columns] = [grey, height, width];
  for (let scale = 0; scale < scales; scale++) {
    if (scale > 0) [means, rows, columns] = halved(means, rows, columns);
    let [across, down] = [0, 0];
    for (let row = 0; row < rows; row++) {
      const start = row * columns;
      for (let at = start + 1; at < start + columns; at++) across += Math.abs(means[at]! - means[at - 1]!);
      if (row === 0) continue;
      for (let at = start; at < start + columns; at++) down += Math.abs(means[at]! - means[at - columns]!);
    }
    const mean = (sum: number, pairs: number) => Math.log(sum / Math.max(1, pairs) + little);
    numbers.push(mean(across, rows * (columns - 1)), mean(down, (rows - 1) * columns));
  }
  return numbers;
}

/** Means of squares of four; what is left over at the far ends is left out. */
function halved(grey: Float64Array, height: number, width: number): [Float64Array, number, number] {
  const [rows, columns] = [Math.floor(height / 2), Math.floor(width / 2)];
  const means = new Float64Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const at = 2 * row * width + 2 * column;
      means[row * columns + column] =
        (grey[at]! + grey[at + 1]! + grey[at + width]! + grey[at + width + 1]!) / 4;
    }
  }
  return [means, rows, columns];
}
