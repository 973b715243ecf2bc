/** A training of the bright-side task in a process of its own; see train-process.mjs. */
import { type ChildProcess, spawn } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { FitOptions } from "../../src/index.js";
import { side, sideClasses, sideLabels, sidePixels, tinyOptions } from "./sides.js";

const script = fileURLToPath(new URL("train-process.mjs", import.meta.url));

export interface TrainingJob {
  /** Number and seed of the images, as for `sides`. */
  readonly train: readonly [count: number, seed: number];
  readonly validation: readonly [count: number, seed: number];
  readonly options: Omit<FitOptions, "train" | "validation">;
}

export interface ProcessOutcome {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stderr: string;
  readonly steps: number;
}

/**
 * @param jobFile     where the job is written for the process
 * @param fileBlocks  largest file that the process may write, in blocks of the shell's `ulimit -f`
 * @param onStep      called after each step
 */
export async function trainInProcess(
  jobFile: string,
  { train, validation, options }: TrainingJob,
  { fileBlocks, onStep }: { fileBlocks?: number; onStep?: (step: number, child: ChildProcess) => void } = {},
): Promise<ProcessOutcome> {
  const job = { train: images(...train), validation: images(...validation), model: tinyOptions, options };
  await writeFile(jobFile, JSON.stringify(job));
  const command = [process.execPath, script, jobFile];
  const child =
    fileBlocks === undefined
      ? spawn(command[0]!, command.slice(1))
      : spawn("sh", ["-c", `ulimit -f ${fileBlocks}; exec "$@"`, "sh", ...command]);
  let [stderr, steps] = ["", 0];
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  createInterface(child.stdout).on("line", (line) => {
    if (!line.startsWith("step ")) return;
    steps = Number(line.slice("step ".length));
    onStep?.(steps, child);
  });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => resolve({ code, signal, stderr, steps }));
  });
}

function images(count: number, seed: number) {
  const pixels = Buffer.from(sidePixels(count, seed)).toString("base64");
  return { pixels, shape: [count, side, side], labels: sideLabels(count), classes: sideClasses };
}
