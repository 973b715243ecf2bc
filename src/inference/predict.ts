/**
 * From image files to class names, as a stream: while the device computes one batch, the files of the next are read and
 * decoded. However many images there are, only so many batches are in memory; an image that cannot be read is a value in
 * its place, so that it does not take the others with it.
 */
import { expectAssurance } from "../checkpoints/assurance.js";
import type { CheckpointDescription } from "../checkpoints/checkpoint.js";
import { augmentations } from "../data/augmentation.js";
import { type BatchImages, drawBatch, expectSample, stackSamples } from "../data/batch.js";
import { Gate, readAhead } from "../data/concurrency.js";
import type { Sample } from "../data/dataset.js";
import type { FrameChoice } from "../data/decoding/frame-choice.js";
import { checkedMaxPixels } from "../data/decoding/limits.js";
import { frameName, type ReadImageOptions, type WarningOptions } from "../data/decoding/sample.js";
import { definePreprocessing, type Preprocessing } from "../data/preprocessing.js";
import { openingRows } from "../data/sources/opening.js";
import { ArgumentError, DataError } from "../errors.js";
import { expectClassifier, type ImageClassifier, type PredictOptions } from "../models/image-classifier.js";
import {
  expectFlags,
  expectFunction,
  expectList,
  expectNamed,
  expectSignal,
  expectTexts,
  inWords,
} from "../settings/given.js";
import { isUrl, type Path } from "../settings/paths.js";
import { isBytes, isPromise } from "../settings/realms.js";
import { complete, expectKnown } from "../settings/table.js";
import type { Task } from "../tasks/index.js";
import { expectTask } from "../tasks/task.js";
import type { EvaluateOptions } from "./evaluate.js";
import { type ImageRequest, requestsOf } from "./image-requests.js";
import { calibratedTask, predictBatches } from "./probabilities.js";
import { type Judge, type Judgement, type JudgingOptions, judgeOf, outlierOf } from "./uncertainty.js";

/** What a prediction needs; a checkpoint is one. */
export interface Classifier
  extends Pick<
    CheckpointDescription,
    "classes" | "preprocessing" | "task" | "threshold" | "thresholds" | "assurance"
  > {
  /** In either mode; it is evaluated. */
  readonly model: ImageClassifier;
}

/** What a model makes of one image, and whether that is to be believed, where the checkpoint has something to judge it by. */
export interface Prediction extends Partial<Judgement> {
  /** Name of the class that the image is called; where there may be several, all with commas between, "" for none. */
  readonly label: string;
  /** Of `label`; NaN where there may be several: `probabilities` has that of each. */
  readonly probability: number;
  /** Names of the classes that the image is called: one, or where there may be several, any number. */
  readonly labels: readonly string[];
  /** Of every class, calibrated where the checkpoint says how. */
  readonly probabilities: Readonly<Record<string, number>>;
}

/** A picture of a file that has several. */
export interface FramedImage {
  /** Its path. */
  readonly file: string;
  /** From 0. */
  readonly frame: number;
}

/** An image that was asked about: a path or `file:` URL, the bytes of an image file, or one picture of a file. */
export type ImageSource = Path | Uint8Array | FramedImage;

/** Which image of a stream something is said of. */
export interface StreamedImage<S extends ImageSource = ImageSource> {
  /** The image, as it was given. */
  readonly source: S;
  /** Counted from 0. */
  readonly index: number;
  /** Which picture of the source, from 0, where it was named or several are taken. */
  readonly frame?: number;
}

/** An image in a stream that could not be read. */
export interface UnreadableImage<S extends ImageSource = ImageSource> extends StreamedImage<S> {
  /** Names the image; `reason` is what is wrong alone. */
  readonly error: DataError;
}

/** An image in a stream with what the model makes of it. */
export interface PredictedImage<S extends ImageSource = ImageSource> extends StreamedImage<S>, Prediction {
  /** Never there: an image has a prediction or an error. */
  readonly error?: undefined;
}

