/** `medmamba bench`: how fast kernels, blocks and whole steps are, beside what the machine could do. */
import { readFileSync } from "node:fs";
import { type Command, Option } from "commander";
import { type Limits, measureLimits } from "../benchmark/limits.js";
import { paces } from "../benchmark/measure.js";
import { profileTraining } from "../benchmark/profile.js";
import { allBenchmarks, type Benchmark, type Row, runBenchmark } from "../benchmark/suite.js";
import { medMambaConfig, type Variant, variants } from "../models/medmamba.js";
import type { Device } from "../tensor/device.js";
import { describeMachine, type Machine, machineLines } from "./bench-machine.js";
import { BenchTable, limitLines, profileLines } from "./bench-table.js";
import { CommandError, UsageError } from "./failure.js";
import {
  type CommonOptions,
  count,
  number,
  openDeviceOf,
  precisionOption,
  withCommonOptions,
} from "./options.js";
import { expectPath } from "./paths.js";
import { interruptible, Terminal } from "./terminal.js";

interface BenchOptions extends CommonOptions {
  readonly variant: Variant;
  readonly imageSize: number;
  readonly batchSize: number;
  readonly filter?: string;
  readonly quick?: boolean;
  readonly compare?: string;
  readonly profile?: boolean;
}

/** What `--json` prints and `--compare` reads. */
interface Report {
  readonly machine: Machine;
  readonly settings: {
    readonly variant: Variant;
    readonly imageSize: number;
    readonly batchSize: number;
    readonly quick: boolean;
  };
  readonly limits: Limits;
  readonly rows: readonly Row[];
}

const explanation = `
Kernels are measured at the shapes of the network's stages, each as one call,
then blocks, then inference and training steps (forward, loss, backward, AdamW).

  shape     height x width x channels of the kernel; rows x channels of a norm;
            rows x inputs x outputs of a matrix product; the input of a network
  time      median of one call, after warming up
  +-        half of the samples are within this of the median, about
  img/s     images that pass a second, at the batch size given
  GFLOP/s   two for each multiply-add; of a scan, those that cannot be fused away
            and without its exponentials
  GB/s      tensors of the kernel, each read or written once, by the time
  bound     what the kernel's least time comes from: its products, its
            exponentials, or the memory
  of limit  that least time, by the time measured

The limits are the fastest samples of a large matrix product and of exponentials
of numbers in cache, by this package's own kernels, and of a copy larger than
caches, all from the same run. A least time is multiply-adds and exponentials at
these rates, one after the other, or the bytes at the speed of memory if that
takes longer. Kernels whose tensors fit into caches can exceed the memory's
limit, and the scan by a little that of the exponentials: its own need not serve
every argument.

With --compare: \`before\` is the time in that file, \`faster\` how many times
faster the kernel is now. With --profile: training steps with every operation
timed by itself, those inside the block included.

Examples:
  $ medmamba bench
  $ medmamba bench --filter scan4 --batch-size 1
  $ medmamba bench --json > before.json
  $ medmamba bench --compare before.json
  $ medmamba bench --profile --variant base`;

export function addBench(program: Command): void {
  const command = program
    .command("bench")
    .summary("measure kernels, training and inference against this machine's limits")
    .description("Measure kernels and whole steps, and what part of this machine's limit they reach.")
    .addOption(new Option("--variant <name>", "the network").choices(Object.keys(variants)).default("tiny"))
    .option(
      "--image-size <pixels>",
      "side of the images",
      number(isImageSize, "a whole number of 32 or more"),
      224,
    )
    .option("--batch-size <count>", "images computed at once", count, 8)
    .addOption(precisionOption("float32"))
    .option("--filter <text>", "only rows with this in kernel or shape")
    .option("--quick", "few repeats and rough limits: to see that it works")
    .option("--compare <file>", "set beside an earlier run's --json")
    .option("--profile", "where the time of a training step goes, by operation");
  withCommonOptions(command).addHelpText("after", explanation).action(run);
}

function isImageSize(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 32;
}

