/** What a measurement was made on: without it the numbers mean nothing. */
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { arch, availableParallelism, cpus, platform, release, totalmem } from "node:os";
import { join } from "node:path";
import { packageRoot } from "../native/package-root.js";
import { packageVersion } from "../native/package-version.js";
import type { Device } from "../tensor/device.js";

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

export function describeMachine(device: Device): Machine {
  const { model = "unknown", simd = "", threads = 0 } = device.describe();
  return {
    date: new Date().toISOString(),
    device: device.name,
    model,
    simd,
    threads,
    cores: availableParallelism(),
    processor: cpus()[0]?.model.trim() ?? "unknown",
    memoryBytes: totalmem(),
    system: `${platform()} ${release()} ${arch()}`,
    node: process.version,
    medmamba: packageVersion,
    commit: commit(),
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
