// `scripts/gpu-peers.sh`: this package beside PyTorch on one GPU, and a roofline of its kernels.
//
// Order of each unit: ours, peer, ours. Units are kept in build/bench-gpu-peers.json as run.mjs keeps its own. PyTorch's
// MedMamba scans with mamba_ssm's kernel where build_selective_scan.py has built it; otherwise with the fastest scan in
// PyTorch's own operations, which is said beside the results.
import { spawnSync } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describeMachine, machineLines } from "../../dist/benchmark/machine.js";
import { columns } from "../../dist/cli/console/wording.js";
import { openDevice } from "../../dist/index.js";
import { readArguments, wholeNumber } from "../arguments.mjs";
import { measuredProcess } from "../measured-process.mjs";
import { markdownTable, writeResults } from "../results-files.mjs";
import { roofline } from "../roofline.mjs";
import { kernelRows, networkRows, otherRows } from "./gpu-tables.mjs";
import { ours, peer, peerVersion } from "./sides.mjs";
import { measureRuns, openRuns, unfinished } from "./unit-runs.mjs";

const help = `node bench/peers/gpu.mjs [options]

  --device NAME        ours; default cuda
  --peer-device NAME   PyTorch's; default cuda
  --precisions LIST    default float32,tf32,bf16
  --batches LIST       of inference; the largest also of training and kernels;
                       default 1,128
  --image-size N       default 224
  --others LIST        of timm, in the last precision; default
                       convnext_nano,resnet50,swin_tiny; none for none
  --warmup N           untimed steps; default 5
  --repeats N          timed steps, five times as many of one image; default 20
  --runs N             default 1
  --minutes N          stop before the unit that would take longer, with exit
                       code 75; the same command goes on
  --seconds N          longest for a peer's process; default 300
  --fresh              forget what was measured before
  --bench-arguments=S  of medmamba bench, such as --quick
  --python COMMAND     default python3
  --write              keep the results in bench/results, named by GPU and date`;

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const options = readOptions();
const largest = Math.max(...options.batches);
const python = peerVersion(options.python) ? options.python : null;
const scan = python && canImport("selective_scan_cuda") ? "mamba_ssm" : "chunked";
const machine = describe();
const peerName = python && `${peerVersion(python)}, scan: ${scan}`;
for (const line of [...machineLines(machine), peerName ?? "PyTorch is not installed."]) console.log(line);

const settings = {
  ...{ device: options.device, peerDevice: options.peerDevice, imageSize: options.imageSize },
  ...{ batches: options.batches.join(), model: machine.model, commit: machine.commit, peer: peerName },
};
let [state, left] = [];
try {
  state = openRuns(join(root, "build", "bench-gpu-peers.json"), settings, machine, options.fresh);
  left = await measureRuns(state, units(), options);
} catch (error) {
  console.error(`gpu-peers: ${error.message}`);
  process.exit(1);
}
const tables = [
  ["MedMamba, images a second", networkRows(state.runs)],
  ["Beside other networks, images a second", otherRows(state.runs)],
  ["Kernels", kernelRows(state.runs)],
].filter(([, table]) => table.length > 1);
for (const [title, table] of tables) {
  console.log(`\n${title}`);
  for (const line of columns(table)) console.log(line);
}
const failures = [
  ...new Set(
    state.runs.flatMap((run) =>
      Object.entries(run).flatMap(([key, { peerErrors = {} }]) =>
        Object.entries(peerErrors).map(([mode, error]) => `${key}, PyTorch ${mode}: ${error}.`),
      ),
    ),
  ),
];
for (const line of failures) console.log(line);
if (left > 0) {
  console.log(`\nUnits left: ${left}. The same command goes on with them.`);
  process.exit(unfinished);
}
if (options.write) write();

