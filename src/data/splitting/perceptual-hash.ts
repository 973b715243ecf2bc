/**
 * What a picture looks like, in a few bytes, so that copies are found that are not the same to the bit: saved anew, resized,
 * brightened, turned by a quarter or mirrored.
 *
 * Everything is made of a thumbnail of 32 x 32 grey values, each the mean of its share of the picture. Two hashes of 64 bits
 * find candidates; the thumbnail's texture tells whether they are copies.
 *
 * The texture is the Laplacian of the thumbnail, blurred a little, and two are as similar as their correlation. What
 * radiographs of one kind have in common, a bright middle and dark corners, is smooth and vanishes in it, and so do brightness
 * and contrast; the blur takes away what compression adds, and forgives a shift by a part of a cell.
 *
 * @see Zauner, "Implementation and benchmarking of perceptual image hash functions", 2010, and the package ImageHash for
 *   Python, whose `dhash` and `phash` have the same bits of the same thumbnail
 */
import { hashWords } from "./hash-index.js";

/** Pixels of a thumbnail, each way. */
export const thumbnailSide = 32;
const side = thumbnailSide;

/** The ways in which a square can be laid on itself: a quarter turn `n % 4` times, mirrored before that from 4 on. */
export const symmetries = [
  "as it is",
  "turned by 90 degrees",
  "turned by 180 degrees",
  "turned by 270 degrees",
  "mirrored",
  "mirrored and turned by 90 degrees",
  "mirrored and turned by 180 degrees",
  "mirrored and turned by 270 degrees",
] as const;

/** Where each pixel of a turned thumbnail comes from, for every symmetry. */
const origins: readonly Uint16Array[] = symmetries.map((_, symmetry) =>
  Uint16Array.from({ length: side * side }, (_, at) => {
    let [row, column] = [Math.floor(at / side), at % side];
    for (let turn = 0; turn < symmetry % 4; ++turn) [row, column] = [side - 1 - column, row];
    if (symmetry >= 4) column = side - 1 - column;
    return row * side + column;
  }),
);

/** A thumbnail or a texture, turned. */
export function turned<A extends Float64Array | Int8Array>(square: A, symmetry: number): A {
  return square.map((_, at) => square[origins[symmetry]![at]!]!) as A;
}

/** For each cell of `cells` over `pixels`: the pixels in it and how much of each is. */
interface Cells {
  readonly first: Int32Array;
  readonly last: Int32Array;
  readonly weights: readonly Float64Array[];
}

function cellsOf(pixels: number, cells: number): Cells {
  const first = new Int32Array(cells);
  const last = new Int32Array(cells);
  const weights: Float64Array[] = [];
  for (let cell = 0; cell < cells; ++cell) {
    const [from, to] = [(cell * pixels) / cells, ((cell + 1) * pixels) / cells];
    first[cell] = Math.floor(from);
    last[cell] = Math.min(Math.ceil(to - 1e-9), pixels);
    const length = last[cell]! - first[cell]!;
    const share = (i: number) => Math.min(to, first[cell]! + i + 1) - Math.max(from, first[cell]! + i);
    weights.push(Float64Array.from({ length }, (_, i) => share(i) / (to - from)));
  }
  return { first, last, weights };
}

/**
 * The mean of each cell of a grid that is laid over a picture.
 *
 * @param grey  (height, width)
 * @returns (rows, columns)
 */
export function areaMeans(
  grey: ArrayLike<number>,
  { height, width }: { readonly height: number; readonly width: number },
  rows: number,
  columns: number,
): Float64Array {
  const across = cellsOf(width, columns);
  const down = cellsOf(height, rows);
  const result = new Float64Array(rows * columns);
  const line = new Float64Array(columns);
  for (let row = 0; row < rows; ++row) {
    for (let y = down.first[row]!; y < down.last[row]!; ++y) {
      const start = y * width;
      for (let column = 0; column < columns; ++column) {
        const weights = across.weights[column]!;
        const from = start + across.first[column]!;
        let sum = 0;
        for (let i = 0; i < weights.length; ++i) sum += grey[from + i]! * weights[i]!;
        line[column] = sum;
      }
      const weight = down.weights[row]![y - down.first[row]!]!;
      for (let column = 0; column < columns; ++column)
        result[row * columns + column]! += weight * line[column]!;
    }
  }
  return result;
}

/** The thumbnail of a grey picture (height, width). */
export function thumbnailOf(
  grey: ArrayLike<number>,
  size: { readonly height: number; readonly width: number },
): Float64Array {
  return areaMeans(grey, size, side, side);
}

