/**
 * What is gained by leaving the uncertain to a human? Samples are taken by falling confidence, the probability of the most
 * probable class; coverage is the share that is taken, risk the share of these that is called wrongly. The area under the
 * curve (AURC), the mean risk over all coverages, is small if errors come last. Samples of the same confidence come in no
 * particular order, and count with the mean over all of them.
 *
 * @see Geifman and El-Yaniv, Selective classification for deep neural networks, https://arxiv.org/abs/1705.08500
 */

import { ArgumentError } from "../errors.js";
import { inWords } from "../settings/given.js";
import { clustersOf } from "./clusters.js";
import type { CurveBand } from "./curves.js";
import { type Estimate, levelOf } from "./estimate.js";
import {
  bootstrapped,
  once,
  percentiles,
  type ResamplingOptions,
  resample,
  resamplingNames,
} from "./resampling.js";
import { type Classes, checkSamples, type Labels, type Probabilities, topClasses } from "./samples.js";

/** Risk (y) at coverages (x) above 0, to 1, with a pointwise band, and the area under it. */
export interface RiskCoverage extends CurveBand {
  /** Mean risk over all coverages, 0 to 1; less is better. */
  readonly area: Estimate;
}

/**
 * @param labels         (n) class indices
 * @param probabilities  (n, classes)
 * @param options        `places` of coverage, evenly up to 1; default 100
 * @throws EvaluationError if the samples are malformed
 * @throws ArgumentError if `places` is not a whole number from 1 to 10000
 */
export function riskCoverage(
  labels: Labels,
  probabilities: Probabilities,
  classes: Classes,
  options: ResamplingOptions & { readonly places?: number } = {},
): RiskCoverage {
  const level = levelOf("riskCoverage", options, { ...resamplingNames, places: true });
  const { places = 100 } = options;
  if (!Number.isSafeInteger(places) || places < 1 || places > 10_000) {
    throw new ArgumentError(`riskCoverage: ${inWords(places)} is not a number of places; use 1 to 10000.`);
  }
  const samples = checkSamples("riskCoverage", labels, probabilities, classes);
  const { index, probability } = topClasses(samples);
  const wrong = Uint8Array.from(index, (called, sample) => Number(called !== samples.labels[sample]));
  const order = Uint32Array.from(probability, (_, i) => i).sort((a, b) => probability[b]! - probability[a]!);
  const last = Uint8Array.from(order, (sample, place) =>
    Number(probability[sample] !== probability[order[place + 1]!]),
  );
  const x = Array.from({ length: places }, (_, place) => (place + 1) / places);

  const statistic = (weights: Uint16Array, into: Float64Array): void => {
    const count = weights.reduce((total, weight) => total + weight, 0);
    let [taken, errors, group, groupErrors, risks, next] = [0, 0, 0, 0, 0, 0];
    for (let place = 0; place < order.length; place++) {
      const sample = order[place]!;
      group += weights[sample]!;
      groupErrors += weights[sample]! * wrong[sample]!;
      if (!last[place] || group === 0) continue;
      const share = groupErrors / group;
      for (let more = 1; more <= group; more++) risks += (errors + share * more) / (taken + more);
      for (; next < places; next++) {
        const wanted = x[next]! * count;
        if (wanted > taken + group + 1e-9) break;
        into[next] = (errors + share * (wanted - taken)) / wanted;
      }
      taken += group;
      errors += groupErrors;
      [group, groupErrors] = [0, 0];
    }
    into[places] = risks / count;
  };
  const values = once(samples.count, places + 1, statistic);
  const clusters = clustersOf("riskCoverage", samples.count, options);
  const drawn = resample("riskCoverage", clusters, places + 1, statistic, options);
  const ends = drawn.slice(0, places).map((risks) => percentiles(risks, level));
  return {
    x,
    y: Array.from(values.subarray(0, places)),
    lower: ends.map(([lower]) => lower),
    upper: ends.map(([, upper]) => upper),
    area: bootstrapped(values[places]!, drawn[places]!, level, "there are no samples"),
  };
}
