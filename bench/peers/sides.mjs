// The two sides of a comparison, each a process.
import { spawnSync } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { measuredProcess } from "../measured-process.mjs";

const here = dirname(fileURLToPath(import.meta.url));

/**
 * What medmamba.mjs reports.
 *
 * @throws Error if it fails: then there is nothing to compare
 */
export async function ours(label, args) {
  const program = join(here, "medmamba.mjs");
  const { report, error } = await measuredProcess(`${label}, ours`, process.execPath, [program, ...args]);
  if (error) throw new Error(`${label}: our own side ${error}`);
  return report;
}

/**
 * What pytorch.py reports as `report`, or what it died of as `error`.
 *
 * @param python   the interpreter, or null if there is no peer
 * @param seconds  after which it is ended
 */
export async function peer(label, python, args, seconds) {
  if (!python) return { error: "is not installed" };
  return measuredProcess(label, python, [join(here, "pytorch.py"), ...args], { seconds });
}

/** "PyTorch 2.9.0, Python 3.12.1", or null if this interpreter has none. */
export function peerVersion(python) {
  const program =
    'import platform, torch; print(f"PyTorch {torch.__version__}, Python {platform.python_version()}")';
  const { error, status, stdout } = spawnSync(python, ["-c", program], { encoding: "utf8" });
  return !error && status === 0 && stdout.startsWith("PyTorch") ? stdout.trim() : null;
}
