/**
 * What every evaluation starts from: labels and class probabilities of the same samples, checked once, so that the
 * formulas elsewhere need no check of their own.
 */
import { EvaluationError } from "../errors.js";
import { expectList, expectTexts, inWords } from "../settings/given.js";

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

export const isProbability = (value: unknown): boolean =>
  typeof value === "number" && value >= 0 && value <= 1 + tolerance;

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
  const width = countOf(operation, classes);
  if (width < 2) throw new EvaluationError(`${operation}: needs at least 2 classes, got ${width}.`);
  const checkedLabels = evaluatedLabels(operation, labels, width);
  expectList(operation, "probabilities", probabilities);
  const rows = typeof probabilities[0] === "object" && probabilities[0] !== null;
  const found = rows ? probabilities.length * width : probabilities.length;
  if (found !== labels.length * width) {
    throw new EvaluationError(
      `${operation}: ${labels.length} labels of ${width} classes need ${labels.length * width} ` +
        `probabilities, got ${found}.`,
    );
  }
  const flat = rows
    ? flatten(operation, probabilities as ArrayLike<ArrayLike<number>>, width)
    : numbersOf(operation, "probabilities", probabilities as ArrayLike<number>);
  for (let sample = 0; sample < labels.length; sample++) checkRow(operation, flat, sample, width);
  const names =
    typeof classes === "number" ? Array.from({ length: width }, (_, i) => String(i)) : [...classes];
  return { count: labels.length, classes: names, labels: checkedLabels, probabilities: flat };
}

/** Nothing is made before all is looked at: lengths alone are no reason to take memory. */
export function numbersOf(operation: string, what: string, values: ArrayLike<number>): Float64Array {
  expectList(operation, what, values);
  for (let i = 0; i < values.length; ++i) {
    if (typeof values[i] !== "number")
      throw new EvaluationError(
        `${operation}: ${what} hold ${inWords(values[i])} at ${i}, which is no number.`,
      );
  }
  return Float64Array.from(values);
}

/** @throws EvaluationError if there are no labels, or one is not an integer in 0 ..< classes */
export function evaluatedLabels(operation: string, labels: Labels, classes: number): Int32Array {
  expectList(operation, "labels", labels);
  if (labels.length === 0) throw new EvaluationError(`${operation}: needs at least one sample.`);
  for (let sample = 0; sample < labels.length; ++sample) {
    const given = labels[sample];
    const label = typeof given === "bigint" ? Number(given) : given;
    if (!Number.isInteger(label) || Number(label) < 0 || Number(label) >= classes) {
      throw new EvaluationError(
        `${operation}: label ${typeof given === "bigint" ? given : inWords(given)} of sample ${sample} is not a class; ${classes} classes are 0 to ${classes - 1}.`,
      );
    }
  }
  return Int32Array.from({ length: labels.length }, (_, sample) => Number(labels[sample]));
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

function countOf(operation: string, classes: Classes): number {
  if (typeof classes === "number") {
    if (!Number.isSafeInteger(classes))
      throw new EvaluationError(`${operation}: ${classes} is not a number of classes.`);
    return Math.max(classes, 0);
  }
  expectTexts(operation, "classes", classes);
  return classes.length;
}

function flatten(operation: string, rows: ArrayLike<ArrayLike<number>>, classes: number): Float64Array {
  const flat = new Float64Array(rows.length * classes);
  for (let sample = 0; sample < rows.length; sample++) {
    const row = rows[sample];
    if (row?.length !== classes) {
      throw new EvaluationError(
        `${operation}: sample ${sample} has ${row?.length} probabilities for ${classes} classes.`,
      );
    }
    flat.set(numbersOf(operation, `the probabilities of sample ${sample}`, row), sample * classes);
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
