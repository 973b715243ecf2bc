/**
 * Several images of one patient, or pictures of one file, as one: their probabilities become one answer, and the answer is
 * judged as one. Scores of images count a patient with twenty images twenty times; those of patients do not.
 *
 * "mean" is the mean of the probabilities. "max" is for findings that one image of many shows: the largest probability of the
 * finding of two classes, and of each label of several; of more classes that exclude each other, the largest of each class,
 * divided by their sum.
 */
import { expectDataset } from "../data/dataset.js";
import type { LabelledImages } from "../data/index.js";
import { ArgumentError } from "../errors.js";
import {
  expectCounts,
  expectList,
  expectNamed,
  expectNumbers,
  expectText,
  expectTypedArray,
  inWords,
} from "../settings/given.js";
import { type Kind, optional } from "../settings/kind.js";
import { setting } from "../settings/table.js";
import { type Task, type TaskScores, taskOf } from "../tasks/index.js";
import { expectTask } from "../tasks/task.js";
import type { Evaluation } from "./evaluate.js";
import { pooledJudgement } from "./pooled-judgement.js";
import { type Classifier, type Prediction, predictionOf } from "./predict.js";

/** How probabilities of several images become one. */
export type PoolingRule = "mean" | "max";

/** Which images are taken together, and how. */
export interface Pooling {
  /** "patient", "image" (the pictures of a file), or the title of a table's column. */
  readonly by: string;
  /** How their probabilities become one. */
  readonly how: PoolingRule;
}

const pattern = /^(.+):(mean|max)$/;

const poolings: Kind<string> = {
  range: "patient, image or a column of the table, and mean or max, such as patient:mean",
  holds: (value) => typeof value === "string" && pattern.test(value),
  parse: (text) => text.trim(),
};

/** The setting that says how images are taken together. */
export const poolingRows = {
  /** "patient:mean", "patient:max", "image:mean", "image:max", or a column in place of the patient; none unless told. */
  pool: setting({
    kind: optional(poolings),
    default: undefined,
    flag: "--pool <by:how>",
    words: "take images together: by patient, image (a file's frames) or column; mean or max",
    defaultWords: "each by itself",
    alsoKnownAs: ["aggregate", "pooling"],
  }),
};

/** "patient:mean" @throws ArgumentError */
export function poolingOf(text: string): Pooling {
  expectText("poolingOf", "the pooling", text);
  const [, by = "", how] = pattern.exec(text) ?? [];
  if (how === undefined) throw new ArgumentError(`pool "${text}" is not ${poolings.range}.`);
  return { by, how: how as PoolingRule };
}

/** Images that are taken together: for each, the number of its unit, from 0 in the order in which they come. */
export interface Units {
  /** The unit of each image. */
  readonly of: Int32Array;
  /** Of units. */
  readonly count: number;
}

/** Numbers units by their names. What has no name is a unit by itself. @throws ArgumentError for a name that is no text */
export function unitsOf(names: readonly (string | undefined)[]): Units {
  if (!Array.isArray(names))
    throw new ArgumentError(`unitsOf: names have to be an array of text, but are ${inWords(names)}.`);
  if (names.length >= 2 ** 31)
    throw new ArgumentError(`unitsOf: ${names.length} names are more than can be numbered.`);
  for (const [i, name] of names.entries()) if (name !== undefined) expectText("unitsOf", `name ${i}`, name);
  const numbers = new Map<string, number>();
  let count = 0;
  const of = Int32Array.from(names, (name) => {
    const known = name === undefined ? undefined : numbers.get(name);
    if (known !== undefined) return known;
    if (name !== undefined) numbers.set(name, count);
    return count++;
  });
  return { of, count };
}

/** @throws ArgumentError unless there is a unit for each of `images`, and an image for each unit */
function expectUnits(operation: string, units: Units, images: number): void {
  const { of, count } = expectNamed(operation, "the units", units, { of: true, count: true });
  expectTypedArray(operation, "units.of", of);
  expectCounts(operation, { "units.count": count }, 0);
  if (of.length !== images)
    throw new ArgumentError(
      `${operation}: there are ${images} images, but units.of has ${of.length} entries.`,
    );
  const stray = of.findIndex((unit) => !Number.isInteger(unit) || unit < 0 || unit >= count);
  if (stray >= 0)
    throw new ArgumentError(
      `${operation}: units.of has ${of[stray]} for image ${stray}, but there are ${count} units.`,
    );
  const found = new Set(of).size;
  if (found !== count)
    throw new ArgumentError(`${operation}: ${found} units have images, but units.count is ${count}.`);
}

