/**
 * Devices by name. A device is an in-order stream: calls return at once, work runs in the order of the calls.
 *
 * "cpu" is always there; "cuda", "cuda:0", ... need an NVIDIA GPU and the CUDA library; "auto" is the first GPU
 * that works, otherwise the CPU. Builds with tests also have "cuda-emulated": the CUDA library without a GPU, slowly.
 */
import { existsSync } from "node:fs";
import { ArgumentError, DeviceError } from "../errors.js";
import type {
  NativeBuffer,
  NativeGraph,
  NativeMemory,
  NativeOperationTime,
  NativeParameter,
  NativePlan,
  NativeStream,
} from "../native/addon.js";
import { fromNative } from "../native/from-native.js";
import { inspectLibrary } from "../native/inspection.js";
import { backendLibrary, isSourceCheckout, loadAddon } from "../native/load.js";
import { whyNoGpu } from "../native/probe.js";

/** Memory of a device, as an operation takes it: a tensor. */
interface Field {
  readonly handle: NativeBuffer;
  readonly device: Device;
}

/** What an operation passes for a field of its parameter struct. */
export type Argument = Field | readonly Field[] | number | boolean | readonly number[] | Fields | undefined;

/** The fields of an operation's parameter struct. */
export interface Fields {
  readonly [field: string]: Argument;
}

/** Numbers of an operation that differ from launch to launch of a graph. */
export type Varying = { readonly [field: string]: number | boolean };

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

