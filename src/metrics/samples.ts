/**
 * What every evaluation starts from: labels and class probabilities of the same samples, checked once, so that the
 * formulas elsewhere need no check of their own.
 */
import { EvaluationError } from "../errors.js";

/** Class indices; bigint because int64 tensors read back as BigInt64Array. */
export type Labels = ArrayLike<number | bigint>;

/** (samples, classes): one flat row-major array, or an array of rows. */
export type Probabilities = ArrayLike<number> | ArrayLike<ArrayLike<number>>;

/** How many classes there are, or their names. */
export type Classes = number | readonly string[];

export interface Samples {
  readonly count: number;
  readonly classes: readonly string[];
  /** (count) each in 0 ..< classes.length */
  readonly labels: Int32Array;
  /** (count, classes) row-major, each row summing to 1 */
  readonly probabilities: Float64Array;
}

/** Softmax in float32 keeps the sum of even a thousand classes well within this. */
const tolerance = 1e-4;

export const isProbability = (value: number): boolean => value >= 0 && value <= 1 + tolerance;

/**
 * @throws EvaluationError if there are no samples or fewer than two classes, the lengths disagree, a label is not a
 *   class, or a row of probabilities has a value outside of [0, 1] or does not sum to 1 within 1e-4
 */
export function checkSamples(
  operation: string,
  labels: Labels,
  probabilities: Probabilities,
  classes: Classes,
): Samples {
  const names = typeof classes === "number" ? numbered(operation, classes) : [...classes];
  if (names.length < 2)
    throw new EvaluationError(`${operation}: needs at least 2 classes, got ${names.length}.`);
  const checkedLabels = evaluatedLabels(operation, labels, names.length);
  const flat = flatten(operation, probabilities, names.length);
  if (flat.length !== labels.length * names.length) {
    throw new EvaluationError(
      `${operation}: ${labels.length} labels of ${names.length} classes need ${labels.length * names.length} ` +
        `probabilities, got ${flat.length}.`,
    );
  }
  for (let sample = 0; sample < labels.length; sample++) checkRow(operation, flat, sample, names.length);
  return { count: labels.length, classes: names, labels: checkedLabels, probabilities: flat };
}

/** @throws EvaluationError if there are no labels, or one is not an integer in 0 ..< classes */
export function evaluatedLabels(operation: string, labels: Labels, classes: number): Int32Array {
  if (labels.length === 0) throw new EvaluationError(`${operation}: needs at least one sample.`);
  return Int32Array.from({ length: labels.length }, (_, sample) => {
    const label = Number(labels[sample]);
    if (!Number.isInteger(label) || label < 0 || label >= classes) {
      throw new EvaluationError(
        `${operation}: label ${labels[sample]} of sample ${sample} is not a class; ${classes} classes are 0 to ${classes - 1}.`,
      );
    }
    return label;
  });
}

/** The probability of class `index` of every sample. */
export function column({ count, classes, probabilities }: Samples, index: number): Float64Array {
  return Float64Array.from({ length: count }, (_, sample) => probabilities[sample * classes.length + index]!);
}

/** 1 where the label is class `index`, else 0. */
export const oneVersusRest = ({ labels }: Samples, index: number): Uint8Array =>
  Uint8Array.from(labels, (label) => (label === index ? 1 : 0));

/** The most probable class of every sample (the first of equals, as numpy's argmax) and its probability. */
export function topClasses({ count, classes, probabilities }: Samples): {
  index: Int32Array;
  probability: Float64Array;
} {
  const index = new Int32Array(count);
  const probability = new Float64Array(count);
  for (let sample = 0; sample < count; sample++) {
    const row = probabilities.subarray(sample * classes.length, (sample + 1) * classes.length);
    let top = 0;
    for (let candidate = 1; candidate < row.length; candidate++)
      if (row[candidate]! > row[top]!) top = candidate;
    index[sample] = top;
    probability[sample] = row[top]!;
  }
  return { index, probability };
}

function numbered(operation: string, classes: number): string[] {
  if (!Number.isSafeInteger(classes))
    throw new EvaluationError(`${operation}: ${classes} is not a number of classes.`);
  return Array.from({ length: Math.max(classes, 0) }, (_, index) => String(index));
}

function flatten(operation: string, probabilities: Probabilities, classes: number): Float64Array {
  if (typeof probabilities[0] !== "object") return Float64Array.from(probabilities as ArrayLike<number>);
  const rows = probabilities as ArrayLike<ArrayLike<number>>;
  const flat = new Float64Array(rows.length * classes);
  for (let sample = 0; sample < rows.length; sample++) {
    const row = rows[sample];
    if (row?.length !== classes) {
      throw new EvaluationError(
        `${operation}: sample ${sample} has ${row?.length} probabilities for ${classes} classes.`,
      );
    }
    flat.set(row, sample * classes);
  }
  return flat;
}

function checkRow(operation: string, flat: Float64Array, sample: number, classes: number): void {
  let sum = 0;
  for (let index = 0; index < classes; index++) {
    const value = flat[sample * classes + index]!;
    if (!isProbability(value)) {
      throw new EvaluationError(
        `${operation}: sample ${sample} has ${value} for class ${index}, which is no probability.`,
      );
    }
    sum += value;
  }
  if (Math.abs(sum - 1) > tolerance) {
    throw new EvaluationError(
      `${operation}: the probabilities of sample ${sample} sum to ${sum}, not to 1; are these logits?`,
    );
  }
}