/** Writes 64 bits, the first as the highest bit of the first word. */
function pack(bits: (at: number) => boolean, into: Uint16Array, at: number): void {
  for (let word = 0; word < hashWords; ++word) {
    let value = 0;
    for (let bit = 0; bit < 16; ++bit) value = value * 2 + (bits(word * 16 + bit) ? 1 : 0);
    into[at + word] = value;
  }
}

/** Whether it becomes brighter from each of 8 x 9 cells to the next on the right: four words from `at` on. */
export function differenceHash(
  thumbnail: Float64Array,
  into = new Uint16Array(hashWords),
  at = 0,
): Uint16Array {
  const means = areaMeans(thumbnail, { height: side, width: side }, 8, 9);
  const brighter = (bit: number): boolean => {
    const left = Math.floor(bit / 8) * 9 + (bit % 8);
    return means[left + 1]! > means[left]!;
  };
  pack(brighter, into, at);
  return into;
}

const frequencies = 8;

/** cos(pi k (2 n + 1) / 64): the discrete cosine transform's rows of low frequency. */
const cosines = Float64Array.from({ length: frequencies * side }, (_, i) =>
  Math.cos((Math.PI * Math.floor(i / side) * (2 * (i % side) + 1)) / (2 * side)),
);

/** Which of the 8 x 8 lowest frequencies of the cosine transform are above their median: four words from `at` on. */
export function cosineHash(thumbnail: Float64Array, into = new Uint16Array(hashWords), at = 0): Uint16Array {
  const rows = new Float64Array(frequencies * side);
  for (let k = 0; k < frequencies; ++k) {
    for (let y = 0; y < side; ++y) {
      const cosine = cosines[k * side + y]!;
      for (let x = 0; x < side; ++x) rows[k * side + x]! += cosine * thumbnail[y * side + x]!;
    }
  }
  const low = new Float64Array(frequencies * frequencies);
  for (let k = 0; k < frequencies; ++k) {
    for (let l = 0; l < frequencies; ++l) {
      let sum = 0;
      for (let x = 0; x < side; ++x) sum += rows[k * side + x]! * cosines[l * side + x]!;
      low[k * frequencies + l] = sum;
    }
  }
  const sorted = low.toSorted();
  const median = (sorted[31]! + sorted[32]!) / 2;
  pack((bit) => low[bit]! > median, into, at);
  return into;
}

/** Weights of a pixel and its neighbors in one direction: a Gaussian of standard deviation 1. */
const blur = [1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16];

/** A weighted sum of each pixel and its neighbors, edges repeated; `weights` of those before, it, and those after. */
function filtered(square: Float64Array, weights: readonly number[], isDown: boolean): Float64Array {
  const reach = (weights.length - 1) / 2;
  const step = isDown ? side : 1;
  return square.map((_, i) => {
    const position = isDown ? Math.floor(i / side) : i % side;
    let sum = 0;
    for (let k = -reach; k <= reach; ++k) {
      const neighbor = Math.min(Math.max(position + k, 0), side - 1);
      sum += weights[k + reach]! * square[i + (neighbor - position) * step]!;
    }
    return sum;
  });
}

/**
 * A thumbnail's Laplacian of Gaussian, with edges repeated, over its largest value in 127 steps; all 0 where nothing is to be
 * seen.
 */
export function textureOf(thumbnail: Float64Array): Int8Array {
  const smooth = filtered(filtered(thumbnail, blur, false), blur, true);
  const across = filtered(smooth, [-1, 2, -1], false);
  const down = filtered(smooth, [-1, 2, -1], true);
  const laplacian = across.map((value, i) => value + down[i]!);
  const largest = laplacian.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const scale = largest > 0 ? 127 / largest : 0;
  return Int8Array.from(laplacian, (value) => Math.round(value * scale));
}

/** The length of a texture as a vector. */
export function textureLength(texture: Int8Array): number {
  let squares = 0;
  for (const value of texture) squares += value * value;
  return Math.sqrt(squares);
}

/** The correlation of two textures, whose mean is 0 as a Laplacian's is; 0 where one shows nothing. */
export function textureSimilarity(
  a: Int8Array,
  b: Int8Array,
  lengths = textureLength(a) * textureLength(b),
): number {
  let product = 0;
  for (let i = 0; i < a.length; ++i) product += a[i]! * b[i]!;
  return lengths > 0 ? product / lengths : 0;
}
