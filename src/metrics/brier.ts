/**
 * The Brier score in its parts: the mean squared error of probabilities, which is good if they are true to their word
 * (reliability, smaller is better) and tell patients apart (resolution, larger is better), less what no one could know
 * (uncertainty, a property of the patients):
 *
 *     Brier = reliability - resolution + uncertainty + within bins
 *
 * Samples are compared in bins of equal mass, for each class. Murphy's parts are exact for forecasts of few values; what
 * probabilities vary within a bin is the last part, near 0 if the bins are fine enough. The parts add up to the score.
 *
 * Reliability, like every calibration error, is made larger by chance; fewer bins make that less.
 *
 * @see Murphy, J. Appl. Meteorol. 12 (1973) 595; Stephenson et al., Weather Forecast. 23 (2008) 752
 */
import { equalMass } from "./calibration-bins.js";
import { clustersOf } from "./clusters.js";
import { type Estimate, levelOf } from "./estimate.js";
import {
  bootstrapped,
  bootstrappedDistance,
  once,
  type ResamplingOptions,
  resample,
  resamplingNames,
} from "./resampling.js";
import {
  type Classes,
  checkSamples,
  column,
  type Labels,
  oneVersusRest,
  type Probabilities,
} from "./samples.js";

/** The Brier score, summed over classes: 0 to 2, and its parts. For two classes both count, and halves are the binary score's. */
export interface BrierParts {
  /** The score itself. */
  readonly brier: Estimate;
  /** Mean squared distance of a bin's probability from the share that came true; 0 is perfect. */
  readonly reliability: Estimate;
  /** Mean squared distance of a bin's share from the overall share; more is better. */
  readonly resolution: Estimate;
  /** Variance of the outcomes. */
  readonly uncertainty: Estimate;
  /** What the bins leave out: variance of probabilities in a bin, less twice their covariance with the outcome. */
  readonly withinBins: Estimate;
}

const names = ["brier", "reliability", "resolution", "uncertainty", "withinBins"] as const;

/**
 * @param labels         (n) class indices
 * @param probabilities  (n, classes)
 * @param options        `bins` of equal mass for each class, 1 to 1000; default 10
 * @throws EvaluationError if the samples are malformed
 * @throws ArgumentError if the number of bins cannot be
 */
export function brierParts(
  labels: Labels,
  probabilities: Probabilities,
  classes: Classes,
  options: ResamplingOptions & { readonly bins?: number } = {},
): BrierParts {
  const level = levelOf("brierParts", options, { ...resamplingNames, bins: true });
  const { bins = 10 } = options;
  const samples = checkSamples("brierParts", labels, probabilities, classes);
  const judged = samples.classes.map((_, index) => {
    const scores = column(samples, index);
    return {
      scores,
      outcome: oneVersusRest(samples, index),
      bins: equalMass("brierParts", scores, bins),
    };
  });
  const statistic = (weights: Uint16Array, into: Float64Array): void => {
    into.fill(0);
    for (const { scores, outcome, bins } of judged) addParts(weights, scores, outcome, bins, into);
  };
  const values = once(samples.count, names.length, statistic);
  const clusters = clustersOf("brierParts", samples.count, options);
  const drawn = resample("brierParts", clusters, names.length, statistic, options);
  return Object.fromEntries(
    names.map((name, i) => {
      const distance = name === "reliability" || name === "resolution";
      const interval = distance ? bootstrappedDistance : bootstrapped;
      return [name, interval(values[i]!, drawn[i]!, level, "there are no samples")];
    }),
  ) as unknown as BrierParts;
}

function addParts(
  weights: Uint16Array,
  scores: Float64Array,
  outcome: Uint8Array,
  bins: { of: Uint32Array; count: number },
  into: Float64Array,
): void {
  const counts = new Float64Array(bins.count);
  const predicted = new Float64Array(bins.count);
  const observed = new Float64Array(bins.count);
  let [count, positives, squares] = [0, 0, 0];
  for (let sample = 0; sample < weights.length; sample++) {
    const [weight, bin] = [weights[sample]!, bins.of[sample]!];
    counts[bin]! += weight;
    predicted[bin]! += weight * scores[sample]!;
    observed[bin]! += weight * outcome[sample]!;
    squares += weight * (scores[sample]! - outcome[sample]!) ** 2;
    count += weight;
    positives += weight * outcome[sample]!;
  }
  const share = positives / count;
  let [reliability, resolution] = [0, 0];
  for (const [bin, inside] of counts.entries()) {
    if (inside === 0) continue;
    reliability += (predicted[bin]! - observed[bin]!) ** 2 / inside / count;
    resolution += (inside / count) * (observed[bin]! / inside - share) ** 2;
  }
  const uncertainty = share * (1 - share);
  const brier = squares / count;
  const parts = [brier, reliability, resolution, uncertainty, brier - reliability + resolution - uncertainty];
  for (const [place, part] of parts.entries()) into[place]! += part;
}
