/**
 * Metrics of a classifier from its labels and class probabilities, with scikit-learn's definitions.
 *
 * The predicted class is the most probable one. Every class is looked at against the rest, and "macro" is the
 * unweighted mean over classes. A class that no label names has no positives to be judged by: its entries in the
 * per-class lists are NaN (`null` in JSON), and it is left out of the macro means. A class that is there but never
 * predicted has precision 0.
 */
import { binSamples, expectedCalibrationError } from "./calibration.js";
import { areaUnderRoc, averagePrecision } from "./ranking.js";
import {
  type Classes,
  checkSamples,
  column,
  type Labels,
  oneVersusRest,
  type Probabilities,
  type Samples,
  topClasses,
} from "./samples.js";

/** What `classificationMetrics` finds out. Fractions are from 0 to 1. */
export interface ClassificationMetrics {
  /** Names, in the order of all lists below. */
  readonly classes: readonly string[];
  /** Number of samples. */
  readonly samples: number;

  /** Fraction predicted rightly. */
  readonly accuracy: number;
  /** Mean of the classes' sensitivities. */
  readonly balancedAccuracy: number;
  /** Two classes: of the second (positive) class. More: mean of the one-versus-rest areas. */
  readonly auc: number;
  /** Mean of the classes' precisions. */
  readonly macroPrecision: number;
  /** Mean of the classes' sensitivities; the same as `balancedAccuracy`. */
  readonly macroSensitivity: number;
  /** Mean of the classes' specificities. */
  readonly macroSpecificity: number;
  /** Mean of the classes' F1. */
  readonly macroF1: number;
  /** Matthews correlation coefficient (Gorodkin's for several classes); 0 if all labels or all predictions agree. */
  readonly mcc: number;
  /** Agreement beyond chance; NaN if labels and predictions are all one and the same class. */
  readonly cohenKappa: number;
  /** Mean of -ln of the true class's probability, in nats; probabilities are clipped to 2^-52 from 0 and 1. */
  readonly crossEntropy: number;
  /** Mean over samples of the squared error summed over classes: 0 to 2. */
  readonly brier: number;
  /** Expected calibration error of the predicted class in 15 bins of equal width. */
  readonly ece: number;

  /** Areas under the one-versus-rest ROC curves. NaN also for a class that all labels name. */
  readonly aucPerClass: readonly number[];
  /** Areas under the precision-recall curves, by the step rule. */
  readonly averagePrecisionPerClass: readonly number[];
  /** Of the samples called this class, the fraction that is. */
  readonly precision: readonly number[];
  /** Also called recall. */
  readonly sensitivity: readonly number[];
  /** NaN also for a class that all labels name. */
  readonly specificity: readonly number[];
  /** Harmonic mean of precision and sensitivity. */
  readonly f1: readonly number[];
  /** Counts; row: true class, column: predicted class. */
  readonly confusionMatrix: readonly (readonly number[])[];
}

/**
 * All metrics at once.
 *
 * @param labels         (n) class indices
 * @param probabilities  (n, classes) flat or as rows; each row sums to 1 within 1e-4
 * @param classes        number of classes, or their names; at least two
 * @throws EvaluationError if a label is not a class, a value is not a probability, or the lengths disagree
 */
export function classificationMetrics(
  labels: Labels,
  probabilities: Probabilities,
  classes: Classes,
): ClassificationMetrics {
  const samples = checkSamples("classificationMetrics", labels, probabilities, classes);
  const confusionMatrix = confusion(samples);
  const perClass = samples.classes.map((_, index) => judgeClass(samples, confusionMatrix, index));
  const list = (key: keyof ClassJudgement) => perClass.map((judgement) => judgement[key]);
  const mean = (key: keyof ClassJudgement) => meanOfDefined(list(key));
  return {
    classes: samples.classes,
    samples: samples.count,
    accuracy: sum(samples.classes.map((_, index) => confusionMatrix[index]![index]!)) / samples.count,
    balancedAccuracy: mean("sensitivity"),
    auc: samples.classes.length === 2 ? perClass[1]!.auc : mean("auc"),
    macroPrecision: mean("precision"),
    macroSensitivity: mean("sensitivity"),
    macroSpecificity: mean("specificity"),
    macroF1: mean("f1"),
    ...agreement(confusionMatrix),
    ...probabilityScores(samples),
    ece: expectedCalibrationError(binSamples(samples)),
    aucPerClass: list("auc"),
    averagePrecisionPerClass: list("averagePrecision"),
    precision: list("precision"),
    sensitivity: list("sensitivity"),
    specificity: list("specificity"),
    f1: list("f1"),
    confusionMatrix,
  };
}

