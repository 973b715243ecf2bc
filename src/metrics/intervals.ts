/**
 * How far the metrics of a finite test set can be trusted. Both intervals are closed formulas: no resampling, so no
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
import { EvaluationError } from "../errors.js";
import { expectNumbers, inWords, optionsOf } from "../settings/given.js";
import { areaUnderRoc, placements } from "./ranking.js";
import {
  type Classes,
  checkSamples,
  column,
  type Labels,
  oneVersusRest,
  type Probabilities,
  type Samples,
  topClasses,
} from "./samples.js";

/** Two-sided; the value is the quantile of the normal distribution that leaves half of the rest above it. */
const quantiles: Readonly<Record<ConfidenceLevel, number>> = {
  0.9: 1.6448536269514722,
  0.95: 1.959963984540054,
  0.99: 2.5758293035489004,
};

/** Levels whose quantiles are known. */
export type ConfidenceLevel = 0.9 | 0.95 | 0.99;
/** From the lower end to the upper. */
export type Interval = readonly [lower: number, upper: number];

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

/**
 * Wilson's interval of a proportion.
 *
 * @param hits   0 to `count`
 * @param count  0 gives NaN
 * @throws EvaluationError if the level is not 0.9, 0.95 or 0.99, or the counts are none
 */
export function wilsonInterval(hits: number, count: number, level: ConfidenceLevel = 0.95): Interval {
  const z = quantile(level);
  expectNumbers("wilsonInterval", { hits, count });
  if (!(hits >= 0 && hits <= count && count < Infinity))
    throw new EvaluationError(`wilsonInterval: ${hits} of ${count} is no proportion.`);
  const proportion = hits / count;
  const centre = proportion + z ** 2 / (2 * count);
  const reach = z * Math.sqrt((proportion * (1 - proportion)) / count + z ** 2 / (4 * count ** 2));
  const scale = 1 + z ** 2 / count;
  return [Math.max(0, (centre - reach) / scale), Math.min(1, (centre + reach) / scale)];
}

function quantile(level: ConfidenceLevel): number {
  const z: number | undefined = typeof level === "number" ? quantiles[level] : undefined;
  if (z === undefined)
    throw new EvaluationError(`confidence level ${inWords(level)} is not one of 0.9, 0.95, 0.99.`);
  return z;
}

function aucInterval(samples: Samples, level: ConfidenceLevel): Interval {
  const counts = samples.classes.map((_, index) => samples.labels.filter((label) => label === index).length);
  const judged = samples.classes.map((_, index) => index).filter((index) => counts[index]! > 0);
  if (judged.length < 2) return [Number.NaN, Number.NaN];
  const averaged = samples.classes.length === 2 ? [1] : judged;

  let area = 0;
  const shares = new Float64Array(samples.count);
  for (const index of averaged) {
    const positive = oneVersusRest(samples, index);
    const scores = column(samples, index);
    area += areaUnderRoc(positive, scores) / averaged.length;
    placements(positive, scores).forEach((placement, sample) => {
      const group = positive[sample] ? counts[index]! : samples.count - counts[index]!;
      shares[sample]! += placement / group / averaged.length;
    });
  }
  const variance = judged.reduce((total, index) => {
    const group = shares.filter((_, sample) => samples.labels[sample] === index);
    return total + group.length * sampleVariance(group);
  }, 0);
  return logitInterval(area, variance, level);
}

/** The interval of an area of that variance, taken on the logit scale so that it stays within (0, 1). */
export function logitInterval(area: number, variance: number, level: ConfidenceLevel): Interval {
  const z = quantile(level);
  if (area === 0 || area === 1) return [area, area];
  const logit = Math.log(area / (1 - area));
  const reach = (z * Math.sqrt(variance)) / (area * (1 - area));
  return [logistic(logit - reach), logistic(logit + reach)];
}

const logistic = (x: number): number => 1 / (1 + Math.exp(-x));

/** With n - 1 below; NaN for a single value. */
function sampleVariance(values: Float64Array): number {
  const mean = values.reduce((total, value) => total + value, 0) / values.length;
  return values.reduce((total, value) => total + (value - mean) ** 2, 0) / (values.length - 1);
}
