/**
 * Several processes of one command on this machine: rank 0 has the terminal, what the others write on stderr has their number in
 * front, signals are passed on, and the first code that is not 0 is the code of all.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { createServer } from "node:net";
import { constants } from "node:os";
import { createInterface } from "node:readline";
import { tryAgain } from "./ending.js";
import type { Address } from "./launch.js";

/** What is started, and as which of how many. */
export interface SpawnOptions {
  /** Program and arguments. */
  readonly command: readonly [string, ...string[]];
  /** Of this machine. */
  readonly processes: number;
  /** Ranks on machines before this one; default 0. */
  readonly firstRank?: number;
  /** Ranks in all; default: those of this machine. */
  readonly worldSize?: number;
  /** Where rank 0 listens; default: a free port of this machine. */
  readonly address?: Address;
  /** What keeps others out; default: random. */
  readonly token?: string;
  /** Beside those of this process. */
  readonly environment?: Readonly<Record<string, string>>;
}

/** How the processes ended. */
export interface SpawnOutcome {
  /** The first that is not 0; 128 and the number of the signal for one that was killed. */
  readonly code: number;
  /** Whether this process was asked to stop. */
  readonly stopped: boolean;
}

/** Seconds that the other processes have to end by themselves when one has failed. */
const patience = 15;

/** Starts the processes, and resolves when the last has ended. */
export async function spawnRanks(options: SpawnOptions): Promise<SpawnOutcome> {
  const { processes, firstRank = 0, worldSize = processes } = options;
  const address = options.address ?? { host: "127.0.0.1", port: await freePort() };
  const token = options.token || randomBytes(16).toString("hex");
  const children = new Set<ChildProcess>();
  let code = 0;
  let stopped = false;
  let late: NodeJS.Timeout | undefined;
  const passOn = (signal: NodeJS.Signals): void => {
    stopped = true;
    for (const child of children) child.kill(signal);
  };
  process.on("SIGINT", passOn).on("SIGTERM", passOn);
  try {
    const ends = Array.from({ length: processes }, (_, localRank) => {
      const rank = firstRank + localRank;
      const child = startRank(options, { rank, localRank, worldSize, address, token });
      children.add(child);
      return new Promise<void>((resolve) => {
        const end = (own: number): void => {
          children.delete(child);
          if (own !== 0 && code === 0) code = own;
          if (own !== 0)
            late ??= setTimeout(() => {
              for (const other of children) other.kill("SIGKILL");
            }, 1000 * patience);
          resolve();
        };
        child.on("error", (error) => {
          process.stderr.write(`medmamba: rank ${rank} could not be started: ${error.message}.\n`);
          end(1);
        });
        child.on("close", (own, signal) => end(signal ? 128 + constants.signals[signal] : (own ?? 1)));
      });
    });
    await Promise.all(ends);
  } finally {
    clearTimeout(late);
    process.off("SIGINT", passOn).off("SIGTERM", passOn);
  }
  return { code, stopped };
}

/** Whether the same may work when it is started again: a rank was lost, or killed, as by a lack of memory. */
export const mayWorkAgain = ({ code, stopped }: SpawnOutcome): boolean =>
  !stopped && (code === tryAgain || code > 128);

interface RankPlace {
  readonly rank: number;
  readonly localRank: number;
  readonly worldSize: number;
  readonly address: Address;
  readonly token: string;
}

function startRank(
  { command: [program, ...args], environment }: SpawnOptions,
  { rank, localRank, worldSize, address, token }: RankPlace,
): ChildProcess {
  const isFirst = localRank === 0;
  const child = spawn(program, args, {
    // A group of its own, so that Ctrl-C comes once, from here. The channel tells it when this process is gone.
    detached: true,
    stdio: ["ignore", isFirst ? "inherit" : "pipe", isFirst ? "inherit" : "pipe", "ipc"],
    env: {
      ...process.env,
      ...environment,
      RANK: String(rank),
      LOCAL_RANK: String(localRank),
      WORLD_SIZE: String(worldSize),
      MASTER_ADDR: address.host,
      MASTER_PORT: String(address.port),
      MEDMAMBA_JOB_TOKEN: token,
      MEDMAMBA_SPAWNED: "1",
    },
  });
  for (const output of [child.stdout, child.stderr])
    if (output)
      createInterface(output).on("line", (line) => {
        if (line.trim() !== "") process.stderr.write(`[rank ${rank}] ${line}\n`);
      });
  return child;
}

/** In a process that was started so: when the one that did is gone, it is asked to stop, as by that. */
export function followParent(): void {
  if (process.env.MEDMAMBA_SPAWNED !== "1" || !process.channel) return;
  process.channel.unref();
  process.once("disconnect", () => process.kill(process.pid, "SIGTERM"));
}

/** A port of this machine that nobody has now. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on("error", reject);
    server.listen(0, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address ? address.port : 0));
    });
  });
}
