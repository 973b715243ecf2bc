/**
 * Is a classifier off systematically? Its probabilities, as log odds, are put into a logistic regression on what came true:
 *
 *     log odds of the truth = intercept + slope x log odds of the probability
 *
 * A slope below 1 says that probabilities are too extreme (overfitting), above 1 too timid. The intercept with the slope held
 * at 1 ("calibration in the large") says whether they are too low (above 0) or too high (below 0) on the whole. Unlike binned
 * errors these are 1 and 0 on average for a classifier that is right, whatever the number of samples.
 *
 * Standard errors are those of maximum likelihood, or, where patients have several samples, of the sandwich by patient.
 *
 * @see Cox, Biometrika 45 (1958) 562; Van Calster et al., BMC Medicine 17 (2019) 230
 */
import { type Clusters, clustersOf } from "./clusters.js";
import { quantile } from "./confidence-level.js";
import {
  type Estimate,
  estimated,
  type IntervalOptions,
  intervalNames,
  levelOf,
  notEstimated,
} from "./estimate.js";
import type { Labels } from "./samples.js";
import { checkBinary } from "./threshold.js";

/** Where the log odds of probabilities stand to those of the truth. */
export interface CalibrationLine {
  /** 1 is right; below, probabilities are too extreme. */
  readonly slope: Estimate;
  /** Intercept beside that slope; 0 is right. */
  readonly intercept: Estimate;
  /** Intercept with the slope held at 1; 0 is right, above it probabilities are too low on the whole. */
  readonly inTheLarge: Estimate;
}

/** How near to 0 and 1 probabilities are taken: what float32 still tells from 1. */
const least = 2 ** -24;

/**
 * @param labels  (n) 0 or 1
 * @param scores  (n) probability of class 1; taken as at least 2^-24 from 0 and 1
 * @throws EvaluationError if the samples are malformed
 */
export function calibrationLine(
  labels: Labels,
  scores: ArrayLike<number>,
  options: IntervalOptions = {},
): CalibrationLine {
  const z = quantile(levelOf("calibrationLine", options, intervalNames));
  const { positive, scores: checked } = checkBinary("calibrationLine", labels, scores);
  const clusters = clustersOf("calibrationLine", labels.length, options);
  const logOdds = checked.map((score) => {
    const probability = Math.min(Math.max(score, least), 1 - least);
    return Math.log(probability / (1 - probability));
  });
  const whole = (reason: string): CalibrationLine => ({
    slope: notEstimated(reason),
    intercept: notEstimated(reason),
    inTheLarge: notEstimated(reason),
  });
  if (!positive.includes(0) || !positive.includes(1)) return whole("all samples are of one class");

  const ones = new Float64Array(positive.length).fill(1);
  const shift = fit(positive, [ones], logOdds, clusters);
  const line = logOdds.every((value) => value === logOdds[0])
    ? "all probabilities are the same"
    : separated(positive, logOdds)
      ? "the probabilities tell both classes apart without an error"
      : fit(positive, [ones, logOdds], new Float64Array(positive.length), clusters);
  const part = (found: Fit | string, index: number): Estimate => {
    if (typeof found === "string") return notEstimated(found);
    const [value, deviation] = [found.coefficients[index]!, found.deviations[index]!];
    return Number.isFinite(deviation)
      ? estimated(value, [value - z * deviation, value + z * deviation], "normal")
      : notEstimated("the samples are of one patient alone", value);
  };
  return { slope: part(line, 1), intercept: part(line, 0), inTheLarge: part(shift, 0) };
}

interface Fit {
  readonly coefficients: readonly number[];
  readonly deviations: readonly number[];
}

/** Logistic regression on one or two columns, by Newton's method with halved steps where a whole one would go too far. */
function fit(
  outcome: Uint8Array,
  columns: readonly Float64Array[],
  offset: Float64Array,
  clusters: Clusters,
): Fit | string {
  let coefficients = columns.map(() => 0);
  let likelihood = logLikelihood(outcome, columns, offset, coefficients);
  for (let step = 0; step < 100; step++) {
    const { gradient, inverse } = slopes(outcome, columns, offset, coefficients);
    const change = times(inverse, gradient);
    let factor = 1;
    let next = coefficients.map((value, i) => value + change[i]!);
    let reached = logLikelihood(outcome, columns, offset, next);
    while (!(reached >= likelihood) && factor > 1e-6) {
      factor /= 2;
      next = coefficients.map((value, i) => value + factor * change[i]!);
      reached = logLikelihood(outcome, columns, offset, next);
    }
    const settled = change.every((value, i) => Math.abs(value) <= 1e-10 * (1 + Math.abs(coefficients[i]!)));
    if (settled || !(reached >= likelihood)) {
      return { coefficients, deviations: deviationsOf(outcome, columns, offset, coefficients, clusters) };
    }
    [coefficients, likelihood] = [next, reached];
  }
  return "the regression does not settle";
}

