/**
 * "This is not what I was trained on": scores that are higher the less an image's features are like those of the training
 * images, and a limit above which it is said. The limit is set on validation images, which are of the right kind, so that at
 * most a chosen share of such images is refused wrongly; nothing need be known of the wrong kind.
 */
import { ArgumentError, EvaluationError } from "../errors.js";
import { checkFeatures } from "./features.js";
import { type MahalanobisModel, mahalanobisScores } from "./mahalanobis.js";
import { type NearestModel, nearestScores } from "./nearest.js";

/** What training images look like to the network: numbers and Float32Arrays, as a checkpoint carries them. */
export type OutlierModel = MahalanobisModel | NearestModel;

/**
 * @param features  (n, width) row-major
 * @returns         (n) higher is stranger
 * @throws EvaluationError if the features are malformed, or of another width than the model's
 */
export function outlierScores(features: ArrayLike<number>, model: OutlierModel): Float64Array {
  const checked = checkFeatures("outlierScores", features, model.width);
  return model.method === "mahalanobis" ? mahalanobisScores(checked, model) : nearestScores(checked, model);
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
  if (!(falseAlarms > 0 && falseAlarms < 1)) {
    throw new ArgumentError(`outlierLimit: ${falseAlarms} is not a share above 0 and below 1.`);
  }
  const sorted = Float64Array.from(scores).sort();
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
