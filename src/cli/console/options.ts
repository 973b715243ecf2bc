/** Options that commands share, and the checks of values: what cannot be is refused before anything is done. */
import { type Command, InvalidArgumentError, Option } from "commander";
import { DeviceError } from "../../errors.js";
import { type Flag, flagsOf } from "../../settings/flags.js";
import type { Kind } from "../../settings/kind.js";
import * as kinds from "../../settings/kind.js";
import type { Rows } from "../../settings/table.js";
import { type Device, type Precision, precisions } from "../../tensor/device.js";
import { openDevice, resolveDevice, whyNotGpu } from "../../tensor/devices.js";
import { type MemoryLimit, memoryLimitKind } from "../../tensor/memory-limit.js";

export interface CommonOptions {
  readonly device: string;
  readonly threads?: number;
  readonly memoryLimit?: MemoryLimit;
  /** Of commands that take it. */
  readonly precision?: Precision;
  readonly json?: boolean;
  readonly verbose?: boolean;
}

/** Adds what every command takes. */
export function withCommonOptions(command: Command): Command {
  return command
    .addOption(
      new Option("--device <name>", "where to compute: auto (a GPU if one works), cpu, cuda, cuda:1, ...")
        .default("auto")
        .argParser(deviceName),
    )
    .addOption(new Option("--threads <count>", "CPU threads (default: all cores)").argParser(count))
    .addOption(
      new Option(
        "--memory-limit <amount>",
        "most of the device's memory to take: 8GB, 50% (default: all)",
      ).argParser(parserOf(memoryLimitKind)),
    )
    .option("--json", "print one JSON object on stdout and nothing else there")
    .option("--verbose", "show where in the code an error came from");
}

/** Adds the flags of settings. */
export function withSettings(command: Command, rows: Rows): Command {
  for (const flag of flagsOf(rows)) command.addOption(settingOption(flag));
  return command;
}

/** Adds what every command takes to one that computes nothing: a device may be named, as everywhere, and is not asked for. */
export function withPlainOptions(command: Command): Command {
  return command
    .addOption(new Option("--device <name>").argParser(deviceName).hideHelp())
    .addOption(new Option("--threads <count>").argParser(count).hideHelp())
    .addOption(new Option("--memory-limit <amount>").argParser(parserOf(memoryLimitKind)).hideHelp())
    .option("--json", "print one JSON object on stdout and nothing else there")
    .option("--verbose", "show where in the code an error came from");
}

/** How a device multiplies. @param byDefault  in words */
export function precisionOption(byDefault: string): Option {
  return new Option("--precision <name>", `how products are computed (default: ${byDefault})`).choices(
    precisions,
  );
}

/**
 * The device that the options ask for, one of its own if they say how many threads or how much memory.
 *
 * @param isLong  whether hours may be at stake: then it is said if "auto" has to do without a GPU, and why. Short commands
 *   follow upon long ones and say it with `--verbose` alone
 */
export function openDeviceOf(
  { device, threads, memoryLimit, precision, verbose = false }: CommonOptions,
  { isLong = verbose } = {},
): Device {
  const shared = threads === undefined && memoryLimit === undefined;
  const opened = shared
    ? resolveDevice(device, precision)
    : openDevice(device, { threads, memoryLimit, precision });
  const reason = device === "auto" && isLong ? whyNotGpu() : undefined;
  if (reason !== undefined) process.stderr.write(`note: computing on the CPU, because ${reason}.\n`);
  return opened;
}

/**
 * The device of one of several processes on a machine: the GPU of its number there, or the only one that it is shown.
 *
 * @param localRank  undefined of a process that is alone
 */
export function deviceOfRank(device: string, localRank: number | undefined): string {
  if (localRank === undefined || !/^(auto|cuda|cuda-emulated)$/.test(device)) return device;
  const kind = device === "auto" ? "cuda" : device;
  try {
    const name = `${kind}:${localRank}`;
    resolveDevice(name).close();
    return name;
  } catch (error) {
    if (!(error instanceof DeviceError)) throw error;
    return device;
  }
}

/** The device to train on, with the precision that the run was planned with; without one, bf16 on a GPU. */
export function openTrainingDevice(
  common: CommonOptions,
  planned: Precision | undefined,
  localRank?: number,
): Device {
  const options = { ...common, device: deviceOfRank(common.device, localRank) };
  const device = openDeviceOf(planned === undefined ? options : { ...options, precision: planned }, {
    isLong: true,
  });
  if (planned !== undefined || !device.name.startsWith("cuda")) return device;
  device.close();
  return openDeviceOf({ ...options, device: device.name, precision: "bf16" });
}

/** "cuda-emulated", which tests have, is not offered. */
function deviceName(text: string): string {
  if (/^(auto|cpu|cuda(-emulated)?(:\d+)?)$/.test(text)) return text;
  throw new InvalidArgumentError("Use auto, cpu, cuda or cuda:1, cuda:2, ...");
}

/** The option of a flag, whose values are read and checked as its kind says. */
export function settingOption({ flag, words, kind }: Flag): Option {
  const option = new Option(flag, words);
  if (kind.choices) return option.choices([...kind.choices]);
  return flag.includes("<") ? option.argParser(parserOf(kind)) : option;
}

/** A check of an option's text. */
export function parserOf<T>(kind: Kind<T>): (text: string) => T {
  return (text) => {
    const value = kind.parse(text);
    if (kind.holds(value, {})) return value as T;
    throw new InvalidArgumentError(`It has to be ${kind.written ?? kind.range}.`);
  };
}

export const count = parserOf(kinds.count);
export const countOrZero = parserOf(kinds.countOrZero);

/** Numbers with commas between. */
export const counts = parserOf(
  kinds.numbers("positive integers", "whole numbers with commas between, such as 1,8,32", (values) =>
    values.every((value) => kinds.count.holds(value, {})),
  ),
);
