/**
 * The training loop.
 *
 * Everything random is keyed by (seed, epoch, image) or (seed, step), and `last.safetensors` holds weights, optimiser,
 * averages, position and history: a run that was interrupted at any moment and resumed ends with the same bits as one
 * that was not.
 *
 * Steps are pipelined: while the device computes one, the next batch is made ready, and a step's loss is read only when
 * the following step has been queued.
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { type CheckpointDescription, loadWeights, saveCheckpoint } from "../checkpoints/checkpoint.js";
import { type Batch, type Dataset, Loader } from "../data/index.js";
import { ArgumentError, EvaluationError, TrainingError } from "../errors.js";
import { withBatchAdvice } from "../inference/batch-memory.js";
import { evaluate } from "../inference/evaluate.js";
import type { ClassificationMetrics } from "../metrics/classification.js";
import { chooseThreshold } from "../metrics/threshold.js";
import { toInput } from "../models/input.js";
import type { MedMamba } from "../models/medmamba.js";
import { crossEntropy } from "../ops/loss.js";
import { tensor } from "../tensor/creation.js";
import { setGeneratorState } from "../tensor/generator.js";
import { GraphedFunction } from "../tensor/graphed-function.js";
import { keep, tidy } from "../tensor/scope.js";
import type { Tensor } from "../tensor/tensor.js";
import { replaceText } from "../weights/atomic-file.js";
import { type EpochRecord, isBetter, measure, summarise } from "./history.js";
import { MovingAverage } from "./moving-average.js";
import { type AdamSettings, AdamW, type ParameterGroup } from "./optimizer.js";
import { hasFiniteState, identityOf, type Progress, restoreRun, saveRun } from "./resumption.js";
import { Plateau, type Schedule } from "./schedule.js";
import { resolveClassWeights, scheduleOf, type TrainingSettings, trainingSettings } from "./settings.js";

/** What `fit` tells while it runs: after each step, during validation, and after each epoch. */
export type FitProgress =
  | {
      /** After each step. */
      readonly type: "step";
      /** Counted from 1. */
      readonly epoch: number;
      /** Epochs of the whole training. */
      readonly epochs: number;
      /** Steps done in this epoch. */
      readonly step: number;
      /** Steps of an epoch. */
      readonly steps: number;
      /** Mean of the epoch so far. */
      readonly loss: number;
      /** Since this call of `fit` began its epoch. */
      readonly imagesPerSecond: number;
      /** Of the whole training, at the speed so far. */
      readonly secondsLeft: number;
    }
  | {
      /** After each batch of validation images. */
      readonly type: "validation";
      /** Images done. */
      readonly done: number;
      /** Validation images in all. */
      readonly total: number;
    }
  | {
      /** After each epoch, when its checkpoints are written. */
      readonly type: "epoch";
      /** The epoch's line of the history. */
      readonly record: EpochRecord;
      /** Epochs of the whole training. */
      readonly epochs: number;
    };

/** What to train on, and every setting that differs from `trainingSettings`. */
export interface FitOptions extends Partial<TrainingSettings> {
  /** Images to learn from. */
  train: Dataset;
  /** Images that decide which epoch is best, and when to stop early; none unless given. */
  validation?: Dataset | undefined;
  /** Where `best.safetensors`, `last.safetensors` and `metrics.jsonl` go; nothing is written without it. */
  directory?: string | undefined;
  /** Go on from `last.safetensors` in `directory`; default false. */
  resume?: boolean;
  /** Also save `last.safetensors` every so many steps; default 0: after each epoch only. */
  saveEvery?: number;
  /** Compute blocks again in backward instead of keeping their results; see `MedMamba.checkpointing`. Same bits. */
  checkpointing?: boolean;
  /**
   * Launch a whole step (forward, loss, backward, clipping, AdamW, averages) as one graph from the third on; see
   * `captureGraph`. Same bits. Default false: graphs keep their memory reserved, beside what validation needs.
   */
  graphs?: boolean;
  /** Plain JSON that the checkpoints carry in their own provenance: where the data came from, say. */
  provenance?: Readonly<Record<string, unknown>>;
  /** When aborted, the step is finished, `last.safetensors` saved, and the result returned. */
  signal?: AbortSignal | undefined;
  /** Called after each step, during validation, and after each epoch. */
  onProgress?: (progress: FitProgress) => void;
}

/** What came of a training. */
export interface FitResult {
  /** All epochs, those before a resumption included. */
  readonly history: readonly EpochRecord[];
  /** The epoch whose weights the model has now; undefined without validation or when aborted before the first. */
  readonly best: EpochRecord | undefined;
  /** Whether all epochs were trained, `patience` ran out, or the signal was aborted. */
  readonly stopped: "completed" | "early" | "aborted";
}

