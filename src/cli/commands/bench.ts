/** `medmamba bench`: how fast kernels, blocks and whole steps are, beside what the machine could do. */
import { type Command, InvalidArgumentError } from "commander";
import type { Benchmark } from "../../benchmark/benchmark.js";
import { type Limits, measureLimits } from "../../benchmark/limits.js";
import { describeMachine, machineLines } from "../../benchmark/machine.js";
import { type Pace, paces } from "../../benchmark/measure.js";
import { profileTraining } from "../../benchmark/profile.js";
import { allBenchmarks, type Row, runBenchmark } from "../../benchmark/suite.js";
import { OutOfMemoryError } from "../../errors.js";
import { medMambaConfig, type Variant, variants } from "../../models/config.js";
import { number } from "../../settings/kind.js";
import { type Device, type Precision, precisions } from "../../tensor/device.js";
import { openDevice } from "../../tensor/devices.js";
import {
  counterpart,
  type Report,
  ratios,
  readReport,
  type Settings,
  type Skipped,
  warnOfDifferences,
} from "../console/bench-comparison.js";
import { BenchTable, limitLines, profileLines } from "../console/bench-table.js";
import { UsageError } from "../console/failure.js";
import { type CommonOptions, counts, openDeviceOf, parserOf, withCommonOptions } from "../console/options.js";
import { interruptible, Terminal } from "../console/terminal.js";

interface BenchOptions extends Omit<CommonOptions, "precision"> {
  readonly variant?: Variant[];
  readonly imageSize: number;
  readonly batchSize?: number[];
  readonly precision?: Precision[];
  readonly filter?: string;
  readonly quick?: boolean;
  readonly compare?: string;
  readonly profile?: boolean;
}

const explanation = `
Kernels are measured at the shapes of the network's stages, each as one call,
then blocks, then inference and training steps (forward, loss, backward, AdamW).

  shape     height x width x channels; of a matrix product, inputs > outputs
  time      median of one call, after warming up, by the device's own clock;
            with ~ if half of the samples are not within 10 % of it
  img/s     images that pass a second, at the batch size given
  FLOP/s    two for each multiply-add; of a scan, those that cannot be fused
            away, and without its exponentials
  B/s       tensors of the kernel, each read or written once, by the time
  exp/s     exponentials, of the scan and of SiLU
  limit     the least time by the time measured, and what the least time comes
            from: p its products, e its exponentials, m the memory

The limits are the fastest samples of a large matrix product in the precision
that the rows have and of exponentials of numbers in cache (on a GPU also of the
scan), by this package's own kernels, and of a copy larger than caches, all from
the same run; of products on an A100, H100 or H200 the peak that NVIDIA
publishes. A least time is multiply-adds and exponentials at these rates, one
after the other, or the bytes at the speed of memory if that takes longer.
Kernels whose tensors fit into caches can exceed the memory's limit, and the
scan by a little that of the exponentials: its own need not serve every
argument.

With --compare: \`before\` is the time in that file, \`faster\` how many times
faster the kernel is now. With --profile: training steps with every operation
timed by itself, those inside the block included.

Examples:
  $ medmamba bench
  $ medmamba bench --filter scan4 --batch-size 1,8
  $ medmamba bench --device cuda --precision float32,tf32,bf16
  $ medmamba bench --json > before.json
  $ medmamba bench --compare before.json
  $ medmamba bench --profile --variant base`;

export function define(command: Command): void {
  command
    .description("Measure kernels and whole steps, and what part of this machine's limit they reach.")
    .option(
      "--variant <list>",
      "networks; kernels are the first's (default: tiny, on a GPU tiny,small,base)",
      listOf(Object.keys(variants) as Variant[]),
    )
    .option(
      "--image-size <pixels>",
      "side of the images",
      parserOf(number("an integer of 32 or more", isImageSize)),
      224,
    )
    .option("--batch-size <list>", "images computed at once (default: 8, on a GPU 1,32,128)", counts)
    .option(
      "--precision <list>",
      "float32, tf32, bf16 (default: float32, on a GPU float32,bf16)",
      listOf<Precision>(precisions),
    )
    .option("--filter <text>", "only rows with this in kernel or shape")
    .option("--quick", "few repeats and rough limits: to see that it works")
    .option("--compare <file>", "set beside an earlier run's --json")
    .option("--profile", "where the time of a training step goes, by operation");
  withCommonOptions(command).addHelpText("after", explanation).action(run);
}

function isImageSize(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 32;
}

/** A check of an option's names with commas between. */
function listOf<Name extends string>(known: readonly Name[]): (text: string) => Name[] {
  return (text) => {
    const names = [...new Set(text.split(","))];
    if (names.every((name) => (known as readonly string[]).includes(name))) return names as Name[];
    throw new InvalidArgumentError(`Use ${known.join(", ")}, with commas between if it is several.`);
  };
}

