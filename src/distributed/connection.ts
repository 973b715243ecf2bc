/** Which engine carries the bytes of a group, chosen by all ranks together: what not all of them have is of no use. */
import { DistributedError } from "../errors.js";
import type { Device } from "../tensor/device.js";
import {
  type Communicator,
  type Engine,
  type EngineName,
  engineNames,
  findEngine,
  type Reduction,
} from "./engine.js";

/** "auto" is the fastest that all ranks have; "tcp" sends everything through rank 0, and needs nothing installed. */
export type EngineChoice = "auto" | EngineName | "tcp";

/** @internal */
export const engineChoices: readonly EngineChoice[] = ["auto", ...engineNames, "tcp"];

/** Which engine is wanted, who adds, and whether sums go beside backward. */
export interface EngineWish {
  readonly engine: EngineChoice;
  readonly reduction: Reduction;
  readonly overlap: Overlap;
}

/**
 * Gradients that are added up over ranks at once, in MB, while backward goes on; 0 waits for its end. "auto" is what is known to be
 * faster with the engine.
 */
export type Overlap = number | "auto";

/** What carries the bytes for a device. */
export interface Connection {
  readonly engine: Exclude<EngineChoice, "auto">;
  readonly version: string | null;
  readonly reduction: Reduction;
  /** MB of gradients that are added up at once while backward goes on; 0 where they wait for its end. */
  readonly overlap: number;
  /** Undefined where bytes go over the control plane. */
  readonly communicator: Communicator | undefined;
  /** Why they do, and what to do about it, in words; undefined where nobody has to be told. */
  readonly detour?: string | undefined;
}

/** What choosing needs of a group. */
interface Ranks {
  readonly rank: number;
  readonly worldSize: number;
  gatherAt<T>(name: string, value: T): Promise<T[]>;
  gatherBytes(name: string, bytes: Uint8Array): Promise<Uint8Array[]>;
  unlessFailed<T>(promise: Promise<T>): Promise<T>;
}

/** What a rank has of an engine: its version, or why it cannot be used. */
type Offer = { readonly version: string } | { readonly reason: string };

function overTcp({ engine, overlap }: EngineWish, problem = notStartedByMpi): Connection {
  return {
    engine: "tcp",
    version: null,
    reduction: "rank order",
    overlap: overlap === "auto" ? overlapsBest.tcp : overlap,
    communicator: undefined,
    detour: engine === "tcp" ? undefined : problem,
  };
}

const notStartedByMpi =
  "start them with the mpirun or srun of Open MPI or MPICH (Debian: openmpi-bin, mpich), which connects CPUs";

/**
 * What is faster: MB of gradients at once while backward goes on, or 0 for its end. On paper for NCCL, which leaves most of a GPU to
 * backward; measured for the others. MPI waits with a busy processor, which it takes from backward, and on CPUs that lasts so long
 * that there is little to hide. The control plane waits without, and its host's work is what takes long
 * (bench/results/distributed-2026-11-28.md).
 */
const overlapsBest = { nccl: 8, mpi: 0, tcp: 8 } as const;

/**
 * Connects a device with those of the other ranks.
 *
 * @throws DistributedError on all ranks if the engine that was asked for cannot be used on one
 */
export async function connectEngine(ranks: Ranks, device: Device, wish: EngineWish): Promise<Connection> {
  const found = new Map<EngineName, Engine>();
  const offers: Partial<Record<EngineName, Offer>> = {};
  for (const name of engineNames) {
    if (!isWanted(name, device, wish.engine)) continue;
    try {
      const engine = findEngine(name, device);
      found.set(name, engine);
      offers[name] = { version: engine.version };
    } catch (error) {
      if (!(error instanceof DistributedError)) throw error;
      offers[name] = { reason: error.message };
    }
  }
  const all = await ranks.gatherAt("engine", { wish, offers });
  const other = all.findIndex((offer) => JSON.stringify(offer.wish) !== JSON.stringify(all[0]?.wish));
  if (other > 0)
    throw new DistributedError(
      `rank ${other} asks for ${wordsOf(all[other]?.wish)}, rank 0 for ${wordsOf(all[0]?.wish)}: give all ranks the same (MEDMAMBA_ENGINE, MEDMAMBA_REDUCTION, MEDMAMBA_OVERLAP).`,
    );
  let detour: string | undefined;
  for (const name of engineNames) {
    if (!all.some((offer) => offer.offers[name])) continue;
    const problem = problemOf(
      name,
      all.map((offer) => offer.offers[name]),
    );
    const engine = found.get(name);
    if (problem === undefined && engine) {
      const [id] = await ranks.gatherBytes("engine's id", ranks.rank === 0 ? engine.id() : new Uint8Array(0));
      return connectBy(engine, device, id as Uint8Array, ranks, wish);
    }
    if (wish.engine === name) throw new DistributedError(problem ?? `${name} cannot be used.`);
    detour ??= problem?.replace(/\.$/, "");
  }
  return overTcp(wish, detour);
}

/** The connection by one engine. */
export async function connectBy(
  engine: Engine,
  device: Device,
  id: Uint8Array,
  { rank, worldSize, unlessFailed }: Pick<Ranks, "rank" | "worldSize" | "unlessFailed">,
  { reduction, overlap: wanted }: Pick<EngineWish, "reduction" | "overlap">,
): Promise<Connection> {
  const communicator = await unlessFailed(engine.connect(device, { id, rank, worldSize, reduction }));
  const { name, version } = engine;
  // What goes from a GPU through the host's memory holds the host up.
  const can = name === "nccl" || device.name === "cpu";
  const best = wanted === "auto" ? overlapsBest[name] : wanted;
  const overlap = can ? best : 0;
  return { engine: name, version, reduction, overlap, communicator };
}

const wordsOf = (wish: EngineWish | undefined): string =>
  `engine "${wish?.engine}", reduction "${wish?.reduction}" and overlap ${wish?.overlap}`;

/** MPI connects what its own launcher has started, and so is not looked for elsewhere unless it is asked for. */
function isWanted(name: EngineName, { name: device }: Device, choice: EngineChoice): boolean {
  if (choice !== "auto") return choice === name;
  return name === "nccl" ? device.startsWith("cuda") : isStartedByMpi();
}

/** Whether processes were started so that MPI finds them. */
export const isStartedByMpi = (): boolean =>
  ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "PMIX_RANK"].some((name) => process.env[name] !== undefined);

/** Why an engine cannot be used by all; undefined if it can. */
function problemOf(name: EngineName, offers: readonly (Offer | undefined)[]): string | undefined {
  const [first] = offers;
  for (const [rank, offer] of offers.entries()) {
    if (!offer || "reason" in offer) return `on rank ${rank}, ${offer?.reason ?? `${name} is not there.`}`;
    if (first && "version" in first && first.version !== offer.version)
      return `rank 0 has ${name} ${first.version}, rank ${rank} ${offer.version}: give all ranks the same.`;
  }
  return undefined;
}