/** Random numbers that one step may draw before it would meet the next step's: far more than any model draws. */
const countersPerStep = 2 ** 24;

/**
 * Trains a model on a data set with AdamW and cross-entropy, and leaves it with the best weights, if there is a
 * validation split.
 *
 * @throws ArgumentError for a setting that cannot be
 * @throws TrainingError if the loss, the weights or the outputs become not finite, or a resumed run has other settings or data
 * @throws WeightsError if a checkpoint cannot be read or written; an older one is left as it was
 * @throws OutOfMemoryError that says which batch size to try. What was queued when it happened went on with what it
 *   found: make the model anew, or load its weights, before the next attempt
 */
export async function fit(model: MedMamba, options: FitOptions): Promise<FitResult> {
  const run = new Run(model, options);
  try {
    return await run.execute();
  } catch (error) {
    const batchSize = options.batchSize ?? trainingSettings().batchSize;
    throw withBatchAdvice(error, { device: model.device, batchSize, recompute: !options.checkpointing });
  } finally {
    run.dispose();
  }
}

class Run {
  readonly #model: MedMamba;
  readonly #options: FitOptions;
  readonly #settings: TrainingSettings;
  readonly #loader: Loader;
  readonly #optimizer: AdamW;
  readonly #average: MovingAverage | undefined;
  readonly #schedule: Schedule;
  readonly #plateau: Plateau | undefined;
  readonly #classWeights: Tensor | undefined;
  readonly #progress: Progress;
  readonly #compute: (images: Tensor, labels: Tensor) => Tensor;
  readonly #graphs: GraphedFunction | undefined;
  #bestWeights: Record<string, Tensor> = {};

