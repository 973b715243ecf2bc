/**
 * How far the scores of an evaluation can be trusted: the interval of each, or the reason why there is none; what the decision
 * of a two-class checkpoint is worth; whether probabilities come true. Patients are counted where the data set knows them.
 */
import type { Evaluation } from "../inference/evaluate.js";
import { type BrierParts, brierParts } from "../metrics/brier.js";
import {
  type BinnedCalibration,
  binaryCalibration,
  topClassCalibration,
} from "../metrics/calibration-bins.js";
import { type CalibrationLine, calibrationLine } from "../metrics/calibration-line.js";
import {
  type ClassificationIntervals,
  classificationIntervals,
} from "../metrics/classification-intervals.js";
import { type AreaComparison, compareAreas } from "../metrics/delong.js";
import { type DiagnosticMetrics, diagnosticMetrics } from "../metrics/diagnostic.js";
import type { Estimate, IntervalOptions } from "../metrics/estimate.js";
import type { Interval } from "../metrics/intervals.js";
import { type Subgroup, type SubgroupOptions, subgroups } from "../metrics/subgroups.js";

/** Both ends, or why there are none. */
export type IntervalOrReason =
  | Interval
  | {
      /** Why there is no interval. */
      readonly reason: string;
    };

/** Intervals by the names of the scores, as plain JSON. */
export type ScoreIntervals = {
  /** The share of such intervals that hold the truth. */
  readonly level: 0.95;
  /** Patients that were counted; null where images are taken as patients. */
  readonly patients: number | null;
  /** Of the fraction predicted rightly, which always has one. */
  readonly accuracy: Interval;
} & {
  /** Of each other score, and of those of each class in the order of the classes. */
  readonly [score in Exclude<
    keyof ClassificationIntervals,
    "accuracy"
  >]: ClassificationIntervals[score] extends Estimate ? IntervalOrReason : readonly IntervalOrReason[];
};

/** Whether probabilities come true. */
export interface CalibrationEvidence extends BinnedCalibration {
  /** Parts of the Brier score. */
  readonly brier: BrierParts;
  /** Two classes: slope and intercept of the second class's log odds. */
  readonly line?: CalibrationLine;
}

/** What a two-class checkpoint's threshold, which was chosen on validation images, does to these. */
export interface OperatingEvidence extends DiagnosticMetrics {
  /** Probability of the second class from which it is called. */
  readonly threshold: number;
}

const level = 0.95;
const known = new WeakMap<Evaluation, ClassificationIntervals>();

const whose = ({ patients }: Evaluation): IntervalOptions => ({ level, patients });

/** Every score with its interval; computed once for an evaluation. */
export function estimatesOf(evaluation: Evaluation): ClassificationIntervals {
  const found = known.get(evaluation);
  if (found) return found;
  const { labels, probabilities, metrics } = evaluation;
  const estimates = classificationIntervals(labels, probabilities, metrics.classes, whose(evaluation));
  known.set(evaluation, estimates);
  return estimates;
}

/** The intervals alone: the values stand beside them. */
export function scoreIntervals(evaluation: Evaluation): ScoreIntervals {
  const { patients } = evaluation;
  const bare = (estimate: Estimate): IntervalOrReason =>
    estimate.reason === undefined ? [estimate.lower, estimate.upper] : { reason: estimate.reason };
  const ends = Object.entries<Estimate | readonly Estimate[]>(estimatesOf(evaluation)).map(
    ([score, found]) => [score, Array.isArray(found) ? found.map(bare) : bare(found as Estimate)],
  );
  const all = { level, patients: patients ? countOf(patients) : null, ...Object.fromEntries(ends) };
  return all as ScoreIntervals;
}

/** Those not known count as one each. */
function countOf(patients: readonly (string | undefined)[]): number {
  const known = patients.filter(Boolean);
  return new Set(known).size + patients.length - known.length;
}

/** Calibration in 15 bins of equal mass. */
export function calibrationOf(evaluation: Evaluation): CalibrationEvidence {
  const { labels, probabilities, metrics } = evaluation;
  const { classes } = metrics;
  const options = whose(evaluation);
  const brier = brierParts(labels, probabilities, classes, options);
  if (classes.length > 2) {
    return { ...topClassCalibration(labels, probabilities, classes, options), brier };
  }
  const positive = ofSecondClass(evaluation);
  return {
    ...binaryCalibration(labels, positive, options),
    brier,
    line: calibrationLine(labels, positive, options),
  };
}

/** What a threshold is worth on these images. */
export function operatingEvidence(evaluation: Evaluation, threshold: number): OperatingEvidence {
  const positive = ofSecondClass(evaluation);
  return { threshold, ...diagnosticMetrics(evaluation.labels, positive, threshold, whose(evaluation)) };
}

/** The groups of each attribute beside all others. */
export function subgroupsOf(
  evaluation: Evaluation,
  attributes: Readonly<Record<string, ArrayLike<string | undefined>>>,
  options: SubgroupOptions = {},
): Subgroup[] {
  const { labels, probabilities, metrics } = evaluation;
  return subgroups(labels, probabilities, metrics.classes, attributes, { ...whose(evaluation), ...options });
}

/**
 * The areas of two checkpoints on the same images, and their difference.
 *
 * @throws EvaluationError if their probabilities are not of as many images and classes
 */
export function comparisonOf(first: Evaluation, second: Evaluation): AreaComparison {
  const { labels, probabilities, metrics } = first;
  return compareAreas(labels, probabilities, second.probabilities, metrics.classes, whose(first));
}

/** The probability of the second of two classes. */
export const ofSecondClass = ({ probabilities }: Pick<Evaluation, "probabilities">): Float32Array =>
  probabilities.filter((_, i) => i % 2 === 1);