async function run(options: BenchOptions): Promise<void> {
  const { compare, profile, filter } = options;
  if (profile && (compare !== undefined || filter !== undefined)) {
    throw new UsageError("--profile shows one training step as a whole: leave --filter and --compare away.");
  }
  const terminal = new Terminal(options);
  const earlier = compare === undefined ? undefined : readReport(compare);
  const { precision: _, ...common } = options;
  const device = openDeviceOf(common, { isLong: true });
  const settings = settingsFor(device, options);
  const suites = profile ? [] : settings.batchSizes.map((batch) => suite(settings, batch, filter));
  const machine = describeMachine(device);
  for (const line of machineLines(machine)) terminal.print(line);
  if (profile) return profileOne(device, settings, terminal);
  if (earlier) warnOfDifferences(earlier, { machine, settings }, terminal);
  await interruptible(terminal, "Stopping after this row.", async (signal) => {
    const limits: Partial<Record<Precision, Limits>> = {};
    const [rows, skipped]: [Row[], Skipped[]] = [[], []];
    for (const precision of settings.precisions) {
      const measured = inPrecision(device, precision);
      const context: Context = { device: measured, precision, settings, earlier, terminal, signal };
      try {
        limits[precision] = await limitsOf(context);
        for (const benchmarks of suites) {
          const results = await measureSuite(benchmarks, limits[precision], context);
          rows.push(...results.rows);
          skipped.push(...results.skipped);
        }
      } finally {
        if (measured !== device) measured.close();
      }
    }
    const report: Report = { machine, settings, limits, rows, skipped };
    terminal.result(earlier ? { ...report, comparison: ratios(rows, earlier) } : report);
  });
}

/** What was asked for, or what suits the device. */
function settingsFor(device: Device, options: BenchOptions): Settings {
  const cpu = device.name === "cpu";
  return {
    variants: options.variant ?? (cpu ? ["tiny"] : ["tiny", "small", "base"]),
    imageSize: options.imageSize,
    batchSizes: options.batchSize ?? (cpu ? [8] : [1, 32, 128]),
    precisions: options.precision ?? (cpu ? ["float32"] : ["float32", "bf16"]),
    quick: options.quick ?? false,
  };
}

/** The device, or another like it, with as many threads, that multiplies so. */
function inPrecision(device: Device, precision: Precision): Device {
  if (precision === "float32") return device;
  const { threads, limitBytes } = device.describe();
  return openDevice(device.name, { precision, threads, memoryLimit: limitBytes });
}

function suite({ variants, imageSize }: Settings, batch: number, filter = ""): Benchmark[] {
  const benchmarks = allBenchmarks(variants as [Variant, ...Variant[]], imageSize, batch);
  const wanted = filter.toLowerCase();
  const found = benchmarks.filter(({ name, shape }) => `${name} ${shape}`.toLowerCase().includes(wanted));
  if (found.length > 0) return found;
  const names = [...new Set(benchmarks.map(({ name }) => name))];
  throw new UsageError(`--filter ${filter} leaves nothing; rows are ${names.join(", ")}.`);
}

// ---- measuring -----------------------------------------------------------------------------------------------

interface Context {
  readonly device: Device;
  readonly precision: Precision;
  readonly settings: Settings;
  readonly earlier: Report | undefined;
  readonly terminal: Terminal;
  readonly signal: AbortSignal;
}

function paceOf({ device, settings }: Context): Pace {
  if (settings.quick) return paces.quick;
  return device.name === "cpu" ? paces.thorough : paces.gpu;
}

async function limitsOf(context: Context): Promise<Limits> {
  const { device, precision, settings, terminal } = context;
  terminal.progress("measuring the machine's limits");
  const limits = await measureLimits(device, paceOf(context), settings.quick);
  for (const line of limitLines(limits, precision)) terminal.print(line);
  return limits;
}

/** A table of one batch size; what does not fit into memory is left out and said. */
async function measureSuite(benchmarks: readonly Benchmark[], limits: Limits, context: Context) {
  const { device, precision, earlier, terminal, signal } = context;
  const table = new BenchTable(earlier !== undefined);
  const [rows, skipped]: [Row[], Skipped[]] = [[], []];
  terminal.print(`\nbatch ${benchmarks[0]?.images}, ${precision}\n`);
  terminal.print(table.heading());
  for (const benchmark of benchmarks) {
    const { name, shape, images: batch } = benchmark;
    signal.throwIfAborted();
    terminal.progress(`measuring ${name} ${shape}`);
    try {
      const row = await runBenchmark(benchmark, device, precision, limits, paceOf(context));
      rows.push(row);
      terminal.print(table.row(row, counterpart(row, earlier)));
    } catch (error) {
      if (!(error instanceof OutOfMemoryError)) throw error;
      skipped.push({ name, shape, batch, precision, reason: error.message });
      terminal.warn(`${name} ${shape} at batch ${batch} does not fit into memory and is left out.`);
    }
  }
  return { rows, skipped };
}

/** The first of each list. */
async function profileOne(device: Device, settings: Settings, terminal: Terminal): Promise<void> {
  const { variants, imageSize, batchSizes, precisions, quick } = settings;
  const [variant, batch, precision] = [variants[0]!, batchSizes[0]!, precisions[0]!];
  const profiled = await profileTraining(
    medMambaConfig({ variant }),
    imageSize,
    batch,
    inPrecision(device, precision),
    quick ? 1 : 5,
  );
  terminal.print(`training MedMamba ${variant}, batch ${batch}, ${imageSize} x ${imageSize}, ${precision}\n`);
  for (const line of profileLines(profiled)) terminal.print(line);
  terminal.result({ machine: describeMachine(device), settings, profile: profiled });
}
