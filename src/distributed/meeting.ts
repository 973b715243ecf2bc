/** Where rank 0 listens, as MPI tells it: its launchers name no address, but have connected all processes already. */
import { randomBytes } from "node:crypto";
import { networkInterfaces } from "node:os";
import { tensor } from "../tensor/creation.js";
import type { Device } from "../tensor/device.js";
import { type DeviceLike, resolveDevice } from "../tensor/devices.js";
import { type Connection, connectBy, type EngineWish } from "./connection.js";
import { findEngine } from "./engine.js";
import type { Address, Launch } from "./launch.js";
import { freePort } from "./spawn.js";

/** What MPI told, and the connection by which it did: there is one in a process. */
export interface Met {
  readonly address: Address;
  readonly token: string;
  readonly device: Device;
  readonly connection: Connection;
}

/** Bytes of what is told. */
const room = 256;

/** @throws DistributedError if MPI cannot be used, or does not know the processes */
export async function meetByMpi(
  { rank, worldSize }: Launch,
  deviceLike: DeviceLike | undefined,
  wish: EngineWish,
): Promise<Met> {
  const device = resolveDevice(deviceLike);
  const engine = findEngine("mpi", device);
  const unlessFailed = <T>(promise: Promise<T>) => promise;
  const ranks = { rank, worldSize, unlessFailed };
  const connection = await connectBy(engine, device, engine.id(), ranks, wish);
  const told = new Uint8Array(room);
  if (rank === 0) {
    const address: Address = { host: ownAddress(), port: await freePort() };
    told.set(new TextEncoder().encode(JSON.stringify({ address, token: randomBytes(16).toString("hex") })));
  }
  const values = tensor(told, [room], { device });
  try {
    connection.communicator?.broadcast(values);
    const bytes = (await values.data()) as unknown as Uint8Array;
    const text = new TextDecoder().decode(bytes.subarray(0, bytes.indexOf(0)));
    const { address, token } = JSON.parse(text) as Pick<Met, "address" | "token">;
    return { address, token, device, connection };
  } finally {
    values.dispose();
  }
}

/** An address of this machine that others reach; where it has none, those on itself do. */
function ownAddress(): string {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  const outer = all.find(({ family, internal }) => family === "IPv4" && !internal);
  return (outer ?? all.find(({ internal }) => !internal))?.address ?? "127.0.0.1";
}
