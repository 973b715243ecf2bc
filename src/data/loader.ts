/**
 * Batches for training and evaluation.
 *
 * The order of an epoch is a function of (seed, epoch) and its augmentation of (seed, epoch, index), never of what was
 * read before: so an epoch can be entered at any batch, and ranks that share it see, together, what one would.
 *
 * Batch k of the whole is positions [k G, (k + 1) G) of that order, G = batchSize * worldSize; rank r takes every
 * worldSize-th of them from the r-th on. The last, smaller batch:
 *   when shuffling (training), it is filled from the start of the order to worldSize images at least, so that all ranks
 *   make the same steps; a rank may have one image fewer;
 *   otherwise (evaluation), every image comes exactly once, and a rank may have one image or one batch fewer.
 */
import { ArgumentError, DataError } from "../errors.js";
import {
  expectFlags,
  expectNamed,
  expectSignal,
  inWords,
  type NamesOf,
  optionsOf,
} from "../settings/given.js";
import { RandomStream } from "../tensor/random.js";
import { type Augmentation, augmentations, checkAugmentation } from "./augmentation.js";
import { type Batch, drawBatch, expectSample, stackSamples } from "./batch.js";
import { breathe, readAhead } from "./concurrency.js";
import { expectDataset, type LabelledImages, pickPerImage, type Sample } from "./dataset.js";
import { streams } from "./streams.js";

/** How a `Loader` makes batches. */
export interface LoaderOptions {
  /** Images in a batch of this rank. */
  readonly batchSize: number;
  /** A new order in every epoch; false unless told. */
  readonly shuffle?: boolean;
  /** Of the order and the augmentation; 0 unless told. */
  readonly seed?: number;
  /** Leave out the last batch of an epoch if it is not full. */
  readonly dropLast?: boolean;
  /** Batches made ready while the current one is in use; 2 unless told. */
  readonly prefetch?: number;
  /** Which part of every batch is this process's. */
  readonly shard?: {
    /** Number of this process, from 0. */
    readonly rank: number;
    /** Number of processes that share each batch. */
    readonly worldSize: number;
  };
  /** `augmentations.none` unless told. */
  readonly augmentation?: Augmentation;
  /** Ends the epoch with its reason when aborted. */
  readonly signal?: AbortSignal;
}

const loaderOptions: NamesOf<LoaderOptions> = {
  batchSize: true,
  shuffle: true,
  seed: true,
  dropLast: true,
  prefetch: true,
  shard: true,
  augmentation: true,
  signal: true,
};

/** Makes batches of a data set, epoch after epoch: `for await (const batch of loader)` runs the next one. */
export class Loader implements AsyncIterable<Batch> {
  /** Where the images come from. */
  readonly dataset: LabelledImages;
  /** Batches that this rank has in an epoch. */
  readonly batchCount: number;
  readonly #options: Required<Omit<LoaderOptions, "signal">> & { readonly signal: AbortSignal | undefined };
  #nextEpoch = 0;

  /** @throws ArgumentError for an option out of range; DataError if there are no images, or not a label for each */
  constructor(dataset: LabelledImages, options: LoaderOptions) {
    expectDataset("Loader", "the data set", dataset);
    expectNamed("Loader", "the options", options, loaderOptions);
    const { shuffle = false, seed = 0, dropLast = false, prefetch = 2, signal } = options;
    const { batchSize, shard = { rank: 0, worldSize: 1 }, augmentation = augmentations.none } = options;
    expectInteger("batchSize", batchSize, 1);
    expectInteger("seed", seed, 0);
    expectFlags("Loader", { shuffle, dropLast });
    expectSignal("Loader", signal);
    expectNamed("Loader", "shard", shard, { rank: true, worldSize: true });
    expectInteger("prefetch", prefetch, 0);
    expectInteger("shard.worldSize", shard.worldSize, 1);
    expectInteger("shard.rank", shard.rank, 0);
    if (shard.rank >= shard.worldSize) {
      throw new ArgumentError(
        `Loader: shard.rank ${shard.rank} is not below shard.worldSize ${shard.worldSize}.`,
      );
    }
    checkAugmentation(augmentation);
    if (dataset.length === 0) throw new DataError("Loader: the data set has no images.");
    this.dataset = dataset;
    this.#options = { batchSize, shuffle, seed, dropLast, prefetch, shard, augmentation, signal };
    this.batchCount = this.#countBatches();
    if (this.batchCount === 0 && dropLast) {
      throw new DataError(
        `Loader: ${dataset.length} images do not fill one batch of ${batchSize * shard.worldSize}; make batches smaller or keep the last.`,
      );
    }
  }

