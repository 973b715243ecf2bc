/**
 * Asks the GPU's driver for its devices in a process of its own, because a broken driver may abort, crash or hang, and
 * would take this process with it.
 *
 * It happens once a process, workers included, when a GPU is asked for and there is a driver at all: the answer is noted
 * in the addon, which all of a process's threads share.
 */
import { spawnSync } from "node:child_process";
import { addonPath, loadAddon } from "./load.js";

/** Set in the asking process: there, nothing is asked in yet another one. */
const marker = "MEDMAMBA_GPU_PROBE";

// Runs by `node --eval`, so that it needs no file of its own, wherever a bundler has put this code.
const question = `
  const [addon, library] = process.argv.slice(1);
  let reason = "";
  try { require(addon).deviceCount(library); } catch (error) { reason = error.message; }
  process.stdout.write(JSON.stringify({ reason }), () => process.exit(0));`;

const countQuestion = `
  const [addon, library] = process.argv.slice(1);
  let count = 0;
  try { count = require(addon).deviceCount(library); } catch {}
  process.stdout.write(String(count), () => process.exit(0));`;

/**
 * Why the GPUs of a backend's library cannot be used; undefined if they can, or if only using them will tell.
 *
 * @param patienceMs  how long the driver may take to answer; one that wakes its GPUs from sleep takes seconds
 * @throws AddonError if there is no addon
 */
export function whyNoGpu(library: string, patienceMs = 60_000): string | undefined {
  const addon = loadAddon();
  if (process.env[marker] || addon.driverCuda() === undefined) return undefined; // asking a missing driver is harmless
  let verdict = addon.verdict(library);
  if (verdict === undefined) {
    verdict = ask(library, patienceMs);
    addon.setVerdict(library, verdict);
  }
  return verdict || undefined;
}

/** GPUs that a backend's library can use, asked for in a process of its own, so that this one opens none; 0 if it cannot be known. */
export function gpuCount(library: string, patienceMs = 60_000): number {
  const count = Number(askApart(countQuestion, library, patienceMs).stdout);
  return Number.isSafeInteger(count) ? count : 0;
}

/** The reason against the GPUs, empty if there is none. */
function ask(library: string, patienceMs: number): string {
  const { status, signal, stdout, stderr, error } = askApart(question, library, patienceMs);
  if (error && "code" in error && error.code === "ETIMEDOUT")
    return `the NVIDIA driver did not answer within ${patienceMs / 1000} seconds when it was asked for its GPUs; restarting the machine may help`;
  if (error) return ""; // no second process is to be had here: using the GPU will tell
  try {
    return (JSON.parse(stdout) as { reason: string }).reason;
  } catch {
    const last = stderr.trim().split("\n").at(-1);
    return (
      `the NVIDIA driver crashed when it was asked for its GPUs (${signal ?? `exit code ${status}`}` +
      `${last ? `: ${last}` : ""}); installing it again, or restarting the machine, may help`
    );
  }
}

/** A question's program in a process of its own, which is killed when the patience is over. */
function askApart(program: string, library: string, patienceMs: number) {
  const { NODE_OPTIONS: _, ...environment } = process.env; // would load a debugger or a test runner there, too
  return spawnSync(process.execPath, ["--eval", program, addonPath(), library], {
    encoding: "utf8",
    env: { ...environment, [marker]: "1", ELECTRON_RUN_AS_NODE: "1" },
    timeout: patienceMs,
    killSignal: "SIGKILL",
    windowsHide: true,
  });
}
