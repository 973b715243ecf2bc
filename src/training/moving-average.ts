/** An exponential moving average of a model's weights, which often generalises better than the last ones. */
import { ArgumentError } from "../errors.js";
import { Module } from "../nn/module.js";
import { expectTensor } from "../ops/check.js";
import { movingAverage } from "../ops/updates.js";
import { expectCounts, expectFunction, expectNamed, inWords } from "../settings/given.js";
import { keep } from "../tensor/scope.js";
import type { Tensor } from "../tensor/tensor.js";

/**
 * An exponential moving average of a model's weights: `average = decay * average + (1 - decay) * weights` at each update.
 */
export class MovingAverage {
  readonly #parameters: readonly [name: string, parameter: Tensor][];
  readonly #averages: readonly Tensor[];

  /**
   * Starts at the model's present weights.
   *
   * @param decay  share of the average that stays at each update; default 0.999
   * @throws ArgumentError unless 0 <= decay < 1
   */
  constructor(
    model: Module,
    readonly decay = 0.999,
  ) {
    if (!(model instanceof Module))
      throw new ArgumentError(`MovingAverage: a module is needed, not ${inWords(model)}.`);
    if (typeof decay !== "number" || !(decay >= 0 && decay < 1))
      throw new ArgumentError(`MovingAverage: decay ${inWords(decay)} is not in [0, 1).`);
    this.#parameters = [...model.namedParameters()];
    this.#averages = this.#parameters.map(([, parameter]) => keep(parameter.clone()));
  }

  /**
   * Moves the averages towards the present weights. In the first steps the decay is smaller, (1 + step) / (10 + step),
   * so that the initial weights are soon forgotten.
   *
   * @param step  updates so far; a function is asked again for each launch of a graph that captures the update
   */
  update(step: number | (() => number)): void {
    if (typeof step !== "function") expectCounts("MovingAverage.update", { step }, 0);
    const parameters = this.#parameters.map(([, parameter]) => parameter);
    movingAverage(parameters, this.#averages, () => {
      const done = typeof step === "number" ? step : step();
      return Math.min(this.decay, (1 + done) / (10 + done));
    });
  }

  /** Runs `body` with the averages in the model's place, and puts the trained weights back, also when it throws. */
  async during<T>(body: () => Promise<T>): Promise<T> {
    expectFunction("MovingAverage.during", body);
    this.#exchange();
    try {
      return await body();
    } finally {
      this.#exchange();
    }
  }

  /** The averages by parameter name: the tensors themselves, not copies. */
  stateDict(): Record<string, Tensor> {
    return Object.fromEntries(this.#parameters.map(([name], i) => [name, this.#averages[i] as Tensor]));
  }

  /** Continues from averages that `stateDict` gave. */
  loadStateDict(state: Readonly<Record<string, Tensor>>): void {
    expectNamed("MovingAverage", "the saved averages", state);
    for (const [name] of this.#parameters) {
      if (!state[name]) throw new ArgumentError(`MovingAverage: "${name}" is missing in the saved averages.`);
      expectTensor("MovingAverage", `"${name}"`, state[name]);
    }
    for (const [i, [name]] of this.#parameters.entries()) this.#averages[i]?.copyFrom(state[name] as Tensor);
  }

  #exchange(): void {
    for (const [i, [, parameter]] of this.#parameters.entries()) {
      const average = this.#averages[i] as Tensor;
      const before = parameter.clone();
      parameter.copyFrom(average);
      average.copyFrom(before);
      before.dispose();
    }
  }

  /** Gives the memory of the averages back. */
  dispose(): void {
    for (const average of this.#averages) average.dispose();
  }
}