function readOptions() {
  return readArguments(
    "gpu-peers",
    help,
    {
      device: { type: "string", default: "cuda" },
      "peer-device": { type: "string", default: "cuda" },
      precisions: { type: "string", default: "float32,tf32,bf16" },
      batches: { type: "string", default: "1,128" },
      "image-size": { type: "string", default: "224" },
      others: { type: "string", default: "convnext_nano,resnet50,swin_tiny" },
      warmup: { type: "string", default: "5" },
      repeats: { type: "string", default: "20" },
      runs: { type: "string", default: "1" },
      minutes: { type: "string", default: "1000000" },
      seconds: { type: "string", default: "300" },
      "bench-arguments": { type: "string", default: "" },
      fresh: { type: "boolean", default: false },
      python: { type: "string", default: "python3" },
      write: { type: "boolean", default: false },
    },
    (values) => {
      const count = (name) => wholeNumber(name, values[name]);
      return {
        ...{ device: values.device, peerDevice: values["peer-device"], python: values.python },
        precisions: values.precisions.split(","),
        batches: values.batches.split(",").map((text) => wholeNumber("batches", text)),
        benchArguments: values["bench-arguments"].split(" ").filter(Boolean),
        others: values.others === "none" ? [] : values.others.split(","),
        ...{ imageSize: count("image-size"), runs: count("runs"), seconds: count("seconds") },
        ...{ warmup: count("warmup"), repeats: count("repeats") },
        ...{ minutes: count("minutes"), fresh: values.fresh, write: values.write },
      };
    },
  );
}

function canImport(module) {
  const program = `import sys; sys.path[:0] = sys.argv[1:]; import torch, ${module}`;
  const built = join(root, "build", "selective_scan");
  return spawnSync(python, ["-c", program, built]).status === 0;
}

function describe() {
  const device = openDevice(options.device);
  const described = describeMachine(device);
  device.close();
  const query = ["--query-gpu=driver_version", "--format=csv,noheader"];
  const driver = spawnSync("nvidia-smi", query, { encoding: "utf8" });
  return { ...described, driver: driver.status === 0 ? driver.stdout.trim().split("\n")[0] : null };
}

// ---- what is measured ----------------------------------------------------------------------------------------

function units() {
  const tasks = [...options.batches.map((batch) => ["inference", batch]), ["training", largest]];
  const networks = tasks.flatMap(([task, batch]) =>
    options.precisions.map((precision) => ({
      key: `${task}:${batch}/${precision}`,
      expected: 120,
      measure: () => measureNetwork(task, batch, precision),
    })),
  );
  const last = options.precisions.at(-1);
  const others = [
    ["inference", largest],
    ["training", largest],
  ].flatMap(([task, batch]) =>
    options.others.map((model) => ({
      key: `${model}:${task}:${batch}/${last}`,
      expected: 120,
      measure: () => measureOther(model, task, batch, last),
    })),
  );
  const kernels = options.precisions.map((precision) => ({
    key: `kernels:${largest}/${precision}`,
    expected: 90,
    measure: () => measureKernels(precision),
  }));
  return [{ key: "bench/ours", expected: 400, measure: measureBench }, ...networks, ...kernels, ...others];
}

function shape(batch) {
  return ["--batch", String(batch), "--image-size", String(options.imageSize)];
}

function mine(precision) {
  return ["--device", options.device, "--precision", precision];
}

function theirs(precision, mode) {
  return ["--device", options.peerDevice, "--precision", precision, "--mode", mode];
}

/** A hundred steps of one image are also enough for their 99th percentile. */
function stepArguments(task, batch) {
  const repeats = batch === 1 ? 5 * options.repeats : options.repeats;
  return ["--task", task, ...shape(batch), "--warmup", String(options.warmup), "--repeats", String(repeats)];
}

async function measureNetwork(task, batch, precision) {
  const args = stepArguments(task, batch);
  const label = `${task}:${batch} ${precision}`;
  const first = await ours(label, [...args, ...mine(precision)]);
  const [peers, peerErrors] = [{}, {}];
  for (const mode of ["eager", "compile"]) {
    const { report, error } = await peerSide(label, mode, [
      ...args,
      ...["--scan", scan, ...theirs(precision, mode)],
    ]);
    if (report) peers[mode] = stepOf(report);
    else peerErrors[mode] = error;
  }
  const second = await ours(label, [...args, ...mine(precision)]);
  return { ours: [stepOf(first), stepOf(second)], peers, peerErrors };
}

