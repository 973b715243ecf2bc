// The steps of gpu-stages.mjs, one after another, each within its limit, its stage's and that of all. What they print goes
// into a file a stage; what became of them into summary.json and summary.md, which are written anew after every step.
// Exit code: 0, or 1 if a step failed or was not done in time.
import { spawn, spawnSync } from "node:child_process";
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { stagesFor } from "./gpu-stages.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const options = readOptions();
const out = process.env.OUT || join(root, "bench", "results", "gpu-run");
const device = options.device ?? (options.emulator ? "cuda-emulated" : "cuda");
const python = process.env.PYTHON || "python3";
const tools = installed(options.emulator ? [] : ["compute-sanitizer", "ncu", "nsys"]);
const modules = importable(["torch", "selective_scan_cuda"]);
if (modules.has("torch") && !options.emulator) tools.add("PyTorch");
const scan = modules.has("selective_scan_cuda") ? "mamba_ssm" : "chunked";
const context = {
  root,
  device,
  python,
  scan,
  data: options.data ?? carriedData(),
  emulator: options.emulator,
};

const summary = { begun: new Date().toISOString(), commit: commit(), device, gpu: gpu(), steps: [] };
// What tools say of the machine rather than of us.
const cannotWork = /Unable to find injection library|ERR_NVGPUCTRPERM/;
const begin = performance.now();
const seconds = () => (performance.now() - begin) / 1000;
mkdirSync(out, { recursive: true });
mkdirSync(join(root, "build", "gpu-run"), { recursive: true });
for (const file of readdirSync(out)) if (/^summary\.(json|md)$/.test(file)) rmSync(join(out, file));

for (const stage of stagesFor(context)) {
  const endOfStage = seconds() + stage.seconds;
  rmSync(join(out, `${stage.name}.txt`), { force: true });
  for (const step of stage.steps) {
    if (!wanted(stage, step)) continue;
    const left = Math.min(
      step.seconds,
      options.emulator ? step.seconds : endOfStage - seconds(),
      60 * options.minutes - seconds(),
    );
    const result = await carryOut(stage.name, step, left);
    summary.steps.push({ stage: stage.name, name: step.name, ...result });
    console.log(line(summary.steps.at(-1)));
    writeSummary();
  }
}
const wrong = summary.steps.filter(({ outcome }) => outcome === "failed" || outcome === "not done in time");
console.log(
  wrong.length > 0 ? `${wrong.length} of ${summary.steps.length} steps: wrong` : "Nothing is wrong.",
);
console.log(`Results in ${out}`);
process.exitCode = wrong.length > 0 ? 1 : 0;

// ---- a step ----------------------------------------------------------------------------------------------------

/** @returns `{ outcome, seconds, why, numbers }` */
async function carryOut(stage, step, limit) {
  const why =
    step.leftOut ?? (step.needs && !tools.has(step.needs) ? `${step.needs} is not installed` : undefined);
  if (why) return { outcome: "left out", why };
  if (limit < 1) return { outcome: "left out", why: "there was no time left" };
  const start = performance.now();
  const log = join(out, `${stage}.txt`);
  appendFileSync(log, `\n== ${step.name}\n$ ${step.command.join(" ")}\n`);
  const { status, signal, late, error, stdout, lastLine } = await run(step.command, limit, log);
  const took = Number(((performance.now() - start) / 1000).toFixed(1));
  const failure = { seconds: took, why: error?.message ?? (signal ? `ended by ${signal}` : lastLine) };
  if (late) return { outcome: "not done in time", ...failure, why: `its limit was ${limit.toFixed(0)} s` };
  const unusable = step.needs && status !== 0 && cannotWork.exec(stdout);
  if (unusable)
    return { outcome: "left out", ...failure, why: `${step.needs} cannot work here: ${unusable[0]}` };
  if (status === 77) return { outcome: "left out", ...failure };
  const numbers = numbersOf(step, stdout);
  if (status !== 0) return { outcome: "failed", ...failure, numbers };
  return { outcome: "passed", seconds: took, numbers };
}

function numbersOf({ numbers }, stdout) {
  try {
    return numbers?.(stdout);
  } catch {
    return undefined; // It has printed something else; the file has it.
  }
}

