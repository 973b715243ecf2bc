/** The command line under a launcher: one that is installed, or what one says in the environment. */
import { spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import { freePort } from "../../src/distributed/spawn.js";
import type { Launcher } from "./launchers.js";
import { program } from "./repository.js";

/** What came of a process, or of a launcher with all of its own. */
export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface LaunchOptions {
  readonly folder: string | ((rank: number) => string);
  readonly environment?: Readonly<Record<string, string>>;
}

/** One process, with variables beside those of this one. */
export async function run(command: readonly string[], cwd: string, environment: object): Promise<Outcome> {
  const child = spawn(command[0] as string, command.slice(1), {
    cwd,
    env: { ...process.env, MEDMAMBA_THREADS: "1", ...environment },
    timeout: 120_000,
    killSignal: "SIGKILL",
  });
  const said = [text(child.stdout), text(child.stderr)] as const;
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", resolve);
  });
  return { code, stdout: await said[0], stderr: await said[1] };
}

/** `medmamba` once a rank, as torchrun starts it. */
export async function byTorchrun(
  worldSize: number,
  args: readonly string[],
  { folder, environment }: LaunchOptions,
): Promise<Outcome[]> {
  const port = await freePort();
  const all = Array.from({ length: worldSize }, (_, rank) =>
    run([process.execPath, program, ...args], typeof folder === "function" ? folder(rank) : folder, {
      RANK: `${rank}`,
      LOCAL_RANK: `${rank}`,
      WORLD_SIZE: `${worldSize}`,
      MASTER_ADDR: "127.0.0.1",
      MASTER_PORT: `${port}`,
      MEDMAMBA_JOB_TOKEN: "test",
      ...environment,
    }),
  );
  return Promise.all(all);
}

/** `medmamba` as a launcher of this machine starts it. */
export function byLauncher(
  { command, args: before }: Launcher,
  worldSize: number,
  args: readonly string[],
  { folder, environment = {} }: LaunchOptions,
): Promise<Outcome> {
  const cwd = typeof folder === "function" ? folder(0) : folder;
  return run([command, ...before(worldSize), process.execPath, program, ...args], cwd, environment);
}

/** `medmamba` alone, with variables in the environment. */
export function alone(
  args: readonly string[],
  { folder, environment = {} }: LaunchOptions,
): Promise<Outcome> {
  return run(
    [process.execPath, program, ...args],
    typeof folder === "function" ? folder(0) : folder,
    environment,
  );
}
