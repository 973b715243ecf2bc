/** Which engine carries the bytes of a group, chosen by all ranks together: what not all of them have is of no use. */
import { DistributedError } from "../errors.js";
import type { Device } from "../tensor/device.js";
import type { Communicator } from "./engine.js";
import type { Group } from "./group.js";

/** "auto", or one that has to be taken. */
export type EngineChoice = "auto" | "nccl" | "mpi" | "tcp";

/** @internal */
export const engineChoices: readonly EngineChoice[] = ["auto", "nccl", "mpi", "tcp"];

/** What carries the bytes for a device. */
export interface Connection {
  readonly engine: Exclude<EngineChoice, "auto">;
  readonly version: string | null;
  /** Undefined where bytes go over the control plane. */
  readonly communicator: Communicator | undefined;
}

export async function connectEngine(group: Group, device: Device, choice: EngineChoice): Promise<Connection> {
  void device;
  void group;
  if (choice === "nccl" || choice === "mpi") throw new DistributedError("not yet");
  return { engine: "tcp", version: null, communicator: undefined };
}
