// `npm run bench:peers`: this package beside MedMamba in plain PyTorch on the CPU, in one call.
//
// Each task (inference or training at one batch size) runs in processes of its own, in the order ours, peer, ours:
// if the machine slows down or speeds up meanwhile, our two runs differ, and `drift` shows by how much.
import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { summary } from "../../dist/benchmark/measure.js";
import { describeMachine, machineLines } from "../../dist/cli/bench-machine.js";
import { byteSize, columns } from "../../dist/cli/wording.js";
import { openDevice } from "../../dist/index.js";

const help = `npm run bench:peers -- [options]

  --tasks LIST       default inference:1,inference:8,training:2,training:8
  --image-size N     default 224
  --variant NAME     tiny, small or base; default tiny
  --threads N        for both; default: all processors
  --repeats N        least timed steps of a run, after one to warm up; default 5
  --budget SECONDS   after which two repeats of a run are enough; default 40
  --mode compile     PyTorch through torch.compile; default eager
  --autocast bfloat16   PyTorch's products in bfloat16 (ours stay float32)
  --python COMMAND   default python3
  --write            keep the results as bench/results/cpu-DATE.json and .md

  img/s    images a second, from the median step; of ours, both runs together
  +-       half of the steps are within this of the median, about
  ratio    ours by the peer's
  drift    our first run's median by our second's: how steady the machine was
  peak     most memory that the process held, everything included
  memory   our peak by the peer's`;

const here = dirname(fileURLToPath(import.meta.url));
const options = readOptions();
const peer = findPeer(options.python);
const machine = describe();
for (const line of machineLines(machine)) console.log(line);
console.log(
  `MedMamba ${options.variant}, ${options["image-size"]} x ${options["image-size"]}, ${options.threads} threads`,
);
console.log(peer.name ?? `PyTorch cannot be measured: ${peer.missing}.`);

const results = options.tasks.split(",").map((name) => measureTask(name));
const table = columns(tableRows(results));
const failures = results.flatMap(({ name, peerError }) =>
  peerError ? [`${name}: PyTorch ${peerError}`] : [],
);
console.log();
for (const line of [...table, ...failures]) console.log(line);
if (options.write) write();

function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        tasks: { type: "string", default: "inference:1,inference:8,training:2,training:8" },
        "image-size": { type: "string", default: "224" },
        variant: { type: "string", default: "tiny" },
        threads: { type: "string", default: String(availableParallelism()) },
        repeats: { type: "string", default: "5" },
        budget: { type: "string", default: "40" },
        mode: { type: "string", default: "eager" },
        autocast: { type: "string" },
        python: { type: "string", default: "python3" },
        write: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    });
    if (!/^((inference|training):[1-9]\d*(,|$))+$/.test(values.tasks))
      throw new TypeError(`--tasks ${values.tasks}: write inference:8 or training:8, with commas between`);
    if (values.help) {
      console.log(help);
      process.exit(0);
    }
    return values;
  } catch (error) {
    console.error(`bench:peers: ${error.message}\n\n${help}`);
    process.exit(2);
  }
}

/** The peer and how it will run, or why it cannot. */
function findPeer(python) {
  const program =
    'import platform, torch; print(f"PyTorch {torch.__version__}, Python {platform.python_version()}")';
  const { error, status, stdout } = spawnSync(python, ["-c", program], { encoding: "utf8" });
  if (error) return { missing: `there is no ${python} (--python names another)` };
  if (status !== 0 || !stdout.startsWith("PyTorch"))
    return { missing: `${python} has no module torch; \`${python} -m pip install torch\` installs it` };
  return { name: `${stdout.trim()}, ${options.mode}, ${options.autocast ?? "float32"}` };
}

function describe() {
  const device = openDevice("cpu", { threads: Number(options.threads) });
  const described = describeMachine(device);
  device.close();
  return described;
}

