/** `medmamba doctor`: what this machine can run, and whether every kernel computes what it should. */
import type { Command } from "commander";
import { compare, type KernelVerdict, kernelChecks } from "../../benchmark/kernel-checks.js";
import { type Capabilities, describeCapabilities } from "../../benchmark/machine.js";
import type { Device } from "../../tensor/device.js";
import { openDevice } from "../../tensor/devices.js";
import { checkDistributed } from "../console/distributed-check.js";
import { CommandError } from "../console/failure.js";
import {
  type CommonOptions,
  deviceOfRank,
  openDeviceOf,
  precisionOption,
  withCommonOptions,
} from "../console/options.js";
import { localRank, together } from "../console/ranks.js";
import { Terminal } from "../console/terminal.js";
import { byteSize, columns, plural, shortPath } from "../console/wording.js";

const examples = `
Each kernel is run on random inputs, forward and backward, and compared with the
CPU's portable code on one thread. Exit code 1 if one differs by more than
rounding.

Examples:
  $ medmamba doctor
  $ medmamba doctor --json > machine.json
  $ mpirun -np 2 medmamba doctor --distributed`;

export function define(command: Command): void {
  command
    .description("Say what this machine can run and why not, then check every kernel against a reference.")
    .option("--distributed", "instead: find what connects several processes, and time a sum over them")
    .addOption(precisionOption("float32"));
  withCommonOptions(command).addHelpText("after", examples).action(run);
}

async function run({
  distributed,
  ...options
}: CommonOptions & { readonly distributed?: boolean }): Promise<void> {
  const terminal = new Terminal(options);
  if (distributed) {
    let opened: Device | undefined;
    const open = (): Device => {
      opened ??= openDeviceOf({ ...options, device: deviceOfRank(options.device, localRank()) });
      return opened;
    };
    await together(terminal, open, (group) => checkDistributed(group, open(), terminal));
    return;
  }
  const device = openDeviceOf(options);
  const machine = describeCapabilities(device);
  for (const line of machineLines(machine)) terminal.print(line);
  terminal.print();
  const checks = await checkKernels(device, terminal);
  for (const line of checkLines(checks)) terminal.print(line);
  const failed = checks.filter(({ ok }) => !ok).length;
  terminal.result({ ...machine, checks, ok: failed === 0 });
  if (failed > 0) {
    const names = checks.filter(({ ok }) => !ok).map(({ name }) => name);
    throw new CommandError(
      `${plural(failed, "kernel")} of ${checks.length} computed something else than the reference (${names.join("; ")}): please report this with the output of \`medmamba doctor --json\`.`,
    );
  }
  terminal.print(`\nAll ${checks.length} kernels agree with the reference.`);
}

function machineLines(machine: Capabilities): string[] {
  const { medmamba, node, system, addon, processor, memory, cuda, device } = machine;
  const { simdLevels, model, cores } = processor;
  const levels = simdLevels.map((level) => (level === device.simd ? `${level} (in use)` : level)).join(", ");
  const gpus = cuda.devices.map(({ name, usable, model: gpu, reason = "" }) =>
    usable ? `${name}: ${gpu}` : `not usable: ${reason}`,
  );
  const rows = [
    ["medmamba", `${medmamba} on Node ${node}, ${system}`],
    ["addon", shortPath(addon)],
    ["processor", `${model}, ${plural(cores, "core")} for this process`],
    ["vector units", levels],
    ["memory", `${byteSize(memory.totalBytes)}, of which ${byteSize(memory.freeBytes)} are free`],
    ["NVIDIA driver", cuda.driver ?? "none"],
    ...gpus.map((text) => ["CUDA", text]),
    [
      "device",
      `${device.name}${device.threads ? ` with ${plural(device.threads, "thread")}` : `: ${device.model}`}`,
    ],
  ];
  return columns(rows, { left: true });
}

async function checkKernels(device: Device, terminal: Terminal): Promise<KernelVerdict[]> {
  const reference = openDevice("cpu", { simd: "portable", threads: 1 });
  try {
    const verdicts: KernelVerdict[] = [];
    for (const check of kernelChecks) {
      terminal.progress(`checking ${check.name}`);
      verdicts.push(await compare(check, device, reference));
    }
    return verdicts;
  } finally {
    terminal.clearProgress();
    reference.close();
  }
}

function checkLines(checks: readonly KernelVerdict[]): string[] {
  const error = (value: number | null) => (value === null ? "" : value === 0 ? "0" : value.toExponential(1));
  const rows = checks.map(({ name, forward, backward, ok }) => [
    name,
    error(forward),
    error(backward),
    ok ? "ok" : "FAILED",
  ]);
  return columns([["kernel: relative error of", "forward", "backward", ""], ...rows], { longest: 40 });
}
