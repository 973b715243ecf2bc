/** Running a model over a data set: probabilities and metrics. */
import { type Dataset, Loader, type Sample } from "../data/index.js";
import { EvaluationError } from "../errors.js";
import { type ClassificationMetrics, classificationMetrics } from "../metrics/classification.js";
import { toInput } from "../models/input.js";
import type { MedMamba, PredictOptions } from "../models/medmamba.js";
import { tidy } from "../tensor/scope.js";
import { withBatchAdvice } from "./batch-memory.js";

/** How a data set is run through a model. */
export interface EvaluateOptions extends PredictOptions {
  /** Images computed at once; default 32. */
  batchSize?: number;
  /** Stops after the present batch, with its reason, when aborted. */
  signal?: AbortSignal | undefined;
  /** Called after each batch with the images done and in all. */
  onProgress?: (progress: { done: number; total: number }) => void;
}

/** What a model makes of a data set. */
export interface Evaluation {
  /** All scores. */
  readonly metrics: ClassificationMetrics;
  /** (samples, classes), in the data set's order. */
  readonly probabilities: Float32Array;
  /** (samples), the truth, in the data set's order. */
  readonly labels: Int32Array;
}

/**
 * Predicts every image of a data set and compares with its labels. The model is in evaluation mode meanwhile.
 *
 * @throws EvaluationError if the model has another number of classes, or its probabilities are not finite
 */
export async function evaluate(
  model: MedMamba,
  dataset: Dataset,
  options: EvaluateOptions = {},
): Promise<Evaluation> {
  const { numClasses } = model.config;
  if (dataset.classes.length !== numClasses) {
    throw new EvaluationError(
      `evaluate: the model has ${numClasses} classes, the data set ${dataset.classes.length} (${dataset.classes.join(", ")}).`,
    );
  }
  const probabilities = await predictDataset(model, dataset, options);
  const metrics = classificationMetrics(dataset.labels, probabilities, dataset.classes);
  return { metrics, probabilities, labels: dataset.labels };
}

/**
 * Probabilities of every image of a data set.
 *
 * @returns (samples, classes), in the data set's order
 * @throws EvaluationError if a probability is not finite
 * @throws OutOfMemoryError that says which batch size to try
 */
export async function predictDataset(
  model: MedMamba,
  dataset: Dataset,
  { batchSize = 32, signal, onProgress, graphs }: EvaluateOptions = {},
): Promise<Float32Array> {
  const { numClasses } = model.config;
  const probabilities = new Float32Array(dataset.length * numClasses);
  const wasTraining = model.training;
  model.eval();
  try {
    const loader = new Loader(dataset, { batchSize, ...(signal ? { signal } : {}) });
    for await (const batch of loader.epoch(0)) {
      const output = tidy(() =>
        model.predict(toInput(batch, dataset.preprocessing, model.device), { graphs }),
      );
      const rows = await output.data().finally(() => output.dispose());
      for (const [i, index] of batch.indices.entries()) {
        probabilities.set(rows.subarray(i * numClasses, (i + 1) * numClasses), index * numClasses);
      }
      onProgress?.({
        done: Math.min(dataset.length, (batch.position + 1) * batchSize),
        total: dataset.length,
      });
    }
  } catch (error) {
    model.releaseGraphs();
    const { device } = model;
    throw withBatchAdvice(error, { device, batchSize: Math.min(batchSize, dataset.length) });
  } finally {
    model.train(wasTraining);
  }
  const broken = probabilities.findIndex((value) => !Number.isFinite(value));
  if (broken >= 0) {
    const image = dataset.name(Math.floor(broken / numClasses));
    throw new EvaluationError(
      `the model's output for ${image} is not finite: its weights are damaged or its input is.`,
    );
  }
  return probabilities;
}

/** A data set of images without labels, so that prediction takes the same path as evaluation. */
export function unlabelled(
  samples: readonly Sample[],
  names: readonly string[],
  like: Pick<Dataset, "classes" | "preprocessing">,
): Dataset {
  return {
    length: samples.length,
    classes: like.classes,
    preprocessing: like.preprocessing,
    labels: new Int32Array(samples.length),
    name: (index) => names[index] ?? `image ${index}`,
    sample: async (index) => samples[index] as Sample,
  };
}
