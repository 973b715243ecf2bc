/**
 * How far a feature vector lies from the middle of the training images, in units of how far these themselves spread: along
 * the few directions in which they spread most each by its own measure, in all others by one. That is the Mahalanobis distance,
 * squared, with a covariance that needs few numbers and few images (probabilistic principal components): a width of 1,536
 * takes 16 directions, not 1,536 x 1,536 numbers.
 *
 * The directions are found by orthogonal iteration from a fixed start, so that equal features give equal bits.
 *
 * @see Tipping and Bishop, Probabilistic principal component analysis, J. R. Stat. Soc. B 61 (1999) 611
 */

import { EvaluationError } from "../errors.js";
import { expectCounts, optionsOf } from "../settings/given.js";
import { checkFeatures, type Features } from "./features.js";
import { Random } from "./random.js";

/** A middle and a few directions, in plain arrays as a checkpoint carries them. */
export interface PrincipalModel {
  /** Which kind of model. */
  readonly method: "principal";
  /** Features of an image. */
  readonly width: number;
  /** (width) mean of the training images */
  readonly center: Float32Array;
  /** (width) what differences are divided by: the standard deviation of each feature */
  readonly scale: Float32Array;
  /** (directions, width) row-major, of length 1 and at right angles */
  readonly directions: Float32Array;
  /** (directions) variance along each */
  readonly variances: Float32Array;
  /** Variance along every other direction. */
  readonly rest: number;
}

/** How the model is made. */
export interface PrincipalOptions {
  /** Most directions with a variance of their own; default 16. */
  readonly directions?: number;
}

/**
 * Of what a direction varies in the mean: less is taken for this much, so that what never varied is not made strange by rounding,
 * which another device does otherwise.
 */
const leastVariance = 0.01;
/** Of a feature's size, or of 1: less is taken for this much, for the same reason. */
const leastDeviation = 1e-4;
/** Beside those that are wanted: makes the wanted ones settle sooner. */
const spare = 8;
/** Rounds stop when what is explained grows by less than this part of it: scores need no more. */
const settled = 1e-4;
const mostRounds = 8;

/**
 * @param features  (n, width) row-major, of training images
 * @throws EvaluationError if the features are malformed or do not vary
 * @throws ArgumentError if the directions are not a number of them
 */
export function fitPrincipal(
  features: ArrayLike<number>,
  width: number,
  options: PrincipalOptions = {},
): PrincipalModel {
  const operation = "fitPrincipal";
  const { directions: wanted = 16 } = optionsOf(operation, options, { directions: true });
  expectCounts(operation, { directions: wanted });
  const checked = checkFeatures(operation, features, width);
  const { center, scale } = momentsOf(checked);
  const rows = new Float64Array(checked.count * width);
  let total = 0;
  for (let at = 0; at < rows.length; at++) {
    const feature = at % width;
    rows[at] = (features[at]! - center[feature]!) / scale[feature]!;
    total += rows[at]! ** 2 / checked.count;
  }
  if (!(total > 0)) throw new EvaluationError(`${operation}: the features do not vary; use other images.`);
  const count = Math.min(wanted, width, checked.count);
  const { basis, variances } = mostSpread(rows, width, count);
  const explained = variances.reduce((sum, variance) => sum + variance, 0);
  const rest = Math.max((total - explained) / Math.max(1, width - count), leastVariance * (total / width));
  return {
    method: "principal",
    width,
    center,
    scale,
    directions: Float32Array.from(basis),
    variances: Float32Array.from(variances, (variance) => Math.max(variance, rest)),
    rest: Math.fround(rest),
  };
}

/** @internal (n) squared distance of each vector from the middle. */
export function principalScores({ count, values }: Features, model: PrincipalModel): Float64Array {
  const { width, center, scale, directions, variances, rest } = model;
  const scores = new Float64Array(count);
  const row = new Float64Array(width);
  for (let sample = 0; sample < count; sample++) {
    let beside = 0;
    for (let i = 0; i < width; i++) {
      row[i] = (values[sample * width + i]! - center[i]!) / scale[i]!;
      beside += row[i]! ** 2;
    }
    let along = 0;
    for (let direction = 0; direction < variances.length; direction++) {
      let place = 0;
      for (let i = 0; i < width; i++) place += directions[direction * width + i]! * row[i]!;
      along += place ** 2 / variances[direction]!;
      beside -= place ** 2;
    }
    scores[sample] = along + Math.max(0, beside) / rest;
  }
  return scores;
}

/** Mean and standard deviation of each feature, as float32; one that is the same everywhere counts by its size. */
function momentsOf({ count, width, values }: Features): { center: Float32Array; scale: Float32Array } {
  const sums = new Float64Array(width);
  for (let at = 0; at < values.length; at++) sums[at % width]! += values[at]! / count;
  const center = Float32Array.from(sums);
  const squares = new Float64Array(width);
  for (let at = 0; at < values.length; at++) {
    const feature = at % width;
    squares[feature]! += (values[at]! - center[feature]!) ** 2 / count;
  }
  const scale = Float32Array.from(squares, (square, i) =>
    Math.max(Math.sqrt(square), leastDeviation * Math.max(1, Math.abs(center[i]!))),
  );
  return { center, scale };
}

/**
 * The directions in which rows spread most, with the variance along each, falling.
 *
 * @param rows  (n, width) of mean 0
 */
function mostSpread(
  rows: Float64Array,
  width: number,
  count: number,
): { basis: Float64Array; variances: Float64Array } {
  const samples = rows.length / width;
  const tried = Math.min(count + spare, width, samples);
  const random = Random.seeded("fitPrincipal", 0);
  const basis = Float64Array.from({ length: tried * width }, () => random.uniform() - 0.5);
  orthonormalize(basis, width);
  let before = 0;
  for (let round = 0; round < mostRounds; round++) {
    const { next, spread } = multiplied(rows, basis, width);
    if (round > 0 && spread - before <= settled * spread) break;
    before = spread;
    basis.set(next);
    orthonormalize(basis, width);
  }
  return turned(rows, basis, width, count);
}

