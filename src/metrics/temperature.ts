/**
 * Temperature scaling: networks are more certain than they should be, and dividing all logits by one number, the temperature,
 * takes that back without changing which class is the most probable. It is fitted on validation images, where it makes the
 * true labels most likely.
 *
 * In b = 1 / temperature the negative log-likelihood is convex, so its minimum is where the derivative is 0: found by Newton's
 * steps inside a bracket that shrinks around it.
 *
 * @see Guo et al., On calibration of modern neural networks, https://arxiv.org/abs/1706.04599
 */

import { ArgumentError, EvaluationError } from "../errors.js";
import { expectList, inWords, optionsOf } from "../settings/given.js";
import { evaluatedLabels, isProbability, type Labels, numbersOf } from "./samples.js";

/** What makes probabilities of logits: classes that exclude each other, or labels that do not. */
export type LogitActivation = "softmax" | "sigmoid";

/** A fitted temperature. */
export interface Temperature {
  /** What logits are divided by: above 1 makes probabilities more timid. From 0.01 to 100. */
  readonly temperature: number;
  /** Mean negative log-likelihood of the labels in nats, as the logits are. */
  readonly before: number;
  /** The same with the temperature. */
  readonly after: number;
  /**
   * Whether the best temperature is inside its bounds. At the lower one all labels are the likeliest already, at the upper one
   * the logits say nothing of the labels: either way there is nothing to calibrate by.
   */
  readonly found: boolean;
}

const bounds = { lowest: 0.01, highest: 100 };

/**
 * @param labels   softmax: (n) class indices; sigmoid: (n, classes) row-major, 0 or 1
 * @param logits   (n, classes) row-major; log-probabilities do as well
 * @param classes  number of classes
 * @throws EvaluationError if there are no samples, the lengths disagree, a label is none or a logit is not finite
 */
export function fitTemperature(
  labels: Labels,
  logits: ArrayLike<number>,
  classes: number,
  options: { activation?: LogitActivation } = {},
): Temperature {
  const activation = activationOf("fitTemperature", options);
  const loss = lossOf(labels, logits, classes, activation);
  const before = loss(1).value;
  const settled = (inverse: number, found: boolean): Temperature => ({
    temperature: 1 / inverse,
    before,
    after: loss(inverse).value,
    found,
  });
  let [low, high] = [1 / bounds.highest, 1 / bounds.lowest];
  if (loss(low).slope >= 0) return { ...settled(low, false), temperature: bounds.highest };
  if (loss(high).slope <= 0) return { ...settled(high, false), temperature: bounds.lowest };
  let inverse = 1;
  for (let step = 0; step < 200; step++) {
    const { slope, bend } = loss(inverse);
    if (slope > 0) high = inverse;
    else low = inverse;
    const newton = inverse - slope / bend;
    const next = newton > low && newton < high ? newton : (low + high) / 2;
    if (Math.abs(next - inverse) <= 1e-13 * inverse) break;
    inverse = next;
  }
  return settled(inverse, true);
}

/**
 * Probabilities as they are with a temperature.
 *
 * @param probabilities  (n, classes) row-major; 0 and 1 stay what they are
 * @returns              (n, classes)
 * @throws ArgumentError if the temperature is not above 0 and finite
 * @throws EvaluationError if a value is not a probability, or they are not of that many classes
 */
export function withTemperature(
  probabilities: ArrayLike<number>,
  classes: number,
  temperature: number,
  options: { activation?: LogitActivation } = {},
): Float64Array {
  const activation = activationOf("withTemperature", options);
  expectList("withTemperature", "probabilities", probabilities);
  if (typeof temperature !== "number" || !(temperature > 0 && temperature < Number.POSITIVE_INFINITY)) {
    throw new ArgumentError(
      `withTemperature: ${inWords(temperature)} is not a temperature; use a number above 0.`,
    );
  }
  if (!Number.isSafeInteger(classes) || classes < 1 || probabilities.length % classes !== 0) {
    throw new EvaluationError(
      `withTemperature: ${probabilities.length} probabilities are not of ${inWords(classes)} classes each.`,
    );
  }
  const logits = logitsOf(probabilities, activation);
  const scaled = new Float64Array(logits.length);
  if (activation === "sigmoid") return logits.map((logit) => 1 / (1 + Math.exp(-logit / temperature)));
  for (let row = 0; row < logits.length; row += classes) {
    const values = logits.subarray(row, row + classes);
    const highest = values.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY);
    const powers = values.map((value) => Math.exp((value - highest) / temperature));
    const sum = powers.reduce((total, power) => total + power, 0);
    for (const [index, power] of powers.entries()) scaled[row + index] = power / sum;
  }
  return scaled;
}

