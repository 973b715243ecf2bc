// Machine instructions of the loops in which the CUDA kernels spend their time, by class, as a Markdown table. Needs
// nvcc, and neither a GPU nor NVIDIA's disassembler.
//
//   node scripts/cuda-instructions.mjs [--check]           the loops of counted-loops.mjs
//   node scripts/cuda-instructions.mjs --loops FILE...     every loop of every kernel in native/cuda/FILE.cu
//   node scripts/cuda-instructions.mjs --blocks FILE...    the straight pieces of these loops, and where each may go on
//   --toolkit newest|older    --architecture 90    --kernel TEXT (only kernels with it in their names)
//
// The toolkits are those of scripts/find-nvcc.mjs; without the word, the newest that is there. "at most" has all of a
// loop's instructions that are in no inner loop, "always" those on every way around: what lies between the two is in
// branches. Classes are counted of "at most". --check fails where a loop has more than its limit.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { countedLoops } from "./counted-loops.mjs";
import { blocksOf, classes, loopsOf, readCubin } from "./cubin.mjs";
import { environmentOf, findNvccs } from "./find-nvcc.mjs";
import { readableNames } from "./kernel-names.mjs";

const folder = join(dirname(dirname(fileURLToPath(import.meta.url))), "native", "cuda");
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    toolkit: { type: "string" },
    architecture: { type: "string", default: "90" },
    kernel: { type: "string", default: "" },
    check: { type: "boolean", default: false },
    loops: { type: "boolean", default: false },
    blocks: { type: "boolean", default: false },
  },
});
const { newest, older } = findNvccs();
const nvcc = values.toolkit ? { newest, older }[values.toolkit] : (newest ?? older);
if (!nvcc)
  fail("nvcc was not found: install the CUDA toolkit, and put its nvcc on the PATH or name it by CUDACXX");

const wanted = countedLoops.filter(
  ({ kernel, architecture, limit }) => kernel.includes(values.kernel) && (!architecture || limit[nvcc.major]),
);
const files = values.loops || values.blocks ? positionals : [...new Set(wanted.map(({ file }) => file))];
const kernels = new Map(); // file -> [{ name, instructions }]
const waiting = [...files];
await Promise.all(Array.from({ length: availableParallelism() }, work));
if (values.loops) printLoops();
else if (values.blocks) printBlocks();
else printCounted(wanted.map(count));
if (values.check) check();

async function work() {
  for (let file = waiting.shift(); file; file = waiting.shift()) await compile(file);
}

async function compile(file) {
  const own = values.loops ? undefined : wanted.find((row) => row.file === file)?.architecture;
  const architecture = own ?? values.architecture;
  const scratch = mkdtempSync(join(tmpdir(), "cuda-instructions-"));
  try {
    const cubin = join(scratch, "kernels.cubin");
    const options = ["-std=c++17", "-O3", `-arch=sm_${architecture}`, "-cubin", "-o", cubin];
    const { status, report } = await run(nvcc.path, [...options, join(folder, `${file}.cu`)]);
    if (status !== 0) fail(`${file}.cu does not compile for sm_${architecture}:\n${report}`);
    const read = readCubin(cubin);
    const names = readableNames(read.map(({ symbol }) => symbol));
    if (!names) fail("c++filt of binutils, which makes names readable, was not found");
    const named = read.map(({ instructions }, i) => ({ name: names[i], instructions }));
    kernels.set(
      file,
      named.sort((a, b) => a.name.localeCompare(b.name)),
    );
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

function run(command, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"], env: environmentOf(nvcc) });
    const pieces = [];
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (piece) => pieces.push(piece));
    child.on("error", reject);
    child.on("close", (status) => resolve({ status, report: Buffer.concat(pieces).toString() }));
  });
}

// How many of these instructions of a loop are of a class or name.
function amount(instructions, some, classOrName) {
  return [...some].filter((i) => [instructions[i].kind, instructions[i].name].includes(classOrName)).length;
}

