// `npm run bench:peers`: this package beside PyTorch on the CPU, the whole table as often as asked for.
//
// What has been measured is kept in build/bench-peers.json after each unit, and the same command goes on from there:
// so it can be cut into parts of a few minutes, and survives what ends it. Exit code 75: there is more to measure.
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describeMachine, machineLines } from "../../dist/benchmark/machine.js";
import { columns } from "../../dist/cli/console/wording.js";
import { openDevice } from "../../dist/index.js";
import { readArguments, wholeNumber } from "../arguments.mjs";
import { markdownTable, writeResults } from "../results-files.mjs";
import { peerVersion } from "./sides.mjs";
import { allTables, failures } from "./tables.mjs";
import { allThreads, measureUnit, tasks } from "./tasks.mjs";
import { measureRuns, openRuns, unfinished } from "./unit-runs.mjs";

const help = `npm run bench:peers -- [options]

  --tasks LIST         default: all, which are ${Object.keys(tasks).join(", ")}
  --modes LIST         of PyTorch, eager (with limits and threads), compile,
                       bf16; default: all
  --runs N             the whole table so many times, compile, which takes
                       minutes, in the first only; default 1
  --minutes N          stop before the unit that would take longer, with exit
                       code 75; the same command goes on
  --fresh              forget what was measured before
  --image-size N       default 224
  --variant NAME       tiny, small or base; default tiny
  --threads N          for both sides; default: all processors
  --latency-steps N    of inference:1 beside eager; default 100
  --seconds N          longest for a peer's process; default 150
  --compile-seconds N  the same through torch.compile; default 180
  --python COMMAND     default python3
  --write              keep the results as bench/results/cpu-DATE.json and .md

  +-        half of what lies between the slowest and the fastest run, by the median
  by eager  ours by PyTorch's: times as fast, and the share of its peak memory
  bf16      ours with precision bf16, beside PyTorch's autocast to bfloat16
  peak      most memory that the process held, everything included
  limit     what the machine allows: multiply-adds of products, convolutions and
            scan at the rate of a large matrix product, exponentials at theirs, or
            the bytes at that of a copy if that takes longer; see medmamba bench.
            Each rate is the best of all runs, the product's PyTorch's included
  bare multiply-adds  beside a step at a time: a loop in C++ whose threads wait
            for each other a hundred times in 40 ms, to see how steady the machine is
  loop, chunked   PyTorch's scan, a step at a time and 16 steps at a time
  ns, one thread  for each state, step and direction, on one thread

Three runs in parts of six minutes:
  until npm run bench:peers -- --runs 3 --minutes 6 --write; do [ $? = 75 ] || break; done`;

const here = dirname(fileURLToPath(import.meta.url));
const stateFile = join(here, "..", "..", "build", "bench-peers.json");
const options = readOptions();
const peerName = peerVersion(options.python);
const machine = describe();
for (const line of machineLines(machine)) console.log(line);
console.log(
  `MedMamba ${options.variant}, ${options.imageSize} x ${options.imageSize}, ${options.threads} threads`,
);
console.log(peerName ?? `PyTorch cannot be measured: ${options.python} has no module torch.`);

const state = await orExit(() => openRuns(stateFile, settings(), machine, options.fresh));
const left = await orExit(() => measureRuns(state, units(), options));
for (const [title, table] of allTables(state.runs)) {
  console.log(`\n${title}`);
  for (const line of columns(table)) console.log(line);
}
for (const line of failures(state.runs)) console.log(line);
if (left > 0) {
  console.log(`\nUnits left: ${left}. The same command goes on with them.`);
  process.exit(unfinished);
}
if (options.write) write();

function readOptions() {
  return readArguments(
    "bench:peers",
    help,
    {
      tasks: { type: "string", default: Object.keys(tasks).join() },
      modes: { type: "string", default: "eager,compile,bf16" },
      runs: { type: "string", default: "1" },
      minutes: { type: "string", default: "1000000" },
      fresh: { type: "boolean", default: false },
      "image-size": { type: "string", default: "224" },
      variant: { type: "string", default: "tiny" },
      threads: { type: "string", default: String(allThreads) },
      "latency-steps": { type: "string", default: "100" },
      seconds: { type: "string", default: "150" },
      "compile-seconds": { type: "string", default: "180" },
      python: { type: "string", default: "python3" },
      write: { type: "boolean", default: false },
    },
    (values) => {
      const count = (name) => wholeNumber(name, values[name]);
      const names = (name, known) => {
        const listed = values[name].split(",");
        const unknown = listed.find((one) => !known.includes(one));
        if (unknown === undefined) return listed;
        throw new TypeError(`--${name}: there is no "${unknown}"; there are ${known.join(", ")}`);
      };
      return {
        tasks: names("tasks", Object.keys(tasks)),
        modes: names("modes", ["eager", "compile", "bf16"]),
        ...{ runs: count("runs"), minutes: count("minutes"), fresh: values.fresh, write: values.write },
        ...{ imageSize: count("image-size"), variant: values.variant, threads: count("threads") },
        ...{ latencySteps: count("latency-steps"), python: values.python },
        ...{ seconds: count("seconds"), compileSeconds: count("compile-seconds") },
      };
    },
  );
}

function describe() {
  const device = openDevice("cpu", { threads: options.threads });
  const described = describeMachine(device);
  device.close();
  return described;
}

/** What decides whether numbers belong into one table. */
function settings() {
  const { imageSize, variant, threads, latencySteps } = options;
  const { model, simd, commit } = machine;
  return { imageSize, variant, threads, latencySteps, model, simd, commit, peer: peerName };
}

function units() {
  const python = peerName ? options.python : null;
  return options.tasks.flatMap((name) =>
    tasks[name].modes.filter(isWanted).map((mode) => ({
      key: `${name}/${mode}`,
      once: mode === "compile",
      expected: tasks[name].expected + (mode === "compile" ? 120 : 0),
      measure: () => measureUnit(name, mode, { ...options, python }),
    })),
  );
}

/** Modes of the networks are a choice; others belong to their task. */
function isWanted(mode) {
  return options.modes.includes(mode) || !["eager", "compile", "bf16"].includes(mode);
}

async function orExit(action) {
  try {
    return await action();
  } catch (error) {
    console.error(`bench:peers: ${error.message}`);
    process.exit(1);
  }
}

function write() {
  const { python: _, write: __, fresh: ___, minutes: ____, ...chosen } = options;
  const results = { machine: state.machine, settings: { ...chosen, peer: peerName }, runs: state.runs };
  const page = [
    `# CPU: MedMamba ${options.variant} at ${options.imageSize} px, beside PyTorch`,
    "",
    ...machineLines(state.machine).map((line) => `${line}  `),
    `${peerName ?? "PyTorch was not measured."}  `,
    `${options.runs === 1 ? "One run." : `${options.runs} runs, compile in the first only; numbers are medians over them.`}`,
    "",
    ...allTables(state.runs).flatMap(([title, table]) => [`## ${title}`, "", ...markdownTable(table), ""]),
    ...failures(state.runs).flatMap((line) => [line, ""]),
    "Each side in processes of its own, in the order ours, PyTorch, ours.",
    "`npm run bench:peers -- --help` explains the columns.",
    "",
  ];
  const name = `cpu-${state.machine.date.slice(0, 10)}`;
  console.log(`\n${writeResults(name, { json: results, markdown: page })}`);
}
