/**
 * Calibration: does a prediction made with 80 % confidence come true 80 % of the time? Samples are put in bins of equal
 * width by the probability of the predicted class, and each bin's mean confidence is compared with its accuracy.
 *
 * @see Guo et al., On calibration of modern neural networks, https://arxiv.org/abs/1706.04599
 */
import { EvaluationError } from "../errors.js";
import {
  expectCounts,
  expectList,
  expectNamed,
  expectNumbers,
  inWords,
  optionsOf,
} from "../settings/given.js";
import {
  type Classes,
  checkSamples,
  type Labels,
  type Probabilities,
  type Samples,
  topClasses,
} from "./samples.js";

/** One bar of a reliability diagram. */
export interface ReliabilityBin {
  /** Confidences of the bin: lower <= confidence < upper; the last bin includes 1. */
  readonly lower: number;
  /** See `lower`. */
  readonly upper: number;
  /** Samples in the bin. */
  readonly count: number;
  /** Mean probability of the predicted class; NaN in an empty bin. */
  readonly confidence: number;
  /** Fraction predicted rightly; NaN in an empty bin. */
  readonly accuracy: number;
}

const defaultBins = 15;
const mostBins = 1_000_000;

/**
 * How far below an edge, in bins, a probability still counts as on it: 8/15 that was written with 12 decimals, as
 * 0.533333333333, belongs to the bin that begins at 8/15.
 */
const edgeTolerance = 1e-9;

/**
 * The bins of a reliability diagram, by rising confidence, empty ones included.
 *
 * @param labels         (n) class indices
 * @param probabilities  (n, classes)
 * @param options.bins   number of bins of equal width; default 15
 * @throws EvaluationError if the samples are malformed or `bins` is not a positive integer
 */
export function reliabilityBins(
  labels: Labels,
  probabilities: Probabilities,
  classes: Classes,
  options: { bins?: number } = {},
): ReliabilityBin[] {
  const { bins = defaultBins } = optionsOf("reliabilityBins", options, { bins: true });
  return binSamples(checkSamples("reliabilityBins", labels, probabilities, classes), bins);
}

/** @internal `reliabilityBins` of samples that are checked already. */
export function binSamples(samples: Samples, bins = defaultBins): ReliabilityBin[] {
  if (!Number.isSafeInteger(bins) || bins < 1 || bins > mostBins) {
    throw new EvaluationError(
      `reliabilityBins: ${inWords(bins)} is not a number of bins; use a positive integer up to ${mostBins}.`,
    );
  }
  const counts = new Float64Array(bins);
  const confidences = new Float64Array(bins);
  const hits = new Float64Array(bins);
  const { index, probability } = topClasses(samples);
  for (let sample = 0; sample < samples.count; sample++) {
    const bin = binOf(probability[sample]!, bins);
    counts[bin]! += 1;
    confidences[bin]! += probability[sample]!;
    hits[bin]! += index[sample] === samples.labels[sample] ? 1 : 0;
  }
  return Array.from(counts, (count, bin) => ({
    lower: bin / bins,
    upper: (bin + 1) / bins,
    count,
    confidence: confidences[bin]! / count,
    accuracy: hits[bin]! / count,
  }));
}

/** @internal The bin of equal width that a probability belongs to. */
export const binOf = (probability: number, bins = defaultBins): number =>
  Math.min(Math.floor(probability * bins + edgeTolerance), bins - 1);

/**
 * Expected calibration error: mean of |accuracy - confidence| over samples, bin by bin. 0 is perfect, NaN of no samples.
 *
 * @param bins  of `reliabilityBins`
 * @throws ArgumentError if they are none
 */
export function expectedCalibrationError(bins: readonly ReliabilityBin[]): number {
  expectBins("expectedCalibrationError", bins);
  let total = 0;
  let error = 0;
  for (const { count, accuracy, confidence } of bins) {
    if (count === 0) continue;
    total += count;
    error += Math.abs(accuracy - confidence) * count;
  }
  return error / total;
}

/** @internal @throws ArgumentError unless they are bins */
export function expectBins(operation: string, bins: readonly ReliabilityBin[]): void {
  expectList(operation, "bins", bins);
  for (const bin of bins) {
    const { count, lower, upper, accuracy, confidence } = expectNamed(operation, "a bin", bin);
    expectCounts(operation, { count }, 0);
    expectNumbers(operation, { lower, upper, ...(count > 0 && { accuracy, confidence }) });
  }
}
