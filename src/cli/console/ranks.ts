/** Commands that several processes carry out together: started here one a GPU, or by a launcher; rank 0 speaks for all. */
import { statSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { type Command, Option } from "commander";
import type { Group } from "../../distributed/group.js";
import { init } from "../../distributed/init.js";
import { launchOf, nodeLaunchOf } from "../../distributed/launch.js";
import { followParent, mayWorkAgain, type SpawnOptions, spawnRanks } from "../../distributed/spawn.js";
import { backendLibrary } from "../../native/load.js";
import { gpuCount } from "../../native/probe.js";
import { runFiles } from "../../study/run-directory.js";
import type { Device } from "../../tensor/device.js";
import { CommandError, SaidElsewhere, UsageError } from "./failure.js";
import { countOrZero } from "./options.js";
import type { Terminal } from "./terminal.js";

export interface RankOptions {
  /** How many processes to start, one a GPU. */
  readonly gpus?: number | "all";
  readonly maxRestarts?: number;
}

/** Adds the options of a command that starts processes. */
export function withGpuOptions(command: Command): Command {
  return command
    .addOption(
      new Option("--gpus <count>", "train on so many GPUs of this machine at once, or on all").argParser(
        gpusOf,
      ),
    )
    .addOption(
      new Option(
        "--max-restarts <count>",
        "with --gpus: how often all start again with --resume when one was lost (default: 0)",
      ).argParser(countOrZero),
    );
}

function gpusOf(text: string): number | "all" {
  if (text === "all") return text;
  if (/^[1-9]\d{0,3}$/.test(text)) return Number(text);
  throw new UsageError(`--gpus ${text} is no number of GPUs: give one from 1 on, or all.`);
}

/**
 * Starts the command once a GPU, where that is asked for, or where a launcher counts machines of which each has several.
 *
 * @param out  the run's folder
 * @returns    the exit code of all; undefined where this process is to do the work itself
 * @throws UsageError if a launcher has started this process already
 */
export async function startRanks(
  { gpus, maxRestarts = 0 }: RankOptions,
  out: string,
): Promise<number | undefined> {
  if (process.env.MEDMAMBA_SPAWNED === "1") return undefined;
  const node = nodeLaunchOf();
  const launch = node ? undefined : launchOf();
  if (launch && gpus !== undefined)
    throw new UsageError(
      `--gpus starts processes, but ${launch.launcher} has started ${launch.worldSize} already: leave it out, or start the command without.`,
    );
  const processes = processesWanted(gpus, node?.processes ?? (node ? "all" : undefined));
  if (maxRestarts > 0 && processes === undefined)
    throw new UsageError("--max-restarts goes with --gpus: a launcher restarts by itself.");
  if (processes === undefined) return undefined;
  const [first, script, ...args] = process.argv as [string, string, ...string[]];
  const threads = Math.max(1, Math.floor(availableParallelism() / processes));
  const options: Omit<SpawnOptions, "command"> = {
    processes,
    environment: { MEDMAMBA_THREADS: process.env.MEDMAMBA_THREADS ?? String(threads) },
    ...(node && {
      firstRank: node.node * processes,
      worldSize: node.nodes * processes,
      address: node.address,
      token: node.token,
    }),
  };
  const start = (own: readonly string[]) =>
    spawnRanks({ ...options, command: [first, ...process.execArgv, script, ...own] });
  const before = writtenAt(out);
  let outcome = await start(args);
  for (let restarts = 1; restarts <= maxRestarts && mayWorkAgain(outcome); restarts++) {
    // An earlier run that was to be overwritten is not gone on with.
    const begun = writtenAt(out) !== before;
    const again = begun ? [...args.filter((text) => !/^--(resume|overwrite)$/.test(text)), "--resume"] : args;
    process.stderr.write(`All processes start again (${restarts} of at most ${maxRestarts} times).\n`);
    outcome = await start(again);
  }
  return outcome.code;
}

/** When the plan of the run in a folder was written; undefined where there is none. */
const writtenAt = (out: string): number | undefined =>
  statSync(join(out, runFiles.plan), { throwIfNoEntry: false })?.mtimeMs;

/** @param ofLauncher  what a launcher that counts machines says of each */
function processesWanted(
  gpus: RankOptions["gpus"],
  ofLauncher: number | "all" | undefined,
): number | undefined {
  // Of tests, which have no GPUs.
  const internal = Number(process.env.MEDMAMBA_PROCESSES ?? 0);
  if (internal > 0) return internal;
  const wanted = gpus ?? ofLauncher;
  if (wanted === undefined) return undefined;
  const there = gpuCount(backendLibrary("medmamba_cuda"));
  if (gpus === undefined) {
    const own = wanted === "all" ? there : wanted;
    return own > 1 ? own : undefined; // One process a machine is what there is already.
  }
  if (there === 0)
    throw new CommandError("--gpus: there is no GPU that can be used here; `medmamba doctor` says why.");
  if (wanted === "all") return there;
  if (wanted > there) throw new CommandError(`--gpus ${wanted}: this machine has ${there}.`);
  return wanted;
}

/**
 * Carries a command out with the other processes of a launcher, or alone. What goes wrong on one is told to all, and said once.
 *
 * @param device  where tensors will be, for MPI
 */
export async function together<T>(
  terminal: Terminal,
  device: () => Device,
  body: (group: Group | undefined) => Promise<T>,
): Promise<T> {
  const launch = launchOf();
  if (!launch || launch.worldSize === 1) return body(undefined);
  followParent();
  const onWaiting = (news: string) => terminal.warn(news);
  const group = await init({ onWaiting, ...(!launch.address && { device: device() }) });
  terminal.silent = group.rank > 0;
  try {
    return await body(group);
  } catch (error) {
    group.fail(error);
    throw group.rank > 0 ? new SaidElsewhere(error) : error;
  } finally {
    await group.close();
  }
}

/** The number of this process on its machine, for the choice of its GPU; undefined of one that is alone. */
export function localRank(): number | undefined {
  const launch = launchOf();
  return launch && launch.worldSize > 1 ? launch.localRank : undefined;
}
