/**
 * How far a feature vector lies from the nearest class, in units of how far the classes' own samples spread in each direction:
 * the Mahalanobis distance, with a mean for each class and one covariance for all, squared. Images of another kind lie far out
 * even where the network is certain of a class.
 *
 * The covariance of a few hundred samples in a few hundred dimensions is mostly noise, so it is shrunk towards a ball, by as
 * much as Ledoit and Wolf's formula finds best. Distances are then plain ones after a linear map, the inverse of the Cholesky
 * factor, which is what is kept.
 *
 * @see Lee et al., https://arxiv.org/abs/1807.03888; Ledoit and Wolf, J. Multivar. Anal. 88 (2004) 365
 */

import { EvaluationError } from "../errors.js";
import { expectList } from "../settings/given.js";
import { checkFeatures, type Features } from "./features.js";
import { evaluatedLabels, type Labels } from "./samples.js";

/** Class means and a covariance, in plain arrays as a checkpoint carries them. */
export interface MahalanobisModel {
  /** Which kind of model. */
  readonly method: "mahalanobis";
  /** Features of an image. */
  readonly width: number;
  /** (width) mean of all training samples */
  readonly center: Float32Array;
  /** (width, width) row-major, lower triangular: differences of features, times this, have covariance 1 */
  readonly whitening: Float32Array;
  /** (classes, width) means of the classes that had samples, less the center, times the whitening */
  readonly means: Float32Array;
  /** How much of the covariance is a ball, 0 to 1. */
  readonly shrinkage: number;
}

/**
 * @param features  (n, width) row-major, of training images
 * @param labels    (n) class indices
 * @throws EvaluationError if the features are malformed, do not vary, or the labels are not as many
 */
export function fitMahalanobis(features: ArrayLike<number>, width: number, labels: Labels): MahalanobisModel {
  const operation = "fitMahalanobis";
  const checked = checkFeatures(operation, features, width);
  expectList(operation, "labels", labels);
  if (labels.length !== checked.count) {
    throw new EvaluationError(`${operation}: ${labels.length} labels for ${checked.count} feature vectors.`);
  }
  const classOf = evaluatedLabels(operation, labels, 2 ** 31 - 1);
  const center = meanOf(
    checked,
    Array.from({ length: checked.count }, (_, sample) => sample),
  );
  const members = new Map<number, number[]>();
  for (const [sample, label] of classOf.entries()) {
    const list = members.get(label);
    if (list) list.push(sample);
    else members.set(label, [sample]);
  }
  const means = new Map([...members].map(([label, samples]) => [label, meanOf(checked, samples)]));
  const residuals = new Float64Array(features.length);
  for (const [sample, label] of classOf.entries()) {
    const mean = means.get(label)!;
    for (let i = 0; i < width; i++) {
      residuals[sample * width + i] = features[sample * width + i]! - mean[i]!;
    }
  }
  const { covariance, shrinkage } = shrunkCovariance(residuals, checked.count, width);
  const whitening = inverseOfFactor(operation, covariance, width);
  const labelsInOrder = [...means.keys()].sort((a, b) => a - b);
  const whitened = labelsInOrder.map((label) =>
    times(
      whitening,
      means.get(label)!.map((value, i) => value - center[i]!),
    ),
  );
  return {
    method: "mahalanobis",
    width,
    center: Float32Array.from(center),
    whitening: Float32Array.from(whitening),
    means: Float32Array.from(whitened.flatMap((mean) => Array.from(mean))),
    shrinkage,
  };
}

/** @internal (n) squared distance of each vector from the nearest class. */
export function mahalanobisScores({ count, values }: Features, model: MahalanobisModel): Float64Array {
  const { width, center, whitening, means } = model;
  const scores = new Float64Array(count);
  const difference = new Float64Array(width);
  for (let sample = 0; sample < count; sample++) {
    for (let i = 0; i < width; i++) difference[i] = values[sample * width + i]! - center[i]!;
    const whitened = times(whitening, difference);
    let nearest = Number.POSITIVE_INFINITY;
    for (let row = 0; row < means.length; row += width) {
      let distance = 0;
      for (let i = 0; i < width; i++) distance += (whitened[i]! - means[row + i]!) ** 2;
      nearest = Math.min(nearest, distance);
    }
    scores[sample] = nearest;
  }
  return scores;
}

function meanOf({ width, values }: Features, samples: readonly number[]): Float64Array {
  const mean = new Float64Array(width);
  for (const sample of samples) {
    for (let i = 0; i < width; i++) mean[i]! += values[sample * width + i]! / samples.length;
  }
  return mean;
}

/** @param residuals  (n, width) row-major, of mean 0 in each class */
function shrunkCovariance(
  residuals: Float64Array,
  count: number,
  width: number,
): { covariance: Float64Array; shrinkage: number } {
  const covariance = new Float64Array(width * width);
  let fourth = 0;
  for (let sample = 0; sample < count; sample++) {
    const row = residuals.subarray(sample * width, (sample + 1) * width);
    let square = 0;
    for (let i = 0; i < width; i++) {
      const factor = row[i]! / count;
      square += row[i]! ** 2;
      for (let j = 0; j <= i; j++) covariance[i * width + j]! += factor * row[j]!;
    }
    fourth += square ** 2;
  }
  let [trace, squares] = [0, 0];
  for (let i = 0; i < width; i++) {
    trace += covariance[i * width + i]!;
    for (let j = 0; j <= i; j++) squares += (i === j ? 1 : 2) * covariance[i * width + j]! ** 2;
  }
  // Distance of the covariance from a ball, and how much of it the samples' own scatter explains.
  const ball = trace / width;
  const distance = squares - 2 * ball * trace + width * ball ** 2;
  const scatter = Math.min(distance, (fourth / count - squares) / count);
  const shrinkage = scatter <= 0 ? 0 : scatter / distance;
  for (let i = 0; i < width; i++) {
    for (let j = 0; j <= i; j++) covariance[i * width + j]! *= 1 - shrinkage;
    covariance[i * width + i]! += shrinkage * ball;
  }
  return { covariance, shrinkage };
}

/** The inverse of L, where the covariance is L times its transpose; both are lower triangular. */
function inverseOfFactor(operation: string, covariance: Float64Array, width: number): Float64Array {
  const factor = covariance.slice();
  for (let i = 0; i < width; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = factor[i * width + j]!;
      for (let k = 0; k < j; k++) sum -= factor[i * width + k]! * factor[j * width + k]!;
      if (i !== j) factor[i * width + j] = sum / factor[j * width + j]!;
      else if (sum > 0) factor[i * width + i] = Math.sqrt(sum);
      else {
        throw new EvaluationError(
          `${operation}: the features do not vary in all directions within classes; use more images.`,
        );
      }
    }
  }
  const inverse = new Float64Array(width * width);
  for (let i = 0; i < width; i++) {
    const row = inverse.subarray(i * width, (i + 1) * width);
    for (let k = 0; k < i; k++) {
      const weight = factor[i * width + k]!;
      for (let j = 0; j <= k; j++) row[j]! -= weight * inverse[k * width + j]!;
    }
    row[i] = 1;
    for (let j = 0; j <= i; j++) row[j]! /= factor[i * width + i]!;
  }
  return inverse;
}

/** Of a lower triangular matrix. */
function times(matrix: Float32Array | Float64Array, vector: Float64Array): Float64Array {
  const width = vector.length;
  return vector.map((_, i) => {
    let sum = 0;
    for (let j = 0; j <= i; j++) sum += matrix[i * width + j]! * vector[j]!;
    return sum;
  });
}
