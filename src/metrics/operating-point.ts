/**
 * A threshold for a wish, such as "find at least 95 %", chosen on validation images and then tried on test images. Chosen on
 * the test images it would keep its promise by construction, and say nothing of the next patients: so the two are separate
 * arguments, and what the wish became on either is told with its interval.
 */
import { expectNamed, type NamesOf, optionsOf } from "../settings/given.js";
import { type DiagnosticMetrics, diagnosticMetrics } from "./diagnostic.js";
import type { IntervalOptions } from "./estimate.js";
import type { Labels } from "./samples.js";
import { chooseThreshold, type ThresholdCriterion } from "./threshold.js";

/** Labels and probabilities of the positive class, of a validation or of a test split. */
export interface ScoredSamples {
  /** (n) 0 or 1 */
  readonly labels: Labels;
  /** (n) probability of class 1 */
  readonly scores: ArrayLike<number>;
  /** (n) whom each is of, as in `IntervalOptions` */
  readonly patients?: IntervalOptions["patients"];
}

/** A chosen threshold and what it does. */
export interface OperatingPoint {
  /** Probability from which the positive class is called. */
  readonly threshold: number;
  /** What was wished for. */
  readonly criterion: ThresholdCriterion;
  /** On the samples that it was chosen on: better than what can be expected of others. */
  readonly validation: DiagnosticMetrics;
  /** On samples that had no part in choosing. */
  readonly test: DiagnosticMetrics;
}

/**
 * @param validation  what the threshold is chosen on
 * @param test        what it is tried on
 * @throws EvaluationError if samples are malformed, a class is not among the validation labels, or nothing meets the criterion
 */
export function operatingPoint(
  validation: ScoredSamples,
  test: ScoredSamples,
  criterion: ThresholdCriterion,
  options: Pick<IntervalOptions, "level"> = {},
): OperatingPoint {
  const operation = "operatingPoint";
  const { level = 0.95 } = optionsOf(operation, options, { level: true });
  const names: NamesOf<ScoredSamples> = { labels: true, scores: true, patients: true };
  expectNamed(operation, "validation", validation, names);
  expectNamed(operation, "test", test, names);
  const threshold = chooseThreshold(validation.labels, validation.scores, criterion);
  const judge = ({ labels, scores, patients }: ScoredSamples) =>
    diagnosticMetrics(labels, scores, threshold, { level, patients });
  return { threshold, criterion, validation: judge(validation), test: judge(test) };
}
