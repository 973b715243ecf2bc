/**
 * What some samples say of a number: the number and how far it can be trusted, or why nothing can be said. Every number of a
 * report is one of the two, so that none stands there without its interval by oversight.
 */
import { ArgumentError } from "../errors.js";
import {
  expectNamed,
  expectNumbers,
  expectText,
  inWords,
  type NamesOf,
  optionsOf,
} from "../settings/given.js";
import { type ConfidenceLevel, confidenceLevels, type Interval } from "./confidence-level.js";

/**
 * How an interval was made. `wilson`: Wilson's for a proportion. `newcombe`: Newcombe's for a difference of two. `delong`: DeLong's variance of areas. `bootstrap`: percentiles
 * over resampled patients. `log`: normal on the scale of the logarithm, or of log odds. `normal`: normal on the scale itself.
 */
export type IntervalMethod = "wilson" | "newcombe" | "delong" | "bootstrap" | "log" | "normal";

/** A number with its confidence interval. */
export interface Estimated {
  /** The number itself, from the samples as they are. */
  readonly value: number;
  /** The interval: lower end. */
  readonly lower: number;
  /** The interval: upper end. */
  readonly upper: number;
  /** How the interval was made. */
  readonly method: IntervalMethod;
  /** Not there: it has an interval. */
  readonly reason?: undefined;
}

/** A number that has no interval, or is not defined at all, and why. */
export interface NotEstimated {
  /** The number, if it is defined although its interval is not. */
  readonly value?: number | undefined;
  /** Why not, to be put after "because": "no label names the class". */
  readonly reason: string;
  /** Not there: see `reason`. */
  readonly lower?: undefined;
  /** Not there: see `reason`. */
  readonly upper?: undefined;
  /** Not there: see `reason`. */
  readonly method?: undefined;
}

/** A number with its interval, or the reason why it has none. */
export type Estimate = Estimated | NotEstimated;

/** Metrics with an estimate in the place of each number. */
export type EstimatesOf<Metrics> = {
  readonly [score in keyof Metrics]: Metrics[score] extends number ? Estimate : readonly Estimate[];
};

/** How sure an interval should be, and whose the samples are. */
export interface IntervalOptions {
  /** Share of such intervals that hold the true value: 0.9, 0.95 (default) or 0.99. */
  readonly level?: ConfidenceLevel;
  /**
   * (n) whom each sample is of; undefined or empty where that is not known, which counts as a patient of its own. Samples of
   * one patient resemble each other, so that many of them say less than as many patients would; default: all are of others.
   */
  readonly patients?: ArrayLike<string | number | undefined> | undefined;
}

/** @internal */
export const estimated = (value: number, [lower, upper]: Interval, method: IntervalMethod): Estimated => ({
  value,
  lower,
  upper,
  method,
});

/** @internal `value` is left out where it is not a finite number. */
export const notEstimated = (reason: string, value?: number): NotEstimated =>
  value !== undefined && Number.isFinite(value) ? { value, reason } : { reason };

/** @internal The same with every part of an estimate sent through a rising or falling function. */
export function transformed(estimate: Estimate, through: (value: number) => number): Estimate {
  if (estimate.reason !== undefined) {
    return notEstimated(estimate.reason, estimate.value === undefined ? undefined : through(estimate.value));
  }
  const ends = [through(estimate.lower), through(estimate.upper)] as const;
  return estimated(through(estimate.value), [Math.min(...ends), Math.max(...ends)], estimate.method);
}

/** @internal @throws ArgumentError unless it is an estimate */
export function expectEstimate(operation: string, what: string, estimate: Estimate): void {
  const { value, lower, upper, reason } = expectNamed(operation, what, estimate);
  if (reason === undefined) {
    expectNumbers(operation, { value, lower, upper });
  } else {
    expectText(operation, `${what}.reason`, reason);
    if (value !== undefined) expectNumbers(operation, { value });
  }
}

/** @internal Names of the options. */
export const intervalNames: NamesOf<IntervalOptions> = { level: true, patients: true };

/**
 * @internal The level, 0.95 unless given.
 *
 * @param names  all options that there are
 * @throws ArgumentError if it is none, or the options are no object or have another name
 */
export function levelOf<Options extends IntervalOptions>(
  operation: string,
  options: Options,
  names: NamesOf<NoInfer<Options>>,
): ConfidenceLevel {
  const { level = 0.95 } = optionsOf(operation, options, names);
  if (!confidenceLevels.includes(level)) {
    throw new ArgumentError(
      `${operation}: confidence level ${inWords(level)} is not one of 0.9, 0.95, 0.99.`,
    );
  }
  return level;
}
