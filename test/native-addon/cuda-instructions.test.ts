/** The loops in which the CUDA kernels spend their time have not grown: compiled here, where there is an nvcc. */

import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, it } from "vitest";
import { repository } from "../support/repository.js";

it("the CUDA kernels' counted loops have no more instructions than their limits", ({ skip }) => {
  const script = join(repository, "scripts/cuda-instructions.mjs");
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, "--check"], { encoding: "utf8" });
  if (stderr.includes("nvcc was not found")) {
    console.warn("nvcc was not found: whether the CUDA kernels' loops have grown is not checked.");
    skip("no nvcc");
  }
  expect(stderr).toBe("");
  expect(status).toBe(0);
  // Each walk has one exp2 a state and step: the loops are the ones meant, and the machine code is read right.
  const special = stdout.split("\n").filter((line) => /\| scan forward, .*walk/.test(line));
  expect(special.length).toBe(2);
  for (const line of special) expect(line.split("|").map((cell) => cell.trim())[8]).toBe("32");
});
