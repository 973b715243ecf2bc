// `npm run bench:distributed`: how long ranks take to add up, by size and engine, our sum beside the engine's own, and how long a
// training step takes by one process and by two.
//
// Each engine runs in processes of its own under its mpirun, one thread each, on this machine. What a sum costs between GPUs and
// machines that are not here is computed beside, from bytes and links.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describeMachine, machineLines } from "../dist/benchmark/machine.js";
import { columns } from "../dist/cli/console/wording.js";
import { findEngine } from "../dist/distributed/engine.js";
import { openDevice, tensor } from "../dist/index.js";
import { readArguments, wholeNumber } from "./arguments.mjs";
import { launched, measureSteps, problem } from "./distributed-steps.mjs";
import { assumptions, overlapRows } from "./overlap-model.mjs";
import { markdownTable, threeDigits, writeResults } from "./results-files.mjs";
import { bytesOverLink, links, millisecondsOf } from "./scaling-model.mjs";

const help = `npm run bench:distributed -- [options]

  --ranks N   processes, on this machine; default 2
  --runs N    sums of each size; default 15
  --rounds N  in each of which every number is measured once; default 5, which takes
              ten minutes
  --json      print the results as one JSON object, and nothing else
  --write     keep the results as bench/results/distributed-DATE.json and .md

  Milliseconds of a sum, the least and, in brackets, the median: in the order of
  ranks, and as the engine adds by itself. MPI waits with a busy processor, so
  that a machine with other work shows that work.`;

/** float32 values: a few, a layer's, and all gradients of MedMamba tiny. */
const lengths = [1000, 100_000, 1_000_000, 14_459_529];
const reductions = ["rank order", "engine"];
const mpis = ["openmpi", "mpich"];

const options = readArguments(
  "bench:distributed",
  help,
  {
    ranks: { type: "string", default: "2" },
    runs: { type: "string", default: "15" },
    rounds: { type: "string", default: "5" },
    json: { type: "boolean", default: false },
    write: { type: "boolean", default: false },
    // Of a process that measures: where to, and who adds.
    measure: { type: "string" },
    reduction: { type: "string", default: "rank order" },
  },
  (values) => ({
    ...values,
    ranks: wholeNumber("ranks", values.ranks, 2),
    runs: wholeNumber("runs", values.runs, 3),
    rounds: wholeNumber("rounds", values.rounds, 1),
  }),
);
if (options.measure) await measure(options.measure);
else await compare();

/** One rank: writes its times into the folder. */
async function measure(folder) {
  const { env } = process;
  const rank = Number(env.OMPI_COMM_WORLD_RANK ?? env.PMI_RANK);
  const worldSize = Number(env.OMPI_COMM_WORLD_SIZE ?? env.PMI_SIZE);
  const device = openDevice("cpu", { threads: 1 });
  const engine = findEngine("mpi", device);
  const { reduction } = options;
  const communicator = await engine.connect(device, { id: engine.id(), rank, worldSize, reduction });
  const times = [];
  for (const length of lengths) {
    const values = tensor(new Float32Array(length), [length], { device });
    const start = tensor(new Float32Array(1), [1], { device });
    const taken = [];
    for (let run = 0; run <= options.runs; run++) {
      communicator.sum(start); // all ranks are here
      taken.push(1e3 * (await device.time(() => communicator.sum(values))));
    }
    taken.shift(); // whose memory is new
    taken.sort((a, b) => a - b);
    times.push({ length, least: taken[0], median: taken[taken.length >> 1] });
    values.dispose();
  }
  await communicator.close();
  if (rank === 0)
    writeFileSync(join(folder, "times.json"), JSON.stringify({ version: engine.version, times }));
}

