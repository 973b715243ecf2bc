/** Running a model over a data set: probabilities and metrics. */
import { type Assurance, expectAssurance, isAbsent } from "../checkpoints/assurance.js";
import { expectDataset } from "../data/dataset.js";
import { type Dataset, type LabelledImages, Loader, type MultiLabelDataset } from "../data/index.js";
import type { Group } from "../distributed/group.js";
import { EvaluationError } from "../errors.js";
import type { ClassificationMetrics } from "../metrics/classification.js";
import type { MultiLabelMetrics } from "../metrics/multi-label.js";
import { panelScores } from "../metrics/outlier-panel.js";
import { expectClassifier, type ImageClassifier, type PredictOptions } from "../models/image-classifier.js";
import { expectCounts, expectFlags, expectFunction, expectSignal } from "../settings/given.js";
import { expectKnown } from "../settings/table.js";
import { type Task, type TaskScores, taskOf } from "../tasks/index.js";
import { expectTask } from "../tasks/task.js";
import { calibratedTask, predictBatches } from "./probabilities.js";
import { expectGroup, shareRows, tellingOthers } from "./shared-rows.js";

/** How a data set is run through a model. */
export interface EvaluateOptions extends PredictOptions {
  /** What is told; default: what the data set says, or the number of its classes. */
  task?: Task | undefined;
  /**
   * Of the checkpoint that the model is from: probabilities are calibrated by it, and images compared with those of the
   * training. Without it they are as the network gives them.
   */
  assurance?: Assurance | undefined;
  /** Images computed at once; default 32. */
  batchSize?: number;
  /**
   * Processes that share the images, each image predicted by one of them; every one gets all results. All call it with the same
   * options. Default: this one alone.
   */
  group?: Group | undefined;
  /** Stops after the present batch, with its reason, when aborted. */
  signal?: AbortSignal | undefined;
  /** Called after each batch with the images done and in all. */
  onProgress?: (progress: { done: number; total: number }) => void;
}

const evaluateOptions = Object.keys({
  task: true,
  batchSize: true,
  group: true,
  signal: true,
  onProgress: true,
  graphs: true,
  thresholds: true,
  assurance: true,
} satisfies Record<keyof EvaluateLabelsOptions, true>);

function expectPrediction(
  operation: string,
  model: ImageClassifier,
  dataset: LabelledImages,
  { task, batchSize = 1, group, signal, onProgress, graphs = false, assurance }: EvaluateOptions,
): void {
  expectGroup(operation, group);
  expectAssurance(operation, assurance);
  expectClassifier(operation, model);
  expectDataset(operation, "the data set", dataset);
  expectTask(operation, task);
  expectCounts(operation, { batchSize });
  expectSignal(operation, signal);
  if (onProgress !== undefined) expectFunction(operation, onProgress, "onProgress");
  expectFlags(operation, { graphs });
}

/** What a model makes of a data set. */
export interface Evaluation<Metrics extends TaskScores = ClassificationMetrics> {
  /** All scores. */
  readonly metrics: Metrics;
  /** (samples, classes), in the data set's order. */
  readonly probabilities: Float32Array;
  /** The truth, as the data set has it. */
  readonly labels: Int32Array;
  /** Whom each image is of, where the data set knows that. */
  readonly patients?: readonly (string | undefined)[] | undefined;
  /** (samples) how unlike the training images each is, where there was an assurance that can tell. */
  readonly outlierScores?: Float64Array | undefined;
}

/** Options of `evaluate` where images may have several labels. */
export interface EvaluateLabelsOptions extends EvaluateOptions {
  /** Probability from which each label is called, such as a checkpoint's; default 0.5. */
  thresholds?: readonly number[] | undefined;
}

/**
 * Predicts every image of a data set and compares with its labels. The model is in evaluation mode meanwhile.
 *
 * @throws EvaluationError if the model has another number of classes, or its probabilities are not finite
 */
