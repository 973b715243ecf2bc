/**
 * "This is not what I was trained on": scores that are higher the less an image's features are like those of the training
 * images, and a limit above which it is said. The limit is set on validation images, which are of the right kind, so that at
 * most a chosen share of such images is refused wrongly; nothing need be known of the wrong kind.
 */

import { ArgumentError, EvaluationError } from "../errors.js";
import { expectCounts, expectNamed, expectNumbers, expectTypedArray, inWords } from "../settings/given.js";
import { checkFeatures } from "./features.js";
import { type MahalanobisModel, mahalanobisScores } from "./mahalanobis.js";
import { type NearestModel, nearestScores } from "./nearest.js";
import { type PrincipalModel, principalScores } from "./principal.js";
import { numbersOf } from "./samples.js";

/** What training images look like to the network: numbers and Float32Arrays, as a checkpoint carries them. */
export type OutlierModel = MahalanobisModel | NearestModel | PrincipalModel;

/**
 * @param features  (n, width) row-major
 * @returns         (n) higher is stranger
 * @throws EvaluationError if the features are malformed, or of another width than the model's
 * @throws ArgumentError if the model is none
 */
export function outlierScores(features: ArrayLike<number>, model: OutlierModel): Float64Array {
  expectModel(model);
  const checked = checkFeatures("outlierScores", features, model.width);
  if (model.method === "mahalanobis") return mahalanobisScores(checked, model);
  return model.method === "nearest" ? nearestScores(checked, model) : principalScores(checked, model);
}

/**
 * The score above which an image is called strange, such that new images of the right kind are so with at most the wanted
 * probability: the k-th smallest validation score, k = ceil((n + 1)(1 - false alarms)).
 *
 * @param scores       (n) of validation images
 * @param falseAlarms  share of images of the right kind that may be called strange; default 0.05
 * @throws EvaluationError if there are too few validation images for that share, or a score is not a number
 * @throws ArgumentError if the share is not above 0 and below 1
 */
export function outlierLimit(scores: ArrayLike<number>, falseAlarms = 0.05): number {
  if (typeof falseAlarms !== "number" || !(falseAlarms > 0 && falseAlarms < 1)) {
    throw new ArgumentError(`outlierLimit: ${inWords(falseAlarms)} is not a share above 0 and below 1.`);
  }
  const sorted = numbersOf("outlierLimit", "scores", scores).sort();
  if (sorted.some(Number.isNaN)) throw new EvaluationError("outlierLimit: a score is not a number.");
  const limit = sorted[Math.ceil((sorted.length + 1) * (1 - falseAlarms) - 1e-9) - 1];
  if (limit === undefined) {
    const needed = Math.ceil(1 / falseAlarms - 1e-9) - 1;
    throw new EvaluationError(
      `outlierLimit: ${sorted.length} validation images are too few for ${falseAlarms} false alarms; use at least ${needed}.`,
    );
  }
  return limit;
}

function expectModel(model: OutlierModel): void {
  expectNamed(operation, "the model", model);
  expectCounts(operation, { width: model.width });
  if (model.method === "nearest") expectNearest(model);
  else if (model.method === "mahalanobis") expectMahalanobis(model);
  else if (model.method === "principal") expectPrincipal(model);
  else {
    const { method } = model as { method: unknown };
    throw new ArgumentError(
      `${operation}: method ${inWords(method)} is not mahalanobis, nearest or principal.`,
    );
  }
}

const operation = "outlierScores";

function expectNearest({ width, kept, neighbor, distance }: NearestModel): void {
  expectRows("kept", kept, width);
  expectCounts(operation, { neighbor });
  if (neighbor > kept.length / width)
    throw new ArgumentError(`${operation}: neighbor ${neighbor} is not among those that are kept.`);
  if (distance !== "cosine" && distance !== "euclidean")
    throw new ArgumentError(`${operation}: distance ${inWords(distance)} is not cosine or euclidean.`);
}

function expectMahalanobis({ width, center, whitening, means }: MahalanobisModel): void {
  for (const [what, values] of Object.entries({ center, whitening, means })) expectRows(what, values, width);
  if (center.length !== width || whitening.length !== width ** 2)
    throw new ArgumentError(`${operation}: center and whitening are not those of ${width} features.`);
}

function expectPrincipal({ width, center, scale, directions, variances, rest }: PrincipalModel): void {
  for (const [what, values] of Object.entries({ center, scale, directions })) expectRows(what, values, width);
  expectTypedArray(operation, "variances", variances);
  expectNumbers(operation, { rest });
  if (center.length !== width || scale.length !== width || directions.length !== variances.length * width)
    throw new ArgumentError(`${operation}: center, scale and directions are not those of ${width} features.`);
}

function expectRows(what: string, values: Float32Array, width: number): void {
  expectTypedArray(operation, what, values);
  if (values.length > 0 && values.length % width === 0) return;
  throw new ArgumentError(
    `${operation}: ${what} holds ${values.length} numbers, which are no rows of ${width}.`,
  );
}
