/** Joining the other processes: from what a launcher says, or from what a program does. */
import { ArgumentError, DistributedError } from "../errors.js";
import {
  expectCounts,
  expectFunction,
  expectNamed,
  expectText,
  inWords,
  type NamesOf,
} from "../settings/given.js";
import type { DeviceLike } from "../tensor/devices.js";
import { type EngineChoice, type EngineWish, engineChoices, type Overlap } from "./connection.js";
import { Control } from "./control.js";
import type { Reduction } from "./engine.js";
import { Group, software } from "./group.js";
import { type Address, type Launch, launchOf } from "./launch.js";
import { meetByMpi } from "./meeting.js";

/** Which process this is, and where the others are. Without a rank, the launcher says it. */
export interface InitOptions {
  /** Number of this process, from 0. */
  readonly rank?: number | undefined;
  /** Processes in all. */
  readonly worldSize?: number | undefined;
  /** Number of this process on its machine; default: `rank`. */
  readonly localRank?: number | undefined;
  /** Where rank 0 listens: `"host:port"`. */
  readonly address?: string | undefined;
  /** What all of the job know and nobody else; default: `MEDMAMBA_JOB_TOKEN`, else what the launcher calls the job. */
  readonly token?: string | undefined;
  /** What carries the bytes of tensors; default: `MEDMAMBA_ENGINE`, else the fastest that all ranks have. */
  readonly engine?: EngineChoice | undefined;
  /**
   * Who adds; default: `MEDMAMBA_REDUCTION`, else "rank order", which has the same bits whatever the engine. "engine" is NCCL or MPI
   * itself, which sends less between many machines.
   */
  readonly reduction?: Reduction | undefined;
  /**
   * MB of gradients that training adds up at once while backward goes on, or 0 to wait for its end; default: `MEDMAMBA_OVERLAP`,
   * else what is known to be faster with the engine. It changes no bits of sums in rank order.
   */
  readonly overlap?: number | undefined;
  /** Where tensors will be, on several machines under `mpirun`, where MPI tells the address of rank 0; default "cpu". */
  readonly device?: DeviceLike | undefined;
  /** Seconds that ranks wait for each other; default 300. */
  readonly patience?: number | undefined;
  /** Called once, where ranks wait for ten seconds or half of `patience`, with a sentence that says for whom. */
  readonly onWaiting?: ((news: string) => void) | undefined;
}

const names: NamesOf<InitOptions> = {
  rank: true,
  worldSize: true,
  localRank: true,
  address: true,
  token: true,
  engine: true,
  reduction: true,
  overlap: true,
  device: true,
  patience: true,
  onWaiting: true,
};

let open: Group | undefined;

/** @internal The group of this process that is open, if there is one. */
export const openGroup = (): Group | undefined => open;

/**
 * @internal The group that is open, else that of the processes that the launcher started, which stays open until the process ends:
 * MPI begins once in a process.
 */
export async function joinedGroup(device: DeviceLike | undefined): Promise<Group> {
  if (open) return open;
  if (launchOf() === undefined) return alone();
  const group = await init({ device });
  process.once("beforeExit", () => void group.close());
  return group;
}

/** A group of one that nobody has to close. */
function alone(): Group {
  const place = { rank: 0, worldSize: 1, localRank: 0, launcher: "nobody" };
  return new Group(place, undefined, { engine: "auto", reduction: "rank order", overlap: "auto" }, () => {});
}

/**
 * Joins the other processes of the job, and resolves when all are there. Where nobody started this process as one of several, the
 * group is of one, and its calls are done at once.
 *
 * @throws ArgumentError for options, or variables of the launcher, that cannot be
 * @throws DistributedError saying who did not come, or who is of another version
 */