/** What a stream has in the place of an image: a prediction, or why there is none. */
export type StreamedPrediction<S extends ImageSource = ImageSource> = PredictedImage<S> | UnreadableImage<S>;

/** How a stream of images is predicted. */
export interface PredictStreamOptions
  extends PredictOptions,
    ReadImageOptions,
    WarningOptions,
    JudgingOptions {
  /** What is told; default: what the classifier says, or the number of its classes. */
  task?: Task | undefined;
  /** Images computed at once; default 32. */
  batchSize?: number;
  /** Batches that are read and decoded while one is computed; default 2. */
  prefetch?: number;
  /** Which pictures of a source that has several, "auto", "first", "middle", "all" or "every:K"; default "auto". */
  frames?: FrameChoice | undefined;
  /** Ends the stream with its reason when aborted. */
  signal?: AbortSignal | undefined;
}

/**
 * Classifies images one after another, as they come.
 *
 * There are never more than `prefetch + 1` batches in memory. The model is in evaluation mode until the stream ends or
 * is left.
 *
 * @param sources  paths, or the bytes of image files; they are asked for as they are needed
 * @returns        for each, in their order, a prediction, or the error of an image that cannot be read
 * @throws what `sources` throws; OutOfMemoryError that says which batch size to try; EvaluationError if a probability is
 *   not finite
 */
export async function* predictStream<S extends ImageSource>(
  classifier: Classifier,
  sources: Iterable<S> | AsyncIterable<S>,
  options: PredictStreamOptions = {},
): AsyncGenerator<StreamedPrediction<S>, void, undefined> {
  expectKnown("predictStream", options, {}, streamOptions);
  expectGiven(classifier, sources, options);
  const { batchSize = 32, prefetch = 2, signal, graphs, refer, risk } = options;
  const task = calibratedTask(classifier, options.task);
  const judge = judgeOf("predictStream", classifier, task, { refer, risk });
  for (const [name, value, least] of [
    ["batchSize", batchSize, 1],
    ["prefetch", prefetch, 0],
  ] as const) {
    if (!Number.isInteger(value) || value < least)
      throw new ArgumentError(
        `predictStream: ${name} ${inWords(value)} is not an integer of ${least} or more.`,
      );
  }
  const { model, preprocessing } = classifier;
  const { frames } = complete("predictStream", { frames: openingRows.frames }, { frames: options.frames });
  const reader = new Reader(requestsOf(sources, frames, preprocessing, options), preprocessing, signal);
  try {
    const batches = readAhead(() => reader.next(batchSize), prefetch);
    const nameOf = ({ readable }: ReadBatch<S>, i: number) => nameOfImage(readable[i] as StreamedImage);
    const features = judge?.outliers !== undefined;
    const predicted = predictBatches(model, batches, { preprocessing, task, nameOf, graphs, features });
    for await (const { batch, probabilities, features } of predicted) {
      const rows = batch.readable.map((asked, i) => ({
        ...asked,
        ...predictionOf(classifier, task, probabilities, i, judge, features),
      }));
      for (const result of [...rows, ...batch.unreadable].sort((a, b) => a.index - b.index)) {
        signal?.throwIfAborted();
        yield result;
      }
    }
  } finally {
    reader.leave();
  }
}

/**
 * Classifies images.
 *
 * @param sources  paths, or the bytes of image files
 * @returns        one prediction for each, in their order
 * @throws DataError naming the first image that cannot be read; else as `predictStream`
 */
