/**
 * What is found out about a trained model on its validation images, and kept with it: a temperature, by what classes are ruled
 * out, and what the training images look like. No other images are looked at; those for testing never.
 *
 * The temperature is fitted first, and the thresholds of sets on the probabilities that it gives: the same images serve both.
 * Strictly, sets want images that nothing was fitted to. One number fitted to all of them moves coverage by little
 * (docs/evidence.md has what was measured), and of two classes by nothing: a temperature changes no order within a class.
 */
import { type Absent, type Assurance, answerCount, type StoredSets } from "../checkpoints/assurance.js";
import { type LabelledImages, Loader, subset } from "../data/index.js";
import type { Group } from "../distributed/group.js";
import { EvaluationError } from "../errors.js";
import { featureWidths, predictBatches, withTemperatureOf } from "../inference/probabilities.js";
import { shareRows } from "../inference/shared-rows.js";
import { defaultRisk } from "../inference/uncertainty.js";
import { fitConformalSets } from "../metrics/conformal.js";
import { fitOutlierPanel } from "../metrics/outlier-panel.js";
import { Random } from "../metrics/random.js";
import type { Probabilities } from "../metrics/samples.js";
import { fitTemperature } from "../metrics/temperature.js";
import type { ImageClassifier } from "../models/image-classifier.js";
import { sigmoid } from "../ops/activation.js";
import { softmax } from "../ops/softmax.js";
import type { Task } from "../tasks/index.js";
import { tensor } from "../tensor/creation.js";
import { tidy } from "../tensor/scope.js";
import type { Tensor } from "../tensor/tensor.js";

/** What is assessed, and on what. */
export interface AssessmentOptions {
  readonly train: LabelledImages;
  readonly validation: LabelledImages;
  readonly task: Task;
  /** Images computed at once. */
  readonly batchSize: number;
  readonly signal?: AbortSignal | undefined;
  /** Processes that share the images; all find the same out. */
  readonly group?: Group | undefined;
  readonly onProgress?: (progress: { done: number; total: number }) => void;
}

/** What was found. */
export interface Assessment {
  readonly assurance: Assurance;
  /** Of the decision, on calibrated probabilities. */
  readonly thresholds: readonly number[] | undefined;
}

/** Images of a split of which features are kept, at most: more say little more of what images look like. */
const mostImages = 2000;
/** Fewer say nothing of how certain a network should be. */
const fewestForTemperature = 20;
/** Risks that sets can be asked for. */
const risks: readonly number[] = [0.01, 0.02, 0.05, defaultRisk, 0.15, 0.2, 0.3];
const falseAlarms = 0.05;
/** Directions with a variance of their own, of what is said of the picture itself: nearly all there are. */
const pictureDirections = 32;

/**
 * @throws EvaluationError if the model's outputs are not finite
 * @throws OutOfMemoryError that says which batch size to try; what the signal says, when aborted
 */
export async function assess(model: ImageClassifier, options: AssessmentOptions): Promise<Assessment> {
  const { train, validation, task } = options;
  const chosen = drawn(train.length);
  const total = chosen.length + validation.length;
  const told = (before: number) => (done: number) => options.onProgress?.({ done: before + done, total });
  const known = await runThrough(model, subset(train, chosen), options, told(0));
  const checked = await runThrough(model, validation, options, told(chosen.length));
  const calibration = calibrationOf(validation, checked.logits, task);
  const calibrated = "reason" in calibration ? task : withTemperatureOf(task, calibration.temperature);
  const probabilities = await activated(model, checked.logits, calibrated);
  const { classes, labels } = validation;
  return {
    assurance: {
      images: { train: chosen.length, validation: validation.length },
      calibration,
      sets: setsOf(validation, probabilities, task),
      outliers: outliersOf(model, train, known.features, checked.features),
    },
    thresholds: task.chooseThresholds(labels, probabilities, classes.length),
  };
}

/** Some of the images, each as likely as the others, in order: always the same. */
function drawn(count: number): number[] {
  const numbers = Array.from({ length: count }, (_, image) => image);
  if (count <= mostImages) return numbers;
  const random = Random.seeded("fit", 0);
  for (let place = 0; place < mostImages; place++) {
    const other = place + random.below(count - place);
    [numbers[place], numbers[other]] = [numbers[other] as number, numbers[place] as number];
  }
  return numbers.slice(0, mostImages).sort((a, b) => a - b);
}

