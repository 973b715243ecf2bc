/** Options that commands share, and the checks of values: what cannot be is refused before anything is done. */
import { type Command, InvalidArgumentError, Option } from "commander";
import { type Device, type Precision, precisions, resolveDevice, whyNotGpu } from "../../tensor/device.js";

export interface CommonOptions {
  readonly device: string;
  readonly threads?: number;
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
    .option("--json", "print one JSON object on stdout and nothing else there")
    .option("--verbose", "show where in the code an error came from");
}

/** How a device multiplies. @param byDefault  in words */
export function precisionOption(byDefault: string): Option {
  return new Option("--precision <name>", `how products are computed (default: ${byDefault})`).choices(
    precisions,
  );
}

/** The device that the options ask for; says once if "auto" has to do without a GPU, and why. */
export function openDeviceOf({ device, threads, precision }: CommonOptions): Device {
  if (threads !== undefined) process.env.MEDMAMBA_THREADS = String(threads);
  const opened = resolveDevice(device, precision);
  const reason = device === "auto" ? whyNotGpu() : undefined;
  if (reason !== undefined) process.stderr.write(`note: computing on the CPU, because ${reason}.\n`);
  return opened;
}

/** The device to train on, with the precision that the run was planned with; without one, bf16 on a GPU. */
export function openTrainingDevice(options: CommonOptions, planned: Precision | undefined): Device {
  const device = openDeviceOf(planned === undefined ? options : { ...options, precision: planned });
  if (planned !== undefined || !device.name.startsWith("cuda")) return device;
  device.close();
  return resolveDevice(device.name, "bf16");
}

/** The object without the fields that are undefined, so that it can be laid over another. */
export function defined<T extends object>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as never;
}

/** "cuda-emulated", which tests have, is not offered. */
function deviceName(text: string): string {
  if (/^(auto|cpu|cuda(-emulated)?(:\d+)?)$/.test(text)) return text;
  throw new InvalidArgumentError("Use auto, cpu, cuda or cuda:1, cuda:2, ...");
}

/** A check of an option's number. */
export function number(holds: (value: number) => boolean, range: string): (text: string) => number {
  return (text) => {
    const value = text.trim() === "" ? Number.NaN : Number(text);
    if (Number.isFinite(value) && holds(value)) return value;
    throw new InvalidArgumentError(`It has to be ${range}.`);
  };
}

const whole = (least: number) => (value: number) => Number.isSafeInteger(value) && value >= least;

export const count = number(whole(1), "a whole number of 1 or more");
export const countOrZero = number(whole(0), "a whole number of 0 or more");
export const positive = number((value) => value > 0, "a number above 0");
export const nonNegative = number((value) => value >= 0, "a number of 0 or more");
export const fractionBelowOne = number((value) => value >= 0 && value < 1, "a number from 0 to below 1");

/** The numbers between commas; NaN where there is none. */
const listed = (text: string): number[] =>
  text.split(",").map((part) => (part.trim() === "" ? Number.NaN : Number(part)));

/** Any numbers with commas between. */
export function numbers(text: string): number[] {
  const values = listed(text);
  if (values.every(Number.isFinite)) return values;
  throw new InvalidArgumentError("It has to be numbers with commas between, such as 0.485,0.456,0.406.");
}

/** Percentages for train, val and test. */
export function percentages(text: string): number[] {
  const values = listed(text);
  const sum = values.reduce((total, value) => total + value, 0);
  if (values.length === 3 && values.every((value) => value >= 0) && Math.abs(sum - 100) < 1e-9) return values;
  throw new InvalidArgumentError("It has to be three percentages that add up to 100, such as 70,15,15.");
}

/** Numbers with commas between. */
export function counts(text: string): number[] {
  const values = listed(text);
  if (values.every(whole(1))) return values;
  throw new InvalidArgumentError("It has to be whole numbers with commas between, such as 2,2,4,2.");
}
