/**
 * Metrics where labels do not exclude each other: an image may have several findings, or none. Each label is judged by
 * itself, with scikit-learn's definitions, and "macro" is the unweighted mean over labels. A label that no image has, or that
 * all have, has no area under the curve: NaN (`null` in JSON), and it is left out of that mean.
 */
import { EvaluationError } from "../errors.js";
import { expectCounts, expectList, expectTexts, inWords } from "../settings/given.js";
import { areaUnderRoc, averagePrecision } from "./ranking.js";
import { isProbability, numbersOf } from "./samples.js";
import { atThreshold, chooseThreshold, type ThresholdMetrics } from "./threshold.js";

/** What `multiLabelMetrics` finds out. Fractions are from 0 to 1. */
export interface MultiLabelMetrics {
  /** Names of the labels, in the order of all lists below. */
  readonly classes: readonly string[];
  /** Number of images. */
  readonly samples: number;
  /** Images that have each label. */
  readonly positives: readonly number[];

  /** Fraction of all labels of all images that is called rightly: 1 less the Hamming loss. */
  readonly accuracy: number;
  /** Fraction of the images all of whose labels are called rightly. */
  readonly subsetAccuracy: number;
  /** Mean over labels of (sensitivity + specificity) / 2, where both are defined. */
  readonly balancedAccuracy: number;
  /** Mean of the labels' areas under the ROC curve. */
  readonly auc: number;
  /** Mean of the labels' average precisions. */
  readonly meanAveragePrecision: number;
  /** Mean of the labels' F1. */
  readonly macroF1: number;
  /** F1 of all decisions together. */
  readonly microF1: number;
  /** Binary cross-entropy in nats, mean over all decisions; probabilities are clipped to 2^-52 from 0 and 1. */
  readonly crossEntropy: number;
  /** Mean squared error of all probabilities: 0 to 1. */
  readonly brier: number;

  /** Areas under the ROC curves. */
  readonly aucPerClass: readonly number[];
  /** Areas under the precision-recall curves, by the step rule; NaN for a label that no image has. */
  readonly averagePrecisionPerClass: readonly number[];
  /** Of the images called positive, the fraction that is; 0 where none is called so. */
  readonly precision: readonly number[];
  /** Also called recall; NaN for a label that no image has. */
  readonly sensitivity: readonly number[];
  /** NaN for a label that all images have. */
  readonly specificity: readonly number[];
  /** Harmonic mean of precision and sensitivity; 0 where both are. */
  readonly f1: readonly number[];
  /** What each label was judged at: an image is called positive from this probability on. */
  readonly thresholds: readonly number[];
}

/**
 * All metrics at once.
 *
 * @param labels         (n, labels) row-major, 0 or 1
 * @param probabilities  (n, labels) row-major, each from 0 to 1
 * @param classes        names of the labels
 * @param thresholds     probability from which each is called positive; default 0.5
 * @throws EvaluationError if the lengths disagree, a label is not 0 or 1, or a value is not a probability
 */
export function multiLabelMetrics(
  labels: ArrayLike<number>,
  probabilities: ArrayLike<number>,
  classes: readonly string[],
  thresholds?: readonly number[],
): MultiLabelMetrics {
  expectTexts("multiLabelMetrics", "classes", classes);
  const limits = thresholds === undefined ? classes.map(() => 0.5) : thresholds;
  const samples = checkRows(labels, probabilities, classes, limits);
  const judged = classes.map((_, label) => {
    const truth = columnOf(labels, label, classes.length);
    return judgeLabel(truth, columnOf(probabilities, label, classes.length), limits[label]!);
  });
  const list = (key: keyof Judgement) => judged.map((judgement) => judgement[key]);
  const total = (key: "truePositives" | "falsePositives" | "falseNegatives" | "trueNegatives") =>
    judged.reduce((sum, { counts }) => sum + counts[key], 0);
  const [right, wrongly, missed] = [total("truePositives"), total("falsePositives"), total("falseNegatives")];
  return {
    classes: [...classes],
    samples,
    positives: judged.map(({ counts }) => counts.truePositives + counts.falseNegatives),
    accuracy: (right + total("trueNegatives")) / labels.length,
    subsetAccuracy: fractionAllRight(labels, probabilities, limits),
    balancedAccuracy: meanOfDefined(
      judged.map(({ sensitivity, specificity }) => (sensitivity + specificity) / 2),
    ),
    auc: meanOfDefined(list("auc")),
    meanAveragePrecision: meanOfDefined(list("averagePrecision")),
    macroF1: list("f1").reduce((sum, value) => sum + value, 0) / classes.length,
    microF1: right === 0 ? 0 : (2 * right) / (2 * right + wrongly + missed),
    ...probabilityScores(labels, probabilities),
    aucPerClass: list("auc"),
    averagePrecisionPerClass: list("averagePrecision"),
    precision: list("precision"),
    sensitivity: list("sensitivity"),
    specificity: list("specificity"),
    f1: list("f1"),
    thresholds: [...limits],
  };
}