export async function init(options: InitOptions = {}): Promise<Group> {
  const { engine, reduction, overlap, patience = 300, device, onWaiting } = checked(options);
  const wish: EngineWish = {
    engine: engineOf(engine ?? process.env.MEDMAMBA_ENGINE),
    reduction: reductionOf(reduction ?? process.env.MEDMAMBA_REDUCTION),
    overlap: overlapOf(overlap ?? process.env.MEDMAMBA_OVERLAP),
  };
  if (open)
    throw new DistributedError("distributed.init: this process is in a group already: close that first.");
  const launch = options.rank === undefined ? launchOf() : launchBy(options);
  const place = {
    rank: launch?.rank ?? 0,
    worldSize: launch?.worldSize ?? 1,
    localRank: launch?.localRank ?? 0,
    launcher: launch?.launcher ?? "nobody",
  };
  const closed = () => {
    open = undefined;
  };
  if (!launch || launch.worldSize === 1) {
    open = new Group(place, undefined, wish, closed);
    return open;
  }
  const met = launch.address ? undefined : await meetByMpi(launch, device, wish);
  const { address = launch.address as Address } = met ?? {};
  const token = met?.token ?? options.token ?? launch.token;
  const control = await Control.join({ ...place, address, token, patience, onWaiting });
  const group = new Group(place, control, wish, closed);
  if (met) group.adopt(met.device, met.connection);
  try {
    await group.expectSame("software", software());
  } catch (error) {
    await group.close();
    throw error;
  }
  open = group;
  return group;
}

function checked(options: InitOptions): InitOptions {
  expectNamed("distributed.init", "the options", options, names);
  const { rank, worldSize, localRank, address, token, engine, reduction, overlap, patience, onWaiting } =
    options;
  if (rank === undefined) {
    const told = Object.entries({ worldSize, localRank, address }).find(([, value]) => value !== undefined);
    if (told) throw new ArgumentError(`distributed.init: ${told[0]} was given, but no rank.`);
  } else {
    expectCounts("distributed.init", { rank }, 0);
    expectCounts("distributed.init", { worldSize });
    if (localRank !== undefined) expectCounts("distributed.init", { localRank }, 0);
    if (rank >= (worldSize as number))
      throw new ArgumentError(`distributed.init: rank ${rank} is not below worldSize ${worldSize}.`);
  }
  if (token !== undefined) expectText("distributed.init", "token", token);
  if (engine !== undefined) engineOf(engine);
  if (reduction !== undefined) reductionOf(reduction);
  if (overlap !== undefined) overlapOf(overlap);
  if (patience !== undefined && !(typeof patience === "number" && patience > 0 && patience < 1e6))
    throw new ArgumentError(`distributed.init: patience ${inWords(patience)} is no number of seconds.`);
  if (onWaiting !== undefined) expectFunction("distributed.init", onWaiting, "onWaiting");
  return options;
}

function engineOf(given: unknown): EngineChoice {
  if (given === undefined || given === "") return "auto";
  if (engineChoices.includes(given as EngineChoice)) return given as EngineChoice;
  throw new ArgumentError(
    `distributed.init: there is no engine ${inWords(given)}: choose from ${engineChoices.join(", ")}.`,
  );
}

function reductionOf(given: unknown): Reduction {
  if (given === undefined || given === "") return "rank order";
  if (given === "rank order" || given === "engine") return given;
  throw new ArgumentError(
    `distributed.init: there is no reduction ${inWords(given)}: choose "rank order" or "engine".`,
  );
}

function overlapOf(given: unknown): Overlap {
  if (given === undefined || given === "") return "auto";
  const megabytes = typeof given === "string" ? Number(given) : given;
  if (typeof megabytes === "number" && megabytes >= 0 && megabytes <= 1e6) return megabytes;
  throw new ArgumentError(
    `distributed.init: overlap ${inWords(given)} (MEDMAMBA_OVERLAP) is no number of MB: give 8, or 0 for none.`,
  );
}

function launchBy({ rank = 0, worldSize = 1, localRank = rank, address, token }: InitOptions): Launch {
  return {
    launcher: "a program",
    rank,
    worldSize,
    localRank,
    address: worldSize === 1 ? undefined : parseAddress(address),
    token: token ?? process.env.MEDMAMBA_JOB_TOKEN ?? "",
  };
}

function parseAddress(text: unknown): Address {
  const [, host, port] = /^\[?([^[\]]+?)\]?:(\d{1,5})$/.exec(typeof text === "string" ? text : "") ?? [];
  if (host !== undefined && Number(port) > 0 && Number(port) < 65536) return { host, port: Number(port) };
  throw new ArgumentError(
    `distributed.init: address ${inWords(text)} is not "host:port", where rank 0 listens.`,
  );
}