  /** Runs the next epoch: 0 the first time, then 1, and so on. */
  [Symbol.asyncIterator](): AsyncGenerator<Batch, void, undefined> {
    return this.epoch(this.#nextEpoch);
  }

  /**
   * The batches of one epoch, from `startBatch` on.
   *
   * @throws DataError if an image cannot be read; the signal's reason once it is aborted
   */
  async *epoch(epoch: number, options: { startBatch?: number } = {}): AsyncGenerator<Batch, void, undefined> {
    const { startBatch = 0 } = optionsOf("Loader.epoch", options, { startBatch: true });
    expectInteger("epoch", epoch, 0);
    expectInteger("startBatch", startBatch, 0);
    this.#nextEpoch = epoch + 1;
    const order = this.#order(epoch);
    const { signal, prefetch } = this.#options;
    let left = false;
    const expectWanted = (): void => {
      signal?.throwIfAborted();
      if (left) throw new Error("The epoch was left.");
    };
    let next = startBatch;
    const start = async (): Promise<Batch | undefined> => {
      if (next >= this.batchCount) return undefined;
      const position = next++;
      return this.#assemble(epoch, position, this.#positions(order, position), expectWanted);
    };
    try {
      for await (const batch of readAhead(start, prefetch)) {
        signal?.throwIfAborted();
        yield batch;
      }
    } finally {
      left = true;
    }
  }

  #countBatches(): number {
    const { batchSize, dropLast, shuffle, shard } = this.#options;
    const whole = batchSize * shard.worldSize;
    const full = Math.floor(this.dataset.length / whole);
    const rest = this.dataset.length % whole;
    if (dropLast || rest === 0) return full;
    return shuffle || rest > shard.rank ? full + 1 : full;
  }

  #order(epoch: number): number[] {
    const order = Array.from({ length: this.dataset.length }, (_, index) => index);
    if (this.#options.shuffle) new RandomStream(this.#options.seed, streams.order, epoch).shuffle(order);
    return order;
  }

  /** The images of one batch of this rank. */
  #positions(order: readonly number[], batch: number): Int32Array {
    const { batchSize, shuffle, shard } = this.#options;
    const start = batch * batchSize * shard.worldSize;
    let end = Math.min(start + batchSize * shard.worldSize, order.length);
    if (shuffle) end = Math.max(end, start + shard.worldSize);
    const indices: number[] = [];
    for (let at = start + shard.rank; at < end; at += shard.worldSize)
      indices.push(order[at % order.length] ?? 0);
    return Int32Array.from(indices);
  }

  async #assemble(
    epoch: number,
    position: number,
    indices: Int32Array,
    expectWanted: () => void,
  ): Promise<Batch> {
    const samples: Sample[] = [];
    for (let start = 0; start < indices.length; start += samplesAtOnce) {
      expectWanted();
      const group = Array.from(indices.subarray(start, start + samplesAtOnce), (index) =>
        this.dataset.sample(index),
      );
      samples.push(...(await Promise.all(group)));
      await breathe();
    }
    expectWanted();
    const { dataset } = this;
    const { augmentation, seed } = this.#options;
    for (const [i, sample] of samples.entries()) {
      expectSample(sample, dataset.name(indices[i] ?? 0), dataset.preprocessing);
      await breathe();
    }
    return {
      epoch,
      position,
      ...(await stackSamples(samples, dataset.preprocessing)),
      ...pickPerImage(dataset, indices),
      indices,
      ...drawBatch(augmentation, { seed, epoch, indices }, dataset.preprocessing),
    };
  }
}

/** Enough to keep the decoders busy, few enough that copying them out of memory does not hold up the event loop. */
const samplesAtOnce = 16;

function expectInteger(name: string, value: number, least: number): void {
  if (Number.isInteger(value) && value >= least) return;
  throw new ArgumentError(`Loader: ${name} ${inWords(value)} is not an integer of ${least} or more.`);
}