export async function predictImages(
  classifier: Classifier,
  sources: readonly ImageSource[],
  given: Omit<EvaluateOptions, "assurance"> & ReadImageOptions & WarningOptions & JudgingOptions = {},
): Promise<Prediction[]> {
  const { onProgress, ...options } = expectNamed("predictImages", "the last argument", given);
  if (!Array.isArray(sources))
    throw new ArgumentError(`predictImages: sources have to be an array, but are ${inWords(sources)}.`);
  if (onProgress !== undefined) expectFunction("predictImages", onProgress, "onProgress");
  const { batchSize = 32 } = options;
  const predictions: Prediction[] = [];
  for await (const prediction of predictStream(classifier, sources, options)) {
    const { source: _, index, frame: __, ...result } = prediction;
    if (result.error) throw result.error;
    predictions.push(result);
    const done = index + 1;
    if (done % batchSize === 0 || done === sources.length) onProgress?.({ done, total: sources.length });
  }
  return predictions;
}

/** @throws ArgumentError unless there are a model, a name for each of its outputs, and the preprocessing */
export function expectWhole(operation: string, classifier: Classifier): void {
  const { model, classes, preprocessing } = expectNamed(operation, "the classifier", classifier);
  expectClassifier(operation, model);
  expectTexts(operation, "the classifier's classes", classes);
  definePreprocessing(expectNamed(operation, "the classifier's preprocessing", preprocessing));
  expectAssurance(operation, classifier.assurance);
  if (classes.length !== model.config.numClasses)
    throw new ArgumentError(
      `${operation}: the model has ${model.config.numClasses} outputs, but ${classes.length} classes are named.`,
    );
}

/** @throws ArgumentError unless it is a list of images, which may come one after another */
export function expectSources(operation: string, sources: unknown): void {
  if (typeof sources === "string" || isBytes(sources) || isUrl(sources))
    throw new ArgumentError(`${operation}: sources is one image; put it into an array.`);
  const { [Symbol.iterator]: each, [Symbol.asyncIterator]: later } = Object(sources) as Partial<
    Iterable<unknown> & AsyncIterable<unknown>
  >;
  if (typeof each !== "function" && typeof later !== "function")
    throw new ArgumentError(
      `${operation}: sources have to be a list of images, but are ${inWords(sources)}.`,
    );
}

/** @throws ArgumentError for what is no classifier, no list of images, or an option of another kind */
function expectGiven(classifier: Classifier, sources: unknown, options: PredictStreamOptions): void {
  const operation = "predictStream";
  expectWhole(operation, classifier);
  expectSources(operation, sources);
  expectTask(operation, options.task);
  expectSignal(operation, options.signal);
  if (options.onWarning !== undefined) expectFunction(operation, options.onWarning, "onWarning");
  if (options.maxPixels !== undefined) checkedMaxPixels(`${operation}: maxPixels`, options.maxPixels);
  expectFlags(operation, { graphs: options.graphs ?? false });
}

const streamOptions = Object.keys({
  task: true,
  batchSize: true,
  prefetch: true,
  signal: true,
  graphs: true,
  frames: true,
  maxPixels: true,
  onWarning: true,
  refer: true,
  risk: true,
} satisfies Record<keyof PredictStreamOptions, true>);

/** The images that were asked about together: those that could be read as a batch, and the others. */
interface ReadBatch<S extends ImageSource> extends BatchImages {
  readonly readable: readonly StreamedImage<S>[];
  readonly unreadable: readonly UnreadableImage<S>[];
}

