/** The loops in which the CUDA kernels spend their time have not grown: compiled here, by each toolkit that is there. */

import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, it } from "vitest";
import { repository } from "../support/repository.js";

it.for(["newest", "older"])(
  "the CUDA kernels' counted loops, compiled by the %s toolkit, have no more instructions than their limits",
  { timeout: 600_000 },
  (toolkit, { skip }) => {
    const script = join(repository, "scripts/cuda-instructions.mjs");
    const words = [script, "--toolkit", toolkit, "--check"];
    const { status, stdout, stderr } = spawnSync(process.execPath, words, { encoding: "utf8" });
    if (stderr.includes("nvcc was not found")) {
      console.warn(
        `NOT TESTED: whether the CUDA kernels' loops have grown, as there is no nvcc of the ${toolkit} toolkit.`,
      );
      skip("no nvcc");
    }
    expect(stderr).toBe("");
    expect(status).toBe(0);
    // The loops are the ones meant, and the machine code is read right: each walk has one exp2 a state and step, and each
    // step of a product 32 products of tensor cores, or 4 of a whole warpgroup.
    const amounts = (loops: RegExp, column: number) =>
      stdout
        .split("\n")
        .filter((line) => loops.test(line))
        .map((line) => line.split("|").map((cell) => cell.trim())[column]);
    expect(amounts(/\| scan forward, .*walk/, 8)).toEqual(["32", "32"]);
    expect(amounts(/^(?!.*wgmma).*\| step of 64 k \|/, 9)).toEqual(["32", "32", "32", "32"]); // tensor
    expect(amounts(/wgmma.*\| step of 64 k \|/, 9)).toEqual(toolkit === "newest" ? Array(5).fill("4") : []);
  },
);
