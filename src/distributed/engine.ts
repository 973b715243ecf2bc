/**
 * Engines: who moves bytes between the ranks of a job. NCCL moves them between GPUs, MPI between the memories of hosts, and
 * for GPUs through these. They add nothing: what a sum is, `Communicator` says.
 */
import { DistributedError } from "../errors.js";
import { type FoundEngine, findEngineLibrary } from "../native/communicator.js";
import { backendLibrary, loadAddon } from "../native/load.js";
import { Communicator, type Reduction } from "../tensor/communicator.js";
import type { Device } from "../tensor/device.js";

export type { Communicator, Reduction } from "../tensor/communicator.js";

/** Names of engines. */
export type EngineName = "nccl" | "mpi";

/** All of them, the fastest first. */
export const engineNames: readonly EngineName[] = ["nccl", "mpi"];

/** What ranks meet by. */
export interface Meeting {
  /** What rank 0 got from `Engine.id`. */
  readonly id: Uint8Array;
  /** From 0. */
  readonly rank: number;
  readonly worldSize: number;
  /** Who adds; default "rank order". */
  readonly reduction?: Reduction | undefined;
}

/** Bytes between ranks on one device's stream. */
export interface Engine {
  readonly name: EngineName;
  /** "2.30.7", "Open MPI 4.1.4": has to be the same on all ranks for NCCL. */
  readonly version: string;
  /** The file that the system loaded. */
  readonly library: string;
  /** What all ranks meet by: made on rank 0, which hands it out. */
  id(): Uint8Array;
  /**
   * Waits for all ranks to call it, each with a device of its own.
   *
   * MPI begins with its one communicator in a process and ends with it: a process that ends without having closed it counts as
   * failed to its launcher.
   *
   * @throws DistributedError with the reason if they do not meet, as where another MPI's launcher started them
   */
  connect(device: Device, meeting: Meeting): Promise<Communicator>;
}

/**
 * The engine of that name for a device.
 *
 * @throws DistributedError with the reason if it cannot be used
 */
export function findEngine(name: EngineName, device: Device): Engine {
  const found = lookFor(name, device);
  if (found.library === undefined)
    throw new DistributedError(`${words[name]} cannot be used: ${found.reason}.`);
  const { library, version } = found;
  const connect = async (own: Device, { id, rank, worldSize, reduction = "rank order" }: Meeting) => {
    try {
      return await Communicator.connect(own, { engine: name, library, id, rank, size: worldSize }, reduction);
    } catch (error) {
      throw new DistributedError(
        `${words[name]} did not connect rank ${rank} of ${worldSize}: ${reasonOf(error)}.`,
        {
          cause: error,
          rank,
        },
      );
    }
  };
  const id = () => loadAddon().communicatorId(name, backendOf(name, device) ?? "cpu", library);
  return { name, version, library, id, connect };
}

/** Which engines a device has, the fastest first, and why not the others: plain JSON. */
export function describeEngines(device: Device): readonly ({ readonly name: EngineName } & FoundEngine)[] {
  return engineNames.map((name) => ({ name, ...lookFor(name, device) }));
}

const words: Readonly<Record<EngineName, string>> = { nccl: "NCCL", mpi: "MPI" };

function lookFor(name: EngineName, device: Device): FoundEngine {
  const backend = backendOf(name, device);
  if (backend === undefined) return { reason: `it connects GPUs, and device "${device.name}" is none` };
  return findEngineLibrary(name, backend);
}

/** Where the engine's code is: the CPU's for MPI, and the GPU's for NCCL; undefined on a device without it. */
function backendOf(name: EngineName, { name: device }: Device): string | undefined {
  if (name === "mpi") return "cpu";
  if (device.startsWith("cuda-emulated")) return backendLibrary("medmamba_cuda_emulated");
  return device.startsWith("cuda") ? backendLibrary("medmamba_cuda") : undefined;
}

/** What was wrong, without the operation before it and the full stop after it. */
function reasonOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.replace(/^connect: /, "").replace(/\.$/, "");
}