/** Runs a command in a group of its own, which is ended when its time is over. */
function run([command, ...args], limit, log) {
  const child = spawn(command, args, { cwd: root, stdio: ["ignore", "pipe", "pipe"], detached: true });
  let [stdout, lastLine, late] = ["", "", false];
  const keep = (text) => {
    appendFileSync(log, text);
    lastLine = text.trim().split("\n").at(-1) || lastLine;
  };
  child.stdout.setEncoding("utf8").on("data", (text) => {
    stdout += text;
    keep(text);
  });
  child.stderr.setEncoding("utf8").on("data", keep);
  const timer = setTimeout(() => {
    late = true;
    end(child);
  }, 1000 * limit);
  const interrupted = () => {
    end(child);
    process.exit(130);
  };
  process.once("SIGINT", interrupted).once("SIGTERM", interrupted);
  return new Promise((resolve) => {
    const done = (result) => {
      clearTimeout(timer);
      process.off("SIGINT", interrupted).off("SIGTERM", interrupted);
      resolve({ ...result, late, stdout, lastLine });
    };
    child.once("error", (error) => done({ error }));
    child.once("close", (status, signal) => done({ status, signal }));
  });
}

function end({ pid }) {
  try {
    process.kill(-pid, "SIGKILL");
  } catch (error) {
    if (error.code !== "ESRCH") throw error; // it has just ended by itself
  }
}

// ---- the summary -------------------------------------------------------------------------------------------------

function writeSummary() {
  summary.seconds = Number(seconds().toFixed(1));
  const { begun, commit, device, gpu, steps } = summary;
  const rows = steps.map(({ stage, name, outcome, seconds = "", why, numbers }) => {
    const cells = [stage, name, outcome, seconds, why ?? inWords(numbers)];
    return `| ${cells.map((cell) => String(cell).replaceAll("|", "\\|")).join(" | ")} |`;
  });
  const page = [
    `# ${gpu ?? device}, ${begun.slice(0, 10)}, commit ${commit ?? "not known"}`,
    "",
    "| stage | step | | s | |",
    "|---|---|---|---:|---|",
    ...rows,
    "",
  ];
  replace("summary.json", `${JSON.stringify(summary, undefined, 2)}\n`);
  replace("summary.md", page.join("\n"));
}

/** Whole or not at all, whenever the machine is taken away. */
function replace(name, text) {
  writeFileSync(join(out, `${name}.new`), text);
  renameSync(join(out, `${name}.new`), join(out, name));
}

function line({ stage, name, outcome, seconds, why, numbers }) {
  const took = seconds === undefined ? "" : ` ${seconds} s`;
  return `${outcome.padEnd(8)} ${stage}: ${name}${took}  ${why ?? inWords(numbers)}`.trimEnd();
}

function inWords(numbers = {}) {
  return Object.entries(numbers)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name} ${value}`)
    .join(", ");
}

// ---- what is asked for, and what is there ------------------------------------------------------------------------

function readOptions() {
  const usage =
    "gpu-run: --device NAME, --minutes N, --only WORDS (with commas between), --data FILE, --emulator";
  try {
    const { values } = parseArgs({
      options: {
        device: { type: "string" },
        minutes: { type: "string", default: "8" },
        only: { type: "string", default: "" },
        data: { type: "string" },
        emulator: { type: "boolean", default: false },
      },
    });
    const minutes = Number(values.minutes);
    if (!(minutes > 0)) throw new TypeError(`--minutes: "${values.minutes}" is no number of minutes`);
    return { ...values, minutes, only: values.only.split(",").filter(Boolean) };
  } catch (error) {
    console.error(`gpu-run: ${error.message}\n${usage}`);
    process.exit(2);
  }
}

/** By a word of its stage's name or its own. */
function wanted(stage, step) {
  const { only } = options;
  return only.length === 0 || only.some((word) => stage.name === word || step.name.includes(word));
}

function installed(names) {
  return new Set(names.filter((name) => !spawnSync(name, ["--version"]).error));
}

function importable(names) {
  const built = join(root, "build", "selective_scan");
  const program = "import sys, importlib; sys.path[:0] = sys.argv[2:]; importlib.import_module(sys.argv[1])";
  const works = (name) => spawnSync(python, ["-c", `import torch; ${program}`, name, built]).status === 0;
  return new Set(options.emulator ? [] : names.filter(works));
}

function carriedData() {
  const folder = join(root, ".gpu");
  const file = existsSync(folder) ? readdirSync(folder).find((name) => name.endsWith(".npz")) : undefined;
  return file && join(folder, file);
}

function commit() {
  const { status, stdout } = spawnSync("git", ["rev-parse", "--short", "HEAD"], {
    cwd: root,
    encoding: "utf8",
  });
  return status === 0 ? stdout.trim() : undefined;
}

function gpu() {
  const query = ["--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"];
  const { error, status, stdout } = spawnSync("nvidia-smi", query, { encoding: "utf8" });
  return !error && status === 0 ? stdout.trim().split("\n")[0] : undefined;
}
