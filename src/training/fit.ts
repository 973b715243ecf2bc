/**
 * The training loop: epochs, what is best, and when to stop.
 *
 * Everything random is keyed by (seed, epoch, image) or (seed, step), and `last.safetensors` holds weights, optimiser,
 * averages, position and history: a run that was interrupted at any moment and resumed ends with the same bits as one
 * that was not.
 *
 * Where several processes train together, they call this with the same options and go through it alike: what one of them decides
 * alone, such as that an image cannot be read, it tells the others before anybody waits for it. Rank 0 writes.
 */
import { join } from "node:path";
import type { CheckpointDescription } from "../checkpoints/checkpoint.js";
import { type SplitIdentity, splitIdentity } from "../data/contents.js";
import { type LabelledImages, Loader } from "../data/index.js";
import type { Communicator } from "../distributed/engine.js";
import type { Group } from "../distributed/group.js";
import { joinedGroup } from "../distributed/init.js";
import { DistributedError, EvaluationError, TrainingError } from "../errors.js";
import { withBatchAdvice } from "../inference/batch-memory.js";
import { evaluate } from "../inference/evaluate.js";
import type { MedMambaConfig } from "../models/config.js";
import type { ImageClassifier } from "../models/image-classifier.js";
import { pathOf } from "../settings/paths.js";
import type { Task, TaskScores } from "../tasks/task.js";
import { makeFolder } from "../weights/file-errors.js";
import { type Assessment, assess } from "./assess.js";
import { BestWeights } from "./best-weights.js";
import { trainEpoch } from "./epoch.js";
import { type FitOptions, type FitResult, resolveOptions } from "./fit-options.js";
import { type EpochRecord, isBetter, measure, summarize } from "./history.js";
import { historyFile } from "./observers/history-file.js";
import type { FitProgress, Observer } from "./observers/observer.js";
import {
  hasFiniteState,
  identityOf,
  type Progress,
  restoreRun,
  saveRun,
  worldSizesFor,
} from "./resumption.js";
import { gatherStatistics, meanStatistics, setStatistics } from "./running-statistics.js";
import { Plateau, type Schedule } from "./schedule.js";
import { resolveClassWeights, scheduleOf, type TrainingSettings } from "./settings.js";
import { shareStart } from "./shared-start.js";
import { TrainingStep } from "./step.js";

/**
 * Trains a model on a data set with AdamW and the task's loss, and leaves it with the best weights, if there is a
 * validation split. Then it is found out on that how far these can be believed, and kept with them.
 *
 * @param model  a `MedMamba`, or another network that gives logits of images
 * @throws ArgumentError for a setting that cannot be, and for an unknown one with the nearest name
 * @throws TrainingError if the loss, the weights or the outputs become not finite, or a resumed run has other settings or data
 * @throws WeightsError if a checkpoint cannot be read or written; an older one is left as it was
 * @throws DistributedError if processes that train together have other options or data, or something went wrong on another one
 * @throws OutOfMemoryError that says which batch size to try. What was queued when it happened went on with what it
 *   found: make the model anew, or load its weights, before the next attempt
 */
export async function fit(model: ImageClassifier, options: FitOptions): Promise<FitResult> {
  const group = options?.group ?? (await joinedGroup(model?.device));
  let run: Run | undefined;
  try {
    run = new Run(model, located(options), group);
    return await run.execute();
  } catch (error) {
    const told = run?.withAdvice(error) ?? error;
    if (!run?.isAlike) group.fail(told);
    throw told;
  } finally {
    await run?.close();
  }
}

/** The options of a run whose folder is text. */
interface LocatedOptions extends FitOptions {
  directory?: string | undefined;
}

function located(options: FitOptions): LocatedOptions {
  const directory = options?.directory;
  return {
    ...options,
    directory: directory === undefined ? undefined : pathOf("fit", directory, "directory"),
  };
}

class Run {
  readonly #model: ImageClassifier;
  readonly #group: Group;
  readonly #options: LocatedOptions;
  readonly #settings: TrainingSettings;
  readonly #saveEvery: number;
  readonly #task: Task;
  readonly #loader: Loader;
  readonly #step: TrainingStep;
  readonly #schedule: Schedule;
  readonly #plateau: Plateau | undefined;
  readonly #progress: Progress;
  readonly #bestWeights: BestWeights;
  readonly #observers: readonly Observer[];
  #epochStart = performance.now();
  /** Which images decide what is best; checkpoints say it, so that a test on them is not taken for one. */
  #validatedOn: SplitIdentity | undefined;
  /** Whether there is a `last.safetensors` of this run. */
  #saved = false;
  /** Whether what went wrong did so on all ranks alike. */
  isAlike = false;