function measureTask(name) {
  const [task, batch] = name.split(":");
  const common = ["--task", task, "--batch", batch];
  for (const option of ["image-size", "variant", "threads", "repeats", "budget"])
    common.push(`--${option}`, options[option]);
  const precision = options.autocast ? ["--autocast", options.autocast] : [];
  const ours = () => run(`${name}, ours`, process.execPath, [join(here, "medmamba.mjs"), ...common]);
  const first = ours();
  if (first.error) fail(`${name}: ${first.error}`);
  const peerArguments = [join(here, "pytorch.py"), ...common, "--mode", options.mode, ...precision];
  const other = peer.missing ? {} : run(`${name}, PyTorch`, options.python, peerArguments);
  const second = ours();
  if (second.error) fail(`${name}: ${second.error}`);
  return {
    name,
    batch: Number(batch),
    ours: {
      name: first.report.name,
      runs: [first.report.seconds, second.report.seconds],
      ...summary([...first.report.seconds, ...second.report.seconds]),
      drift: summary(first.report.seconds).seconds / summary(second.report.seconds).seconds,
      peakBytes: Math.max(first.report.peakBytes, second.report.peakBytes),
    },
    peer: other.report
      ? {
          name: other.report.name,
          runs: [other.report.seconds],
          ...summary(other.report.seconds),
          peakBytes: other.report.peakBytes,
        }
      : null,
    peerError: other.error,
  };
}

/** One process; its report, or what it died of. */
function run(label, command, args) {
  if (process.stderr.isTTY) process.stderr.write(`\r${label} ...\x1b[K`);
  const { status, signal, stdout, stderr } = spawnSync(command, args, { encoding: "utf8" });
  if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");
  if (status === 0) return { report: JSON.parse(stdout.trim().split("\n").at(-1)) };
  const said = (stderr ?? "").trim().split("\n").at(-1) ?? "";
  return { error: signal ? `was ended by ${signal} (memory?)` : `failed: ${said}` };
}

function tableRows(measured) {
  const rate = (side, batch) => (side ? (batch / side.seconds).toPrecision(3) : "-");
  const spread = (side) => (side ? `${(50 * side.spread).toFixed(0)} %` : "-");
  const heading = [
    "task:batch",
    "img/s",
    "+-",
    "PyTorch",
    "+-",
    "ratio",
    "drift",
    "peak",
    "PyTorch",
    "memory",
  ];
  return [
    heading,
    ...measured.map(({ name, batch, ours, peer }) => [
      name,
      rate(ours, batch),
      spread(ours),
      rate(peer, batch),
      spread(peer),
      peer ? `${(peer.seconds / ours.seconds).toFixed(1)}x` : "-",
      ours.drift.toFixed(2),
      byteSize(ours.peakBytes),
      peer ? byteSize(peer.peakBytes) : "-",
      peer ? (ours.peakBytes / peer.peakBytes).toFixed(2) : "-",
    ]),
  ];
}

function write() {
  const folder = join(here, "..", "results");
  const file = join(folder, `cpu-${machine.date.slice(0, 10)}`);
  mkdirSync(folder, { recursive: true });
  const settings = { ...options, write: undefined, help: undefined };
  writeFileSync(`${file}.json`, `${JSON.stringify({ machine, settings, results }, null, 2)}\n`);
  const [heading, ...rows] = tableRows(results);
  const markdown = (cells) => `| ${cells.join(" | ")} |`;
  const text = [
    `# CPU: MedMamba ${options.variant} at ${options["image-size"]} px, beside plain PyTorch`,
    "",
    ...machineLines(machine).map((line) => `${line}  `),
    peer.name ?? `PyTorch was not measured: ${peer.missing}.`,
    "",
    markdown(heading),
    markdown(heading.map((_, i) => (i === 0 ? "---" : "---:"))),
    ...rows.map(markdown),
    ...failures.map((line) => `\n${line}`),
    "",
    "Median steps; order of runs: ours, PyTorch, ours. `npm run bench:peers -- --help` explains the columns.",
    "",
  ];
  writeFileSync(`${file}.md`, text.join("\n"));
  console.log(`\nwritten: ${relative(process.cwd(), file)}.json and .md`);
}

function fail(message) {
  console.error(`bench:peers: ${message}`);
  process.exit(1);
}
