/**
 * Gradients on their way to the other ranks while backward goes on. They leave in buckets, each a stretch of the optimiser's flat
 * buffer, as soon as backward has queued all that goes into one, and so cost time only where backward is shorter than their way.
 * The last bucket has nothing to hide behind; it is small where networks begin with few channels, as MedMamba does.
 *
 * A sum over ranks is one of each element, so that buckets change none of its bits. Backward comes to the last layers first: so
 * buckets are stretches of each group of parameters from its end, and leave in that order on all ranks, whatever is ready first.
 */
import { keep } from "../tensor/scope.js";
import { watchGradients } from "../tensor/tape.js";
import type { Tensor } from "../tensor/tensor.js";
import type { GradientSlice } from "./optimizer.js";

/** What buckets need of an optimiser. */
interface Gradients {
  readonly gradients: Tensor;
  readonly layout: readonly (readonly GradientSlice[])[];
  collect(parameters: readonly Tensor[]): void;
}

/** Parameters, and their stretch of the gradients. */
interface Bucket {
  readonly parameters: readonly Tensor[];
  readonly values: Tensor;
}

/** Buckets of one optimiser's gradients. */
export class GradientBuckets {
  readonly #gradients: Gradients;
  readonly #buckets: readonly Bucket[];
  readonly #bucketOf = new Map<Tensor, number>();

  /** @param bytes  of a bucket at most, but for a parameter that has more */
  constructor(gradients: Gradients, bytes: number) {
    this.#gradients = gradients;
    const flat = gradients.gradients;
    this.#buckets = gradients.layout
      .flatMap((slices) => stretches(slices, bytes / 4))
      .map((slices) => {
        const begin = Math.min(...slices.map((slice) => slice.begin));
        const end = Math.max(...slices.map((slice) => slice.end));
        const parameters = slices.map(({ parameter }) => parameter);
        return { parameters, values: keep(flat.view([end - begin], begin)) };
      });
    for (const [number, { parameters }] of this.#buckets.entries())
      for (const parameter of parameters) this.#bucketOf.set(parameter, number);
  }

  /**
   * Runs `body`, whose one backward fills the gradients, and gives each bucket to `send` once it is full; what no gradient has
   * reached goes after it, as 0.
   */
  fill<T>(body: () => T, send: (values: Tensor) => void): T {
    const missing = this.#buckets.map(({ parameters }) => parameters.length);
    let next = 0;
    const sendFull = (): void => {
      for (; missing[next] === 0; next++) this.#send(next, send);
    };
    const result = watchGradients((leaf) => {
      const number = this.#bucketOf.get(leaf);
      if (number === undefined) return;
      missing[number] = (missing[number] as number) - 1;
      if (number === next) sendFull();
    }, body);
    for (; next < this.#buckets.length; next++) this.#send(next, send);
    return result;
  }

  #send(number: number, send: (values: Tensor) => void): void {
    const { parameters, values } = this.#buckets[number] as Bucket;
    this.#gradients.collect(parameters);
    send(values);
  }

  /** What they hold, in the order in which they leave. */
  get all(): readonly Bucket[] {
    return this.#buckets;
  }

  /** Gives its handles on the gradients back. */
  dispose(): void {
    for (const { values } of this.#buckets) values.dispose();
  }
}

/** Slices that follow one another, from the last to the first, of at most `size` elements together unless it is one. */
function stretches(slices: readonly GradientSlice[], size: number): GradientSlice[][] {
  const found: GradientSlice[][] = [];
  let total = 0;
  for (const slice of [...slices].reverse()) {
    const own = slice.end - slice.begin;
    const current = found.at(-1);
    if (current && total + own <= size) current.push(slice);
    else {
      found.push([slice]);
      total = 0;
    }
    total += own;
  }
  return found;
}
