// A measurement in a process of its own, so that its peak memory is its own and its failure no one else's.
import { spawn } from "node:child_process";

/**
 * Runs a program whose last line on stdout is a JSON object.
 *
 * @param label    what a terminal shows meanwhile
 * @param seconds  after which the process and what it started are ended; default: never
 * @returns        `{ report }`, or `{ error }` with what the process died of
 */
export async function measuredProcess(label, command, args, { seconds, env = process.env } = {}) {
  const show = (text) => process.stderr.isTTY && process.stderr.write(`\r${text}\x1b[K`);
  show(`${label} ...`);
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"], env, detached: true });
  let [stdout, stderr, late] = ["", "", false];
  child.stdout.setEncoding("utf8").on("data", (text) => {
    stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text) => {
    stderr = (stderr + text).slice(-4000);
  });
  const timer =
    seconds === undefined
      ? undefined
      : setTimeout(() => {
          late = true;
          endGroup(child);
        }, 1000 * seconds);
  // Its own process group is not sent what a terminal sends to ours.
  const interrupted = () => {
    endGroup(child);
    process.exit(130);
  };
  process.once("SIGINT", interrupted).once("SIGTERM", interrupted);
  const { error, status, signal } = await new Promise((resolve) => {
    child.once("error", (error) => resolve({ error }));
    child.once("close", (status, signal) => resolve({ status, signal }));
  });
  process.off("SIGINT", interrupted).off("SIGTERM", interrupted);
  clearTimeout(timer);
  show("");
  if (error) return { error: `could not be started: ${error.message}` };
  if (late) return { error: `was not done after ${seconds} s` };
  if (signal) return { error: `was ended by ${signal} (memory?)` };
  if (status !== 0) return { error: `failed: ${stderr.trim().split("\n").at(-1)}` };
  return { report: JSON.parse(stdout.trim().split("\n").at(-1)) };
}

function endGroup({ pid }) {
  try {
    process.kill(-pid, "SIGKILL");
  } catch (error) {
    if (error.code !== "ESRCH") throw error; // it has just ended by itself
  }
}
