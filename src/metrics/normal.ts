/** The normal distribution's tails, for p values. */

/**
 * @internal The probability that a standard normal number is at least as far from 0 as `z`, on either side: by the series of
 * the middle where that is large, by Laplace's continued fraction where it is small, so that 1e-20 is not 0.
 *
 * @see Marsaglia, Evaluating the normal distribution, J. Stat. Softw. 11 (2004) 4; Abramowitz and Stegun 26.2.14
 */
export function twoSidedTail(z: number): number {
  const x = Math.abs(z);
  const density = Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI);
  if (x < 3) {
    let [sum, term] = [x, x];
    for (let odd = 3; term > sum * 1e-17; odd += 2) {
      term *= (x * x) / odd;
      sum += term;
    }
    return 1 - 2 * density * sum;
  }
  let fraction = 0;
  for (let depth = 100; depth > 0; depth--) fraction = depth / (x + fraction);
  return (2 * density) / (x + fraction);
}
