// `npm run bench:scaling`: how the cost of MedMamba grows with the image, with the batch, and shrinks with threads.
//
// Every row is one process (peers/medmamba.mjs), so that its peak memory is its own. What threads can give at best is
// measured beside: a matrix product, exponentials and a copy, by the same kernels. A row that would take too long,
// judged by the row before, is left out and said to be.
import { availableParallelism } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { measureLimits } from "../dist/benchmark/limits.js";
import { describeMachine, machineLines } from "../dist/benchmark/machine.js";
import { paces, summary } from "../dist/benchmark/measure.js";
import { byteSize, columns } from "../dist/cli/console/wording.js";
import { openDevice } from "../dist/index.js";
import { readArguments, wholeNumber } from "./arguments.mjs";
import { measuredProcess } from "./measured-process.mjs";
import { markdownTable, threeDigits, writeResults } from "./results-files.mjs";
import { scalingFigure } from "./scaling-figure.mjs";

const help = `npm run bench:scaling -- [options]

  --variant NAME     tiny, small, base, ...; default tiny
  --sizes LIST       image sides, batch 1; default 64,128,224,448,896
  --batches LIST     default 1,2,4,8,16,32,64
  --batches-at SIZE  image side for them; default 64
  --threads N        of these two; default: all processors
  --teams LIST       numbers of threads to compare; default 1,2,4,... up to all
  --teams-at S:B     image side and batch for them; default 224:8
  --repeats N        least timed steps of a row, after one to warm up; default 5
  --minutes N        for everything; a row may take a sixth of it; default 6
  --write            keep the results as bench/results/scaling-DATE.json, .md and .svg

  +-        half of the steps are within this of the median, about
  peak      most memory that the process held, everything included
  tensors   most of it that tensors held
  bytes/px  of these, what comes with the images: less parameters, gradients and
            the optimiser's moments, by the pixels of the batch`;

const here = dirname(fileURLToPath(import.meta.url));
const options = readOptions();
const deadline = performance.now() + 60_000 * options.minutes;
const longestRow = 10 * options.minutes; // seconds
const fewestSteps = 3; // of a row: one to warm up, two that are timed
const tasks = [
  { task: "inference", checkpointing: false },
  { task: "training", checkpointing: false },
  { task: "training", checkpointing: true },
];
const measured = new Map();

const machine = describe();
for (const line of machineLines(machine)) console.log(line);
const sizes = [];
for (const task of tasks)
  for (const size of options.sizes)
    sizes.push(await measure({ ...task, size, batch: 1, threads: options.threads }));
print("Image size, batch 1", sizeTable(sizes));
const batches = [];
for (const task of tasks.slice(0, 2))
  for (const batch of options.batches)
    batches.push(await measure({ ...task, size: options.batchesAt, batch, threads: options.threads }));
print(`Batch, ${options.batchesAt} px`, batchTable(batches));
const [teamSize, teamBatch] = options.teamsAt;
const teams = [];
for (const threads of options.teams) {
  const at = { size: teamSize, batch: teamBatch, threads };
  const inference = await measure({ ...tasks[0], ...at });
  const training = await measure({ ...tasks[1], ...at });
  teams.push({ threads, inference, training, limits: await limitsOf(threads) });
}
print(`Threads, ${teamSize} px, batch ${teamBatch}`, teamTable(teams));
const notes = [...measured.values()].flatMap((row) =>
  row.missing ? [`Not measured: ${label(row)}, ${row.missing}.`] : [],
);
for (const note of notes) console.log(note);
if (options.write) write();

