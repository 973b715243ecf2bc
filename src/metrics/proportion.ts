/**
 * A proportion with Wilson's interval. Where patients have several samples each, these are worth fewer than they are: the
 * count is divided by the design effect, how much larger the variance between patients is than that of as many independent
 * samples, before Wilson's formula is used. If all samples agree there is nothing to measure that by, and the count is that
 * of the patients.
 *
 * Two proportions of different samples differ by Newcombe's interval, which is made from both of Wilson's: where one of them is
 * 0 or 1 it is as wide as few samples make it, which resampled patients cannot be, since all draws of a group without an error
 * have none.
 *
 * @see Wilson, J. Am. Stat. Assoc. 22 (1927) 209; Rao and Scott, A simple method for the analysis of clustered binary data, Biometrics 48 (1992) 577
 * @see Newcombe, Interval estimation for the difference between independent proportions, Statistics in Medicine 17 (1998) 873, method 10
 */
import { EvaluationError } from "../errors.js";
import { expectNumbers } from "../settings/given.js";
import type { Clusters } from "./clusters.js";
import { type ConfidenceLevel, type Interval, quantile } from "./confidence-level.js";
import { type Estimate, type Estimated, estimated, notEstimated } from "./estimate.js";

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

/**
 * @internal
 * @param counted  (n) 1 for samples that are counted, of which `hits` is the share
 * @param hits     (n) 1 for samples that are hits
 * @param nothing  why there is nothing to count, where there is not: "no label names the class"
 */
export function proportion(
  counted: ArrayLike<number>,
  hits: ArrayLike<number>,
  clusters: Clusters,
  level: ConfidenceLevel,
  nothing: string,
): Estimate {
  let [count, hit] = [0, 0];
  for (let sample = 0; sample < counted.length; sample++) {
    if (!counted[sample]) continue;
    count += 1;
    hit += hits[sample]!;
  }
  if (count === 0) return notEstimated(nothing);
  const effective = clusters.repeated ? effectiveCount(counted, hits, clusters, count, hit) : count;
  const share = hit / count;
  const [lower, upper] = wilsonInterval(share * effective, effective, level);
  // Where all or none are hits, an end is the share itself, but for rounding.
  return estimated(share, [Math.min(lower, share), Math.max(upper, share)], "wilson");
}

/**
 * @internal The first proportion less the second, of samples that have none in common. Patients with samples in both are taken
 * for two, which makes the interval too wide rather than too narrow: what is alike in both leaves the difference.
 */
export function differenceOfProportions(first: Estimated, second: Estimated): Estimated {
  const value = first.value - second.value;
  const down = Math.hypot(first.value - first.lower, second.upper - second.value);
  const up = Math.hypot(first.upper - first.value, second.value - second.lower);
  return estimated(value, [value - down, value + up], "newcombe");
}

function effectiveCount(
  counted: ArrayLike<number>,
  hits: ArrayLike<number>,
  clusters: Clusters,
  count: number,
  hit: number,
): number {
  const share = hit / count;
  const residuals = new Float64Array(clusters.count);
  const present = new Uint8Array(clusters.count);
  for (let sample = 0; sample < counted.length; sample++) {
    if (!counted[sample]) continue;
    const patient = clusters.of[sample]!;
    residuals[patient]! += hits[sample]! - share;
    present[patient] = 1;
  }
  const patients = present.reduce((total, one) => total + one, 0);
  if (hit === 0 || hit === count || patients < 2) return patients;
  const squares = residuals.reduce((total, residual) => total + residual ** 2, 0);
  const variance = ((patients / (patients - 1)) * squares) / count ** 2;
  const independent = (share * (1 - share)) / count;
  return count / Math.max(1, variance / independent);
}