interface ClassRates {
  readonly precision: number;
  readonly sensitivity: number;
  readonly specificity: number;
  readonly f1: number;
}

interface ClassJudgement extends ClassRates {
  readonly auc: number;
  readonly averagePrecision: number;
}

const undefinedJudgement: ClassJudgement = {
  auc: Number.NaN,
  averagePrecision: Number.NaN,
  precision: Number.NaN,
  sensitivity: Number.NaN,
  specificity: Number.NaN,
  f1: Number.NaN,
};

function confusion(samples: Samples): number[][] {
  const matrix = samples.classes.map(() => new Array<number>(samples.classes.length).fill(0));
  const { index: predicted } = topClasses(samples);
  samples.labels.forEach((label, sample) => {
    matrix[label]![predicted[sample]!]! += 1;
  });
  return matrix;
}

function judgeClass(samples: Samples, matrix: number[][], index: number): ClassJudgement {
  const rates = ratesOf(matrix, index, samples.count);
  if (rates === undefined) return undefinedJudgement;
  const positive = oneVersusRest(samples, index);
  const scores = column(samples, index);
  return {
    auc: areaUnderRoc(positive, scores),
    averagePrecision: averagePrecision(positive, scores),
    ...rates,
  };
}

/** @internal What a confusion matrix says of one class; undefined if no label names it. */
export function ratesOf(
  matrix: readonly (readonly number[])[],
  index: number,
  count: number,
): ClassRates | undefined {
  const positives = sum(matrix[index]!);
  if (positives === 0) return undefined;
  const negatives = count - positives;
  const hits = matrix[index]![index]!;
  const predicted = sum(matrix.map((row) => row[index]!));
  return {
    precision: predicted === 0 ? 0 : hits / predicted,
    sensitivity: hits / positives,
    specificity: (negatives - (predicted - hits)) / negatives,
    f1: (2 * hits) / (positives + predicted),
  };
}

/** @internal Agreement of labels and predictions corrected for chance, from the sums of rows and columns. */
export function agreement(matrix: readonly (readonly number[])[]): { mcc: number; cohenKappa: number } {
  const truths = matrix.map(sum);
  const predictions = matrix.map((_, index) => sum(matrix.map((row) => row[index]!)));
  const count = sum(truths);
  const hits = sum(matrix.map((row, index) => row[index]!));
  const byChance = sum(truths.map((truth, index) => truth * predictions[index]!));
  const spread = (totals: number[]) => count * count - sum(totals.map((total) => total * total));
  const covariance = hits * count - byChance;
  const scale = Math.sqrt(spread(truths) * spread(predictions));
  return { mcc: scale === 0 ? 0 : covariance / scale, cohenKappa: covariance / (count * count - byChance) };
}

function probabilityScores({ count, classes, labels, probabilities }: Samples): {
  crossEntropy: number;
  brier: number;
} {
  let surprise = 0;
  let squares = 0;
  for (let sample = 0; sample < count; sample++) {
    for (let index = 0; index < classes.length; index++) {
      const truth = index === labels[sample] ? 1 : 0;
      const probability = probabilities[sample * classes.length + index]!;
      squares += (probability - truth) ** 2;
      if (truth) surprise -= Math.log(Math.min(Math.max(probability, Number.EPSILON), 1 - Number.EPSILON));
    }
  }
  return { crossEntropy: surprise / count, brier: squares / count };
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

function meanOfDefined(values: readonly number[]): number {
  const defined = values.filter((value) => !Number.isNaN(value));
  return sum(defined) / defined.length;
}
