/**
 * Decoded samples kept in memory, because decoding costs more than a training step of a small network.
 *
 * Nothing is ever evicted: epochs visit every sample once, in a new order each, and under such a pattern the oldest
 * entry is as likely to be wanted next as any. What comes first stays, until the budget is spent.
 */
import { derive, type LabelledImages, type Sample } from "./dataset.js";

/** Bytes that several data sets share. */
export class MemoryBudget {
  #left: number;

  constructor(bytes: number) {
    this.#left = bytes;
  }

  /** Whether there was room; if so, it is taken. */
  take(bytes: number): boolean {
    if (bytes > this.#left) return false;
    this.#left -= bytes;
    return true;
  }
}

/** The same data set, remembering samples while `budget` lasts. @param kept  those that are known, paid for already */
export function cached<D extends LabelledImages>(
  dataset: D,
  budget: MemoryBudget,
  kept = new Map<number, Sample>(),
): D {
  return derive<LabelledImages>(dataset, {
    async sample(index) {
      const known = kept.get(index);
      if (known) return known;
      const sample = await dataset.sample(index);
      if (!kept.has(index) && budget.take(sample.data.byteLength)) kept.set(index, sample);
      return sample;
    },
  }) as D;
}
