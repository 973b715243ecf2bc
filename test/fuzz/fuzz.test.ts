/**
 * Damaged files of every kind that is read: each is read or refused with an error of the package, in seconds and in bounded
 * memory. The files follow from a seed; MEDMAMBA_FUZZ_SECONDS asks for more, MEDMAMBA_FUZZ_SEED for others.
 */
import { fork } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

const seconds = Number(process.env.MEDMAMBA_FUZZ_SECONDS ?? 60);
const seeds = [1, 2].map((i) => Number(process.env.MEDMAMBA_FUZZ_SEED ?? 0) * 2 + i);
const program = fileURLToPath(new URL("process.mjs", import.meta.url));
const longestSilence = 30_000;

/** What a process of its own makes of its seed's files. The folder stays if there is a fault, for whoever looks for it. */
function fuzz(seed: number): Promise<Record<string, Record<string, number>>> {
  const folder = mkdtempSync(join(tmpdir(), "medmamba-fuzz-"));
  const child = fork(program, [String(seed), String(seconds), folder], { silent: true });
  const output = { stdout: "", stderr: "" };
  let last = "the start";
  let timer = setTimeout(hung, longestSilence);
  function hung(): void {
    output.stderr += `\n${last}: nothing for ${longestSilence / 1000} s; the file is in ${folder}`;
    child.kill("SIGKILL");
  }
  child.stdout?.on("data", (text) => {
    output.stdout += text;
  });
  child.stderr?.on("data", (text) => {
    output.stderr += text;
  });
  child.on("message", (message) => {
    last = String(message);
    clearTimeout(timer);
    timer = setTimeout(hung, longestSilence);
  });
  return new Promise((resolve, reject) => {
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      if (code !== 0)
        return reject(new Error(`${last}: ended by ${signal ?? `exit code ${code}`}\n${output.stderr}`));
      rmSync(folder, { recursive: true });
      resolve(JSON.parse(output.stdout));
    });
  });
}

it(`damaged files are read or refused (${seconds} s)`, { timeout: seconds * 1000 + 120_000 }, async () => {
  const counts = await Promise.all(seeds.map(fuzz));
  for (const ofSeed of counts) {
    expect(Object.keys(ofSeed)).toHaveLength(37);
    for (const [target, outcomes] of Object.entries(ofSeed)) {
      const total = Object.values(outcomes).reduce((sum, count) => sum + count, 0);
      expect(total - (outcomes.read ?? 0), `${target}: none was refused`).toBeGreaterThan(0);
    }
  }
});