/** @throws ArgumentError unless it is "mean" or "max" */
function expectRule(operation: string, how: PoolingRule): void {
  if (how !== "mean" && how !== "max")
    throw new ArgumentError(
      `${operation}: ${inWords(how)} is no way to take images together: choose mean or max.`,
    );
}

/**
 * The units of a data set.
 *
 * @throws ArgumentError if it does not say whom images are of, or has no such column
 */
export function unitsOfDataset(
  { patients, files, attributes = {}, length }: LabelledImages,
  by: string,
): Units {
  if (by === "image") return unitsOf(files ?? Array.from({ length }, () => undefined));
  if (by === "patient") {
    if (patients) return unitsOf(patients);
    throw new ArgumentError(
      "pool: the data do not say whom images are of; a table says it by a column patient.",
    );
  }
  const title = Object.keys(attributes).find((name) => name.toLowerCase() === by.toLowerCase());
  if (title !== undefined) return unitsOf(attributes[title] ?? []);
  const columns = ["patient", "image", ...Object.keys(attributes)].join(", ");
  throw new ArgumentError(`pool: there is no column ${by} to take images together by; there are ${columns}.`);
}

/**
 * One row of probabilities a unit.
 *
 * @param probabilities  (images, classes)
 * @returns              (units, classes)
 */
export function poolProbabilities(
  probabilities: Float32Array,
  { of, count }: Units,
  how: PoolingRule,
  task: Pick<Task, "name">,
): Float32Array {
  const classes = probabilities.length / of.length;
  const pooled = new Float64Array(count * classes);
  const members = new Float64Array(count);
  for (const [image, unit] of of.entries()) {
    members[unit]! += 1;
    for (let at = 0; at < classes; ++at) {
      const value = probabilities[image * classes + at]!;
      const place = unit * classes + at;
      pooled[place] = how === "mean" ? pooled[place]! + value : Math.max(pooled[place]!, value);
    }
  }
  for (let unit = 0; unit < count; ++unit) {
    const row = pooled.subarray(unit * classes, (unit + 1) * classes);
    if (how === "mean") for (let at = 0; at < classes; ++at) row[at]! /= members[unit]!;
    else if (task.name === "binary") row[0] = 1 - row[1]!;
    else if (task.name !== "multi-label") {
      const total = row.reduce((sum, value) => sum + value, 0);
      for (let at = 0; at < classes; ++at) row[at]! /= total;
    }
  }
  return Float32Array.from(pooled);
}

/** What a model makes of units. */
export interface PooledEvaluation<Metrics extends TaskScores> extends Evaluation<Metrics> {
  /** Which images were taken together, and how. */
  readonly pooling: Pooling;
  /** Units that were judged. */
  readonly units: number;
  /** Units that have images of several classes, of which none is the unit's, and that were not judged. */
  readonly leftOut: number;
}

/**
 * The evaluation of units instead of images. A unit has every label that one of its images has; of two classes the finding, and
 * of grades the highest, where one of its images has it. Of other classes all its images have to be of one.
 *
 * @param thresholds  as for the evaluation of images
 * @throws ArgumentError if the data set does not say whom images are of, or has no such column; EvaluationError if no unit is
 *   left to judge
 */