/** Takes images from wherever they come, and decodes them. */
class Reader<S extends ImageSource> {
  readonly #requests: Iterator<ImageRequest<S>> | AsyncIterator<ImageRequest<S>>;
  readonly #preprocessing: Preprocessing;
  readonly #signal: AbortSignal | undefined;
  /** More than decode at once, yet few enough that soon none is decoded any more once the stream is left. */
  readonly #gate = new Gate(64);
  #asked = 0;
  #ended = false;
  #left = false;
  /** Whoever takes sources waits for this first, so that they keep their order. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(
    requests: Iterator<ImageRequest<S>> | AsyncIterator<ImageRequest<S>>,
    preprocessing: Preprocessing,
    signal: AbortSignal | undefined,
  ) {
    this.#requests = requests;
    this.#preprocessing = preprocessing;
    this.#signal = signal;
  }

  /** The next `count` images, or as many as there are; undefined if there are none left. */
  async next(count: number): Promise<ReadBatch<S> | undefined> {
    const taking = this.#turn.then(() => this.#take(count));
    this.#turn = taking.catch(() => {});
    const outcomes = await Promise.all(await taking);
    if (outcomes.length === 0) return undefined;
    const readable: StreamedImage<S>[] = [];
    const unreadable: UnreadableImage<S>[] = [];
    const samples: Sample[] = [];
    for (const { sample, error, ...asked } of outcomes) {
      if (error) unreadable.push({ ...asked, error });
      if (!sample) continue;
      readable.push(asked);
      samples.push(sample);
    }
    const indices = new Int32Array(samples.length); // of no matter where nothing is drawn
    return {
      readable,
      unreadable,
      ...(await stackSamples(samples, this.#preprocessing)),
      ...drawBatch(augmentations.none, { seed: 0, epoch: 0, indices }, this.#preprocessing),
    };
  }

  /** No more is wanted. A source that is being waited for ends when it comes. */
  leave(): void {
    this.#left = true;
    if (this.#ended) return;
    this.#ended = true;
    const left = this.#requests.return?.();
    if (isPromise(left)) Promise.resolve(left).catch(() => {});
  }

  /** Decoding begins with each source as it comes, however long the next one takes. */
  async #take(count: number): Promise<Promise<Decoded<S>>[]> {
    const taken: Promise<Decoded<S>>[] = [];
    while (taken.length < count && !this.#ended) {
      this.#signal?.throwIfAborted();
      const { done, value } = await this.#requests.next();
      if (done) this.#ended = true;
      else {
        const { source, frame, read } = value;
        const asked = { source, index: this.#asked++, ...(frame !== undefined && { frame }) };
        const decoded = this.#gate.run(() => this.#decode(asked, read));
        decoded.catch(() => {}); // It is awaited with the others, unless one of the sources fails.
        taken.push(decoded);
      }
    }
    return taken;
  }

  async #decode(asked: StreamedImage<S>, read: ImageRequest<S>["read"]): Promise<Decoded<S>> {
    this.#signal?.throwIfAborted();
    if (this.#left) throw new Error("The stream was left.");
    try {
      const sample = await read();
      expectSample(sample, nameOfImage(asked), this.#preprocessing);
      return { ...asked, sample };
    } catch (error) {
      if (error instanceof DataError) return { ...asked, error };
      throw error;
    }
  }
}

/** What became of one image. */
interface Decoded<S extends ImageSource> extends StreamedImage<S> {
  readonly sample?: Sample;
  readonly error?: DataError;
}

/** As it stands in messages: bytes have no name, but a place among the others. */
function nameOfImage({ source, index, frame }: StreamedImage): string {
  if (isBytes(source)) return `image ${index + 1}`;
  if (isUrl(source)) return frameName(source.pathname, frame);
  return frameName(typeof source === "string" ? source : source.file, frame);
}

/** What the probabilities of one image of a batch, (b, classes), come to. */
export function predictionOf(
  { classes, threshold, thresholds = threshold === undefined ? undefined : [threshold] }: Classifier,
  task: Task,
  probabilities: Float32Array,
  image: number,
  judge?: Judge,
  features?: Float32Array,
): Prediction {
  const own = probabilities.subarray(image * classes.length, (image + 1) * classes.length);
  const called = task.decide(own, thresholds);
  expectList("predict", "what task.decide gives", called);
  const labels = called.map((label) => classes[label] as string);
  return {
    label: labels.join(", "),
    probability: task.name === "multi-label" ? Number.NaN : (own[called[0] ?? 0] as number),
    labels,
    probabilities: Object.fromEntries(classes.map((name, label) => [name, own[label] as number])),
    ...judge?.judge({
      probabilities: own,
      called,
      outlier: features && judge.outliers && outlierOf(judge.outliers, features, image),
    }),
  };
}
