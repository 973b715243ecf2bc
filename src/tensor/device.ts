/**
 * Devices by name. A device is an in-order stream: calls return at once, work runs in the order of the calls.
 *
 * "cpu" is always there; "cuda", "cuda:0", ... need an NVIDIA GPU and the CUDA library; "auto" is the first GPU
 * that works, otherwise the CPU. Builds with tests also have "cuda-emulated": the CUDA library without a GPU, slowly.
 */
import { existsSync } from "node:fs";
import type {
  NativeBuffer,
  NativeMemory,
  NativeOperationTime,
  NativeParameter,
  NativePlan,
  NativeStream,
} from "../native/addon.js";
import { DeviceError, fromNative } from "../native/errors.js";
import { backendLibrary, loadAddon } from "../native/load.js";

/** What an operation passes for a field of its parameter struct. */
export type Argument =
  | { readonly handle: NativeBuffer }
  | readonly { readonly handle: NativeBuffer }[]
  | number
  | boolean
  | readonly number[]
  | { readonly [field: string]: Argument }
  | undefined;

export interface DeviceOptions {
  /** CPU: number of threads; default `MEDMAMBA_THREADS` or all cores that the process may use. */
  threads?: number;
  /** CPU: "portable", "avx2" or "avx512"; default `MEDMAMBA_SIMD` or the best that the machine runs. */
  simd?: string;
  /**
   * GPU: how matrix products and convolutions multiply, default "float32". "tf32" and "bf16" use the tensor cores, with
   * numbers of 11 and 8 significant bits; sums and all other arithmetic are float32. With "bf16" the activations inside
   * a block, and their gradients, are also kept in memory as bfloat16; weights and their gradients, the stream from
   * block to block, the scan's states, norms' statistics, losses and the optimiser are float32.
   */
  precision?: "float32" | "tf32" | "bf16";
}

export interface DeviceDescription {
  /** Name to pass as `device`. */
  readonly name: string;
  readonly usable: boolean;
  /** Why it cannot be used; undefined if it can. */
  readonly reason?: string;
  /** Model of the processor or GPU. */
  readonly model?: string;
  /** CPU: SIMD level and threads in use. */
  readonly simd?: string;
  readonly threads?: number;
  readonly totalBytes?: number;
  readonly freeBytes?: number;
}

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

  /** @internal */
  constructor(
    readonly name: string,
    stream: NativeStream,
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

  /** Resolves when all work queued so far is done; rejects with the first failure since the last wait. */
  async synchronize(): Promise<void> {
    await this.#stream.synchronize().catch(rethrow);
  }

  /** @internal Queues an operation of backend.h or block.h with its struct's fields. */
  call(operation: string, fields: { readonly [field: string]: Argument }): void {
    const parameters = toNative(fields);
    guarded(() => this.#stream.call(operation, parameters));
  }

  /** @internal */
  plan(operation: string, dimensions: Readonly<Record<string, number>>): NativePlan {
    return guarded(() => loadAddon().plan(this.#stream, operation, dimensions));
  }

  /** @internal Times each operation that is called from here on, the parts of the block one by one. */
  startProfile(): void {
    guarded(() => this.#stream.startProfile());
  }

  /** @internal Waits for what was called, and tells the count and time of each operation since `startProfile`. */
  async stopProfile(): Promise<readonly NativeOperationTime[]> {
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
    return { name: this.name, usable: true, model, ...native };
  }

  /** Drops queued work and frees the memory of all tensors on this device, which become unusable. */
  close(): void {
    this.#stream.close();
    for (const [name, device] of opened) if (device === this) opened.delete(name);
  }

  toString(): string {
    return this.name;
  }
}

/** A device by name, or an opened one. */
export type DeviceLike = string | Device;

const opened = new Map<string, Device>();
let fallbackReason: string | undefined;

/**
 * The device of that name, opened on first use and shared afterwards.
 *
 * @throws DeviceError with the reason if the device cannot be used
 */
export function resolveDevice(device: DeviceLike = "cpu"): Device {
  if (device instanceof Device) return device;
  const known = opened.get(device);
  if (known) return known;
  const created = device === "auto" ? openBest() : (opened.get(canonicalName(device)) ?? openDevice(device));
  opened.set(created.name, created);
  opened.set(device, created);
  return created;
}

/**
 * Opens a device of its own, with its own stream, threads and memory, beside the shared one of that name.
 *
 * @throws DeviceError with the reason if the device cannot be used
 */
export function openDevice(name: string, options: DeviceOptions = {}): Device {
  const [kind, index] = parseName(name);
  const open = (library: string) =>
    guarded(() => loadAddon().openStream(library, { ...options, deviceIndex: index }));
  if (kind === "cpu") return new Device("cpu", open("cpu"));
  const library = backendLibrary(kind === "cuda" ? "medmamba_cuda" : "medmamba_cuda_emulated");
  if (!existsSync(library))
    throw notUsable(
      name,
      `there is no CUDA library at ${library}; in a source checkout, \`npm run build:cuda\` makes it`,
    );
  try {
    return new Device(canonicalName(name), open(library));
  } catch (error) {
    throw error instanceof DeviceError ? notUsable(name, error.message, error) : error;
  }
}

/** All devices that this build knows, usable or not. */
export function devices(): DeviceDescription[] {
  return ["cpu", "cuda:0"].map((name) => {
    try {
      return resolveDevice(name).describe();
    } catch (error) {
      return { name, usable: false, reason: error instanceof Error ? error.message : String(error) };
    }
  });
}

/** Why "auto" did not choose a GPU; undefined if it did or was never asked. */
export function whyNotGpu(): string | undefined {
  return fallbackReason;
}

/** Tensors and bytes in use on a device (default "cpu"). */
export function memory(device: DeviceLike = "cpu"): MemoryUse {
  return resolveDevice(device).memory();
}

function openBest(): Device {
  try {
    return resolveDevice("cuda:0");
  } catch (error) {
    fallbackReason = error instanceof Error ? error.message : String(error);
    return resolveDevice("cpu");
  }
}

function notUsable(name: string, reason: string, cause?: Error): DeviceError {
  return new DeviceError(
    `device "${name}" is not usable: ${reason}.\n` +
      '  Use device "auto" to fall back to the CPU, or run `medmamba doctor` for the whole picture.',
    { cause },
  );
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

function toNative(fields: { readonly [field: string]: Argument }): Record<string, NativeParameter> {
  const parameters: Record<string, NativeParameter> = {};
  for (const name in fields) {
    const value = fields[name];
    if (value === undefined) continue;
    parameters[name] = isField(value) ? value.handle : fieldValue(value);
  }
  return parameters;
}

function fieldValue(
  value: Exclude<Argument, undefined | { readonly handle: NativeBuffer }>,
): NativeParameter {
  if (typeof value === "number" || typeof value === "boolean") return value;
  if (!Array.isArray(value)) return toNative(value as { readonly [field: string]: Argument });
  return value.map((item) => (isField(item) ? item.handle : item)) as NativeParameter;
}

function isField(value: unknown): value is { readonly handle: NativeBuffer } {
  return typeof value === "object" && value !== null && "handle" in value;
}

function guarded<T>(action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw fromNative(error);
  }
}

function rethrow(error: unknown): never {
  throw fromNative(error);
}
