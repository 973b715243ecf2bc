/** How sure an interval should be: the levels that there are, and their quantiles of the normal distribution. */
import { EvaluationError } from "../errors.js";
import { inWords } from "../settings/given.js";

/** Levels whose quantiles are known. */
export type ConfidenceLevel = 0.9 | 0.95 | 0.99;
/** From the lower end to the upper. */
export type Interval = readonly [lower: number, upper: number];

/** Two-sided; the value is the quantile of the normal distribution that leaves half of the rest above it. */
const quantiles: Readonly<Record<ConfidenceLevel, number>> = {
  0.9: 1.6448536269514722,
  0.95: 1.959963984540054,
  0.99: 2.5758293035489004,
};

/** @internal */
export const confidenceLevels: readonly number[] = Object.keys(quantiles).map(Number);

/**
 * @internal
 * @throws EvaluationError if the level is not one of those known
 */
export function quantile(level: ConfidenceLevel): number {
  const z: number | undefined = typeof level === "number" ? quantiles[level] : undefined;
  if (z === undefined)
    throw new EvaluationError(`confidence level ${inWords(level)} is not one of 0.9, 0.95, 0.99.`);
  return z;
}
