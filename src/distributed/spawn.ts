/**
 * Several processes of one command on this machine: rank 0 has the terminal, what the others write on stderr has their number in
 * front, signals are passed on, and the first code that is not 0 is the code of all.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { createServer } from "node:net";
import { constants, networkInterfaces } from "node:os";
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
  /** The first that is not 0: 75 for a process that was killed, where nobody has asked for it. */
  readonly code: number;
  /** Whether this process was asked to stop. */
  readonly stopped: boolean;
}

/**
 * Seconds that the other processes have to end by themselves when one has failed: then they are asked to, which ends those that
 * still wait for it to join, and then killed.
 */
const [untilAsked, untilKilled] = [3, 15];
/** Seconds that processes have to end when they were asked a second time. */
const untilKilledByUser = 2;

/** Starts the processes, and resolves when the last has ended. */
export async function spawnRanks(options: SpawnOptions): Promise<SpawnOutcome> {
  const { processes, firstRank = 0, worldSize = processes } = options;
  const address = options.address ?? { host: loopback(), port: await freePort() };
  const token = options.token || randomBytes(16).toString("hex");
  const children = new Set<ChildProcess>();
  let code = 0;
  let asked = 0;
  const timers: NodeJS.Timeout[] = [];
  const endAll = (signal: NodeJS.Signals, seconds = 0): void => {
    const send = (): void => {
      for (const child of children) child.kill(signal);
    };
    if (seconds === 0) send();
    else timers.push(setTimeout(send, 1000 * seconds));
  };
  const passOn = (signal: NodeJS.Signals): void => {
    asked += 1;
    endAll(signal);
    if (asked === 2) endAll("SIGKILL", untilKilledByUser);
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
          if (own !== 0 && code === 0) {
            code = own;
            if (asked === 0) endAll("SIGTERM", untilAsked);
            endAll("SIGKILL", untilKilled);
          }
          resolve();
        };
        child.on("error", (error) => {
          process.stderr.write(`medmamba: rank ${rank} could not be started: ${error.message}.\n`);
          end(1);
        });
        child.on("close", (own, signal) => end(codeOf(own, signal, asked > 0)));
      });
    });
    await Promise.all(ends);
  } finally {
    for (const timer of timers) clearTimeout(timer);
    process.off("SIGINT", passOn).off("SIGTERM", passOn);
  }
  return { code, stopped: asked > 0 };
}

/** Of a process that was killed, as by a lack of memory, the same as of those that lost it: it may work when it is started again. */
function codeOf(own: number | null, signal: NodeJS.Signals | null, isAsked: boolean): number {
  if (signal) return isAsked ? 128 + constants.signals[signal] : tryAgain;
  return own ?? 1;
}

/** Whether the same may work when it is started again. */
export const mayWorkAgain = ({ code, stopped }: SpawnOutcome): boolean => !stopped && code === tryAgain;

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

/** By what this machine reaches itself: a number, since names are not known everywhere. */
export function loopback(): string {
  const own = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  const numbers = own.filter(({ internal }) => internal).map(({ address }) => address);
  return numbers.find((number) => number === "127.0.0.1") ?? numbers[0] ?? "127.0.0.1";
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
