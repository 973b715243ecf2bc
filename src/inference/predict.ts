/**
 * From image files to class names, as a stream: while the device computes one batch, the files of the next are read and
 * decoded. However many images there are, only so many batches are in memory; an image that cannot be read is a value in
 * its place, so that it does not take the others with it.
 */
import type { CheckpointDescription } from "../checkpoints/checkpoint.js";
import { augmentations } from "../data/augmentation.js";
import { type BatchImages, drawBatch, expectSample, stackSamples } from "../data/batch.js";
import { Gate, readAhead } from "../data/concurrency.js";
import type { Sample } from "../data/dataset.js";
import {
  decodeImage,
  type ReadImageOptions,
  severalIn,
  type WarningOptions,
} from "../data/decoding/sample.js";
import type { Preprocessing } from "../data/preprocessing.js";
import { ArgumentError, DataError } from "../errors.js";
import type { ImageClassifier, PredictOptions } from "../models/image-classifier.js";
import { type Task, taskOf } from "../tasks/index.js";
import type { EvaluateOptions } from "./evaluate.js";
import { predictBatches } from "./probabilities.js";

/** What a prediction needs; a checkpoint is one. */
export interface Classifier
  extends Pick<CheckpointDescription, "classes" | "preprocessing" | "task" | "threshold" | "thresholds"> {
  /** In either mode; it is evaluated. */
  readonly model: ImageClassifier;
}

/** What a model makes of one image. */
export interface Prediction {
  /** Name of the class that the image is called; where there may be several, all with commas between, "" for none. */
  readonly label: string;
  /** Of `label`; NaN where there may be several: `probabilities` has that of each. */
  readonly probability: number;
  /** Names of the classes that the image is called: one, or where there may be several, any number. */
  readonly labels: readonly string[];
  /** Of every class. */
  readonly probabilities: Readonly<Record<string, number>>;
}

/** An image that was asked about: a path, or the bytes of an image file. */
export type ImageSource = string | Uint8Array;

/** Which image of a stream something is said of. */
export interface StreamedImage<S extends ImageSource = ImageSource> {
  /** The image, as it was given. */
  readonly source: S;
  /** Counted from 0. */
  readonly index: number;
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
export interface PredictStreamOptions extends PredictOptions, ReadImageOptions, WarningOptions {
  /** What is told; default: what the classifier says, or the number of its classes. */
  task?: Task | undefined;
  /** Images computed at once; default 32. */
  batchSize?: number;
  /** Batches that are read and decoded while one is computed; default 2. */
  prefetch?: number;
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
  const { batchSize = 32, prefetch = 2, signal, graphs, task = taskOf(classifier) } = options;
  if (typeof sources === "string")
    throw new ArgumentError("predictStream: sources is one path; put it into an array.");
  for (const [name, value, least] of [
    ["batchSize", batchSize, 1],
    ["prefetch", prefetch, 0],
  ] as const) {
    if (!Number.isInteger(value) || value < least)
      throw new ArgumentError(`predictStream: ${name} ${value} is not an integer of ${least} or more.`);
  }
  const { model, preprocessing } = classifier;
  const reader = new Reader(sources, preprocessing, options);
  try {
    const batches = readAhead(() => reader.next(batchSize), prefetch);
    const nameOf = ({ readable }: ReadBatch<S>, i: number) => nameOfImage(readable[i] as StreamedImage);
    const predicted = predictBatches(model, batches, { preprocessing, task, nameOf, graphs });
    for await (const { batch, probabilities } of predicted) {
      const rows = batch.readable.map((asked, i) => ({
        ...asked,
        ...predictionOf(classifier, task, probabilities, i),
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
  { onProgress, ...options }: EvaluateOptions & ReadImageOptions & WarningOptions = {},
): Promise<Prediction[]> {
  const { batchSize = 32 } = options;
  const predictions: Prediction[] = [];
  for await (const { source: _, index, ...result } of predictStream(classifier, sources, options)) {
    if (result.error) throw result.error;
    predictions.push(result);
    const done = index + 1;
    if (done % batchSize === 0 || done === sources.length) onProgress?.({ done, total: sources.length });
  }
  return predictions;
}

/** The images that were asked about together: those that could be read as a batch, and the others. */
interface ReadBatch<S extends ImageSource> extends BatchImages {
  readonly readable: readonly StreamedImage<S>[];
  readonly unreadable: readonly UnreadableImage<S>[];
}

/** Takes images from wherever they come, and decodes them. */
class Reader<S extends ImageSource> {
  readonly #sources: Iterator<S> | AsyncIterator<S>;
  readonly #preprocessing: Preprocessing;
  readonly #signal: AbortSignal | undefined;
  readonly #maxPixels: number | undefined;
  readonly #onWarning: ((message: string) => void) | undefined;
  /** More than decode at once, yet few enough that soon none is decoded any more once the stream is left. */
  readonly #gate = new Gate(64);
  #asked = 0;
  #ended = false;
  #left = false;
  /** Whoever takes sources waits for this first, so that they keep their order. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(
    sources: Iterable<S> | AsyncIterable<S>,
    preprocessing: Preprocessing,
    { signal, maxPixels, onWarning }: PredictStreamOptions,
  ) {
    this.#sources =
      Symbol.asyncIterator in sources ? sources[Symbol.asyncIterator]() : sources[Symbol.iterator]();
    this.#preprocessing = preprocessing;
    this.#signal = signal;
    this.#maxPixels = maxPixels;
    this.#onWarning = onWarning;
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
    const left = this.#sources.return?.();
    if (left instanceof Promise) left.catch(() => {});
  }

  /** Decoding begins with each source as it comes, however long the next one takes. */
  async #take(count: number): Promise<Promise<Decoded<S>>[]> {
    const taken: Promise<Decoded<S>>[] = [];
    while (taken.length < count && !this.#ended) {
      this.#signal?.throwIfAborted();
      const { done, value } = await this.#sources.next();
      if (done) this.#ended = true;
      else {
        const asked = { source: value, index: this.#asked++ };
        const decoded = this.#gate.run(() => this.#decode(asked));
        decoded.catch(() => {}); // It is awaited with the others, unless one of the sources fails.
        taken.push(decoded);
      }
    }
    return taken;
  }

  async #decode(asked: StreamedImage<S>): Promise<Decoded<S>> {
    this.#signal?.throwIfAborted();
    if (this.#left) throw new Error("The stream was left.");
    try {
      const name = nameOfImage(asked);
      const sample = await decodeImage(asked.source, this.#preprocessing, {
        maxPixels: this.#maxPixels,
        onSeveral: (count) => this.#onWarning?.(severalIn(name, count)),
      });
      expectSample(sample, name, this.#preprocessing);
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
function nameOfImage({ source, index }: StreamedImage): string {
  return typeof source === "string" ? source : `image ${index + 1}`;
}

/** What the probabilities of one image of a batch, (b, classes), come to. */
function predictionOf(
  { classes, threshold, thresholds = threshold === undefined ? undefined : [threshold] }: Classifier,
  task: Task,
  probabilities: Float32Array,
  image: number,
): Prediction {
  const own = probabilities.subarray(image * classes.length, (image + 1) * classes.length);
  const called = task.decide(own, thresholds);
  const labels = called.map((label) => classes[label] as string);
  return {
    label: labels.join(", "),
    probability: task.name === "multi-label" ? Number.NaN : (own[called[0] ?? 0] as number),
    labels,
    probabilities: Object.fromEntries(classes.map((name, label) => [name, own[label] as number])),
  };
}
