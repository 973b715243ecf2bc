/**
 * Batches in, probabilities out: the one way on which a model is used, whether for a data set or for a stream of images.
 * Whoever makes the batches works ahead while the device computes.
 */
import { type Assurance, isAbsent } from "../checkpoints/assurance.js";
import type { BatchImages } from "../data/batch.js";
import type { Preprocessing } from "../data/preprocessing.js";
import { EvaluationError } from "../errors.js";
import type { ImageClassifier, PredictOptions } from "../models/image-classifier.js";
import { toInput } from "../models/input.js";
import { mul } from "../ops/arithmetic.js";
import { expectTensor } from "../ops/check.js";
import { type Task, type TaskName, taskOf } from "../tasks/index.js";
import { tidy } from "../tensor/scope.js";
import { noGrad } from "../tensor/tape.js";
import type { Tensor } from "../tensor/tensor.js";
import { withBatchAdvice } from "./batch-memory.js";
import { pictureStatistics, pictureWidth } from "./picture-statistics.js";

/** What a classifier says of what it tells. */
interface Told {
  readonly task?: TaskName | undefined;
  readonly classes: readonly string[];
  readonly assurance?: Assurance | undefined;
}

/** By task and temperature: graphs are kept for as long as the activation is the same function. */
const calibratedTasks = new WeakMap<Task, Map<number, Task>>();

/**
 * The task of a classifier, with probabilities that are calibrated by the temperature that its checkpoint has: logits are
 * divided by it. Everything that predicts asks for its task here.
 *
 * @param task  default: the one that the classifier names, else the one that the number of its classes means
 */
export function calibratedTask(told: Told, task: Task = taskOf(told)): Task {
  const { calibration } = told.assurance ?? {};
  if (calibration === undefined || isAbsent(calibration) || calibration.temperature === 1) return task;
  return withTemperatureOf(task, calibration.temperature);
}

/** @internal A task whose probabilities are those of logits divided by a temperature. */
export function withTemperatureOf(task: Task, temperature: number): Task {
  const known = calibratedTasks.get(task) ?? new Map<number, Task>();
  calibratedTasks.set(task, known);
  const found = known.get(temperature);
  if (found) return found;
  // Not a copy, which would lack what a task of one's own inherits.
  const calibrated: Task = Object.create(task, {
    activation: { value: (logits: Tensor) => task.activation(mul(logits, 1 / temperature)) },
  });
  known.set(temperature, calibrated);
  return calibrated;
}

/** Numbers by which an image is known again as one of the kind that was trained on; undefined of a network that shows no stages. */
export function featureWidths(
  model: ImageClassifier,
  { channels }: Pick<Preprocessing, "channels">,
): { name: string; width: number }[] | undefined {
  const { stageWidths } = model;
  if (!model.predict || stageWidths === undefined) return undefined;
  const stages = stageWidths.map((width, stage) => ({ name: `stage ${stage + 1}`, width }));
  return [...stages, { name: "picture", width: pictureWidth(channels) }];
}

/** How batches are predicted. */
interface BatchOptions<T> extends PredictOptions {
  readonly preprocessing: Preprocessing;
  readonly task: Task;
  /** Also give each image's features; default false. */
  readonly features?: boolean | undefined;
  /** Name of image `i` of a batch, for messages. */
  nameOf(batch: T, i: number): string;
}

/** A batch with what the model makes of it. */
export interface PredictedBatch<T> {
  readonly batch: T;
  /** (b, classes) */
  readonly probabilities: Float32Array;
  /** (b, sum of `featureWidths`) of the stages, then of the picture; where they were asked for, and the network shows them. */
  readonly features?: Float32Array | undefined;
}

/**
 * Probabilities of each batch in turn. The model is in evaluation mode until the last has been taken, or the rest is left.
 * A batch without images, whose `shape` begins with 0, is handed on as it is.
 *
 * @throws EvaluationError if a probability is not finite
 * @throws OutOfMemoryError that says which batch size to try
 */
export async function* predictBatches<T extends BatchImages>(
  model: ImageClassifier,
  batches: AsyncIterable<T>,
  { preprocessing, task, nameOf, graphs, features = false }: BatchOptions<T>,
): AsyncGenerator<PredictedBatch<T>, void, undefined> {
  const { device } = model;
  const { numClasses } = model.config;
  const wasTraining = model.training;
  const widths = features ? featureWidths(model, preprocessing) : undefined;
  model.eval();
  let batchSize = 0;
  try {
    for await (const batch of batches) {
      batchSize = batch.shape[0];
      if (batchSize === 0) {
        yield { batch, probabilities: new Float32Array(0) };
        continue;
      }
      const output = tidy(() => {
        const images = toInput(batch, preprocessing, device);
        return probabilitiesOf(model, images, task, { graphs, stages: widths !== undefined });
      });
      const found = (await output.data().finally(() => output.dispose())) as Float32Array;
      const probabilities = widths ? columnsOf(found, batchSize, 0, numClasses) : found;
      const broken = probabilities.findIndex((value) => !Number.isFinite(value));
      if (broken >= 0) {
        const image = nameOf(batch, Math.floor(broken / numClasses));
        throw new EvaluationError(
          `the model's output for ${image} is not finite: its weights are damaged or its input is.`,
        );
      }
      yield { batch, probabilities, features: widths && joined(found, numClasses, batch) };
    }
  } catch (error) {
    model.releaseGraphs?.();
    throw withBatchAdvice(error, { device, batchSize });
  } finally {
    model.train(wasTraining);
  }
}

/** Some columns of a matrix. */
function columnsOf(rows: Float32Array, count: number, from: number, to: number): Float32Array {
  const width = rows.length / count;
  const picked = new Float32Array(count * (to - from));
  for (let row = 0; row < count; row++)
    picked.set(rows.subarray(row * width + from, row * width + to), row * (to - from));
  return picked;
}

/** What the stages make of each image, behind its probabilities, with what can be said of the picture. */
function joined(rows: Float32Array, numClasses: number, batch: BatchImages): Float32Array {
  const [count] = batch.shape;
  const stages = columnsOf(rows, count, numClasses, rows.length / count);
  const pictures = pictureStatistics(batch);
  const [inner, outer] = [stages.length / count, pictures.length / count];
  const features = new Float32Array(stages.length + pictures.length);
  for (let image = 0; image < count; image++) {
    features.set(stages.subarray(image * inner, (image + 1) * inner), image * (inner + outer));
    features.set(pictures.subarray(image * outer, (image + 1) * outer), image * (inner + outer) + inner);
  }
  return features;
}

/** (batch, classes), without gradient; with `stages` what these make of each image follows in its row. */
export function probabilitiesOf(
  model: ImageClassifier,
  images: Tensor,
  { activation }: Task,
  { graphs, stages = false }: PredictOptions & { stages?: boolean },
): Tensor {
  const output = model.predict
    ? model.predict(images, { graphs, activation, ...(stages && { stages }) })
    : noGrad(() => tidy(() => activation(model.forward(images))));
  expectTensor("predict", "what task.activation gives", output);
  return output;
}