async function compare() {
  const say = (line = "") => options.json || console.log(line);
  const device = openDevice("cpu", { threads: 1 });
  const machine = describeMachine(device);
  device.close();
  for (const line of machineLines(machine)) say(line);
  const found = [];
  for (let round = 0; round < options.rounds; round++)
    for (const mpi of mpis) for (const reduction of reductions) found.push(...timesOf(mpi, reduction));
  const rows = overRounds(found);
  const steps = await measureSteps(options.rounds);
  const overlap = overlapRows();
  const tables = {
    sums: resultTable(rows),
    steps: stepTable(steps),
    computed: computedTable(),
    overlap: overlapTable(overlap),
  };
  for (const part of Object.values(tables)) for (const line of ["", ...columns(part)]) say(line);
  const { ranks, runs, rounds } = options;
  const results = {
    machine,
    ranks,
    runs,
    rounds,
    load: loadavg()[1],
    rows,
    steps,
    computed: model(),
    overlap,
  };
  if (options.json) console.log(JSON.stringify(results));
  if (options.write) say(write(results, tables));
}

/** Of what was measured in several rounds, the least, and the median of the medians. */
function overRounds(found) {
  const same = new Map();
  for (const row of found) {
    const key = `${row.engine} ${row.reduction} ${row.length}`;
    same.set(key, [...(same.get(key) ?? []), row]);
  }
  return [...same.values()].map((rows) => {
    const medians = rows.map(({ median }) => median).sort((a, b) => a - b);
    const least = Math.min(...rows.map((row) => row.least));
    return { ...rows[0], least, median: medians[medians.length >> 1] };
  });
}

function stepTable(steps) {
  const heading = ["processes", "after backward, ms", "beside it, ms", "beside / after"];
  const times = (summary) =>
    summary ? `${threeDigits(summary.least)} (${threeDigits(summary.median)})` : "";
  const cells = steps.map(({ name, after, beside, ratio }) => [
    name,
    times(after),
    times(beside),
    ratio === null ? "" : threeDigits(ratio),
  ]);
  return [heading, ...cells];
}

function overlapTable(rows) {
  const heading = [
    "network, computed",
    "MB",
    "on",
    "link",
    "backward, ms",
    "sum, ms",
    "waits with buckets, ms",
  ];
  const cells = rows.map(({ variant, megabytes, device, link, backward, sum, waits }) => [
    variant,
    threeDigits(megabytes),
    device,
    link,
    threeDigits(backward),
    threeDigits(sum),
    threeDigits(waits),
  ]);
  return [heading, ...cells];
}