const linear = (
  columns: readonly Float64Array[],
  offset: Float64Array,
  coefficients: readonly number[],
  sample: number,
): number =>
  columns.reduce((total, column, i) => total + column[sample]! * coefficients[i]!, offset[sample]!);

function logLikelihood(
  outcome: Uint8Array,
  columns: readonly Float64Array[],
  offset: Float64Array,
  coefficients: readonly number[],
): number {
  let total = 0;
  for (const [sample, truth] of outcome.entries()) {
    const x = linear(columns, offset, coefficients, sample) * (truth ? 1 : -1);
    total -= x > 0 ? Math.log1p(Math.exp(-x)) : Math.log1p(Math.exp(x)) - x;
  }
  return total;
}

/** First derivatives of the likelihood, and the inverse of the negative second ones. */
function slopes(
  outcome: Uint8Array,
  columns: readonly Float64Array[],
  offset: Float64Array,
  coefficients: readonly number[],
): { gradient: number[]; inverse: number[][] } {
  const gradient = columns.map(() => 0);
  const information = columns.map(() => columns.map(() => 0));
  for (const [sample, truth] of outcome.entries()) {
    const probability = 1 / (1 + Math.exp(-linear(columns, offset, coefficients, sample)));
    for (const [i, column] of columns.entries()) {
      gradient[i]! += (truth - probability) * column[sample]!;
      for (const [j, other] of columns.entries()) {
        information[i]![j]! += probability * (1 - probability) * column[sample]! * other[sample]!;
      }
    }
  }
  return { gradient, inverse: inverseOf(information) };
}

function deviationsOf(
  outcome: Uint8Array,
  columns: readonly Float64Array[],
  offset: Float64Array,
  coefficients: readonly number[],
  clusters: Clusters,
): number[] {
  const { inverse } = slopes(outcome, columns, offset, coefficients);
  if (!clusters.repeated) return inverse.map((row, i) => Math.sqrt(row[i]!));
  const scores = columns.map(() => new Float64Array(clusters.count));
  for (const [sample, truth] of outcome.entries()) {
    const probability = 1 / (1 + Math.exp(-linear(columns, offset, coefficients, sample)));
    for (const [i, column] of columns.entries()) {
      scores[i]![clusters.of[sample]!]! += (truth - probability) * column[sample]!;
    }
  }
  const few =
    (clusters.count / (clusters.count - 1)) * ((outcome.length - 1) / (outcome.length - columns.length));
  const meat = scores.map((a) =>
    scores.map((b) => few * a.reduce((total, one, i) => total + one * b[i]!, 0)),
  );
  return inverse.map((row) => Math.sqrt(row.reduce((sum, a, i) => sum + a * times(meat, row)[i]!, 0)));
}

const times = (matrix: readonly (readonly number[])[], vector: readonly number[]): number[] =>
  matrix.map((row) => row.reduce((total, value, i) => total + value * vector[i]!, 0));

/** Of a matrix of one or two rows. */
function inverseOf(matrix: readonly (readonly number[])[]): number[][] {
  const [[a, b], [c, d]] = [matrix[0]!, matrix[1] ?? []] as [number[], number[]];
  if (b === undefined || c === undefined || d === undefined) return [[1 / a!]];
  const determinant = a! * d - b * c;
  return [
    [d / determinant, -b / determinant],
    [-c / determinant, a! / determinant],
  ];
}

/** Whether a threshold has all of one class on one side. */
function separated(positive: Uint8Array, scores: Float64Array): boolean {
  const highest = [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY];
  const lowest = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  for (const [sample, kind] of positive.entries()) {
    highest[kind] = Math.max(highest[kind]!, scores[sample]!);
    lowest[kind] = Math.min(lowest[kind]!, scores[sample]!);
  }
  return highest[0]! <= lowest[1]! || highest[1]! <= lowest[0]!;
}
