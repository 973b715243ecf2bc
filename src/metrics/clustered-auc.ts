/**
 * The area under the ROC curve where images come in clusters, such as several of one patient, whose scores go together.
 *
 * Each image has an influence on the area: what of it the area would change by if it weighed a little more. The variance of
 * the area is the sum over clusters of the squared sum of their influences. With one image a cluster that is DeLong's
 * variance, but for factors n / (n - 1), and with several it is Obuchowski's.
 *
 * @see Obuchowski, "Nonparametric analysis of clustered ROC curve data", Biometrics 53 (1997) 567
 */
import { clustersOf } from "./clusters.js";
import type { ConfidenceLevel, Interval } from "./confidence-level.js";
import { logitInterval, varianceOfSum } from "./delong.js";
import { areaUnderRoc, placements } from "./ranking.js";

/** The mean of several areas over the same images, and where it may well lie. */
export interface ClusteredAuc {
  /** Mean of the areas; NaN if there are none. */
  readonly auc: number;
  readonly interval: Interval;
  /** NaN where all images are positive, or all negative. */
  readonly areas: readonly number[];
}

/**
 * @param positives  for each area, (n) 1 for a positive image, 0 for a negative
 * @param scores     for each area, (n) higher means more positive
 * @param clusters   (n) images of one number go together
 * @throws EvaluationError if the level is not 0.9, 0.95 or 0.99
 */
export function clusteredAuc(
  positives: readonly Uint8Array[],
  scores: readonly Float64Array[],
  clusters: ArrayLike<number>,
  level: ConfidenceLevel = 0.95,
): ClusteredAuc {
  const areas = positives.map((positive, at) => areaUnderRoc(positive, scores[at]!));
  const judged = areas.flatMap((area, at) => (Number.isNaN(area) ? [] : [at]));
  if (judged.length === 0) return { auc: Number.NaN, interval: [Number.NaN, Number.NaN], areas };
  const auc = judged.reduce((sum, at) => sum + areas[at]!, 0) / judged.length;
  const influence = new Float64Array(clusters.length);
  for (const at of judged) {
    const positive = positives[at]!;
    const count = positive.reduce((sum, value) => sum + value, 0);
    for (const [image, placement] of placements(positive, scores[at]!).entries()) {
      const own = (placement - areas[at]!) / (positive[image] ? count : positive.length - count);
      influence[image]! += own / judged.length;
    }
  }
  // All of one kind: which images are positive is drawn with the patients, so that a class of one patient has a variance.
  const together = clustersOf("clusteredAuc", clusters.length, { patients: clusters });
  const variance = varianceOfSum(influence, new Uint8Array(clusters.length), together);
  return { auc, interval: logitInterval(auc, variance, level), areas };
}
