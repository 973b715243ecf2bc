/**
 * The scan's kernels keep everything in registers, as ptxas reports it: compiled here, by each toolkit that is there.
 */

import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, it } from "vitest";
import { repository } from "../support/repository.js";

it.for<[toolkit: string, architectures: string, mostSpilled: number]>([
  ["newest", "80,90", 0],
  ["older", "75,90", 0],
])(
  "the scan's kernels, compiled by the %s toolkit for %s, spill no more than %i bytes of registers",
  ([toolkit, architectures, mostSpilled], { skip }) => {
    const script = join(repository, "scripts/cuda-resources.mjs");
    const files = ["scan_forward", "scan_backward", "selective_scan_forward", "selective_scan_backward"];
    const limits = ["--check", "--most-spilled", String(mostSpilled)];
    const words = [...limits, "--toolkit", toolkit, "--architectures", architectures, ...files];
    const { status, stdout, stderr } = spawnSync(process.execPath, [script, ...words], { encoding: "utf8" });
    if (stderr.includes("nvcc was not found")) {
      console.warn(
        `NOT TESTED: whether the scan's CUDA kernels spill registers, as there is no nvcc of the ${toolkit} toolkit.`,
      );
      skip("no nvcc");
    }
    expect(stderr).toBe("");
    expect(status).toBe(0);
    expect(stdout).toMatch(/scan_backward_kernel<Scan4Source<BFloat16, 48, .*\| none \|.*\| none \|/);
  },
);