/** Settings of a device that `openDevice` opens. */
export interface DeviceOptions {
  /** CPU: number of threads; default `MEDMAMBA_THREADS` or all cores that the process may use. */
  threads?: number;
  /** CPU: "portable", "avx2" or "avx512"; default `MEDMAMBA_SIMD` or the best that the machine runs. */
  simd?: string;
  /** Default "float32". Not every device has every one. */
  precision?: Precision;
}

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
  /** Of it, what nobody uses now. */
  readonly freeBytes?: number;
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

  /** @internal */
  constructor(
    /** "cpu", "cuda:0", ... */
    readonly name: string,
    stream: NativeStream,
    /** How it multiplies. */
    readonly precision: Precision = "float32",
  ) {
    this.#stream = stream;
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
    await this.#stream.download(source, target).catch(rethrow);
  }

  /** @internal Queues a copy from another device, equally long; see `NativeStream.receive`. */
  receive(target: NativeBuffer, source: Device, from: NativeBuffer): void {
    guarded(() => this.#stream.receive(target, source.#stream, from));
  }

  /** Resolves when all work queued so far is done; rejects with the first failure since the last wait. */
  async synchronize(): Promise<void> {
    await this.#stream.synchronize().catch(rethrow);
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
    await this.#stream.stopTimer(seconds).catch(rethrow);
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
    return this.#stream.stopProfile();
  }

  /** Tensors and bytes in use. */
  memory(): MemoryUse {
    const native: NativeMemory = this.#stream.memory();
    return {
      tensors: this.live.tensors,
      bytes: native.liveBytes,
      peakBytes: native.peakBytes,
      reservedBytes: native.reservedBytes,
    };
  }

  /** What this device is. */
  describe(): DeviceDescription {
    const { name: model, ...native } = this.#stream.describe();
    return { name: this.name, usable: true, model, precision: this.precision, ...native };
  }

  /** Drops queued work and frees the memory of all tensors on this device, which become unusable. */
  close(): void {
    this.#stream.close();
    for (const [name, device] of opened) if (device === this) opened.delete(name);
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

/** A device by name, or an opened one. */
export type DeviceLike = string | Device;

const opened = new Map<string, Device>();
let fallbackReason: string | undefined;

/**
 * The device of that name and precision, opened on first use and shared afterwards.
 *
 * @param precision  default "float32", or that of a device that is open already
 * @throws DeviceError with the reason if the device cannot be used, or lacks the precision
 * @throws ArgumentError if an opened device has another precision
 */
export function resolveDevice(device: DeviceLike = "cpu", precision?: Precision): Device {
  if (device instanceof Device) {
    if (precision === undefined || precision === device.precision) return device;
    throw new ArgumentError(
      `the device was opened as ${device.name} with precision "${device.precision}", not "${precision}": ` +
        "pass its name instead, or open it with that precision.",
    );
  }
  const key = (name: string) => `${name} ${precision ?? "float32"}`;
  const known = opened.get(key(device));
  if (known) return known;
  const created =
    device === "auto"
      ? openBest(precision)
      : (opened.get(key(canonicalName(device))) ?? openDevice(device, precision ? { precision } : {}));
  opened.set(key(created.name), created);
  opened.set(key(device), created);
  return created;
}

/**
 * Opens a device of its own, with its own stream, threads and memory, beside the shared one of that name.
 *
 * @throws DeviceError with the reason if the device cannot be used, or lacks the precision
 */
export function openDevice(name: string, options: DeviceOptions = {}): Device {
  const [kind, index] = parseName(name);
  const library = libraryOf(kind, name);
  try {
    const stream = guarded(() => loadAddon().openStream(library, { ...options, deviceIndex: index }));
    return new Device(canonicalName(name), stream, options.precision);
  } catch (error) {
    throw error instanceof DeviceError ? notUsable(name, error.reason, error) : error;
  }
}

/** All devices that this build knows, usable or not: the CPU, then every GPU, or "cuda:0" with the reason there is none. */
export function devices(): DeviceDescription[] {
  return [describe("cpu"), ...gpus()];
}

/** @internal Every GPU, or the first with the reason that there is none. */
export function gpus(kind: "cuda" | "cuda-emulated" = "cuda"): DeviceDescription[] {
  let count = 1;
  try {
    count = guarded(() => loadAddon().deviceCount(libraryOf(kind, kind)));
  } catch (error) {
    if (!(error instanceof DeviceError)) throw error;
  }
  return Array.from({ length: count }, (_, index) => describe(`${kind}:${index}`));
}

/** Describes a device without leaving it open. */
function describe(name: string): DeviceDescription {
  const shared = [...opened.values()].find((device) => device.name === name);
  if (shared) return shared.describe();
  try {
    const device = openDevice(name);
    const { precision: _, ...description } = device.describe();
    device.close();
    return description;
  } catch (error) {
    if (!(error instanceof DeviceError)) throw error;
    return { name, usable: false, reason: error.reason };
  }
}

/** Why "auto" did not choose a GPU; undefined if it did or was never asked. */
export function whyNotGpu(): string | undefined {
  return fallbackReason;
}

/** Tensors and bytes in use on a device (default "cpu"). */
export function memory(device: DeviceLike = "cpu"): MemoryUse {
  return resolveDevice(device).memory();
}

function openBest(precision?: Precision): Device {
  try {
    return resolveDevice("cuda:0", precision);
  } catch (error) {
    if (!(error instanceof DeviceError)) throw error;
    fallbackReason = error.reason;
    return resolveDevice("cpu", precision);
  }
}

/** What the addon loads for a device. @throws DeviceError if it is not there, or the driver is of no use */
function libraryOf(kind: Kind, name: string): string {
  if (kind === "cpu") return "cpu";
  const library = backendLibrary(kind === "cuda" ? "medmamba_cuda" : "medmamba_cuda_emulated");
  const reason = whyNotLoadable(library) ?? (kind === "cuda" ? whyNoGpu(library) : undefined);
  if (reason) throw notUsable(name, reason);
  return library;
}

function whyNotLoadable(library: string): string | undefined {
  if (!existsSync(library)) {
    const [place, command] = isSourceCheckout()
      ? ["in a source checkout", "npm run build:cuda"]
      : ["with the CUDA toolkit", "npx medmamba build --cuda"];
    return `there is no CUDA library at ${library}; ${place}, \`${command}\` makes it`;
  }
  const problem = inspectLibrary(library, process);
  return problem && `the CUDA library ${library} cannot be loaded: ${problem}`;
}

function notUsable(name: string, reason: string, cause?: Error): DeviceError {
  const message =
    parseName(name)[0] === "cpu"
      ? `device "${name}" cannot be used as asked: ${reason}.`
      : `device "${name}" is not usable: ${reason}.\n` +
        '  Use device "auto" to fall back to the CPU, or run `medmamba doctor` for the whole picture.';
  return new DeviceError(message, { cause, reason });
}

type Kind = "cpu" | "cuda" | "cuda-emulated";

function parseName(name: string): [kind: Kind, index: number] {
  const match = /^(cpu|cuda|cuda-emulated)(?::(\d+))?$/.exec(name);
  if (!match || (match[1] === "cpu" && Number(match[2] ?? 0) > 0)) {
    throw new DeviceError(
      `there is no device "${name}": use "auto", "cpu", "cuda" or "cuda:0", "cuda:1", ...`,
    );
  }
  return [match[1] as Kind, Number(match[2] ?? 0)];
}

/** "cuda:0" for "cuda": one device has one name. */
function canonicalName(name: string): string {
  const [kind, index] = parseName(name);
  return kind === "cpu" ? kind : `${kind}:${index}`;
}

/** @param check  called with each tensor */
function toNative(
  fields: Fields,
  check: (name: string, field: Field) => void,
): Record<string, NativeParameter> {
  const handle = (name: string, field: Field): NativeBuffer => {
    check(name, field);
    return field.handle;
  };
  const parameters: Record<string, NativeParameter> = {};
  for (const name in fields) {
    const value = fields[name];
    if (value === undefined) continue;
    if (typeof value === "number" || typeof value === "boolean") parameters[name] = value;
    else if (isField(value)) parameters[name] = handle(name, value);
    else if (Array.isArray(value))
      parameters[name] = value.map((item) => (isField(item) ? handle(name, item) : item)) as NativeParameter;
    else parameters[name] = toNative(value as Fields, check);
  }
  return parameters;
}

function isField(value: unknown): value is Field {
  return typeof value === "object" && value !== null && "handle" in value;
}

/** @internal Runs `action`, with the package's classes for the addon's errors. */
export function guarded<T>(action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw fromNative(error);
  }
}

function rethrow(error: unknown): never {
  throw fromNative(error);
}
