/**
 * Devices by name.
 *
 * "cpu" is always there; "cuda", "cuda:0", ... need an NVIDIA GPU and the CUDA library; "auto" is the first GPU
 * that works, otherwise the CPU. Builds with tests also have "cuda-emulated": the CUDA library without a GPU, slowly.
 */
import { existsSync } from "node:fs";
import { ArgumentError, DeviceError } from "../errors.js";
import { hasMusl, inspectLibrary } from "../native/inspection.js";
import { backendLibrary, isSourceCheckout, loadAddon } from "../native/load.js";
import { whyNoGpu } from "../native/probe.js";
import { inWords, optionsOf } from "../settings/given.js";
import {
  Device,
  type DeviceDescription,
  guarded,
  type MemoryUse,
  type Precision,
  precisions,
} from "./device.js";
import { type MemoryLimit, nativeMemoryLimit } from "./memory-limit.js";

/** Settings of a device that `openDevice` opens. */
export interface DeviceOptions {
  /** CPU: number of threads; default `MEDMAMBA_THREADS` or all cores that the process may use. */
  threads?: number | undefined;
  /** CPU: "portable", "avx2", "avx512" or "neon"; default `MEDMAMBA_SIMD` or the best that the machine runs. */
  simd?: string | undefined;
  /** Default "float32". Not every device has every one. */
  precision?: Precision | undefined;
  /**
   * The most memory that the process may take of the device, in bytes or as a share of it: `8e9`, "8GB", "500MiB", "50%",
   * `0.5`. Beyond it is an `OutOfMemoryError`. Default `MEDMAMBA_MEMORY_LIMIT`, or all that there is.
   *
   * Of a GPU it counts all that tensors and operations have, kept for reuse or not, of every device that is open on it, the
   * least limit for all; of the CPU, the tensors of this device.
   */
  memoryLimit?: MemoryLimit | undefined;
}

/** A device by name, or an opened one. */
export type DeviceLike = string | Device;

/** The shared devices, by name and precision; one may have several names. */
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
  if (precision !== undefined && !precisions.includes(precision))
    throw new ArgumentError(
      `there is no precision ${inWords(precision)}: choose from ${precisions.join(", ")}.`,
    );
  if (device instanceof Device) {
    if (precision === undefined || precision === device.precision) return device;
    throw new ArgumentError(
      `the device was opened as ${device.name} with precision "${device.precision}", not "${precision}": ` +
        "pass its name instead, or open it with that precision.",
    );
  }
  expectName(device);
  const key = (name: string) => `${name} ${precision ?? "float32"}`;
  const known = opened.get(key(device));
  if (known) return known;
  const created =
    device === "auto"
      ? best((name) => resolveDevice(name, precision))
      : (opened.get(key(canonicalName(device))) ?? openDevice(device, { precision }));
  opened.set(key(created.name), created);
  opened.set(key(device), created);
  return created;
}

/**
 * Opens a device of its own, with its own stream, threads and memory, beside the shared one of that name.
 *
 * @param name  as everywhere; "auto" too
 * @throws DeviceError with the reason if the device cannot be used, or lacks the precision
 */
export function openDevice(name: string, options: DeviceOptions = {}): Device {
  expectName(name);
  optionsOf("openDevice", options, { threads: true, simd: true, precision: true, memoryLimit: true });
  const memoryLimit = nativeMemoryLimit(options.memoryLimit);
  if (name === "auto") return best((chosen) => openDevice(chosen, options));
  const [kind, index] = parseName(name);
  const library = libraryOf(kind, name);
  try {
    const native = { ...options, memoryLimit, deviceIndex: index };
    const stream = guarded(() => loadAddon().openStream(library, native));
    return new Device(canonicalName(name), stream, options.precision, forget);
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

/** @internal SIMD levels that this build has and this machine runs, best first: what `DeviceOptions.simd` takes. */
export function simdLevels(): readonly string[] {
  return loadAddon().simdLevels;
}

/** Why "auto" did not choose a GPU; undefined if it did or was never asked. */
export function whyNotGpu(): string | undefined {
  return fallbackReason;
}

/** Tensors and bytes in use on a device (default "cpu"). */
export function memory(device: DeviceLike = "cpu"): MemoryUse {
  return resolveDevice(device).memory();
}

/** The first GPU if it works, otherwise the CPU, and a note of why. */
function best(open: (name: string) => Device): Device {
  try {
    return open("cuda:0");
  } catch (error) {
    if (!(error instanceof DeviceError)) throw error;
    fallbackReason = error.reason;
    return open("cpu");
  }
}

/** A device that was closed is not handed out again, under any of its names. */
function forget(closed: Device): void {
  for (const [name, device] of opened) if (device === closed) opened.delete(name);
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
  if (!existsSync(library) && process.platform === "win32")
    return "there is no CUDA library for Windows; the package for Linux, in WSL 2, has one";
  if (hasMusl())
    return "NVIDIA's driver and the CUDA library need glibc, and this system has musl (Alpine Linux)";
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

function expectName(device: unknown): asserts device is string {
  if (typeof device !== "string")
    throw new ArgumentError(
      `a device is named, such as "cpu" or "cuda:0", or an opened one, not ${inWords(device)}.`,
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