  constructor(model: MedMamba, options: FitOptions) {
    const {
      train,
      validation: _,
      directory: __,
      resume: ___,
      saveEvery: ____,
      provenance: _______,
      checkpointing = false,
      graphs = false,
      signal: _____,
      onProgress: ______,
      ...given
    } = options;
    const { precision } = model.device;
    const settings = trainingSettings({ ...given, precision: given.precision ?? precision });
    if (settings.precision !== precision) {
      throw new ArgumentError(
        `fit: precision "${settings.precision}" was asked for, but the model is on ${model.device.name} with ` +
          `"${precision}": make the model with that precision.`,
      );
    }
    const { batchSize, seed, augmentation, lr, weightDecay, averageDecay } = settings;
    if (train.classes.length !== model.config.numClasses) {
      throw new TrainingError(
        `fit: the model has ${model.config.numClasses} classes, the data set ${train.classes.length}.`,
      );
    }
    const weights = resolveClassWeights(settings.classWeights, train);
    this.#classWeights = weights && keep(tensor(weights, [weights.length], { device: model.device }));
    model.checkpointing = checkpointing;
    this.#model = model;
    this.#options = options;
    this.#settings = settings;
    const dropLast = train.length >= batchSize;
    this.#loader = new Loader(train, { batchSize, shuffle: true, seed, augmentation, dropLast });
    this.#optimizer = new AdamW(parameterGroups(model), { lr, weightDecay });
    this.#average = averageDecay > 0 ? new MovingAverage(model, averageDecay) : undefined;
    this.#plateau =
      settings.schedule === "plateau"
        ? new Plateau({ lr, mode: settings.monitor === "loss" ? "min" : "max" })
        : undefined;
    this.#schedule = scheduleOf(settings, this.#loader.batchCount, this.#plateau);
    this.#progress = {
      settings,
      data: identityOf(train),
      epoch: 0,
      batch: 0,
      step: 0,
      lossSum: 0,
      bestEpoch: 0,
      history: [],
    };
    const body = (images: Tensor, labels: Tensor): Tensor => this.#lossAndUpdate(images, labels);
    const dependencies = () => Object.values(model.stateDict()).map((tensor) => tensor.handle);
    const graphed = graphs ? new GraphedFunction(model.device, body, { dependencies }) : undefined;
    this.#compute = graphed ? (images, labels) => graphed.call(images, labels) : body;
    this.#graphs = graphed;
  }

  async execute(): Promise<FitResult> {
    const { directory, resume = false } = this.#options;
    if (directory !== undefined) await mkdir(directory, { recursive: true });
    if (resume) await restoreRun(this.#path("last.safetensors"), this.#parts());
    const { epochs, patience } = this.#settings;
    const progress = this.#progress;
    while (progress.epoch < epochs) {
      if (patience > 0 && progress.epoch - progress.bestEpoch >= patience && this.#options.validation) {
        return this.#finish("early");
      }
      if (!(await this.#trainEpoch())) return this.#finish("aborted");
      await this.#endEpoch();
    }
    return this.#finish("completed");
  }

  /** Whether the epoch was completed: false if the signal stopped it, and then its position is saved. */
  async #trainEpoch(): Promise<boolean> {
    const { signal, saveEvery = 0, onProgress } = this.#options;
    const progress = this.#progress;
    const { epochs, batchSize } = this.#settings;
    const steps = this.#loader.batchCount;
    this.#model.train();
    const clock = new Clock(progress.batch);
    let pending: Promise<number> | undefined;
    const settle = async (): Promise<void> => {
      if (!pending) return;
      const loss = await pending;
      pending = undefined;
      if (!Number.isFinite(loss)) {
        throw this.#diverged(
          `the loss became ${loss} in epoch ${progress.epoch + 1}, step ${progress.batch + 1}`,
        );
      }
      progress.lossSum += loss;
      progress.batch += 1;
      const rate = clock.rate(progress.batch);
      onProgress?.({
        type: "step",
        epoch: progress.epoch + 1,
        epochs,
        step: progress.batch,
        steps,
        loss: progress.lossSum / progress.batch,
        imagesPerSecond: rate * batchSize,
        secondsLeft: ((epochs - progress.epoch) * steps - progress.batch) / rate,
      });
    };
    for await (const batch of this.#loader.epoch(progress.epoch, { startBatch: progress.batch })) {
      const loss = this.#step(batch);
      const value = loss.item();
      value.catch(() => {}); // Awaited by `settle` after the next step has been queued.
      loss.dispose();
      await settle();
      pending = value;
      const save = saveEvery > 0 && progress.step % saveEvery === 0;
      if (save || signal?.aborted) await settle();
      if (save) await this.#save();
      if (signal?.aborted) {
        await this.#save();
        return false;
      }
    }
    await settle();
    return true;
  }

  /** Queues one step and returns its loss. */
  #step(batch: Batch): Tensor {
    const { preprocessing } = this.#options.train;
    const progress = this.#progress;
    const { device } = this.#model;
    setGeneratorState({ seed: this.#settings.seed, offset: progress.step * countersPerStep });
    this.#optimizer.lr = this.#schedule(progress.step);
    return tidy(() => {
      const images = toInput(batch, preprocessing, device);
      const labels = tensor(batch.labels, [batch.labels.length], { dtype: "int64", device });
      const loss = this.#compute(images, labels);
      progress.step += 1;
      return loss;
    });
  }

  /** The part of a step that a graph can hold: what differs from step to step is in tensors, or asked for at each launch. */
  #lossAndUpdate(images: Tensor, labels: Tensor): Tensor {
    const { labelSmoothing, maxGradNorm } = this.#settings;
    this.#optimizer.zeroGrad();
    const loss = crossEntropy(this.#model.forward(images), labels, {
      labelSmoothing,
      classWeights: this.#classWeights,
    });
    loss.backward();
    if (maxGradNorm > 0) this.#optimizer.clipGradNorm(maxGradNorm);
    this.#optimizer.step();
    this.#average?.update(() => this.#progress.step);
    return loss;
  }

  async #endEpoch(): Promise<void> {
    const { validation, directory, onProgress } = this.#options;
    const progress = this.#progress;
    const started = this.#epochStart;
    const trainLoss = progress.lossSum / Math.max(1, progress.batch);
    const trained = (performance.now() - started) / 1000;
    const outcome = validation && (await this.#withAverage(() => this.#validate(validation)));
    const metrics = outcome?.metrics;
    const validationRecord = metrics ? summarise(metrics) : null;
    const best =
      validationRecord !== null &&
      isBetter(validationRecord, this.#bestRecord?.validation, this.#settings.monitor);
    const record: EpochRecord = {
      epoch: progress.epoch + 1,
      step: progress.step,
      lr: this.#schedule(progress.step - 1),
      trainLoss,
      validation: validationRecord,
      best,
      seconds: (performance.now() - started) / 1000,
      imagesPerSecond: (progress.batch * this.#settings.batchSize) / trained,
    };
    if (best) {
      progress.bestEpoch = record.epoch;
      await this.#withAverage(() => this.#keepBest(record, outcome?.threshold));
    }
    if (validationRecord) this.#plateau?.observe(measure(validationRecord, this.#settings.monitor));
    progress.history.push(record);
    progress.epoch += 1;
    progress.batch = 0;
    progress.lossSum = 0;
    if (directory !== undefined) {
      const lines = progress.history.map((entry) => `${JSON.stringify(entry)}\n`).join("");
      await replaceText(join(directory, "metrics.jsonl"), lines);
    }
    await this.#save(); // Last: a run that is killed before it repeats the epoch and writes the rest again.
    onProgress?.({ type: "epoch", record, epochs: this.#settings.epochs });
    this.#epochStart = performance.now();
  }

  #epochStart = performance.now();

  async #validate(
    validation: Dataset,
  ): Promise<{ metrics: ClassificationMetrics; threshold: number | undefined }> {
    const { onProgress } = this.#options;
    const { metrics, probabilities, labels } = await evaluate(this.#model, validation, {
      batchSize: this.#settings.batchSize,
      onProgress: ({ done, total }) => onProgress?.({ type: "validation", done, total }),
    }).catch((error: unknown) => {
      if (!(error instanceof EvaluationError)) throw error;
      const epoch = this.#progress.epoch + 1;
      throw new TrainingError(`validation after epoch ${epoch}: ${error.message}`, { cause: error });
    });
    const binary = validation.classes.length === 2 && new Set(labels).size === 2;
    const positive = probabilities.filter((_, i) => i % 2 === 1);
    return { metrics, threshold: binary ? chooseThreshold(labels, positive) : undefined };
  }

  #withAverage<T>(body: () => Promise<T>): Promise<T> {
    return this.#average ? this.#average.during(body) : body();
  }

  async #keepBest(record: EpochRecord, threshold: number | undefined): Promise<void> {
    const { directory } = this.#options;
    const weights = this.#model.stateDict();
    if (directory !== undefined) {
      const { provenance, ...description } = this.#description();
      await saveCheckpoint(join(directory, "best.safetensors"), weights, {
        ...description,
        threshold,
        provenance: {
          ...provenance,
          epoch: record.epoch,
          validation: record.validation,
          settings: this.#settings,
        },
      });
      return;
    }
    for (const old of Object.values(this.#bestWeights)) old.dispose();
    this.#bestWeights = Object.fromEntries(
      Object.entries(weights).map(([name, weight]) => [name, keep(weight.clone())]),
    );
  }

  get #bestRecord(): EpochRecord | undefined {
    return this.#progress.history[this.#progress.bestEpoch - 1];
  }

  #parts() {
    return {
      model: this.#model,
      optimizer: this.#optimizer,
      average: this.#average,
      plateau: this.#plateau,
      progress: this.#progress,
    };
  }

  /** @throws TrainingError if the run has no directory */
  #path(name: string): string {
    const { directory } = this.#options;
    if (directory === undefined)
      throw new TrainingError("fit: resume needs the directory of the run to go on with.");
    return join(directory, name);
  }

  /** @throws TrainingError if a weight is not finite: a run that went on from there would be lost */
  async #save(): Promise<void> {
    if (this.#options.directory === undefined) return;
    // The loss of the last step is older than the weights that this step has left.
    if (!(await hasFiniteState(this.#model)))
      throw this.#diverged(`a weight is not finite after step ${this.#progress.step}`);
    await saveRun(this.#path("last.safetensors"), this.#parts(), this.#description());
  }

  #description(): CheckpointDescription {
    const { classes, preprocessing } = this.#options.train;
    return { config: this.#model.config, classes, preprocessing, provenance: this.#options.provenance };
  }

  async #finish(stopped: FitResult["stopped"]): Promise<FitResult> {
    const { history, bestEpoch } = this.#progress;
    const best = history[bestEpoch - 1];
    if (best && stopped !== "aborted") {
      const { directory } = this.#options;
      if (directory === undefined) this.#model.loadStateDict(this.#bestWeights);
      else await loadWeights(join(directory, "best.safetensors"), this.#model);
    }
    this.#model.eval();
    return { history, best: stopped === "aborted" ? undefined : best, stopped };
  }

  #diverged(what: string): TrainingError {
    const saved =
      this.#options.directory === undefined ? "" : " The checkpoints written before are unharmed.";
    return new TrainingError(`${what}: try a lower learning rate than ${this.#settings.lr}.${saved}`);
  }

  dispose(): void {
    this.#graphs?.dispose();
    this.#optimizer.dispose();
    this.#average?.dispose();
    this.#classWeights?.dispose();
    for (const weight of Object.values(this.#bestWeights)) weight.dispose();
  }
}

/** Steps per second since the first, over this run only. */
class Clock {
  readonly #start = performance.now();
  readonly #first: number;

  constructor(first: number) {
    this.#first = first;
  }

  rate(done: number): number {
    return (done - this.#first) / Math.max(1e-3, (performance.now() - this.#start) / 1000);
  }
}

/** Weight decay is for the weights of products: not for vectors, and not for -A, which must not drift towards 1. */
function parameterGroups(model: MedMamba): ParameterGroup<AdamSettings>[] {
  const decaying: Tensor[] = [];
  const free: Tensor[] = [];
  for (const [name, parameter] of model.namedParameters()) {
    const decays = parameter.shape.length > 1 && !name.endsWith("A_logs");
    (decays ? decaying : free).push(parameter);
  }
  return [{ parameters: decaying }, { parameters: free, settings: { weightDecay: 0 } }];
}
