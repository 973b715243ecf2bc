// `npm run bench:peers`: this package beside PyTorch on the CPU, the whole table as often as asked for.
//
// What has been measured is kept in build/bench-peers.json after each unit, and the same command goes on from there:
// so it can be cut into parts of a few minutes, and survives what ends it. Exit code 75: there is more to measure.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { describeMachine, machineLines } from "../../dist/cli/bench-machine.js";
import { columns } from "../../dist/cli/wording.js";
import { openDevice } from "../../dist/index.js";
import { markdownTable, writeResults } from "../results-files.mjs";
import { allTables, failures } from "./tables.mjs";
import { allThreads, measureUnit, tasks } from "./tasks.mjs";

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
  peak      most memory that the process held, everything included
  limit     what the machine allows: multiply-adds of products, convolutions and
            scan at the rate of a large matrix product, exponentials at theirs, or
            the bytes at that of a copy if that takes longer; see medmamba bench
  loop, chunked   PyTorch's scan, a step at a time and 16 steps at a time
  ns, one thread  for each state, step and direction, on one thread

Three runs in parts of six minutes:
  until npm run bench:peers -- --runs 3 --minutes 6 --write; do [ $? = 75 ] || break; done`;

const here = dirname(fileURLToPath(import.meta.url));
const stateFile = join(here, "..", "..", "build", "bench-peers.json");
const options = readOptions();
const begin = performance.now();
const peerName = findPeer(options.python);
const machine = describe();
for (const line of machineLines(machine)) console.log(line);
console.log(
  `MedMamba ${options.variant}, ${options.imageSize} x ${options.imageSize}, ${options.threads} threads`,
);
console.log(peerName ?? `PyTorch cannot be measured: ${options.python} has no module torch.`);

const state = readState();
const unfinished = await measureAll();
for (const [title, table] of allTables(state.runs)) {
  console.log(`\n${title}`);
  for (const line of columns(table)) console.log(line);
}
for (const line of failures(state.runs)) console.log(line);
if (unfinished > 0) {
  console.log(`\n${unfinished} units are left: the same command goes on with them.`);
  process.exit(75);
}
if (options.write) write();

function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
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
        help: { type: "boolean", default: false },
      },
    });
    if (values.help) {
      console.log(help);
      process.exit(0);
    }
    const count = (name) => {
      if (/^[1-9]\d*$/.test(values[name])) return Number(values[name]);
      throw new TypeError(`--${name}: "${values[name]}" is not a whole number of 1 or more`);
    };
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
  } catch (error) {
    console.error(`bench:peers: ${error.message}\n\n${help}`);
    process.exit(2);
  }
}

/** The peer, or null if there is none. */
function findPeer(python) {
  const program =
    'import platform, torch; print(f"PyTorch {torch.__version__}, Python {platform.python_version()}")';
  const { error, status, stdout } = spawnSync(python, ["-c", program], { encoding: "utf8" });
  return !error && status === 0 && stdout.startsWith("PyTorch") ? stdout.trim() : null;
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

/** `runs`: for each run its units by "task/mode". */
function readState() {
  const nothing = { settings: settings(), machine, runs: [] };
  if (options.fresh) rmSync(stateFile, { force: true });
  if (!existsSync(stateFile)) return nothing;
  const state = JSON.parse(readFileSync(stateFile, "utf8"));
  const now = settings();
  const different = Object.keys(now).filter((field) => state.settings[field] !== now[field]);
  if (different.length === 0) return state;
  console.error(
    `bench:peers: ${stateFile} was measured with another ${different.join(", ")}: --fresh forgets it.`,
  );
  process.exit(1);
}

/** The number of units that are left because the time is over. */
async function measureAll() {
  const wanted = options.tasks.flatMap((name) =>
    tasks[name].modes.filter(isWanted).map((mode) => ({ name, mode, key: `${name}/${mode}` })),
  );
  let left = 0;
  for (let run = 0; run < options.runs; ++run) {
    state.runs[run] ??= {};
    for (const { name, mode, key } of wanted) {
      if (state.runs[run][key] || (run > 0 && mode === "compile")) continue;
      const over = performance.now() - begin + 1000 * expectedSeconds(name, key) > 60_000 * options.minutes;
      if (left > 0 || over) {
        left += 1;
        continue;
      }
      await measureOne(run, name, mode, key);
    }
  }
  return left;
}

/** Modes of the networks are a choice; others belong to their task. */
function isWanted(mode) {
  return options.modes.includes(mode) || !["eager", "compile", "bf16"].includes(mode);
}

function expectedSeconds(name, key) {
  const known = state.runs.flatMap((run) => run?.[key]?.took ?? []);
  return known.length > 0 ? 1.2 * Math.max(...known) : tasks[name].expected + (/compile/.test(key) ? 120 : 0);
}

async function measureOne(run, name, mode, key) {
  const start = performance.now();
  const python = peerName ? options.python : null;
  try {
    const unit = await measureUnit(name, mode, { ...options, python });
    const took = (performance.now() - start) / 1000;
    state.runs[run][key] = { ...unit, took };
    console.log(`run ${run + 1}, ${key}: ${took.toFixed(0)} s`);
  } catch (error) {
    console.error(`bench:peers: ${error.message}`);
    process.exit(1);
  }
  mkdirSync(dirname(stateFile), { recursive: true });
  writeFileSync(stateFile, JSON.stringify(state));
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
