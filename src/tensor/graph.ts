/**
 * Graphs: work that is captured once and launched again with one call. A step is a long row of
 * operations, each of which costs the host time, and for small images more than the GPU takes for it; a launch is one call.
 *
 * A graph does the same work on the same memory each time. So its inputs are tensors that the caller overwrites before a
 * launch, its results are overwritten by the next launch, and weights that are updated in place are read as they are then.
 * Numbers that are meant to change from step to step do: random numbers go on where the generator stands, an optimiser uses
 * its learning rate of the moment and counts its steps, exactly as if the operations were called again.
 */

import { ArgumentError, DisposedError } from "../errors.js";
import type { NativeGraph } from "../native/addon.js";
import { expectFunction, inWords, optionsOf } from "../settings/given.js";
import type { Varying } from "./arguments.js";
import { type Device, guarded, type LaunchAction } from "./device.js";
import { type DeviceLike, resolveDevice } from "./devices.js";
import { collect, keep, tidy } from "./scope.js";
import { Tensor } from "./tensor.js";

/** Options of `captureGraph`. */
export interface CaptureOptions {
  /**
   * A graph of the same device whose memory this one may use in turn, for graphs of which only one is of use at a time:
   * all intermediate results then take the memory of the largest.
   */
  shareMemoryWith?: Graph<unknown> | undefined;
}

/** Captured work. Obtain it through `captureGraph`. */
export class Graph<Result> {
  readonly #device: Device;
  readonly #native: NativeGraph;
  readonly #actions: readonly LaunchAction[];
  readonly #result: Result;

  /** @internal */
  constructor(device: Device, body: () => Result, { shareMemoryWith }: CaptureOptions) {
    const shared = shareMemoryWith === undefined ? undefined : shareMemoryWith.#native;
    const { result, graph, actions } = device.capture(() => tidy(body), shared);
    this.#device = device;
    this.#native = graph;
    this.#actions = actions;
    this.#result = result;
    for (const tensor of this.#tensors()) keep(tensor);
    guarded(() => graph.launch());
  }

  /** What the body returned: the tensors hold the results of the latest launch. */
  get result(): Result {
    return this.#result;
  }

  /** Whether its memory was given back. */
  get disposed(): boolean {
    return this.#native.disposed;
  }

  /**
   * Queues the captured work once more. What fails rejects the next wait on the device, as with any operation.
   *
   * @throws DisposedError after `dispose`
   */
  launch(): Result {
    if (this.disposed) throw new DisposedError(`this graph on ${this.#device} was launched after dispose().`);
    const changes: Varying[] = [];
    for (const action of this.#actions) {
      const numbers = action();
      if (numbers) changes.push(numbers);
    }
    guarded(() => this.#native.launch(changes));
    return this.#result;
  }

  /** Gives the memory of the graph and its results back. Idempotent. */
  dispose(): void {
    this.#native.dispose();
    for (const tensor of this.#tensors()) tensor.dispose();
  }

  /** `dispose`, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  #tensors(): Tensor[] {
    const found = new Set<unknown>();
    collect(this.#result, found);
    return [...found].filter((value) => value instanceof Tensor);
  }
}

/**
 * Runs `body`, and keeps its work on the device as a graph that can be launched again. On CUDA a launch is one call; other
 * devices repeat the operations, to the same result.
 *
 * Run the body once without capturing before, so that the device is warm. JavaScript runs in the capture only: numbers
 * that it computes are part of the graph, unless they come from the generator or an optimiser. Within the body, host data
 * cannot be uploaded (make those tensors before, and overwrite them before a launch), and nothing can be read.
 *
 * @param body  must not return a promise; tensors that it makes and does not return are disposed
 * @throws ArgumentError if `body` returns a promise
 * @throws OperationError with code MEDMAMBA_UNSUPPORTED if `body` uploads, reads, or captures a graph itself
 * @throws OutOfMemoryError if there is no memory for the graph
 *
 * @example
 * const images = zeros([8, 3, 224, 224], { device });
 * const graph = captureGraph(device, () => noGrad(() => model.forward(images)));
 * for (const pixels of batches) {
 *   images.upload(pixels);
 *   console.log(await graph.launch().data());
 * }
 */
export function captureGraph<Result>(
  device: DeviceLike,
  body: () => Result,
  options: CaptureOptions = {},
): Graph<Result> {
  expectFunction("captureGraph", body, "the body");
  const { shareMemoryWith } = optionsOf("captureGraph", options, { shareMemoryWith: true });
  if (shareMemoryWith !== undefined && !(shareMemoryWith instanceof Graph))
    throw new ArgumentError(
      `captureGraph: shareMemoryWith has to be a graph, but is ${inWords(shareMemoryWith)}.`,
    );
  if (shareMemoryWith?.disposed)
    throw new ArgumentError("captureGraph: the graph to share memory with has been disposed.");
  return new Graph(resolveDevice(device), body, options);
}