export function evaluate(
  model: ImageClassifier,
  dataset: Dataset,
  options?: EvaluateOptions,
): Promise<Evaluation>;
/** The same where images may have several labels. */
export function evaluate(
  model: ImageClassifier,
  dataset: MultiLabelDataset,
  options?: EvaluateLabelsOptions,
): Promise<Evaluation<MultiLabelMetrics>>;
/** The same, whatever the task: the scores that all tasks have. */
export function evaluate(
  model: ImageClassifier,
  dataset: LabelledImages,
  options?: EvaluateLabelsOptions,
): Promise<Evaluation<TaskScores>>;
export async function evaluate(
  model: ImageClassifier,
  dataset: LabelledImages,
  options: EvaluateLabelsOptions = {},
): Promise<Evaluation<TaskScores>> {
  expectKnown("evaluate", options, {}, evaluateOptions);
  expectPrediction("evaluate", model, dataset, options);
  const { classes, labels, patients } = dataset;
  const { numClasses } = model.config;
  if (classes.length !== numClasses) {
    throw new EvaluationError(
      `evaluate: the model has ${numClasses} classes, the data set ${classes.length} (${classes.join(", ")}): open it with the model's classes.`,
    );
  }
  const { task = taskOf(dataset), thresholds } = options;
  const { probabilities, outlierScores } = await runThrough(model, dataset, { ...options, task });
  const metrics = task.metrics(labels, probabilities, classes, thresholds);
  return {
    metrics,
    probabilities,
    labels,
    ...(patients && { patients }),
    ...(outlierScores && { outlierScores }),
  };
}

/**
 * Probabilities of every image of a data set.
 *
 * @returns (samples, classes), in the data set's order
 * @throws EvaluationError if a probability is not finite
 * @throws OutOfMemoryError that says which batch size to try
 */
export async function predictDataset(
  model: ImageClassifier,
  dataset: LabelledImages,
  options: EvaluateOptions = {},
): Promise<Float32Array> {
  expectKnown("predictDataset", options, {}, evaluateOptions);
  expectPrediction("predictDataset", model, dataset, options);
  return (await runThrough(model, dataset, options)).probabilities;
}

interface Found {
  readonly probabilities: Float32Array;
  readonly outlierScores: Float64Array | undefined;
}

function runThrough(
  model: ImageClassifier,
  dataset: LabelledImages,
  options: EvaluateOptions,
): Promise<Found> {
  const { group, signal } = options;
  return tellingOthers(group, signal, () => runThroughTogether(model, dataset, options));
}

async function runThroughTogether(
  model: ImageClassifier,
  dataset: LabelledImages,
  options: EvaluateOptions,
): Promise<Found> {
  const { batchSize = 32, signal, onProgress, graphs, assurance, group } = options;
  const { classes } = dataset;
  const task = calibratedTask({ classes, assurance }, options.task ?? taskOf(dataset));
  const outliers = assurance && !isAbsent(assurance.outliers) ? assurance.outliers : undefined;
  const { numClasses } = model.config;
  const probabilities = new Float32Array(dataset.length * numClasses);
  const scores = new Float64Array(dataset.length);
  let scored = outliers !== undefined;
  const { rank = 0, worldSize = 1 } = group ?? {};
  const shard = { rank, worldSize };
  const loader = new Loader(dataset, { batchSize, shard, ...(signal ? { signal } : {}) });
  const own: number[] = [];
  const predicted = predictBatches(model, loader.epoch(0), {
    preprocessing: dataset.preprocessing,
    nameOf: ({ indices }, i) => dataset.name(indices[i] ?? 0),
    task,
    graphs,
    features: outliers !== undefined,
  });
  for await (const { batch, probabilities: rows, features } of predicted) {
    const found = outliers && features && panelScores(features, outliers).scores;
    scored &&= found !== undefined;
    own.push(...batch.indices);
    for (const [i, index] of batch.indices.entries()) {
      probabilities.set(rows.subarray(i * numClasses, (i + 1) * numClasses), index * numClasses);
      if (found) scores[index] = found[i] as number;
    }
    onProgress?.({
      done: Math.min(dataset.length, (batch.position + 1) * batchSize * worldSize),
      total: dataset.length,
    });
  }
  await shareRows(group, probabilities, own, dataset.length);
  if (outliers) await shareRows(group, scores, own, dataset.length);
  return { probabilities, outlierScores: scored ? scores : undefined };
}