/**
 * The threshold of each label by `chooseThreshold`, Youden's; 0.5 for one that no image, or every image, of the validation
 * split has.
 *
 * @param labels         (n, labels) row-major, 0 or 1
 * @param probabilities  (n, labels) row-major
 */
export function chooseThresholds(
  labels: ArrayLike<number>,
  probabilities: ArrayLike<number>,
  count: number,
): number[] {
  const operation = "chooseThresholds";
  expectCounts(operation, { count });
  const truths = numbersOf(operation, "labels", labels);
  const scores = numbersOf(operation, "probabilities", probabilities);
  if (truths.length !== scores.length || truths.length % count !== 0 || truths.length === 0)
    throw new EvaluationError(
      `${operation}: ${truths.length} labels and ${scores.length} probabilities of ${count} labels an image.`,
    );
  const wrong = scores.findIndex((score) => !isProbability(score));
  if (wrong >= 0) throw new EvaluationError(`${operation}: ${scores[wrong]} at ${wrong} is no probability.`);
  return Array.from({ length: count }, (_, label) => {
    const truth = columnOf(truths, label, count);
    if (new Set(truth).size < 2) return 0.5;
    return chooseThreshold(truth, columnOf(scores, label, count));
  });
}

interface Judgement {
  readonly auc: number;
  readonly averagePrecision: number;
  readonly precision: number;
  readonly sensitivity: number;
  readonly specificity: number;
  readonly f1: number;
}

function judgeLabel(
  truth: Float64Array,
  scores: Float64Array,
  threshold: number,
): Judgement & { counts: ThresholdMetrics } {
  const positive = Uint8Array.from(truth);
  const counts = atThreshold(truth, scores, threshold);
  const { truePositives, falsePositives, falseNegatives, sensitivity, specificity } = counts;
  const called = truePositives + falsePositives;
  return {
    counts,
    auc: areaUnderRoc(positive, scores),
    averagePrecision: averagePrecision(positive, scores),
    precision: called === 0 ? 0 : truePositives / called,
    sensitivity,
    specificity,
    f1: truePositives === 0 ? 0 : (2 * truePositives) / (called + truePositives + falseNegatives),
  };
}

/** @internal */
export function checkRows(
  labels: ArrayLike<number>,
  probabilities: ArrayLike<number>,
  classes: readonly string[],
  thresholds: readonly number[],
): number {
  const refuse = (reason: string): never => {
    throw new EvaluationError(`multiLabelMetrics: ${reason}.`);
  };
  for (const [what, values] of Object.entries({ labels, probabilities, thresholds }))
    expectList("multiLabelMetrics", what, values);
  if (classes.length === 0) refuse("there are no labels to judge");
  if (thresholds.length !== classes.length)
    refuse(`${thresholds.length} thresholds for ${classes.length} labels`);
  if (labels.length === 0) refuse("needs at least one image");
  if (labels.length % classes.length !== 0 || labels.length !== probabilities.length) {
    refuse(
      `${labels.length} labels and ${probabilities.length} probabilities of ${classes.length} labels an image`,
    );
  }
  for (let i = 0; i < labels.length; ++i) {
    const image = Math.floor(i / classes.length);
    if (labels[i] !== 0 && labels[i] !== 1)
      refuse(`image ${image} has the label ${inWords(labels[i])}, where 0 or 1 is expected`);
    if (!isProbability(probabilities[i]!))
      refuse(`image ${image} has ${inWords(probabilities[i])}, which is no probability`);
  }
  const wrong = thresholds.findIndex((limit) => typeof limit !== "number" || Number.isNaN(limit));
  if (wrong >= 0) refuse(`${inWords(thresholds[wrong])} is no threshold`);
  return labels.length / classes.length;
}

/** @internal One column of row-major values. */
export function columnOf(rows: ArrayLike<number>, column: number, width: number): Float64Array {
  return Float64Array.from({ length: rows.length / width }, (_, row) => rows[row * width + column]!);
}

function fractionAllRight(
  labels: ArrayLike<number>,
  probabilities: ArrayLike<number>,
  thresholds: readonly number[],
): number {
  const samples = labels.length / thresholds.length;
  let right = 0;
  for (let image = 0; image < samples; ++image) {
    const agrees = thresholds.every((threshold, label) => {
      const at = image * thresholds.length + label;
      return Number(probabilities[at]! >= threshold) === labels[at];
    });
    right += Number(agrees);
  }
  return right / samples;
}

function probabilityScores(
  labels: ArrayLike<number>,
  probabilities: ArrayLike<number>,
): { crossEntropy: number; brier: number } {
  let [surprise, squares] = [0, 0];
  for (let i = 0; i < labels.length; ++i) {
    const [truth, probability] = [labels[i]!, probabilities[i]!];
    const ofTruth = truth ? probability : 1 - probability;
    squares += (probability - truth) ** 2;
    surprise -= Math.log(Math.min(Math.max(ofTruth, Number.EPSILON), 1 - Number.EPSILON));
  }
  return { crossEntropy: surprise / labels.length, brier: squares / labels.length };
}

function meanOfDefined(values: readonly number[]): number {
  const defined = values.filter((value) => !Number.isNaN(value));
  return defined.reduce((sum, value) => sum + value, 0) / defined.length;
}
