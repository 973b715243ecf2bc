/**
 * A device: an in-order stream. Calls return at once, work runs in the order of the calls, and what waits is
 * `synchronize` and reading. Which devices there are, and how they are opened by name, is in devices.ts.
 */
import { ArgumentError } from "../errors.js";
import type {
  NativeBuffer,
  NativeCommunicator,
  NativeGraph,
  NativeMeeting,
  NativeMemory,
  NativeOperationTime,
  NativePlan,
  NativeStream,
} from "../native/addon.js";
import { fromNative } from "../native/from-native.js";
import { loadAddon } from "../native/load.js";
import { type Fields, toNative, type Varying } from "./arguments.js";

/** What is done on the host for a launch: numbers for a call that varies, or something else. */
export type LaunchAction = () => Varying | undefined;

/**
 * How matrix products and convolutions multiply: float32, or rounded to 11 ("tf32") or 8 ("bf16") significant bits for
 * the units of a GPU, and of some processors, that are many times faster. Sums and all other arithmetic are float32.
 *
 * On a GPU "bf16" also keeps the activations inside a block, and their gradients, in memory as bfloat16; weights and their
 * gradients, the stream from block to block, the scan's states, norms' statistics, losses and the optimiser are float32.
 */
export type Precision = "float32" | "tf32" | "bf16";

/** All of them, the most exact first. */
export const precisions: readonly Precision[] = ["float32", "tf32", "bf16"];

/** What a device is, or why it cannot be used. */
export interface DeviceDescription {
  /** Name to pass as `device`. */
  readonly name: string;
  /** Whether it can be opened. */
  readonly usable: boolean;
  /** Why it cannot be used; undefined if it can. */
  readonly reason?: string;
  /** Model of the processor or GPU. */
  readonly model?: string;
  /** How it multiplies, where it is open. */
  readonly precision?: Precision;
  /** CPU: SIMD level and threads in use. */
  readonly simd?: string;
  /** CPU: threads in use. */
  readonly threads?: number;
  /** Memory of the device. */
  readonly totalBytes?: number;
  /** Of it, what nobody uses now; no more than the limit leaves, if there is one. */
  readonly freeBytes?: number;
  /** The most that this process takes of it, in bytes, where that was limited. */
  readonly limitBytes?: number;
}

/** Memory of one device, as this process uses it. */
export interface MemoryUse {
  /** Tensors that are alive, those that the tape holds for backward included. */
  readonly tensors: number;
  /** Bytes of device memory that live tensors hold; views count once. */
  readonly bytes: number;
  /** The most that `bytes` has been. */
  readonly peakBytes: number;
  /** Bytes that the device holds for this process: in use and kept for reuse. */
  readonly reservedBytes: number;
}

/** One device, opened. Obtain it through `device` options by name, or `openDevice` for settings of its own. */
export class Device {
  /** @internal Live tensors; a counter shared with their finalizers. */
  readonly live = { tensors: 0 };
  #stream: NativeStream;
  /** What launches of the graph that is being captured will do first. */
  #actions: LaunchAction[] | undefined;
  #profiling = false;
  readonly #closed: (device: Device) => void;

  /** @internal @param closed  told when the device is closed: whoever hands it out stops doing so */
  constructor(
    /** "cpu", "cuda:0", ... */
    readonly name: string,
    stream: NativeStream,
    /** How it multiplies. */
    readonly precision: Precision = "float32",
    closed: (device: Device) => void = () => {},
  ) {
    this.#stream = stream;
    this.#closed = closed;
  }