interface Seen {
  /** (images, classes) */
  readonly logits: Float32Array;
  /** (images that were drawn, features); undefined of a network that shows none. */
  readonly features: Float32Array | undefined;
}

async function runThrough(
  model: ImageClassifier,
  dataset: LabelledImages,
  { task, batchSize, signal, group }: AssessmentOptions,
  tell: (done: number) => void,
): Promise<Seen> {
  const { numClasses } = model.config;
  const logits = new Float32Array(dataset.length * numClasses);
  const rowOf = new Map(drawn(dataset.length).map((image, row) => [image, row]));
  const widths = featureWidths(model, dataset.preprocessing);
  const width = widths?.reduce((sum, { width }) => sum + width, 0) ?? 0;
  const features = new Float32Array(rowOf.size * width);
  const { rank = 0, worldSize = 1 } = group ?? {};
  const shard = { rank, worldSize };
  const loader = new Loader(dataset, { batchSize, shard, ...(signal ? { signal } : {}) });
  const own: number[] = [];
  const ownRows: number[] = [];
  const untouched: Task = Object.create(task, { activation: { value: identity } });
  const predicted = predictBatches(model, loader.epoch(0), {
    preprocessing: dataset.preprocessing,
    nameOf: ({ indices }, i) => dataset.name(indices[i] ?? 0),
    task: untouched,
    features: true,
  });
  let done = 0;
  for await (const { batch, probabilities, features: found } of predicted) {
    for (const [i, image] of batch.indices.entries()) {
      logits.set(probabilities.subarray(i * numClasses, (i + 1) * numClasses), image * numClasses);
      const row = rowOf.get(image);
      own.push(image);
      if (row !== undefined) ownRows.push(row);
      if (found && row !== undefined) features.set(found.subarray(i * width, (i + 1) * width), row * width);
    }
    done += batch.indices.length * worldSize;
    tell(Math.min(done, dataset.length));
  }
  await shareRows(group, logits, own, dataset.length);
  await shareRows(group, features, ownRows, rowOf.size);
  return { logits, features: widths && features };
}

const identity = (logits: Tensor): Tensor => logits;

/** (images, classes) by the device, as predictions are. */
async function activated(model: ImageClassifier, logits: Float32Array, task: Task): Promise<Float32Array> {
  const { numClasses } = model.config;
  const shape = [logits.length / numClasses, numClasses];
  const output = tidy(() => task.activation(tensor(logits, shape, { device: model.device })));
  return (await output.data().finally(() => output.dispose())) as Float32Array;
}

/** What is wrong with what was given, where something is; what fails otherwise is thrown. */
function orReason<T>(find: () => T): T | Absent {
  try {
    return find();
  } catch (error) {
    if (!(error instanceof EvaluationError)) throw error;
    return { reason: error.message.replace(/^\w+: /, "").replace(/\.$/, "") };
  }
}

function calibrationOf(
  { labels, classes, length }: LabelledImages,
  logits: Float32Array,
  { activation, name }: Task,
): Assurance["calibration"] {
  if (activation !== softmax && activation !== sigmoid)
    return { reason: "the task makes probabilities in a way of its own" };
  if (length < fewestForTemperature)
    return { reason: `validation has ${length} images; ${fewestForTemperature} are needed` };
  return orReason(() => {
    const kind = { activation: name === "multi-label" ? "sigmoid" : "softmax" } as const;
    const { found, ...fitted } = fitTemperature(labels, logits, classes.length, kind);
    if (!found)
      throw new EvaluationError("the validation images do not say how certain the network should be");
    return inNineDigits(fitted);
  });
}

/**
 * Numbers in a plain object, to nine digits: logarithms differ in the last of sixteen from one JavaScript engine to the next, and
 * with them a file that should have the same bits everywhere.
 */
function inNineDigits<T>(value: T): T {
  if (typeof value === "number") return Number(value.toPrecision(9)) as T;
  if (Array.isArray(value)) return value.map(inNineDigits) as T;
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, inNineDigits(one)])) as T;
}

