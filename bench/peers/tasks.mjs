// What `npm run bench:peers` measures, cut into units: one task beside one peer, each side in processes of its own.
//
// A unit is measured as ours, peer, ours: if the machine slows down or speeds up meanwhile, our two differ. What the
// machine can do at best, and what threads give, are units without a peer.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { DeviceError, openDevice } from "../../dist/index.js";
import { measuredProcess } from "../measured-process.mjs";
import { ours, peer } from "./sides.mjs";

const here = dirname(fileURLToPath(import.meta.url));

/** Arguments of pytorch.py. */
export const modes = {
  eager: [],
  compile: ["--mode", "compile"],
  bf16: ["--precision", "bf16"],
  chunked: ["--scan", "chunked"],
  loop: ["--scan", "loop"],
};

const networkModes = ["eager", "compile", "bf16"];

/**
 * Tasks by name; a name's number is the batch. `ours`: what our rows' names begin with, of kernels. `expected`: seconds
 * that a unit is likely to take, until one of its kind has been measured.
 */
export const tasks = {
  limits: { run: measureLimits, modes: ["ours"], expected: 30 },
  "inference:1": { run: measureNetwork, modes: networkModes, expected: 60 },
  "inference:8": { run: measureNetwork, modes: networkModes, expected: 60 },
  "training:8": { run: measureNetwork, modes: networkModes, expected: 120 },
  "product:1": { run: measureKernels, modes: ["eager"], expected: 20 },
  "conv3x3:16": { run: measureKernels, modes: ["eager"], ours: "conv3x3", expected: 30 },
  "linear:16": { run: measureKernels, modes: ["eager"], ours: "in_proj,x_proj,out_proj", expected: 60 },
  "layer_norm:16": {
    ...{ run: measureKernels, modes: ["eager"], expected: 20 },
    ours: "layer norm forward,layer norm backward",
  },
  "scan:1": { run: measureKernels, modes: ["chunked", "loop"], ours: "scan4", expected: 40 },
  threads: { run: measureThreads, modes: ["ours"], expected: 60 },
};

/**
 * @param options  threads, imageSize, variant, python (null without a peer), latencySteps, compileSeconds, seconds
 * @returns        what the unit measured; `peerError` if there is no peer's side
 * @throws Error if our own side fails
 */
export async function measureUnit(name, mode, options) {
  const [kind, batch = "1"] = name.split(":");
  const common = [
    ...["--batch", batch, "--image-size", String(options.imageSize)],
    ...["--variant", options.variant, "--threads", String(options.threads)],
  ];
  return tasks[name].run({ name, kind, mode, common, options });
}

function beside({ name, mode, options }, args) {
  const { python, seconds, compileSeconds } = options;
  const longest = mode === "compile" ? compileSeconds : seconds;
  return peer(`${name}, PyTorch ${mode}`, python, [...args, ...modes[mode]], longest);
}

async function measureNetwork(unit) {
  const { name, kind, mode, common, options } = unit;
  // So many that a 99th percentile means something; of the plain peer as well.
  const repeats = name === "inference:1" && mode === "eager" ? options.latencySteps : 5;
  const args = ["--task", kind, "--repeats", String(repeats), "--budget", "20", ...common];
  const mine = mode === "bf16" ? [...args, "--precision", "bf16"] : args;
  const measured = mode === "bf16" && !hasBf16(options) ? () => null : () => ours(name, mine);
  const first = mode === "compile" ? null : await measured();
  const { report, error } = await beside(unit, args);
  const reports = [first, await measured()].filter((one) => one !== null);
  return {
    ours: reports.map(({ seconds }) => seconds),
    oursPeakBytes: Math.max(...reports.map(({ peakBytes }) => peakBytes)),
    work: reports[0]?.work,
    peer: report ? { name: report.name, seconds: report.seconds, peakBytes: report.peakBytes } : null,
    peerError: error,
  };
}

/** Whether this machine has products in bfloat16 of our own. */
function hasBf16({ threads }) {
  try {
    openDevice("cpu", { threads, precision: "bf16" }).close();
    return true;
  } catch (error) {
    if (error instanceof DeviceError) return false;
    throw error;
  }
}

async function measureKernels(unit) {
  const { name, kind, common } = unit;
  const mine = () =>
    kind === "product"
      ? ours(name, ["--task", "limits", ...common]).then(productRow)
      : ours(name, ["--task", "kernels", "--kernels", tasks[name].ours, ...common]);
  const first = await mine();
  const { report, error } = await beside(unit, ["--task", "kernels", "--kernels", kind, ...common]);
  const second = await mine();
  return { ours: [first.rows, second.rows], peer: report?.rows ?? null, peerError: error };
}

/** Our side of the peer's `product`. */
function productRow({ limits }) {
  const multiplyAdds = 1536 ** 3;
  const cost = { multiplyAdds, exponentials: 0 };
  return {
    rows: [
      {
        name: "product",
        shape: "1536x1536x1536",
        cost,
        seconds: multiplyAdds / limits.multiplyAdds,
      },
    ],
  };
}

async function measureLimits({ name, common }) {
  return { limits: (await ours(name, ["--task", "limits", ...common])).limits };
}

// ---- threads -------------------------------------------------------------------------------------------------

/** The same on one thread and on all. */
async function measureThreads({ name, common, options }) {
  const counts = [...new Set([1, options.threads])];
  const folder = mkdtempSync(join(tmpdir(), "medmamba-"));
  const loop = join(folder, "fma");
  execFileSync("c++", [
    ...["-std=c++17", "-O3", "-march=native", "-pthread"],
    ...[join(here, "..", "fma.cpp"), "-o", loop],
  ]);
  const teams = [];
  for (const threads of counts) {
    const args = [...common, "--threads", String(threads)];
    const label = `${name}, ${threads}`;
    const fma = await measuredProcess(label, loop, [String(threads)]);
    if (fma.error) throw new Error(`${label}: the loop of multiply-adds ${fma.error}`);
    const step = (task) => ours(label, ["--task", task, ...args, "--batch", "8"]);
    teams.push({
      threads,
      fma: fma.report.multiplyAdds,
      windows: fma.report.windows,
      limits: (await ours(label, ["--task", "limits", ...args])).limits,
      inference: (await step("inference")).seconds,
      training: (await step("training")).seconds,
      scan: (await ours(label, ["--task", "kernels", "--kernels", "scan4", ...args])).rows,
    });
  }
  rmSync(folder, { recursive: true });
  return { teams };
}

export const allThreads = availableParallelism();
