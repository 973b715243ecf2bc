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
import type { MultiLabelMetrics } from "../metrics/multi-label.js";
import { type MultiLabelIntervals, multiLabelIntervals } from "../metrics/multi-label-intervals.js";
import { type Subgroup, type SubgroupOptions, subgroupNames, subgroups } from "../metrics/subgroups.js";
import { optionsOf } from "../settings/given.js";
import { expectAnyEvaluation, expectEvaluation } from "./given.js";
import { type AnyEvaluation, isOfSeveralLabels, labelsApart } from "./several-labels.js";

/** Both ends, or why there are none. */
export type IntervalOrReason =
  | Interval
  | {
      /** Why there is no interval. */
      readonly reason: string;
    };

/** Whether there are both ends. */
export const isInterval = (found: IntervalOrReason): found is Interval => !("reason" in found);

/** All scores of an evaluation with their intervals. */
export type AnyIntervals = ClassificationIntervals | MultiLabelIntervals;

/** What stands beside intervals. */
export interface IntervalFacts {
  /** The share of such intervals that hold the truth. */
  readonly level: 0.95;
  /** Patients that were counted; null where images are taken as patients. */
  readonly patients: number | null;
}

/** Intervals of several labels an image by the names of the scores, as plain JSON. */
export type LabelIntervals = IntervalFacts & {
  /** Of each score, and of those of each label in the order of the labels. */
  readonly [score in keyof MultiLabelIntervals]: MultiLabelIntervals[score] extends Estimate
    ? IntervalOrReason
    : readonly IntervalOrReason[];
};

/** Intervals by the names of the scores, as plain JSON. */
export type ScoreIntervals = IntervalFacts & {
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
const known = new WeakMap<AnyEvaluation, AnyIntervals>();

const whose = ({ patients }: AnyEvaluation): IntervalOptions => ({ level, patients });

/**
 * Every score with its interval; computed once for an evaluation.
 *
 * @throws ArgumentError unless it is what `evaluate` gave
 */
export function estimatesOf(evaluation: Evaluation): ClassificationIntervals;
export function estimatesOf(evaluation: Evaluation<MultiLabelMetrics>): MultiLabelIntervals;
export function estimatesOf(evaluation: AnyEvaluation): AnyIntervals;
export function estimatesOf(evaluation: AnyEvaluation): AnyIntervals {
  expectAnyEvaluation("estimatesOf", evaluation);
  const found = known.get(evaluation);
  if (found) return found;
  const { labels, probabilities, metrics } = evaluation;
  const estimates = isOfSeveralLabels(evaluation)
    ? multiLabelIntervals(labels, probabilities, metrics.classes, {
        ...whose(evaluation),
        thresholds: evaluation.metrics.thresholds,
      })
    : classificationIntervals(labels, probabilities, metrics.classes, whose(evaluation));
  known.set(evaluation, estimates);
  return estimates;
}

/**
 * The intervals alone: the values stand beside them.
 *
 * @throws ArgumentError unless it is what `evaluate` gave
 */
export function scoreIntervals(evaluation: Evaluation): ScoreIntervals;
export function scoreIntervals(evaluation: Evaluation<MultiLabelMetrics>): LabelIntervals;
export function scoreIntervals(evaluation: AnyEvaluation): ScoreIntervals | LabelIntervals;
export function scoreIntervals(evaluation: AnyEvaluation): ScoreIntervals | LabelIntervals {
  const estimates = estimatesOf(evaluation);
  const { patients } = evaluation;
  const bare = (estimate: Estimate): IntervalOrReason =>
    estimate.reason === undefined ? [estimate.lower, estimate.upper] : { reason: estimate.reason };
  const ends = Object.entries<Estimate | readonly Estimate[]>(estimates).map(([score, found]) => [
    score,
    Array.isArray(found) ? found.map(bare) : bare(found as Estimate),
  ]);
  const all = { level, patients: patients ? countOf(patients) : null, ...Object.fromEntries(ends) };
  return all as ScoreIntervals | LabelIntervals;
}

/** Those not known count as one each. */
function countOf(patients: readonly (string | undefined)[]): number {
  const known = patients.filter(Boolean);
  return new Set(known).size + patients.length - known.length;
}

/** Calibration in 15 bins of equal mass. */
export function calibrationOf(evaluation: Evaluation): CalibrationEvidence {
  expectEvaluation("calibrationOf", evaluation);
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
  expectEvaluation("operatingEvidence", evaluation);
  const positive = ofSecondClass(evaluation);
  return { threshold, ...diagnosticMetrics(evaluation.labels, positive, threshold, whose(evaluation)) };
}

/** A group, and which label of several it is judged by. */
export interface SubgroupEvidence extends Subgroup {
  /** The label; not there where an image is of one class. */
  readonly label?: string;
}

/**
 * The groups of each attribute beside all others. Of several labels an image each is judged by itself, by its AUC unless told
 * otherwise.
 *
 * @throws ArgumentError unless it is what `evaluate` gave, or as `metrics.subgroups`
 */
export function subgroupsOf(
  evaluation: AnyEvaluation,
  attributes: Readonly<Record<string, ArrayLike<string | undefined>>>,
  options: SubgroupOptions = {},
): SubgroupEvidence[] {
  expectAnyEvaluation("subgroupsOf", evaluation);
  const { labels, probabilities, metrics } = evaluation;
  const { classes } = metrics;
  const given = { ...whose(evaluation), ...optionsOf("subgroupsOf", options, subgroupNames) };
  if (!isOfSeveralLabels(evaluation)) return subgroups(labels, probabilities, classes, attributes, given);
  return labelsApart(evaluation).flatMap(({ name, positive, scores }) => {
    const both = Array.from(scores, (score) => [1 - score, score]);
    const found = subgroups(positive, both, 2, attributes, { metrics: ["auc"], ...given });
    return found.map((group) => ({ label: name, ...group }));
  });
}

/**
 * The areas of two checkpoints on the same images, and their difference.
 *
 * @throws EvaluationError if their probabilities are not of as many images and classes
 */
export function comparisonOf(first: Evaluation, second: Evaluation): AreaComparison {
  expectEvaluation("comparisonOf", first);
  expectEvaluation("comparisonOf", second);
  const { labels, probabilities, metrics } = first;
  return compareAreas(labels, probabilities, second.probabilities, metrics.classes, whose(first));
}

/** The probability of the second of two classes. */
export const ofSecondClass = ({ probabilities }: Pick<Evaluation, "probabilities">): Float32Array =>
  probabilities.filter((_, i) => i % 2 === 1);