/** The covariance of the rows times each direction, and the variance along all of them together. */
function multiplied(
  rows: Float64Array,
  basis: Float64Array,
  width: number,
): { next: Float64Array; spread: number } {
  const samples = rows.length / width;
  const next = new Float64Array(basis.length);
  let spread = 0;
  for (let from = 0; from < rows.length; from += width) {
    for (let direction = 0; direction < basis.length; direction += width) {
      let along = 0;
      for (let i = 0; i < width; i++) along += rows[from + i]! * basis[direction + i]!;
      spread += along ** 2 / samples;
      const factor = along / samples;
      for (let i = 0; i < width; i++) next[direction + i]! += factor * rows[from + i]!;
    }
  }
  return { next, spread };
}

/** (samples, directions) where each row lies along each direction. */
function alongEach(rows: Float64Array, basis: Float64Array, width: number): Float64Array {
  const tried = basis.length / width;
  const images = new Float64Array((rows.length / width) * tried);
  for (let at = 0; at < images.length; at++) {
    const from = Math.floor(at / tried) * width;
    const to = (at % tried) * width;
    let sum = 0;
    for (let i = 0; i < width; i++) sum += rows[from + i]! * basis[to + i]!;
    images[at] = sum;
  }
  return images;
}

/** Gram and Schmidt, twice, so that rounding leaves right angles. What is nothing but the others becomes 0. */
function orthonormalize(basis: Float64Array, width: number): void {
  for (let own = 0; own < basis.length; own += width) {
    const row = basis.subarray(own, own + width);
    const before = lengthOf(row);
    for (let pass = 0; pass < 2; pass++) {
      for (let other = 0; other < own; other += width) {
        let along = 0;
        for (let i = 0; i < width; i++) along += row[i]! * basis[other + i]!;
        for (let i = 0; i < width; i++) row[i]! -= along * basis[other + i]!;
      }
    }
    const length = lengthOf(row);
    const nothing = !(length > 1e-10 * before);
    for (let i = 0; i < width; i++) row[i] = nothing ? 0 : row[i]! / length;
  }
}

const lengthOf = (row: Float64Array): number => Math.sqrt(row.reduce((sum, value) => sum + value ** 2, 0));

/** The basis turned within what it spans, so that rows vary along each of its directions by themselves; the first ones. */
function turned(
  rows: Float64Array,
  basis: Float64Array,
  width: number,
  count: number,
): { basis: Float64Array; variances: Float64Array } {
  const tried = basis.length / width;
  const samples = rows.length / width;
  const images = alongEach(rows, basis, width);
  const covariance = new Float64Array(tried * tried);
  for (let sample = 0; sample < samples; sample++) {
    const row = images.subarray(sample * tried, (sample + 1) * tried);
    for (let i = 0; i < tried; i++)
      for (let j = 0; j < tried; j++) covariance[i * tried + j]! += (row[i]! * row[j]!) / samples;
  }
  const { values, vectors } = symmetricEigen(covariance, tried);
  const order = Array.from(values, (_, i) => i).sort((a, b) => values[b]! - values[a]! || a - b);
  const kept = order.slice(0, count);
  const directions = new Float64Array(count * width);
  for (const [row, from] of kept.entries()) {
    for (let i = 0; i < tried; i++) {
      const factor = vectors[i * tried + from]!;
      for (let k = 0; k < width; k++) directions[row * width + k]! += factor * basis[i * width + k]!;
    }
  }
  return { basis: directions, variances: Float64Array.from(kept, (from) => Math.max(0, values[from]!)) };
}

/** Jacobi's rotations: slow for large matrices, and exact to rounding for ones of this size. */
function symmetricEigen(matrix: Float64Array, size: number): { values: Float64Array; vectors: Float64Array } {
  const a = matrix.slice();
  const vectors = Float64Array.from({ length: size * size }, (_, at) =>
    Number(at % size === Math.floor(at / size)),
  );
  for (let sweep = 0; sweep < 30; sweep++) {
    let off = 0;
    for (let p = 0; p < size; p++) for (let q = 0; q < p; q++) off += a[p * size + q]! ** 2;
    if (off <= 1e-26 * lengthOf(a) ** 2) break;
    for (let p = 1; p < size; p++) for (let q = 0; q < p; q++) rotate(a, vectors, size, p, q);
  }
  return { values: Float64Array.from({ length: size }, (_, i) => a[i * size + i]!), vectors };
}

/** Makes the entry (p, q) 0. */
function rotate(a: Float64Array, vectors: Float64Array, size: number, p: number, q: number): void {
  const entry = a[p * size + q]!;
  if (entry === 0) return;
  const half = (a[q * size + q]! - a[p * size + p]!) / (2 * entry);
  const tangent = (half < 0 ? -1 : 1) / (Math.abs(half) + Math.sqrt(half * half + 1));
  const cosine = 1 / Math.sqrt(tangent * tangent + 1);
  const sine = tangent * cosine;
  const turn = (matrix: Float64Array, first: number, second: number): void => {
    const [x, y] = [matrix[first]!, matrix[second]!];
    matrix[first] = cosine * x - sine * y;
    matrix[second] = sine * x + cosine * y;
  };
  for (let k = 0; k < size; k++) turn(a, k * size + p, k * size + q);
  for (let k = 0; k < size; k++) turn(a, p * size + k, q * size + k);
  for (let k = 0; k < size; k++) turn(vectors, k * size + p, k * size + q);
}
