/**
 * Batches in, probabilities out: the one way on which a model is used, whether for a data set or for a stream of images.
 * Whoever makes the batches works ahead while the device computes.
 */
import type { BatchImages } from "../data/batch.js";
import type { Preprocessing } from "../data/preprocessing.js";
import { EvaluationError } from "../errors.js";
import type { ImageClassifier, PredictOptions } from "../models/image-classifier.js";
import { toInput } from "../models/input.js";
import { expectTensor } from "../ops/check.js";
import type { Task } from "../tasks/index.js";
import { tidy } from "../tensor/scope.js";
import { noGrad } from "../tensor/tape.js";
import type { Tensor } from "../tensor/tensor.js";
import { withBatchAdvice } from "./batch-memory.js";

/** How batches are predicted. */
interface BatchOptions<T> extends PredictOptions {
  readonly preprocessing: Preprocessing;
  readonly task: Task;
  /** Name of image `i` of a batch, for messages. */
  nameOf(batch: T, i: number): string;
}

/** A batch with what the model makes of it. */
export interface PredictedBatch<T> {
  readonly batch: T;
  /** (b, classes) */
  readonly probabilities: Float32Array;
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
  { preprocessing, task, nameOf, graphs }: BatchOptions<T>,
): AsyncGenerator<PredictedBatch<T>, void, undefined> {
  const { device } = model;
  const wasTraining = model.training;
  model.eval();
  let batchSize = 0;
  try {
    for await (const batch of batches) {
      batchSize = batch.shape[0];
      if (batchSize === 0) {
        yield { batch, probabilities: new Float32Array(0) };
        continue;
      }
      const output = tidy(() => probabilitiesOf(model, toInput(batch, preprocessing, device), task, graphs));
      const probabilities = await output.data().finally(() => output.dispose());
      const broken = probabilities.findIndex((value) => !Number.isFinite(value));
      if (broken >= 0) {
        const image = nameOf(batch, Math.floor(broken / model.config.numClasses));
        throw new EvaluationError(
          `the model's output for ${image} is not finite: its weights are damaged or its input is.`,
        );
      }
      yield { batch, probabilities: probabilities as Float32Array };
    }
  } catch (error) {
    model.releaseGraphs?.();
    throw withBatchAdvice(error, { device, batchSize });
  } finally {
    model.train(wasTraining);
  }
}

/** (batch, classes), without gradient. */
export function probabilitiesOf(
  model: ImageClassifier,
  images: Tensor,
  { activation }: Task,
  graphs: boolean | undefined,
): Tensor {
  const output = model.predict
    ? model.predict(images, { graphs, activation })
    : noGrad(() => tidy(() => activation(model.forward(images))));
  expectTensor("predict", "what task.activation gives", output);
  return output;
}