  /** @internal */
  allocate(bytes: number): NativeBuffer {
    return guarded(() => this.#stream.allocate(bytes));
  }

  /** @internal Copies `source` now, transfers in stream order. */
  upload(target: NativeBuffer, source: ArrayBufferView): void {
    guarded(() => this.#stream.upload(target, source));
  }

  /** @internal */
  async download(source: NativeBuffer, target: ArrayBufferView): Promise<void> {
    await waited(() => this.#stream.download(source, target));
  }

  /** @internal Queues a copy from another device, equally long; see `NativeStream.receive`. */
  receive(target: NativeBuffer, source: Device, from: NativeBuffer): void {
    guarded(() => this.#stream.receive(target, source.#stream, from));
  }

  /** Resolves when all work queued so far is done; rejects with the first failure since the last wait. */
  async synchronize(): Promise<void> {
    await waited(() => this.#stream.synchronize());
  }

  /**
   * @internal Queues an operation of backend.h or block.h with its struct's fields. Those that `varying` gives are asked
   * for now, and again for each launch if the call is captured in a graph.
   *
   * @throws ArgumentError if a tensor is on another device
   */
  call(operation: string, fields: Fields, varying?: () => Varying): void {
    const parameters = toNative(varying ? { ...fields, ...varying() } : fields, (name, { device }) => {
      if (device !== this) throw new ArgumentError(`${operation}: ${apart(name, device, "the call", this)}`);
    });
    guarded(() => this.#stream.call(operation, parameters, varying !== undefined));
    if (varying) this.#actions?.push(varying);
  }

  /**
   * @internal `call`, beside what is called from here on, until `join`: as soon as what was called before is done, with what was
   * called so in its order. Tensors that it names may not be disposed, or written to, until then.
   */
  callBeside(operation: string, fields: Fields): void {
    const parameters = toNative(fields, (name, { device }) => {
      if (device !== this) throw new ArgumentError(`${operation}: ${apart(name, device, "the call", this)}`);
    });
    guarded(() => this.#stream.call(operation, parameters, false, true));
  }

  /** @internal What is called from here on comes after what was called beside. */
  join(): void {
    guarded(() => this.#stream.join());
  }

  /** @internal Whether a graph is being captured. */
  get capturing(): boolean {
    return this.#actions !== undefined;
  }

  /** @internal Meets the other ranks; see `NativeStream.connect`. Rejects if that does not come about. */
  async connect(meeting: NativeMeeting): Promise<NativeCommunicator> {
    const communicator = guarded(() => this.#stream.connect(meeting));
    await this.synchronize();
    return communicator;
  }

  /** @internal Does something on the host now, and again for each launch if a graph is being captured. */
  everyLaunch(action: () => void): void {
    action();
    this.#actions?.push(() => {
      action();
      return undefined;
    });
  }

  /** @internal Whether graphs save time here: whether the device runs them by itself, and nobody times single operations. */
  get graphs(): boolean {
    return this.#stream.graphs && !this.#profiling;
  }

  /** @internal Runs `body` once, capturing its work instead of queueing it; see `captureGraph`. */
  capture<T>(
    body: () => T,
    shareMemoryWith?: NativeGraph,
  ): { result: T; graph: NativeGraph; actions: readonly LaunchAction[] } {
    guarded(() => this.#stream.beginCapture(shareMemoryWith));
    const actions: LaunchAction[] = [];
    this.#actions = actions;
    try {
      const result = body();
      return { result, graph: guarded(() => this.#stream.endCapture()), actions };
    } finally {
      this.#actions = undefined;
      this.#stream.abandonCapture();
    }
  }

  /** @internal */
  plan(operation: string, dimensions: Readonly<Record<string, number>>): NativePlan {
    return guarded(() => loadAddon().plan(this.#stream, operation, dimensions));
  }

  /**
   * @internal Seconds between the first and the last of what `work` queues, by the device's own clock. Resolves when
   * it is done; rejects as `synchronize` does.
   */
  async time(work: () => void): Promise<number> {
    const seconds = new Float64Array(1);
    guarded(() => this.#stream.startTimer());
    work();
    await waited(() => this.#stream.stopTimer(seconds));
    return seconds[0] ?? Number.NaN;
  }

  /** @internal Times each operation that is called from here on, the parts of the block one by one. */
  startProfile(): void {
    guarded(() => this.#stream.startProfile());
    this.#profiling = true;
  }

  /** @internal Waits for what was called, and tells the count and time of each operation since `startProfile`. */
  async stopProfile(): Promise<readonly NativeOperationTime[]> {
    this.#profiling = false;
    await this.synchronize();
    return guarded(() => this.#stream.stopProfile());
  }

  /** Tensors and bytes in use. */
  memory(): MemoryUse {
    const native: NativeMemory = guarded(() => this.#stream.memory());
    return {
      tensors: this.live.tensors,
      bytes: native.liveBytes,
      peakBytes: native.peakBytes,
      reservedBytes: native.reservedBytes,
    };
  }

  /** What this device is. @throws DisposedError once it is closed */
  describe(): DeviceDescription {
    const { name: model, ...native } = guarded(() => this.#stream.describe());
    return { name: this.name, usable: true, model, precision: this.precision, ...native };
  }

  /** Drops queued work and frees the memory of all tensors on this device, which become unusable. */
  close(): void {
    this.#stream.close();
    this.#closed(this);
  }

  /** "cuda:0", or "cuda:0 (bf16)": devices of one GPU that differ in precision do not share tensors. */
  toString(): string {
    return this.precision === "float32" ? this.name : `${this.name} (${this.precision})`;
  }
}

/** @internal "a is on cpu, but b is on cuda:0", and what to do about it. */
export function apart(first: string, own: Device, second: string, other: Device): string {
  const which = String(own) === String(other) ? `another device "${other}"` : other;
  return `${first} is on ${own}, but ${second} is on ${which}; bring them together with to(device).`;
}

/** @internal Runs `action`, with the package's classes for the addon's errors. */
export function guarded<T>(action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw fromNative(error);
  }
}

/** `guarded`, for what waits: the addon refuses some waits at once, such as those on a closed device. */
async function waited<T>(action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    throw fromNative(error);
  }
}