function setsOf(
  { labels, classes }: LabelledImages,
  probabilities: Float32Array,
  { name }: Task,
): StoredSets | Absent {
  const severalLabels = name === "multi-label";
  return orReason(() => {
    const found = risks.map((risk) =>
      severalLabels
        ? labelAnswers(labels, probabilities, classes.length, risk)
        : fitted(labels, probabilities, classes, risk),
    );
    const least = found.map((answers) => answers.map(({ least }) => least));
    const images = (found[0] ?? []).map(({ images }) => images);
    const isWhole = (row: readonly (number | null)[]) =>
      severalLabels ? row.some((value) => value !== null) : row.every((value) => value !== null);
    if (!least.some(isWhole)) throw new EvaluationError(fewest(classes, images, severalLabels));
    if (images.length !== answerCount(classes.length, severalLabels)) throw new EvaluationError("no sets");
    return { risks, least, images };
  });
}

interface Answer {
  readonly least: number | null;
  readonly images: number;
}

/** Class by class, so that rare ones are not sacrificed to common ones. */
function fitted(
  labels: Int32Array,
  probabilities: Probabilities,
  classes: readonly string[],
  risk: number,
): Answer[] {
  const { leastProbability, images } = fitConformalSets(labels, probabilities, classes, { risk });
  return leastProbability.map((least, answer) => {
    const count = images[answer] as number;
    return { least: count < needed(risk) ? null : least, images: count };
  });
}

/** Each label is a question of its own, of which both answers keep the promise. */
function labelAnswers(
  labels: Int32Array,
  probabilities: Float32Array,
  classes: number,
  risk: number,
): Answer[] {
  const count = labels.length / classes;
  return Array.from({ length: classes }, (_, label) => {
    const truth = Int32Array.from({ length: count }, (_, image) => labels[image * classes + label] as number);
    const rows = Array.from({ length: count }, (_, image) => {
      const probability = probabilities[image * classes + label] as number;
      return [1 - probability, probability];
    });
    const [absent, there] = fitted(truth, rows, ["absent", "there"], risk) as [Answer, Answer];
    return [there, absent];
  }).flat();
}

/** Images of a class without which the promise cannot be kept. */
const needed = (risk: number): number => Math.ceil(1 / risk - 1 - 1e-9);

function fewest(classes: readonly string[], images: readonly number[], severalLabels: boolean): string {
  const least = images.indexOf(Math.min(...images));
  const most = Math.max(...risks);
  const name = classes[severalLabels ? Math.floor(least / 2) : least];
  const which = severalLabels ? (least % 2 === 0 ? `with ${name}` : `without ${name}`) : `of ${name}`;
  return `too few validation images ${which} (${images[least]}); ${needed(most)} are needed for a risk of ${100 * most} %`;
}

function outliersOf(
  model: ImageClassifier,
  { preprocessing }: LabelledImages,
  known: Float32Array | undefined,
  checked: Float32Array | undefined,
): Assurance["outliers"] {
  const widths = featureWidths(model, preprocessing);
  if (!widths || !known || !checked) return { reason: "this network does not show its stages" };
  const total = widths.reduce((sum, { width }) => sum + width, 0);
  let from = 0;
  const looks = widths.map(({ name, width }) => {
    const [train, validation] = [known, checked].map((rows) => columnsOf(rows, total, from, width));
    from += width;
    const directions = name === "picture" ? pictureDirections : undefined;
    return { name, width, directions, train: train as Float32Array, validation: validation as Float32Array };
  });
  return orReason(() => {
    const { limit, ...panel } = fitOutlierPanel(looks, falseAlarms);
    // The image that the limit is of stays within it.
    return inNineDigits({ ...panel, limit: limit + 1e-8 * Math.abs(limit) });
  });
}

function columnsOf(rows: Float32Array, total: number, from: number, width: number): Float32Array {
  const count = rows.length / total;
  const picked = new Float32Array(count * width);
  for (let row = 0; row < count; row++)
    picked.set(rows.subarray(row * total + from, row * total + from + width), row * width);
  return picked;
}