async function run(options: BenchOptions): Promise<void> {
  const { variant, imageSize, batchSize, quick = false, compare, profile, filter } = options;
  if (profile && (compare !== undefined || filter !== undefined)) {
    throw new UsageError("--profile shows one training step as a whole: leave --filter and --compare away.");
  }
  const terminal = new Terminal(options);
  const benchmarks = profile ? [] : chosen(allBenchmarks(variant, imageSize, batchSize), filter);
  const earlier = compare === undefined ? undefined : readReport(compare);
  const device = openDeviceOf(options);
  const machine = describeMachine(device);
  const settings = { variant, imageSize, batchSize, quick };
  for (const line of machineLines(machine)) terminal.print(line);
  if (profile) {
    const config = medMambaConfig({ variant });
    const profiled = await profileTraining(config, imageSize, batchSize, device, quick ? 1 : 5);
    terminal.print(`training MedMamba ${variant}, batch ${batchSize}, ${imageSize} x ${imageSize}\n`);
    for (const line of profileLines(profiled)) terminal.print(line);
    terminal.result({ machine, settings, profile: profiled });
    return;
  }
  if (earlier) warnOfDifferences(earlier, { machine, settings }, terminal);
  await interruptible(terminal, "Stopping after this row.", async (signal) => {
    terminal.progress("measuring the machine's limits");
    const limits = await measureLimits(device, pace(quick), quick);
    for (const line of limitLines(limits)) terminal.print(line);
    terminal.print();
    const rows = await measureAll(benchmarks, { device, limits, quick, earlier, terminal, signal });
    const report: Report = { machine, settings, limits, rows };
    terminal.result(earlier ? { ...report, comparison: ratios(rows, earlier) } : report);
  });
}

function pace(quick: boolean) {
  return quick ? paces.quick : paces.thorough;
}

function chosen(benchmarks: readonly Benchmark[], filter = ""): Benchmark[] {
  const wanted = filter.toLowerCase();
  const found = benchmarks.filter(({ name, shape }) => `${name} ${shape}`.toLowerCase().includes(wanted));
  if (found.length > 0) return found;
  const names = [...new Set(benchmarks.map(({ name }) => name))];
  throw new UsageError(`--filter ${filter} leaves nothing; rows are ${names.join(", ")}.`);
}

async function measureAll(
  benchmarks: readonly Benchmark[],
  context: {
    readonly device: Device;
    readonly limits: Limits;
    readonly quick: boolean;
    readonly earlier: Report | undefined;
    readonly terminal: Terminal;
    readonly signal: AbortSignal;
  },
): Promise<Row[]> {
  const { device, limits, quick, earlier, terminal, signal } = context;
  const table = new BenchTable(earlier !== undefined);
  const rows: Row[] = [];
  terminal.print(table.heading());
  for (const benchmark of benchmarks) {
    signal.throwIfAborted();
    terminal.progress(`measuring ${benchmark.name} ${benchmark.shape}`);
    const row = await runBenchmark(benchmark, device, limits, pace(quick));
    rows.push(row);
    terminal.print(table.row(row, counterpart(row, earlier)));
  }
  return rows;
}

// ---- comparing with an earlier run ---------------------------------------------------------------------------

function readReport(path: string): Report {
  expectPath(path, "file");
  let parsed: Partial<Report> | null;
  try {
    parsed = JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    parsed = null;
  }
  if (parsed?.machine && parsed.settings && Array.isArray(parsed.rows)) return parsed as Report;
  throw new CommandError(`${path} is not what \`medmamba bench --json\` printed: choose such a file.`);
}

/** The same row of an earlier report. */
function counterpart(row: Row, earlier: Report | undefined): Row | undefined {
  return earlier?.rows.find(
    ({ name, shape, batch }) => name === row.name && shape === row.shape && batch === row.batch,
  );
}

function ratios(rows: readonly Row[], earlier: Report) {
  return rows.flatMap((row) => {
    const before = counterpart(row, earlier);
    if (!before) return [];
    const { name, shape, batch, seconds } = row;
    return { name, shape, batch, secondsBefore: before.seconds, faster: before.seconds / seconds };
  });
}

/** Numbers of another machine, or of a quick run, are no comparison. */
function warnOfDifferences(
  earlier: Report,
  now: Pick<Report, "machine" | "settings">,
  terminal: Terminal,
): void {
  const different = (["model", "simd", "threads", "cores"] as const).filter(
    (field) => earlier.machine[field] !== now.machine[field],
  );
  if (different.length > 0) {
    terminal.warn(`the earlier run was on another machine: it differs in ${different.join(", ")}.`);
  }
  if (earlier.settings.quick || now.settings.quick) {
    terminal.warn("quick runs are too rough to be compared.");
  }
}