export function poolEvaluation<Metrics extends TaskScores>(
  evaluation: Evaluation<Metrics>,
  dataset: LabelledImages,
  pooling: Pooling,
  task: Task,
  thresholds?: readonly number[],
): PooledEvaluation<Metrics> {
  const operation = "poolEvaluation";
  const { labels, probabilities, patients } = expectNamed(operation, "the evaluation", evaluation);
  expectTypedArray(operation, "the evaluation's labels", labels);
  expectTypedArray(operation, "the evaluation's probabilities", probabilities);
  if (patients !== undefined) expectList(operation, "the evaluation's patients", patients);
  expectDataset(operation, "the data set", dataset);
  if (
    labels.length !== dataset.labels.length ||
    probabilities.length !== dataset.length * dataset.classes.length
  )
    throw new ArgumentError(
      `${operation}: the evaluation is of another data set than that of ${dataset.length} images.`,
    );
  const { by, how } = expectNamed(operation, "the pooling", pooling, { by: true, how: true });
  expectText(operation, "pooling.by", by);
  expectRule(operation, how);
  expectTask(operation, expectNamed(operation, "the task", task));
  if (thresholds !== undefined) expectList(operation, "thresholds", thresholds);
  const units = unitsOfDataset(dataset, pooling.by);
  const pooled = poolProbabilities(probabilities, units, pooling.how, task);
  const { classes } = dataset;
  const width = task.name === "multi-label" ? classes.length : 1;
  const truth = new Int32Array(units.count * width).fill(-1);
  const torn = new Set<number>();
  for (const [image, unit] of units.of.entries()) {
    for (let at = 0; at < width; ++at) {
      const place = unit * width + at;
      const [before, label] = [truth[place]!, labels[image * width + at]!];
      if (task.name === "multi-class" && before >= 0 && before !== label) torn.add(unit);
      truth[place] = Math.max(before, label);
    }
  }
  const isJudged = (size: number) => (_: number, at: number) => !torn.has(Math.floor(at / size));
  const own = {
    labels: truth.filter(isJudged(width)),
    probabilities: pooled.filter(isJudged(classes.length)),
  };
  const metrics = task.metrics(own.labels, own.probabilities, classes, thresholds) as Metrics;
  const whose = patients && patientsOf(units, patients).filter((_, unit) => !torn.has(unit));
  return {
    ...own,
    metrics,
    ...(whose && { patients: whose }),
    pooling,
    units: units.count - torn.size,
    leftOut: torn.size,
  };
}

/** Whom each unit is of: the first patient of its images. */
function patientsOf(
  { of, count }: Units,
  patients: readonly (string | undefined)[],
): readonly (string | undefined)[] {
  const found = Array.from({ length: count }, (): string | undefined => undefined);
  for (const [image, unit] of of.entries()) found[unit] ??= patients[image];
  return found;
}

/** What a model makes of a unit. */
export interface PooledPrediction extends Prediction {
  /** Numbers of the predictions that it is made of. */
  readonly members: readonly number[];
}

/**
 * Predictions of units, from those of their images. A unit is referred where half of its images or more are not like the
 * training images, and judged by the classes that are in the sets of more than half of its images, whose risk is twice that of
 * the images' sets, however alike these are (Cherubin, Machine Learning 108 (2019) 475).
 *
 * @throws ArgumentError for predictions of other classes, and for units of other images
 */
export function poolPredictions(
  classifier: Classifier,
  predictions: readonly Prediction[],
  units: Units,
  how: PoolingRule,
): PooledPrediction[] {
  const operation = "poolPredictions";
  const task = taskOf(classifier); // Their probabilities are calibrated.
  if (!Array.isArray(predictions))
    throw new ArgumentError(
      `${operation}: predictions have to be an array, but are ${inWords(predictions)}.`,
    );
  expectUnits(operation, units, predictions.length);
  expectRule(operation, how);
  const { classes } = classifier;
  const rows = predictions.flatMap((prediction, i) => {
    const { probabilities } = expectNamed(operation, `prediction ${i}`, prediction);
    const own = expectNamed(operation, `prediction ${i}'s probabilities`, probabilities);
    return classes.map((name) => {
      expectNumbers(operation, { [`the probability of ${name} in prediction ${i}`]: own[name] });
      return own[name] as number;
    });
  });
  const pooled = poolProbabilities(Float32Array.from(rows), units, how, task);
  const members = Array.from({ length: units.count }, (): number[] => []);
  for (const [at, unit] of units.of.entries()) members[unit]?.push(at);
  return members.map((own, unit) => {
    const prediction = predictionOf(classifier, task, pooled, unit);
    const judged = pooledJudgement(
      classifier,
      own.map((at) => predictions[at] as Prediction),
      prediction.labels,
      task.name === "multi-label",
    );
    return { ...prediction, ...judged, members: own };
  });
}