  constructor(model: ImageClassifier, options: LocatedOptions, group: Group) {
    const { settings, execution, task } = resolveOptions(model, options, group);
    const { train, directory, observers = [] } = options;
    const { batchSize, seed, augmentation, lr } = settings;
    const classWeights = resolveClassWeights(settings.classWeights, train, task);
    if (model.recompute !== undefined) model.recompute = execution.recompute;
    this.#model = model;
    this.#group = group;
    this.#options = options;
    this.#settings = settings;
    this.#saveEvery = execution.saveEvery;
    this.#task = task;
    const dropLast = train.length >= batchSize;
    const { rank, worldSize } = group;
    const shard = { rank, worldSize };
    const own = batchSize / worldSize;
    this.#loader = new Loader(train, { batchSize: own, shuffle: true, seed, augmentation, dropLast, shard });
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
    this.#bestWeights = new BestWeights(model, directory, group);
    const history = directory === undefined ? [] : [historyFile(join(directory, "metrics.jsonl"))];
    this.#observers = rank === 0 ? [...history, ...observers] : [];
    const { graphs } = execution;
    this.#step = new TrainingStep({ model, dataset: train, task, settings, classWeights, graphs, group });
  }

  async execute(): Promise<FitResult> {
    const { directory, resume = false, extend } = this.#options;
    // First: a run that cannot be resumed stays as it is.
    const isFirst = this.#group.rank === 0;
    await this.#expectSame();
    const statistics =
      resume && isFirst
        ? await restoreRun(this.#path("last.safetensors"), this.#parts(), { extend })
        : undefined;
    this.#saved = resume;
    await this.#startTogether(statistics);
    for (const observer of this.#observers) await observer.begin?.();
    this.#validatedOn = await this.#identityOfValidation();
    if (directory !== undefined && isFirst) await makeFolder(directory);
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

  /** @throws DistributedError on all ranks, if one has other options or data */
  async #expectSame(): Promise<void> {
    if (this.#group.isAlone) return;
    const { validation, directory, resume = false, assess: assesses = true } = this.#options;
    const { config, device } = this.#model;
    await this.#group.expectSame("settings", this.#settings);
    await this.#group.expectSame("model", { ...config });
    await this.#group.expectSame("options", {
      saveEvery: this.#saveEvery,
      saves: directory !== undefined,
      resume,
      assesses,
      kind: device.name.replace(/:\d+$/, ""),
    });
    await this.#group.expectSame("training images", this.#progress.data);
    await this.#group.expectSame("validation images", validation ? identityOf(validation) : {});
  }

  /** Ranks begin with what rank 0 has. @param statistics  of a run that is resumed, on rank 0 */
  async #startTogether(statistics: readonly Float32Array[] | undefined): Promise<void> {
    const group = this.#group;
    const connection = await this.#step.connect();
    if (this.#settings.syncBatchNorm && !group.isAlone) this.#synchronize(connection?.communicator);
    if (!group.isAlone) {
      const fit = statistics?.length === group.worldSize ? statistics : undefined;
      await shareStart(group, this.#parts(), fit);
    }
    const worldSizes = worldSizesFor(this.#progress, group.worldSize);
    if (worldSizes) this.#progress.worldSizes = worldSizes;
  }

  /** Lets BatchNorm take its statistics over all ranks. @throws TrainingError where it cannot */
  #synchronize(communicator: Communicator | undefined): void {
    this.isAlike = true;
    if (!communicator)
      throw new TrainingError(
        "fit: syncBatchNorm (--sync-batch-norm) needs NCCL or MPI on all ranks: install one, start with mpirun or srun, or leave it out.",
      );
    if (!("communicator" in this.#model))
      throw new TrainingError(
        "fit: syncBatchNorm (--sync-batch-norm) is not for this network: leave it out.",
      );
    this.isAlike = false;
    this.#model.communicator = communicator;
  }

  /** Undefined where there are no validation images, and where the run ends before it has begun. */
  async #identityOfValidation(): Promise<SplitIdentity | undefined> {
    const { validation, signal } = this.#options;
    if (!validation || signal?.aborted) return undefined;
    return splitIdentity(validation, signal).catch((error: unknown) => {
      if (signal?.aborted) return undefined;
      throw error;
    });
  }

  #trainEpoch(): Promise<boolean> {
    this.#model.train();
    return trainEpoch({
      loader: this.#loader,
      step: this.#step,
      group: this.#group,
      schedule: this.#schedule,
      settings: this.#settings,
      progress: this.#progress,
      saveEvery: this.#saveEvery,
      signal: this.#options.signal,
      save: () => this.#save(),
      tell: (progress) => this.#tell(progress),
      diverged: (what) => this.#diverged(what),
    });
  }

  async #endEpoch(): Promise<void> {
    const { validation, onProgress } = this.#options;
    const { monitor, batchSize, epochs } = this.#settings;
    const progress = this.#progress;
    const started = this.#epochStart;
    const trained = (performance.now() - started) / 1000;
    await this.#averageStatistics();
    const outcome = validation && (await this.#withAverage(() => this.#validate(validation)));
    const scores = outcome ? summarize(outcome.scores) : null;
    const record: EpochRecord = {
      epoch: progress.epoch + 1,
      step: progress.step,
      lr: this.#schedule(progress.step - 1),
      trainLoss: progress.lossSum / Math.max(1, progress.batch),
      validation: scores,
      best: scores !== null && isBetter(scores, this.#bestRecord?.validation, monitor),
      seconds: (performance.now() - started) / 1000,
      imagesPerSecond: (progress.batch * batchSize) / trained,
    };
    if (record.best) {
      if (!this.#saved) await this.#save(); // Wherever there is a best epoch, there is something to go on from.
      progress.bestEpoch = record.epoch;
      const description = this.#descriptionOfBest(record, outcome?.thresholds);
      await this.#withAverage(() => this.#bestWeights.keep(description));
    }
    if (scores) this.#plateau?.observe(measure(scores, monitor));
    progress.history.push(record);
    progress.epoch += 1;
    progress.batch = 0;
    progress.lossSum = 0;
    const told = { type: "epoch", record, epochs } as const;
    for (const observer of this.#observers) await observer.epoch?.(told, progress.history);
    await this.#save(); // Last: a run that is killed before it repeats the epoch and tells the rest again.
    if (this.#group.rank === 0) onProgress?.(told);
    this.#epochStart = performance.now();
  }

  async #validate(
    validation: LabelledImages,
  ): Promise<{ scores: TaskScores; thresholds: readonly number[] | undefined }> {
    const { metrics, probabilities, labels } = await evaluate(this.#model, validation, {
      batchSize: this.#imagesAtOnce,
      task: this.#task,
      group: this.#group,
      onProgress: ({ done, total }) => this.#tell({ type: "validation", done, total }),
    }).catch((error: unknown) => {
      if (!(error instanceof EvaluationError)) throw error;
      const epoch = this.#progress.epoch + 1;
      throw new TrainingError(`validation after epoch ${epoch}: ${error.message}`, { cause: error });
    });
    const thresholds = this.#task.chooseThresholds(labels, probabilities, validation.classes.length);
    return { scores: metrics, thresholds };
  }

  #tell(progress: Extract<FitProgress, { type: "step" | "validation" }>): void {
    if (this.#group.rank > 0) return;
    for (const observer of this.#observers) {
      if (progress.type === "step") observer.step?.(progress);
      else observer.validation?.(progress);
    }
    this.#options.onProgress?.(progress);
  }

  #withAverage<T>(body: () => Promise<T>): Promise<T> {
    const { average } = this.#step;
    return average ? average.during(body) : body();
  }

  get #bestRecord(): EpochRecord | undefined {
    return this.#progress.history[this.#progress.bestEpoch - 1];
  }

  get #imagesAtOnce(): number {
    const { batchSize, accumulate } = this.#settings;
    return Math.ceil(batchSize / this.#group.worldSize / accumulate);
  }

  #parts() {
    const { optimizer, average } = this.#step;
    return { model: this.#model, optimizer, average, plateau: this.#plateau, progress: this.#progress };
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
    const all = await this.#statisticsOfRanks();
    if (all) setStatistics(this.#model, meanStatistics(all));
    // The loss of the last step is older than the weights that this step has left.
    if (!(await hasFiniteState(this.#model)))
      throw this.#diverged(`a weight is not finite after step ${this.#progress.step}`);
    if (this.#group.rank === 0)
      await saveRun(this.#path("last.safetensors"), this.#parts(), this.#description(), all);
    if (all) setStatistics(this.#model, all[this.#group.rank] as Float32Array);
    this.#saved = true;
  }

  /** Running statistics of each rank; undefined where all have the same. */
  async #statisticsOfRanks(): Promise<readonly Float32Array[] | undefined> {
    if (this.#group.isAlone) return undefined;
    const all = await gatherStatistics(this.#group, this.#model);
    const [first] = all;
    const differ = all.some((own) => own.some((value, at) => !Object.is(value, first?.[at])));
    return differ ? all : undefined;
  }

  /** What is judged has the mean of all ranks' running statistics. */
  async #averageStatistics(): Promise<void> {
    const all = await this.#statisticsOfRanks();
    if (all) setStatistics(this.#model, meanStatistics(all));
  }

  #description(): CheckpointDescription {
    const { classes, preprocessing } = this.#options.train;
    // Of another network than MedMamba the file holds what that calls its config, and only its weights can be loaded.
    const config = this.#model.config as MedMambaConfig;
    const { extensions, worldSizes } = this.#progress;
    const validatedOn = this.#validatedOn;
    const { provenance: given } = this.#options;
    const own = {
      ...(validatedOn && { validatedOn }),
      ...(extensions && { extensions }),
      ...(worldSizes && { distributed: { ...this.#group.carriage, worldSizes } }),
    };
    const provenance = Object.keys(own).length > 0 ? { ...given, ...own } : given;
    return { task: this.#task.name, config, classes, preprocessing, provenance };
  }

  #descriptionOfBest(record: EpochRecord, thresholds: readonly number[] | undefined): CheckpointDescription {
    const { provenance, ...description } = this.#description();
    const { epoch, validation } = record;
    const origin = { ...provenance, epoch, validation, settings: this.#settings };
    const [threshold] = thresholds ?? [];
    const decision = this.#task.name === "binary" ? { threshold } : { thresholds };
    return { ...description, ...decision, provenance: origin };
  }

  async #finish(stopped: FitResult["stopped"]): Promise<FitResult> {
    const { history } = this.#progress;
    const best = stopped === "aborted" ? undefined : this.#bestRecord;
    if (best) await this.#bestWeights.restore();
    this.#model.eval();
    if (!best || this.#options.assess === false) return { history, best, stopped };
    const assessment = await this.#assess();
    if (!assessment) return { history, best: undefined, stopped: "aborted" };
    await this.#bestWeights.describe(assessment);
    return { history, best, stopped, ...assessment };
  }

  /** How far the best weights, which the model has, can be believed; undefined when aborted meanwhile. */
  async #assess(): Promise<Assessment | undefined> {
    const { train, validation, signal } = this.#options;
    if (!validation) return undefined;
    try {
      return await assess(this.#model, {
        train,
        validation,
        task: this.#task,
        batchSize: this.#imagesAtOnce,
        signal,
        group: this.#group,
        onProgress: (progress) => {
          if (this.#group.rank === 0) this.#options.onProgress?.({ type: "assessment", ...progress });
        },
      });
    } catch (error) {
      if (signal?.aborted) this.#group.fail(error, { stopped: true });
      if (signal?.aborted || (error instanceof DistributedError && error.stopped)) return undefined;
      throw error;
    }
  }

  #diverged(what: string): TrainingError {
    this.isAlike = true;
    const saved =
      this.#options.directory === undefined ? "" : " The checkpoints written before are unharmed.";
    return new TrainingError(`${what}: try a lower learning rate than ${this.#settings.lr}.${saved}`);
  }

  /** Which batch size to try, where memory ran out. */
  withAdvice(error: unknown): unknown {
    const { device, recompute = true } = this.#model;
    return withBatchAdvice(error, { device, batchSize: this.#imagesAtOnce, recompute: !recompute });
  }

  async close(): Promise<void> {
    if (this.#settings.syncBatchNorm && "communicator" in this.#model) this.#model.communicator = undefined;
    this.#step.dispose();
    this.#bestWeights.dispose();
    for (const observer of this.#observers) await observer.close?.();
  }
}