// The loop of a row of counted-loops.mjs.
function count(row) {
  const found = kernels.get(row.file).find(({ name }) => name.startsWith(row.kernel));
  if (!found) fail(`${row.file}.cu has no kernel ${row.kernel}: amend scripts/counted-loops.mjs`);
  const { instructions } = found;
  const loops = loopsOf(instructions).map((loop) => ({
    loop,
    always: amount(instructions, loop.always, row.most),
    atMost: amount(instructions, loop.own, row.most),
  }));
  const chosen = loops.sort((a, b) => b.always - a.always || b.atMost - a.atMost)[row.place ?? 0];
  if (!chosen?.atMost) fail(`${row.what}: ${row.kernel} has no such loop: amend scripts/counted-loops.mjs`);
  return { row, instructions, loop: chosen.loop };
}

function printCounted(counts) {
  console.log(`| loop | unit | units | a unit | at most | always | ${classes.join(" | ")} |`);
  console.log(`|---|---|${"---:|".repeat(4 + classes.length)}`);
  for (const { row, instructions, loop } of counts) {
    const each = (loop.own.size / row.work).toFixed(1);
    console.log(`| ${row.what} | ${row.unit} | ${row.work} | ${each} | ${cells(instructions, loop)} |`);
  }
}

function printLoops() {
  for (const [file, list] of kernels)
    for (const { name, instructions } of list.filter((kernel) => kernel.name.includes(values.kernel))) {
      console.log(`\n${file}: \`${name}\`, ${instructions.length} instructions\n`);
      console.log(`| loop at | at most | always | ${classes.join(" | ")} |`);
      console.log(`|---|${"---:|".repeat(2 + classes.length)}`);
      for (const loop of loopsOf(instructions)) {
        console.log(`| ${"> ".repeat(loop.depth)}${address(loop.first)} | ${cells(instructions, loop)} |`);
      }
      const strange = new Set(instructions.map((one) => one.name).filter((code) => code.startsWith("0x")));
      if (strange.size > 0) console.log(`\nUnknown, counted as control: ${[...strange].join(", ")}`);
    }
}

function printBlocks() {
  for (const [file, list] of kernels)
    for (const { name, instructions } of list.filter((kernel) => kernel.name.includes(values.kernel))) {
      console.log(`\n${file}: \`${name}\`, ${instructions.length} instructions\n`);
      console.log(`| block at | in the loop at | always | then | instructions | ${classes.join(" | ")} |`);
      console.log(`|---|---|---|---|${"---:|".repeat(1 + classes.length)}`);
      for (const { first, members, loop, next } of blocksOf(instructions)) {
        const counts = classes.map((kind) => amount(instructions, members, kind) || "");
        const where = `${"> ".repeat(loop.depth)}${address(loop.first)} | ${loop.always.has(first) ? "yes" : ""}`;
        console.log(
          `| ${address(first)} | ${where} | ${next.map(address).join(" or ")} | ${[members.length, ...counts].join(" | ")} |`,
        );
      }
    }
}

function address(index) {
  return (index * 16).toString(16).padStart(5, "0");
}

function cells(instructions, loop) {
  const counts = classes.map((kind) => amount(instructions, loop.own, kind) || "");
  return [loop.own.size, loop.always.size, ...counts].join(" | ");
}

function check() {
  const grown = wanted.map(count).filter(({ row, loop }) => loop.own.size > row.limit[nvcc.major]);
  for (const { row, loop } of grown)
    console.error(
      `${row.what}: ${loop.own.size} instructions, with nvcc ${nvcc.major} at most ${row.limit[nvcc.major]}`,
    );
  if (grown.length > 0) fail("loops have grown: see scripts/counted-loops.mjs");
}

function fail(message) {
  console.error(`cuda-instructions: ${message}`);
  process.exit(1);
}
