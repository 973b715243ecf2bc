/** The scan's kernels keep everything in registers, as ptxas reports it: compiled here, where there is an nvcc. */

import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, it } from "vitest";
import { repository } from "../support/repository.js";

it("the scan's kernels spill no registers on sm_80 and sm_90", ({ skip }) => {
  const script = join(repository, "scripts/cuda-resources.mjs");
  const files = ["scan_forward", "scan_backward", "selective_scan_forward", "selective_scan_backward"];
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, "--check", ...files], {
    encoding: "utf8",
  });
  if (stderr.includes("nvcc was not found")) {
    console.warn("nvcc was not found: whether the scan's CUDA kernels spill registers is not checked.");
    skip("no nvcc");
  }
  expect(stderr).toBe("");
  expect(status).toBe(0);
  expect(stdout).toMatch(/scan_backward_kernel<Scan4Source<float, 48, .*\| none \|.*\| none \|/);
});
