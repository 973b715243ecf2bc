/**
 * The decision threshold of a two-class task: choose it on the validation split, then report the test split at it.
 * A sample is called positive when the probability of the positive class is at least the threshold.
 */
import { EvaluationError } from "../errors.js";
import { expectList, expectNamed, expectNumbers, inWords } from "../settings/given.js";
import { tieGroups } from "./ranking.js";
import { evaluatedLabels, isProbability, type Labels, numbersOf } from "./samples.js";

/** What makes a threshold the best. */
export type ThresholdCriterion =
  /** The greatest sensitivity + specificity - 1 (Youden, Cancer 3 (1950) 32). */
  | {
      /** Name of this criterion. */
      readonly criterion: "youden";
    }
  /** The greatest specificity among thresholds of at least this sensitivity, as for screening. */
  | {
      /** Name of this criterion. */
      readonly criterion: "sensitivity";
      /** The sensitivity to reach, 0 to 1. */
      readonly atLeast: number;
    }
  /** The greatest sensitivity among thresholds of at least this specificity, as for confirming. */
  | {
      /** Name of this criterion. */
      readonly criterion: "specificity";
      /** The specificity to reach, 0 to 1. */
      readonly atLeast: number;
    }
  /** The least cost of errors a sample. */
  | {
      /** Name of this criterion. */
      readonly criterion: "cost";
      /** Of a negative called positive, in any unit; not below 0. */
      readonly falsePositive: number;
      /** Of a positive missed, in the same unit; above 0. */
      readonly falseNegative: number;
      /** Share of positives where the threshold will be used; default: that of the samples. */
      readonly prevalence?: number;
    };

/** What a two-class model does at one threshold. */
export interface ThresholdMetrics {
  /** Probability of the positive class from which it is called. */
  readonly threshold: number;
  /** Positives called positive. */
  readonly truePositives: number;
  /** Negatives called positive. */
  readonly falsePositives: number;
  /** Negatives called negative. */
  readonly trueNegatives: number;
  /** Positives called negative. */
  readonly falseNegatives: number;
  /** Fraction called rightly. */
  readonly accuracy: number;
  /** Fraction of the positives called positive; NaN if there are none. */
  readonly sensitivity: number;
  /** Fraction of the negatives called negative; NaN if there are none. */
  readonly specificity: number;
  /** Of the positive calls, the fraction that is right; NaN if there is none. */
  readonly positivePredictiveValue: number;
  /** Of the negative calls, the fraction that is right; NaN if there is none. */
  readonly negativePredictiveValue: number;
  /** Harmonic mean of positive predictive value and sensitivity. */
  readonly f1: number;
  /** sensitivity + specificity - 1 */
  readonly youden: number;
}

/**
 * Chooses the threshold among the observed probabilities; of equally good ones the highest, as scikit-learn's
 * `roc_curve` with `argmax` would.
 *
 * Where it makes no error, these samples do not tell it from any other above the highest negative: then it is the middle of
 * that gap, as decision trees split. At the gap's upper end, where the lowest positive is, a new positive that scores a little less
 * than all of these would be missed.
 *
 * @param labels                 (n) 0 or 1, of the validation split
 * @param positiveProbabilities  (n) probability of class 1
 * @param options                default `{ criterion: "youden" }`
 * @throws EvaluationError if the samples are malformed, or one of the classes is not among the labels
 */
export function chooseThreshold(
  labels: Labels,
  positiveProbabilities: ArrayLike<number>,
  options: ThresholdCriterion = { criterion: "youden" },
): number {
  const { positive, scores } = checkBinary("chooseThreshold", labels, positiveProbabilities);
  expectNamed("chooseThreshold", "the criterion", options);
  const positives = positive.reduce((total, value) => total + value, 0);
  const negatives = positive.length - positives;
  if (positives === 0 || negatives === 0) {
    throw new EvaluationError(
      "chooseThreshold: needs samples of both classes; choose on a larger validation split.",
    );
  }
  const { reaches, worth } = rulesOf(options, positives, negatives);
  let best = { value: Number.NEGATIVE_INFINITY, threshold: Number.NaN };
  let separating = false;
  for (const { score, positivesSoFar, negativesSoFar } of tieGroups(positive, scores)) {
    if (separating) {
      const middle = (best.threshold + score) / 2;
      return middle > score ? middle : best.threshold; // between neighbouring numbers there is none
    }
    if (!reaches(positivesSoFar, negativesSoFar)) continue;
    const value = worth(positivesSoFar, negativesSoFar);
    if (value <= best.value) continue;
    best = { value, threshold: score };
    separating = positivesSoFar === positives && negativesSoFar === 0;
  }
  if (Number.isNaN(best.threshold)) {
    throw new EvaluationError(
      "chooseThreshold: no threshold reaches that specificity, since a negative has the highest probability of all.",
    );
  }
  return best.threshold;
}

/** Counts of those called so far, true and false ones: whether they will do, and how good they are. */
interface Rules {
  reaches(hits: number, alarms: number): boolean;
  worth(hits: number, alarms: number): number;
}

