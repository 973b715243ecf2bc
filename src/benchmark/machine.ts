/**
 * The machine, described for two readers: what a measurement was made on, without which its numbers mean nothing, and what
 * can be run here, GPUs that cannot be used included.
 */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { arch, availableParallelism, freemem, platform, release, totalmem } from "node:os";
import { join } from "node:path";
import { addonPath } from "../native/load.js";
import { packageRoot } from "../native/package-root.js";
import { packageVersion } from "../native/package-version.js";
import type { Device, DeviceDescription } from "../tensor/device.js";
import { devices, simdLevels } from "../tensor/devices.js";

/** What a measurement was made on. */
export interface Machine {
  readonly date: string;
  readonly device: string;
  /** Model of the processor or GPU that computes. */
  readonly model: string;
  readonly simd: string;
  readonly threads: number;
  /** Processors that this process may use. */
  readonly cores: number;
  readonly processor: string;
  readonly memoryBytes: number;
  readonly system: string;
  readonly node: string;
  readonly medmamba: string;
  /** Of a source checkout; "-dirty" if it has changes. */
  readonly commit: string | null;
}

/** What can be run here. */
export interface Capabilities {
  readonly medmamba: string;
  readonly node: string;
  readonly system: string;
  /** Path of the addon. */
  readonly addon: string;
  readonly processor: {
    readonly model: string;
    /** Processors that this process may use. */
    readonly cores: number;
    readonly simdLevels: readonly string[];
  };
  readonly memory: { readonly totalBytes: number; readonly freeBytes: number };
  readonly cuda: { readonly driver: string | null; readonly devices: readonly DeviceDescription[] };
  /** The device that was asked for. */
  readonly device: DeviceDescription;
}

export function describeMachine(device: Device): Machine {
  const { model = "unknown", simd = "", threads = 0 } = device.describe();
  return {
    date: new Date().toISOString(),
    device: device.name,
    model,
    simd,
    threads,
    cores: availableParallelism(),
    processor: processorModel(),
    memoryBytes: totalmem(),
    ...versions(),
    commit: commit(),
  };
}

/** @throws AddonError if the addon cannot be loaded */
export function describeCapabilities(device: Device): Capabilities {
  const { medmamba, node, system } = versions();
  const cores = availableParallelism();
  return {
    medmamba,
    node,
    system,
    addon: addonPath(),
    processor: { model: processorModel(), cores, simdLevels: simdLevels() },
    memory: { totalBytes: totalmem(), freeBytes: freemem() },
    cuda: { driver: driverVersion(), devices: devices().filter(({ name }) => name !== "cpu") },
    device: device.describe(),
  };
}

export function machineLines(machine: Machine): string[] {
  const { model, simd, threads, cores, system, node, medmamba, commit, date } = machine;
  const cpu = simd === "" ? "" : `, ${simd}, ${threads} threads on ${cores} processors`;
  return [
    `${model}${cpu}`,
    `medmamba ${medmamba}${commit === null ? "" : ` (${commit})`}, Node ${node}, ${system}, ${date.slice(0, 10)}`,
  ];
}

function versions() {
  const system = `${platform()} ${release()} ${arch()}`;
  return { system, node: process.version, medmamba: packageVersion };
}

function processorModel(): string {
  return devices().find(({ name }) => name === "cpu")?.model ?? "unknown";
}

/** The NVIDIA kernel driver's version, as Linux tells it. */
function driverVersion(): string | null {
  const file = "/proc/driver/nvidia/version";
  if (!existsSync(file)) return null;
  return /Kernel Module(?: for \S+)?\s+(\S+)/.exec(readFileSync(file, "utf8"))?.[1] ?? "unknown";
}

function commit(): string | null {
  if (!existsSync(join(packageRoot, ".git"))) return null;
  try {
    return execFileSync("git", ["describe", "--always", "--dirty", "--exclude=*"], {
      cwd: packageRoot,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    }).trim();
  } catch {
    return null; // git is not installed, or does not trust the folder's owner
  }
}