async function measureOther(model, task, batch, precision) {
  const [peers, peerErrors] = [{}, {}];
  for (const mode of ["eager", "compile"]) {
    const args = [...stepArguments(task, batch), "--model", model, ...theirs(precision, mode)];
    const { report, error } = await peerSide(model, mode, args);
    if (report) peers[mode] = stepOf(report);
    else peerErrors[mode] = error;
  }
  return { peers, peerErrors };
}

/** The scans are float32 whatever the precision, and so measured once. */
async function measureKernels(precision) {
  const scans = precision === options.precisions[0];
  const rows = ["conv3x3", "in_proj", "x_proj", "out_proj", ...(scans ? ["scan4", "selective"] : [])];
  const groups = ["conv3x3", "linear", ...(scans ? ["scan", "selective_scan"] : [])];
  const own = ["--task", "kernels", "--kernels", rows.join(), ...shape(largest), ...mine(precision)];
  const first = await ours("kernels", own);
  const { report, error } = await peerSide("kernels", "eager", [
    ...["--task", "kernels", "--kernels", groups.join(), "--scan", scan, ...shape(largest)],
    ...theirs(precision, "eager"),
  ]);
  const second = await ours("kernels", own);
  const peers = report ? { eager: report.rows } : {};
  return { ours: [first.rows, second.rows], peers, peerErrors: error ? { eager: error } : {} };
}

/** Every kernel of ours, for the roofline. */
async function measureBench() {
  const args = ["--device", options.device, "--image-size", String(options.imageSize)];
  const list = ["--precision", options.precisions.join(), "--batch-size", options.batches.join()];
  const program = join(root, "dist", "cli", "main.js");
  const command = [program, "bench", ...args, ...list, ...options.benchArguments, "--json"];
  const { report, error } = await measuredProcess("medmamba bench", process.execPath, command, {
    whole: true,
  });
  if (error) throw new Error(`medmamba bench ${error}`);
  return { bench: report };
}

function peerSide(label, mode, args) {
  return peer(`${label}, PyTorch ${mode}`, python, args, options.seconds);
}

function stepOf({ seconds, peakBytes, heldBytes }) {
  return { seconds, peakBytes, heldBytes };
}

function write() {
  const { driver, date } = machine;
  const gpu =
    machine.model
      .toLowerCase()
      .replace(/nvidia|geforce|tesla/g, "")
      .match(/[a-z]+\d*\w*/)?.[0] ?? "gpu";
  const name = `${gpu}-${date.slice(0, 10)}`;
  const caption = `${machine.model}, medmamba ${machine.medmamba}, ${date.slice(0, 10)}`;
  const page = [
    `# ${machine.model}: MedMamba tiny at ${options.imageSize} px, beside PyTorch`,
    "",
    ...machineLines(machine).map((line) => `${line}  `),
    `Driver ${driver ?? "not known"}; ${peerName ?? "PyTorch was not measured"}.`,
    "",
    ...tables.flatMap(([title, table]) => [`## ${title}`, "", ...markdownTable(table), ""]),
    ...failures.flatMap((line) => [line, ""]),
    `![every kernel below what memory, products and exponentials allow](${name}.svg)`,
    "",
    "Median steps after warming up, each side in processes of its own, in the order ours, PyTorch, ours. Memory is the",
    "most that tensors held, as each side counts it. PyTorch's networks are channels-last; its bf16 is autocast.",
    "",
  ];
  const svg = roofline(state.runs[0]["bench/ours"].bench, caption);
  const json = { machine, settings: { ...settings, peer: peerName }, runs: state.runs };
  console.log(`\n${writeResults(name, { json, markdown: page, svg })}`);
}
