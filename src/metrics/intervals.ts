/**
 * How far accuracy and AUC of a finite test set can be trusted, at little cost: `classificationIntervals` says it of all
 * metrics, and by patient. Both intervals are closed formulas: no resampling, so no
 * seed, and the same samples always give the same interval.
 *
 * Accuracy: Wilson's score interval, which stays within [0, 1] and is right near its ends.
 * AUC: DeLong's variance of the area, with the interval taken on the logit scale so that it stays within (0, 1).
 * The mean of several one-versus-rest areas is treated the same way: it is a U-statistic of as many groups as there
 * are classes, and a sample of class c counts as a positive in one area and as a negative in all others. For two
 * classes that is DeLong's formula itself.
 *
 * @see Wilson, J. Am. Stat. Assoc. 22 (1927) 209; DeLong et al., Biometrics 44 (1988) 837;
 *   Sun and Xu, IEEE Signal Process. Lett. 21 (2014) 1389, for its cost of one sort
 */
import { optionsOf } from "../settings/given.js";
import { clustersOf } from "./clusters.js";
import type { ConfidenceLevel, Interval } from "./confidence-level.js";
import { estimateArea, meanShares } from "./delong.js";
import { wilsonInterval } from "./proportion.js";
import {
  type Classes,
  checkSamples,
  type Labels,
  type Probabilities,
  type Samples,
  topClasses,
} from "./samples.js";

export type { ConfidenceLevel, Interval } from "./confidence-level.js";
export { wilsonInterval } from "./proportion.js";

/** Where accuracy and AUC may well lie, given how few samples there were. */
export interface ConfidenceIntervals {
  /** Share of such intervals that hold the true value. */
  readonly level: ConfidenceLevel;
  /** Of the fraction predicted rightly. */
  readonly accuracy: Interval;
  /**
   * Of the `auc` of the metrics. NaN if a class has fewer than two samples, which say nothing about spread, unless
   * no label names it. Collapses to one point if the area is exactly 0 or 1, where the variance is estimated as 0:
   * read that as "too few errors to tell", not as certainty.
   */
  readonly auc: Interval;
}

/**
 * Confidence intervals of accuracy and AUC.
 *
 * @param labels         (n) class indices
 * @param probabilities  (n, classes)
 * @param options.level  0.9, 0.95 (default) or 0.99
 * @throws EvaluationError if the samples are malformed or the level is another
 */
export function confidenceIntervals(
  labels: Labels,
  probabilities: Probabilities,
  classes: Classes,
  options: { level?: ConfidenceLevel } = {},
): ConfidenceIntervals {
  const { level = 0.95 } = optionsOf("confidenceIntervals", options, { level: true });
  const samples = checkSamples("confidenceIntervals", labels, probabilities, classes);
  const { index } = topClasses(samples);
  const hits = index.filter((predicted, sample) => predicted === samples.labels[sample]).length;
  return { level, accuracy: wilsonInterval(hits, samples.count, level), auc: aucInterval(samples, level) };
}

function aucInterval(samples: Samples, level: ConfidenceLevel): Interval {
  const clusters = clustersOf("confidenceIntervals", samples.count, {});
  const { value = Number.NaN, lower, upper } = estimateArea(meanShares(samples), clusters, level);
  if (lower !== undefined) return [lower, upper];
  return value === 0 || value === 1 ? [value, value] : [Number.NaN, Number.NaN];
}