/** Nothing where that MPI is not installed. */
function timesOf(mpi, reduction) {
  const folder = mkdtempSync(join(tmpdir(), "medmamba-distributed-"));
  const [launcher, ...before] = launched(`mpirun.${mpi}`, options.ranks);
  const own = [
    process.execPath,
    fileURLToPath(import.meta.url),
    "--measure",
    folder,
    "--reduction",
    reduction,
  ];
  try {
    spawnSync(launcher, [...before, ...own, "--runs", `${options.runs}`], {
      stdio: ["ignore", "ignore", options.json ? "ignore" : "inherit"],
      // A rank that waits lets another have the processor, where there are fewer processors than ranks.
      env: { ...process.env, OMPI_MCA_mpi_yield_when_idle: "1" },
      timeout: 300_000,
    });
    const { version, times } = JSON.parse(readFileSync(join(folder, "times.json"), "utf8"));
    return times.map((time) => ({ engine: version, reduction, ...time }));
  } catch {
    console.error(`bench:distributed: ${mpi} is not measured: it is not installed, or did not end.`);
    return [];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function resultTable(rows) {
  const heading = ["engine", "who adds", ...lengths.map((length) => `${threeDigits((4 * length) / 1e6)} MB`)];
  const found = [...new Set(rows.map(({ engine }) => engine))];
  const cells = found.flatMap((engine) =>
    reductions.map((reduction) => [
      engine,
      reduction === "engine" ? "the engine" : "ranks in order",
      ...lengths.map((length) => {
        const row = rows.find(
          (own) => own.engine === engine && own.reduction === reduction && own.length === length,
        );
        return row ? `${threeDigits(row.least)} (${threeDigits(row.median)})` : "";
      }),
    ]),
  );
  return [heading, ...cells];
}

/** Ranks, and how many of them share a link, with milliseconds of a sum of all gradients of MedMamba tiny. */
function model() {
  const bytes = 4 * lengths.at(-1);
  return links.flatMap(({ name, gigabytes, between }) => {
    const forms =
      between === "GPUs"
        ? [
            [2, 1],
            [8, 1],
          ]
        : [
            [2, 1],
            [8, 1],
            [16, 8],
            [64, 8],
          ];
    return forms.map(([ranks, perMachine]) => {
      const { ours, engine } = bytesOverLink(bytes, ranks, perMachine);
      const milliseconds = {
        ours: millisecondsOf(ours, gigabytes),
        engine: millisecondsOf(engine, gigabytes),
      };
      return { link: name, gigabytes, between, ranks, perMachine, ...milliseconds };
    });
  });
}

function computedTable() {
  const heading = ["link, computed", "GB/s", "ranks", "sharing it", "ranks in order, ms", "the engine, ms"];
  const cells = model().map(({ link, gigabytes, ranks, perMachine, ours, engine }) => [
    link,
    `${gigabytes}`,
    `${ranks}`,
    `${perMachine}`,
    threeDigits(ours),
    threeDigits(engine),
  ]);
  return [heading, ...cells];
}

function write({ machine, ranks, runs, rounds, load, ...results }, { sums, steps, computed, overlap }) {
  const { side, batch, megabytes } = problem;
  const markdown = [
    `# Sums over ${ranks} ranks`,
    "",
    machineLines(machine).join("  \n"),
    "",
    `Milliseconds of a sum of float32 values over ${ranks} processes of one thread on this machine, the least of ${runs} in each of`,
    `${rounds} rounds and, in brackets, the median of the rounds' medians.`,
    "",
    ...markdownTable(sums),
    "",
    `The machine's load was ${load.toFixed(1)} on ${availableParallelism()} processors, all with other work at the time, and MPI waits with a busy`,
    "processor: the least counts.",
    "",
    "## Training steps",
    "",
    `Milliseconds of a step of MedMamba tiny, ${batch} images of ${side} x ${side} in all, the least and, in brackets, the median of`,
    `${rounds} rounds of ${problem.steps} steps. With two processes, gradients are added up after backward, or in buckets of ${megabytes} MB beside it; both`,
    "in one process in turn, and the last column is the median of the ratios of two that follow one another. On one machine two",
    "processes share the processors that one would use, so that there is nothing to win. MPI waits with a busy processor, which it takes",
    "from backward; TCP waits without. What is faster is the default (`src/distributed/connection.ts`).",
    "",
    ...markdownTable(steps),
    "",
    "## Computed",
    "",
    "What a sum of all gradients of MedMamba tiny (57.8 MB) costs on links that are not here: bytes over what a link carries in",
    "practice, latency left out (`bench/scaling-model.mjs`). Nobody has measured these. A machine's ranks share its link to others.",
    "",
    ...markdownTable(computed),
    "",
    `What a step waits for where gradients leave in buckets of ${assumptions.megabytes} MB while backward goes on, over ${assumptions.ranks} ranks that each have`,
    `such a link of their own, ${2 * assumptions.latency} ms of latency a bucket (\`bench/overlap-model.mjs\`). Times of backward are estimates: on a GPU from`,
    "docs/cuda.md, on two cores from images a second, and shares of blocks from their pixels and channels.",
    "",
    ...markdownTable(overlap),
    "",
    "`npm run bench:distributed -- --write` made this page, `--help` explains it.",
    "",
  ];
  const json = { machine, ranks, runs, rounds, load, ...results };
  return writeResults(`distributed-${machine.date.slice(0, 10)}`, {
    json,
    markdown,
  });
}
