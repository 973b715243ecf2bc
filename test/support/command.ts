/** The built command line as a user runs it, one process a command. */
import { spawnSync } from "node:child_process";
import { program } from "./repository.js";

/** What `--device auto` says on a machine without a GPU. */
const noGpu = /^note: computing on the CPU, .*\n/;

/** Runs `medmamba` in a folder. */
export function medmamba(folder: string, ...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...args], {
    cwd: folder,
    encoding: "utf8",
    timeout: 50_000,
  });
  return { status, stdout, stderr: stderr.replace(noGpu, "") };
}
