// What each CUDA kernel takes of a multiprocessor, as ptxas reports it: a Markdown table of threads, registers, shared
// memory and spills.
//
//   node scripts/cuda-resources.mjs [--toolkit newest|older] [--architectures 80,90] [--check [--most-spilled 0]] [FILE...]
//
// FILE is a name in native/cuda without .cu; all, if none is given. The toolkits are those of scripts/find-nvcc.mjs; without
// the word, the newest that is there. --check fails if a kernel spills more bytes of its registers than that.
// Shared memory is the struct that the kernel asks for; what a scan's source adds behind it depends on the rank.
import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { environmentOf, findNvccs } from "./find-nvcc.mjs";
import { readableNames } from "./kernel-names.mjs";

const folder = join(dirname(dirname(fileURLToPath(import.meta.url))), "native", "cuda");
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    toolkit: { type: "string" },
    architectures: { type: "string", default: "80,90" },
    check: { type: "boolean", default: false },
    "most-spilled": { type: "string", default: "0" },
  },
});
const architectures = values.architectures.split(",");
const files = positionals.length > 0 ? positionals : allFiles();
const { newest, older } = findNvccs();
const nvcc = values.toolkit ? { newest, older }[values.toolkit] : (newest ?? older);
if (!nvcc)
  fail("nvcc was not found: install the CUDA toolkit, and put its nvcc on the PATH or name it by CUDACXX");

const jobs = files.flatMap((file) => architectures.map((architecture) => ({ file, architecture })));
const kernels = new Map(); // "file name" -> { file, name, threads, shared, of: Map(architecture -> registers, spills) }
await Promise.all(Array.from({ length: availableParallelism() }, work));
name();
print();
if (values.check) check();

function allFiles() {
  return readdirSync(folder)
    .filter((file) => file.endsWith(".cu"))
    .map((file) => file.slice(0, -3))
    .sort();
}

async function work() {
  for (let job = jobs.shift(); job; job = jobs.shift()) await compile(job);
}

// Compiles one file for one architecture, and reads the compiler's report and its PTX.
async function compile({ file, architecture }) {
  const scratch = mkdtempSync(join(tmpdir(), "cuda-resources-"));
  try {
    // As CMakeLists.txt has it: kernels of Hopper alone are empty without the letter.
    const ownArchitecture =
      file.endsWith("_sm90") && architecture === "90" && nvcc.major >= 13 ? "90a" : architecture;
    const args = ["-std=c++17", "-O3", `-arch=sm_${ownArchitecture}`, "-cubin", "-Xptxas", "-v", "--keep"];
    const output = ["--keep-dir", scratch, "-o", join(scratch, "kernels.cubin"), join(folder, `${file}.cu`)];
    const { status, report } = await run(nvcc.path, [...args, ...output]);
    if (status !== 0) fail(`${file}.cu does not compile for sm_${architecture}:\n${report}`);
    readReport(report, file, architecture);
    const ptx = readdirSync(scratch).find((name) => name.endsWith(".ptx"));
    if (ptx) readPtx(readFileSync(join(scratch, ptx), "utf8"), file);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

function run(command, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { env: environmentOf(nvcc), stdio: ["ignore", "ignore", "pipe"] });
    const pieces = [];
    child.stderr.on("data", (piece) => pieces.push(piece));
    child.on("error", reject);
    child.on("close", (status) => resolve({ status, report: Buffer.concat(pieces).toString() }));
  });
}

function kernelOf(file, symbol) {
  const key = `${file} ${symbol}`;
  if (!kernels.has(key)) kernels.set(key, { file, symbol, threads: undefined, shared: 0, of: new Map() });
  return kernels.get(key);
}

function readReport(report, file, architecture) {
  const blocks = report.split(/Compiling entry function '/).slice(1);
  for (const block of blocks) {
    const symbol = block.slice(0, block.indexOf("'"));
    const [, stores] = /(\d+) bytes spill stores/.exec(block) ?? [];
    const [, registers] = /Used (\d+) registers/.exec(block) ?? [];
    if (!stores || !registers)
      fail(`ptxas says of ${symbol} what this script does not understand:\n${block}`);
    kernelOf(file, symbol).of.set(architecture, { registers: Number(registers), spills: Number(stores) });
  }
}

function readPtx(ptx, file) {
  for (const entry of ptx.split(/\.entry /).slice(1)) {
    const kernel = kernelOf(file, /^\w+/.exec(entry)[0]);
    kernel.threads = Number(/\.maxntid (\d+)/.exec(entry)?.[1]) || undefined;
    kernel.shared = Number(/\/\/ shared memory: (\d+) bytes/.exec(entry)?.[1] ?? 0);
  }
}

function name() {
  const list = [...kernels.values()];
  const names = readableNames(list.map(({ symbol }) => symbol));
  if (!names) fail("c++filt of binutils, which makes names readable, was not found");
  for (const [i, kernel] of list.entries()) kernel.name = names[i];
}

function print() {
  const columns = architectures.map(
    (architecture) => `registers sm_${architecture} | spills sm_${architecture}`,
  );
  console.log(`| file | kernel | threads | shared memory | ${columns.join(" | ")} |`);
  console.log(`|---|---|---|---|${"---|---|".repeat(architectures.length)}`);
  const order = (a, b) => a.file.localeCompare(b.file) || a.name.localeCompare(b.name);
  for (const { file, name, threads, shared, of } of [...kernels.values()].sort(order)) {
    const found = architectures.map((architecture) => of.get(architecture));
    const cells = found.map((use) => (use ? `${use.registers} | ${use.spills || "none"}` : "- | -"));
    console.log(`| ${file} | \`${name}\` | ${threads ?? ""} | ${shared || ""} | ${cells.join(" | ")} |`);
  }
}

function check() {
  const spilling = [...kernels.values()].filter(({ of }) =>
    [...of.values()].some(({ spills }) => spills > Number(values["most-spilled"])),
  );
  if (kernels.size === 0) fail("there is no kernel in these files");
  if (spilling.length > 0) fail(`registers are spilled by ${spilling.map(({ name }) => name).join(", ")}`);
}

function fail(message) {
  console.error(`cuda-resources: ${message}`);
  process.exit(1);
}