function readOptions() {
  return readArguments(
    "bench:scaling",
    help,
    {
      variant: { type: "string", default: "tiny" },
      sizes: { type: "string", default: "64,128,224,448,896" },
      batches: { type: "string", default: "1,2,4,8,16,32,64" },
      "batches-at": { type: "string", default: "64" },
      threads: { type: "string", default: String(availableParallelism()) },
      teams: { type: "string", default: doublings(availableParallelism()).join() },
      "teams-at": { type: "string", default: "224:8" },
      repeats: { type: "string", default: "5" },
      minutes: { type: "string", default: "6" },
      write: { type: "boolean", default: false },
    },
    (values) => {
      const counts = (name, separator = ",") =>
        values[name].split(separator).map((item) => wholeNumber(name, item));
      const teamsAt = counts("teams-at", ":");
      if (teamsAt.length !== 2)
        throw new TypeError(
          `--teams-at ${values["teams-at"]}: write an image side and a batch, such as 224:8`,
        );
      return {
        variant: values.variant,
        sizes: counts("sizes"),
        batches: counts("batches"),
        batchesAt: wholeNumber("batches-at", values["batches-at"]),
        threads: wholeNumber("threads", values.threads),
        teams: counts("teams"),
        teamsAt,
        repeats: wholeNumber("repeats", values.repeats),
        minutes: wholeNumber("minutes", values.minutes),
        write: values.write,
      };
    },
  );
}

/** 1, 2, 4, ... and `most`. */
function doublings(most) {
  const powers = Array.from({ length: Math.ceil(Math.log2(most)) }, (_, i) => 2 ** i);
  return [...powers, most];
}

function describe() {
  const device = openDevice("cpu", { threads: options.threads });
  const described = describeMachine(device);
  device.close();
  return described;
}

// ---- measuring -----------------------------------------------------------------------------------------------

/** One row: its timing and memory, or what is `missing` and why. Measured once, wherever it is asked for. */
async function measure(wanted) {
  const key = JSON.stringify(wanted);
  const row = measured.get(key) ?? { ...wanted, ...(await measureNow(wanted)) };
  measured.set(key, row);
  return row;
}

async function measureNow(wanted) {
  const { task, checkpointing, size, batch, threads } = wanted;
  const expected = Math.max(3, fewestSteps * expectedSeconds(wanted));
  if (expected > longestRow) return { missing: `it would take about ${expected.toFixed(0)} s` };
  if (1000 * expected > deadline - performance.now()) return { missing: "the time was over" };
  const { report, error } = await measuredProcess(label(wanted), process.execPath, [
    join(here, "peers", "medmamba.mjs"),
    ...["--task", task, "--batch", String(batch), "--image-size", String(size)],
    ...["--threads", String(threads), "--variant", options.variant],
    ...["--repeats", String(options.repeats), "--budget", String(longestRow / 4)],
    ...(checkpointing ? ["--checkpointing"] : []),
  ]);
  if (error) return { missing: `it ${error}` };
  const { peakBytes, peakTensorBytes, steadyBytes } = report;
  const bytesPerPixel = (peakTensorBytes - steadyBytes) / (batch * size ** 2);
  return { ...summary(report.seconds), peakBytes, peakTensorBytes, steadyBytes, bytesPerPixel };
}

/** Seconds of a step, by the nearest one known of the same task; 0 while there is none. */
function expectedSeconds({ task, checkpointing, size, batch, threads }) {
  const work = (row) => (row.batch * row.size ** 2) / row.threads;
  const known = [...measured.values()].filter(
    (row) => !row.missing && row.task === task && row.checkpointing === checkpointing,
  );
  const target = work({ size, batch, threads });
  const distance = (row) => Math.abs(Math.log(work(row) / target));
  const [nearest] = known.sort((a, b) => distance(a) - distance(b));
  return nearest ? (nearest.seconds * target) / work(nearest) : 0;
}

/** What so many threads can do at best; null if the time is over. */
async function limitsOf(threads) {
  if (performance.now() > deadline) return null;
  const device = openDevice("cpu", { threads });
  try {
    return await measureLimits(device, paces.thorough, false);
  } finally {
    device.close();
  }
}

function label({ task, checkpointing, size, batch, threads }) {
  const name = checkpointing ? `${task} with checkpointing` : task;
  return `${name} at ${size} px, batch ${batch}, ${threads} ${threads === 1 ? "thread" : "threads"}`;
}

// ---- tables --------------------------------------------------------------------------------------------------