/**
 * Logits that give these probabilities: their logarithms for softmax, which does not see what is added to all of a row; log
 * odds for sigmoid.
 *
 * @throws EvaluationError if a value is not a probability
 */
export function logitsOf(
  probabilities: ArrayLike<number>,
  activation: LogitActivation = "softmax",
): Float64Array {
  expectActivation("logitsOf", activation);
  return numbersOf("logitsOf", "probabilities", probabilities).map((given, place) => {
    if (!isProbability(given)) {
      throw new EvaluationError(`logitsOf: ${given} at place ${place} is no probability.`);
    }
    const probability = Math.min(given, 1); // What rounding adds to 1 has no log odds.
    return activation === "softmax"
      ? Math.log(probability)
      : Math.log(probability) - Math.log1p(-probability);
  });
}

function activationOf(operation: string, options: { activation?: LogitActivation }): LogitActivation {
  const { activation = "softmax" } = optionsOf(operation, options, { activation: true });
  return expectActivation(operation, activation);
}

function expectActivation(operation: string, activation: LogitActivation): LogitActivation {
  if (activation === "softmax" || activation === "sigmoid") return activation;
  throw new ArgumentError(`${operation}: activation ${inWords(activation)} is not softmax or sigmoid.`);
}

/** Mean negative log-likelihood at an inverse temperature, and its first two derivatives. */
type Loss = (inverse: number) => { value: number; slope: number; bend: number };

function lossOf(
  labels: Labels,
  logits: ArrayLike<number>,
  classes: number,
  activation: LogitActivation,
): Loss {
  if (!Number.isSafeInteger(classes) || classes < 1) {
    throw new EvaluationError(`fitTemperature: ${inWords(classes)} is not a number of classes.`);
  }
  expectList("fitTemperature", "logits", logits);
  const truth = evaluatedLabels("fitTemperature", labels, activation === "softmax" ? classes : 2);
  const expected = activation === "softmax" ? labels.length * classes : labels.length;
  if (logits.length !== expected || logits.length % classes !== 0) {
    throw new EvaluationError(
      `fitTemperature: ${labels.length} labels of ${classes} classes do not go with ${logits.length} logits.`,
    );
  }
  // Probabilities of exactly 0 have the logarithm -infinity; e^-745 is the least that a number can hold.
  const values = numbersOf("fitTemperature", "logits", logits).map((logit) =>
    Math.max(-745, Math.min(745, logit)),
  );
  const wrong = values.findIndex((value) => Number.isNaN(value));
  if (wrong >= 0) {
    throw new EvaluationError(
      `fitTemperature: a logit of sample ${Math.floor(wrong / classes)} is not a number.`,
    );
  }
  return activation === "softmax" ? softmaxLoss(truth, values, classes) : sigmoidLoss(truth, values);
}

/** d/db of -b z_y + ln sum exp(b z) is the mean of z less z_y; the second derivative is the variance of z. */
const softmaxLoss =
  (truth: Int32Array, logits: Float64Array, classes: number): Loss =>
  (inverse) => {
    let [value, slope, bend] = [0, 0, 0];
    for (const [sample, label] of truth.entries()) {
      const row = sample * classes;
      let highest = Number.NEGATIVE_INFINITY;
      for (let index = 0; index < classes; index++) highest = Math.max(highest, logits[row + index]!);
      let [sum, first, second] = [0, 0, 0];
      for (let index = 0; index < classes; index++) {
        // From the highest, so that sums of squares lose no digits.
        const distance = logits[row + index]! - highest;
        const power = Math.exp(inverse * distance);
        sum += power;
        first += power * distance;
        second += power * distance ** 2;
      }
      const ofTruth = logits[row + label]! - highest;
      value += Math.log(sum) - inverse * ofTruth;
      slope += first / sum - ofTruth;
      bend += second / sum - (first / sum) ** 2;
    }
    return { value: value / truth.length, slope: slope / truth.length, bend: bend / truth.length };
  };

/** ln(1 + exp(-b z)) for a label that is there, of -z for one that is not. */
const sigmoidLoss =
  (truth: Int32Array, logits: Float64Array): Loss =>
  (inverse) => {
    let [value, slope, bend] = [0, 0, 0];
    for (const [place, label] of truth.entries()) {
      const logit = label ? logits[place]! : -logits[place]!;
      const x = inverse * logit;
      const against = x > 0 ? Math.exp(-x) / (1 + Math.exp(-x)) : 1 / (1 + Math.exp(x));
      value += x > 0 ? Math.log1p(Math.exp(-x)) : Math.log1p(Math.exp(x)) - x;
      slope -= against * logit;
      bend += against * (1 - against) * logit ** 2;
    }
    return { value: value / truth.length, slope: slope / truth.length, bend: bend / truth.length };
  };
