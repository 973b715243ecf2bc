/**
 * Logistic regression with a ridge, the plainest model that can tell two classes apart: minimizes
 *
 *     |w|^2 / 2 + sum over samples of log(1 + exp(-y (w x + b))),  y = 1 or -1
 *
 * by Newton's method. Features are standardized first, by the samples that it is fitted to; the intercept b is free. That is
 * what scikit-learn's StandardScaler and LogisticRegression with C = 1 do.
 */

/** Samples as rows of features, (n, width). */
export interface Rows {
  readonly width: number;
  readonly values: Float64Array;
}

const mostSteps = 50;
const tolerance = 1e-8;

/**
 * Fits to some samples, and gives the score w x + b of all.
 *
 * @param positive  (n) 1 or 0
 * @param fitted    numbers of the samples to fit to
 */
export function logisticScores(rows: Rows, positive: Uint8Array, fitted: readonly number[]): Float64Array {
  const { width } = rows;
  const { means, scales } = standardization(rows, fitted);
  const size = width + 1;
  const features = new Float64Array(positive.length * size);
  for (let i = 0; i < positive.length; ++i) {
    for (let k = 0; k < width; ++k)
      features[i * size + k] = (rows.values[i * width + k]! - means[k]!) * scales[k]!;
    features[i * size + width] = 1;
  }
  const weights = new Float64Array(size);
  const score = (i: number): number => {
    let sum = 0;
    for (let k = 0; k < size; ++k) sum += features[i * size + k]! * weights[k]!;
    return sum;
  };
  for (let step = 0; step < mostSteps; ++step) {
    const gradient = weights.slice();
    gradient[width] = 0; // no ridge on the intercept
    const hessian = new Float64Array(size * size);
    for (let k = 0; k < width; ++k) hessian[k * size + k] = 1;
    hessian[size * size - 1] = 1e-9; // where all samples are of one class
    for (const i of fitted) {
      const probability = 1 / (1 + Math.exp(-score(i)));
      const residual = probability - positive[i]!;
      const curvature = probability * (1 - probability);
      const row = features.subarray(i * size, (i + 1) * size);
      for (let k = 0; k < size; ++k) {
        gradient[k]! += residual * row[k]!;
        const scaled = curvature * row[k]!;
        for (let l = 0; l <= k; ++l) hessian[k * size + l]! += scaled * row[l]!;
      }
    }
    const change = solve(hessian, gradient, size);
    let largest = 0;
    for (let k = 0; k < size; ++k) {
      weights[k]! -= change[k]!;
      largest = Math.max(largest, Math.abs(change[k]!));
    }
    if (largest < tolerance) break;
  }
  return Float64Array.from(positive, (_, i) => score(i));
}

function standardization(
  { values, width }: Rows,
  fitted: readonly number[],
): { means: Float64Array; scales: Float64Array } {
  const means = new Float64Array(width);
  const scales = new Float64Array(width);
  for (let k = 0; k < width; ++k) {
    for (const i of fitted) means[k]! += values[i * width + k]! / fitted.length;
    let squares = 0;
    for (const i of fitted) squares += (values[i * width + k]! - means[k]!) ** 2;
    const deviation = Math.sqrt(squares / fitted.length);
    scales[k] = deviation > 1e-12 * Math.max(Math.abs(means[k]!), 1) ? 1 / deviation : 0;
  }
  return { means, scales };
}

/** x of A x = b, A symmetric, positive definite and given below its diagonal (size, size), by Cholesky's method. */
function solve(matrix: Float64Array, vector: Float64Array, size: number): Float64Array {
  const lower = matrix.slice();
  for (let j = 0; j < size; ++j) {
    for (let i = j; i < size; ++i) {
      let sum = lower[i * size + j]!;
      for (let k = 0; k < j; ++k) sum -= lower[i * size + k]! * lower[j * size + k]!;
      lower[i * size + j] = i === j ? Math.sqrt(Math.max(sum, 1e-12)) : sum / lower[j * size + j]!;
    }
  }
  const x = vector.slice();
  for (let i = 0; i < size; ++i) {
    for (let k = 0; k < i; ++k) x[i]! -= lower[i * size + k]! * x[k]!;
    x[i]! /= lower[i * size + i]!;
  }
  for (let i = size - 1; i >= 0; --i) {
    for (let k = i + 1; k < size; ++k) x[i]! -= lower[k * size + i]! * x[k]!;
    x[i]! /= lower[i * size + i]!;
  }
  return x;
}