function sizeTable(rows) {
  const heading = ["task", "image", "pixels", "img/s", "ms/img", "+-", "peak", "tensors", "bytes/px"];
  const cells = (row) => [
    `${row.size} x ${row.size}`,
    String(row.size ** 2),
    ...speed(row),
    byteSize(row.peakBytes),
    byteSize(row.peakTensorBytes),
    row.bytesPerPixel.toFixed(0),
  ];
  return [heading, ...present(rows).map((row) => [taskName(row), ...cells(row)])];
}

function batchTable(rows) {
  const heading = ["task", "batch", "img/s", "ms/img", "+-", "peak", "tensors", "bytes/px"];
  const cells = (row) => [
    String(row.batch),
    ...speed(row),
    byteSize(row.peakBytes),
    byteSize(row.peakTensorBytes),
    row.bytesPerPixel.toFixed(0),
  ];
  return [heading, ...present(rows).map((row) => [taskName(row), ...cells(row)])];
}

/** Rates by team, and how many times the first team's each is. */
function teamTable(compared) {
  const rate = (row) => (row.missing ? undefined : row.batch / row.seconds);
  const rates = [
    ["inference, img/s", ({ inference }) => rate(inference)],
    ["training, img/s", ({ training }) => rate(training)],
    ["product, GFLOP/s", ({ limits }) => limits && 2e-9 * limits.multiplyAdds],
    ["exponentials, G/s", ({ limits }) => limits && 1e-9 * limits.exponentials],
    ["copy, GB/s", ({ limits }) => limits && 1e-9 * limits.bytes],
  ];
  const [first, ...others] = compared;
  const times = others.map(({ threads }) => `${threads} by ${first.threads}`);
  const heading = ["threads", ...compared.map(({ threads }) => String(threads)), ...times];
  const number = (value, form) => (value ? form(value) : "-");
  return [
    heading,
    ...rates.map(([name, of]) => [
      name,
      ...compared.map((team) => number(of(team), threeDigits)),
      ...others.map((team) => number(of(first) && of(team) / of(first), (value) => `${value.toFixed(2)}x`)),
    ]),
  ];
}

function taskName({ task, checkpointing }) {
  return checkpointing ? "checkpointing" : task;
}

function speed({ batch, seconds, spread }) {
  return [
    threeDigits(batch / seconds),
    threeDigits((1000 * seconds) / batch),
    `${(50 * spread).toFixed(0)} %`,
  ];
}

function present(rows) {
  return rows.filter(({ missing }) => !missing);
}

function print(title, table) {
  console.log(`\n${title}`);
  for (const line of columns(table)) console.log(line);
}

// ---- results on disk -----------------------------------------------------------------------------------------

function write() {
  const name = `scaling-${machine.date.slice(0, 10)}`;
  const { write: _, ...settings } = options;
  const results = { machine, settings, sizes, batches, teams };
  const { model, simd, threads } = machine;
  const caption = `MedMamba ${options.variant} on ${model}, ${simd}, ${threads} threads, float32`;
  const svg = scalingFigure({ sizes: present(sizes), batches: present(batches), caption });
  const page = [
    `# How cost grows: MedMamba ${options.variant}`,
    "",
    ...machineLines(machine).map((line) => `${line}  `),
    "float32; median steps, each row a process of its own; a training step is forward, backward and AdamW.",
    "",
    `![time and memory against pixels, throughput against the batch](${name}.svg)`,
    "",
    ...markdown("Image size, batch 1", sizeTable(sizes)),
    ...markdown(`Batch, ${options.batchesAt} px`, batchTable(batches)),
    ...markdown(`Threads, ${teamSize} px, batch ${teamBatch}`, teamTable(teams)),
    "The last three rows are what so many threads reach at best, in the same run: a matrix product of 1536 x 1536,",
    "exponentials of numbers in cache, a copy larger than the caches.",
    "",
    ...notes.flatMap((note) => [note, ""]),
    "`npm run bench:scaling -- --help` explains the columns.",
    "",
  ];
  console.log(`\n${writeResults(name, { json: results, markdown: page, svg })}`);
}

function markdown(title, table) {
  return [`## ${title}`, "", ...markdownTable(table), ""];
}
