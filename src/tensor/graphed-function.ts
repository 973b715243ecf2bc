/**
 * A function of tensors that is captured once its input shapes repeat: the first call with some shapes runs it as it is,
 * the second captures a graph, later ones copy their inputs into the graph's and launch it.
 */
import { ArgumentError } from "../errors.js";
import { expectCounts, expectFunction, inWords, optionsOf } from "../settings/given.js";
import { Device } from "./device.js";
import { captureGraph, type Graph } from "./graph.js";
import { keep } from "./scope.js";
import { Tensor } from "./tensor.js";

/** Options of a `GraphedFunction`. */
export interface GraphedFunctionOptions {
  /**
   * What the function depends on beside its inputs, such as the memory of weights: values that are compared by identity
   * before each call. Where one differs, all graphs are dropped.
   */
  dependencies?: () => readonly unknown[];
  /** The most graphs that are kept, one for each combination of shapes; those used last stay. Default 4. */
  mostGraphs?: number;
}

interface Captured {
  readonly inputs: readonly Tensor[];
  readonly graph: Graph<Tensor>;
}

/** A function of tensors that is captured as a graph once its input shapes repeat, and launched from then on. */
export class GraphedFunction {
  readonly #device: Device;
  readonly #body: (...inputs: Tensor[]) => Tensor;
  readonly #dependencies: () => readonly unknown[];
  readonly #mostGraphs: number;
  /** By shapes, those used last at the end; undefined after the first call. */
  readonly #graphs = new Map<string, Captured | undefined>();
  #captured: readonly unknown[] = [];

  /** @param body  a function of its inputs and of `dependencies` alone; the inputs stay the caller's */
  constructor(device: Device, body: (...inputs: Tensor[]) => Tensor, options: GraphedFunctionOptions = {}) {
    const operation = "GraphedFunction";
    const names = { dependencies: true, mostGraphs: true } as const;
    const { dependencies = () => [], mostGraphs = 4 } = optionsOf(operation, options, names);
    if (!(device instanceof Device))
      throw new ArgumentError(`${operation}: an opened device is needed, not ${inWords(device)}.`);
    expectFunction(operation, body, "the body");
    expectFunction(operation, dependencies, "dependencies");
    expectCounts(operation, { mostGraphs });
    this.#device = device;
    this.#body = body;
    this.#dependencies = dependencies;
    this.#mostGraphs = mostGraphs;
  }

  /** Graphs that are kept at the moment. */
  get graphCount(): number {
    return [...this.#graphs.values()].filter((captured) => captured !== undefined).length;
  }

  /**
   * The function's result for these inputs: a tensor of its own, which later calls leave alone.
   *
   * @throws what the function throws; what fails on the device rejects the next wait, and then `dispose` has to be called
   *         before the next call, because a graph that could not be captured fails again
   */
  call(...inputs: Tensor[]): Tensor {
    for (const [i, input] of inputs.entries()) {
      if (!(input instanceof Tensor))
        throw new ArgumentError(`GraphedFunction: input ${i} has to be a tensor, but is ${inWords(input)}.`);
    }
    const dependencies = this.#dependencies();
    const same = dependencies.length === this.#captured.length;
    if (!same || dependencies.some((value, i) => value !== this.#captured[i])) {
      this.dispose();
      this.#captured = dependencies;
    }
    const shapes = inputs.map((input) => input.describe()).join(", ");
    const known = this.#graphs.has(shapes);
    let captured = this.#graphs.get(shapes);
    this.#graphs.delete(shapes);
    if (!known) {
      const result = this.#body(...inputs);
      this.#remember(shapes, undefined);
      return result;
    }
    if (captured) {
      for (const [i, input] of captured.inputs.entries()) input.copyFrom(inputs[i] as Tensor);
      captured.graph.launch();
    } else {
      captured = this.#capture(inputs);
    }
    this.#remember(shapes, captured);
    return captured.graph.result.clone();
  }

  #capture(given: readonly Tensor[]): Captured {
    const inputs: Tensor[] = [];
    try {
      for (const tensor of given) inputs.push(keep(tensor.clone()));
      const [latest] = [...this.#graphs.values()].filter((captured) => captured !== undefined);
      const graph = captureGraph(this.#device, () => this.#body(...inputs), {
        shareMemoryWith: latest?.graph,
      });
      return { inputs, graph };
    } catch (error) {
      for (const tensor of inputs) tensor.dispose();
      throw error;
    }
  }

  #remember(shapes: string, captured: Captured | undefined): void {
    this.#graphs.set(shapes, captured);
    for (const [oldest, dropped] of this.#graphs) {
      if (this.#graphs.size <= this.#mostGraphs) break;
      this.#graphs.delete(oldest);
      drop(dropped);
    }
  }

  /** Gives the memory of all graphs back, and forgets which shapes were seen; the function can be called again. */
  dispose(): void {
    for (const captured of this.#graphs.values()) drop(captured);
    this.#graphs.clear();
  }
}

function drop(captured: Captured | undefined): void {
  if (!captured) return;
  captured.graph.dispose();
  for (const input of captured.inputs) input.dispose();
}