/** In whole numbers where that is possible, so that equally good thresholds compare equal. */
function rulesOf(options: ThresholdCriterion, positives: number, negatives: number): Rules {
  switch (options.criterion) {
    case "youden":
      // Youden's index times positives times negatives.
      return {
        reaches: () => true,
        worth: (hits, alarms) => hits * negatives - alarms * positives,
      };
    case "sensitivity": {
      const required = shareOf("sensitivity of at least", options.atLeast);
      return {
        reaches: (hits) => hits / positives >= required,
        // The false positives first, then the true ones.
        worth: (hits, alarms) => hits - alarms * (positives + 1),
      };
    }
    case "specificity": {
      const required = shareOf("specificity of at least", options.atLeast);
      return {
        reaches: (_, alarms) => (negatives - alarms) / negatives >= required,
        worth: (hits, alarms) => hits * (negatives + 1) - alarms,
      };
    }
    case "cost":
      return costRules(options, positives, negatives);
    default:
      throw new EvaluationError(
        `chooseThreshold: ${inWords((options as { criterion: unknown }).criterion)} is no criterion; use youden, sensitivity, specificity or cost.`,
      );
  }
}

function costRules(
  { falsePositive, falseNegative, prevalence }: Extract<ThresholdCriterion, { criterion: "cost" }>,
  positives: number,
  negatives: number,
): Rules {
  expectNumbers("chooseThreshold", { falsePositive, falseNegative });
  if (
    !(falsePositive >= 0 && falseNegative > 0 && falsePositive + falseNegative < Number.POSITIVE_INFINITY)
  ) {
    throw new EvaluationError(
      `chooseThreshold: ${falsePositive} and ${falseNegative} are not costs of a false positive and a false negative.`,
    );
  }
  const common = shareOf(
    "prevalence of",
    prevalence === undefined ? positives / (positives + negatives) : prevalence,
  );
  const ofHit = (common / positives) * falseNegative;
  const ofAlarm = ((1 - common) / negatives) * falsePositive;
  return { reaches: () => true, worth: (hits, alarms) => hits * ofHit - alarms * ofAlarm };
}

function shareOf(what: string, share: number): number {
  if (typeof share === "number" && share >= 0 && share <= 1) return share;
  throw new EvaluationError(`chooseThreshold: a ${what} ${inWords(share)} cannot be asked for; use 0 to 1.`);
}

/**
 * What the threshold does to these samples. Rates that would divide by no samples are NaN.
 *
 * @param labels                 (n) 0 or 1
 * @param positiveProbabilities  (n) probability of class 1
 * @throws EvaluationError if the samples are malformed or `threshold` is not a number
 */
export function atThreshold(
  labels: Labels,
  positiveProbabilities: ArrayLike<number>,
  threshold: number,
): ThresholdMetrics {
  const { positive, scores } = checkBinary("atThreshold", labels, positiveProbabilities);
  expectThreshold("atThreshold", threshold);
  const counts = [
    [0, 0],
    [0, 0],
  ];
  positive.forEach((truth, sample) => {
    counts[truth]![scores[sample]! >= threshold ? 1 : 0]! += 1;
  });
  const [[trueNegatives, falsePositives], [falseNegatives, truePositives]] = counts as [
    [number, number],
    [number, number],
  ];
  const sensitivity = truePositives / (truePositives + falseNegatives);
  const specificity = trueNegatives / (trueNegatives + falsePositives);
  return {
    threshold,
    truePositives,
    falsePositives,
    trueNegatives,
    falseNegatives,
    accuracy: (truePositives + trueNegatives) / positive.length,
    sensitivity,
    specificity,
    positivePredictiveValue: truePositives / (truePositives + falsePositives),
    negativePredictiveValue: trueNegatives / (trueNegatives + falseNegatives),
    f1: (2 * truePositives) / (2 * truePositives + falsePositives + falseNegatives),
    youden: sensitivity + specificity - 1,
  };
}

/** @internal */
export function expectThreshold(operation: string, threshold: number): void {
  if (typeof threshold !== "number" || Number.isNaN(threshold))
    throw new EvaluationError(`${operation}: the threshold is not a number.`);
}

/** @internal Labels of 0 or 1 and as many probabilities. */
export function checkBinary(operation: string, labels: Labels, probabilities: ArrayLike<number>) {
  const positive = Uint8Array.from(evaluatedLabels(operation, labels, 2));
  expectList(operation, "probabilities", probabilities);
  if (probabilities.length !== labels.length) {
    throw new EvaluationError(
      `${operation}: ${labels.length} labels, but ${probabilities.length} probabilities.`,
    );
  }
  const scores = numbersOf(operation, "probabilities", probabilities);
  scores.forEach((score, sample) => {
    if (!isProbability(score)) {
      throw new EvaluationError(`${operation}: sample ${sample} has ${score}, which is no probability.`);
    }
  });
  return { positive, scores };
}
