// What it saves on paper to add gradients up while backward goes on. Computed, not measured.
//
// Backward goes from the last block to the first. A bucket is on its way as soon as its last block is done and the bucket before
// it has arrived; what arrives after backward's end is what a step waits for. Gradients lie where the optimiser has them, and
// buckets are its own (src/training/gradient-buckets.ts).
import { MedMamba, optim } from "../dist/index.js";
import { GradientBuckets } from "../dist/training/gradient-buckets.js";
import { parameterGroups } from "../dist/training/step.js";
import { bytesOverLink, links, millisecondsOf } from "./scaling-model.mjs";

/**
 * Milliseconds of backward of MedMamba tiny. GPU: of the 35 ms that docs/cuda.md estimates for a step at batch 128, 15 are the scan's
 * backward, and some 9 the rest of backward. CPU: two thirds of a step at batch 32 and 8 images a second, as
 * bench/results/cpu-2026-11-27.md has it.
 */
const devices = [
  { device: "GPU, batch 128", milliseconds: 24, scan: 15 / 24 },
  { device: "two cores, batch 32", milliseconds: 2670, scan: 15 / 24 },
];
const megabytes = 8;
const ranks = 8;
/** Of an exchange and of a gathering, each: messages of some ten microseconds a rank. */
const latency = 0.1;
const shown = ["NVLink 4", "100 GbE", "25 GbE"];

/** Shares of backward by block, in the order of forward: of a scan it is pixels x channels, of products pixels x channels squared. */
function sharesOf({ depths, dims }, scan) {
  const blocks = depths.flatMap((depth, stage) => Array(depth).fill({ stage, channels: dims[stage] }));
  const weights = (power) => {
    const own = blocks.map(({ stage, channels }) => channels ** power / 4 ** stage);
    const total = own.reduce((sum, weight) => sum + weight);
    return own.map((weight) => weight / total);
  };
  const [scans, products] = [weights(1), weights(2)];
  return scans.map((share, block) => scan * share + (1 - scan) * products[block]);
}

/** Work of a network beside tiny's: the same formula, absolute. */
function workOf({ depths, dims }, scan, tiny) {
  const sum = (config, power) =>
    config.depths.reduce(
      (total, depth, stage) => total + (depth * config.dims[stage] ** power) / 4 ** stage,
      0,
    );
  return (
    (scan * sum({ depths, dims }, 1)) / sum(tiny, 1) + ((1 - scan) * sum({ depths, dims }, 2)) / sum(tiny, 2)
  );
}

/** When, as a share of backward, each parameter's gradient is there. */
function readyAt(model, scan) {
  const { depths } = model.config;
  const shares = sharesOf(model.config, scan);
  const firstOf = depths.map((_, stage) => depths.slice(0, stage).reduce((sum, depth) => sum + depth, 0));
  const after = (block) => shares.slice(block).reduce((sum, share) => sum + share, 0);
  const ready = new Map();
  for (const [name, parameter] of model.namedParameters()) {
    const [, stage, block] = /^layers\.(\d+)\.(?:blocks\.(\d+)|downsample)/.exec(name) ?? [];
    if (name.startsWith("head")) ready.set(parameter, 0);
    else if (stage === undefined) ready.set(parameter, 1);
    else if (block === undefined) ready.set(parameter, after(firstOf[Number(stage)] + depths[stage]));
    else ready.set(parameter, after(firstOf[stage] + Number(block)));
  }
  return ready;
}

/** For each network, device and link: milliseconds of backward, of the sum, and those that a step waits for it with buckets. */
export function overlapRows() {
  const tiny = new MedMamba({ variant: "tiny", numClasses: 2 }).config;
  return ["tiny", "small", "base"].flatMap((variant) => {
    const model = new MedMamba({ variant, numClasses: 2 });
    const optimizer = new optim.AdamW(parameterGroups(model));
    const buckets = new GradientBuckets(optimizer, 1e6 * megabytes);
    const rows = devices.flatMap(({ device, milliseconds, scan }) => {
      const ready = readyAt(model, scan);
      const backward = milliseconds * workOf(model.config, scan, tiny);
      return links
        .filter(({ name }) => shown.includes(name))
        .map(({ name, gigabytes }) => {
          const durationOf = (bytes) =>
            2 * latency + millisecondsOf(bytesOverLink(bytes, ranks, 1).ours, gigabytes);
          const whole = durationOf(4 * optimizer.gradients.size);
          let free = 0;
          for (const { parameters, values } of buckets.all) {
            const filled = backward * Math.max(...parameters.map((parameter) => ready.get(parameter)));
            free = Math.max(free, filled) + durationOf(4 * values.size);
          }
          return { variant, device, link: name, backward, sum: whole, waits: Math.max(0, free - backward) };
        });
    });
    buckets.dispose();
    optimizer.dispose();
    return rows.map((row) => ({ ...row, megabytes: (4 * optimizer.gradients.size) / 1e6 }));
  });
}

export const assumptions = { megabytes, ranks, latency };
