/** Where rank 0 listens, as MPI tells it: its launchers name no address, but have connected all processes already. */
import { randomBytes } from "node:crypto";
import { networkInterfaces } from "node:os";
import { tensor } from "../tensor/creation.js";
import type { Device } from "../tensor/device.js";
import { type DeviceLike, resolveDevice } from "../tensor/devices.js";
import { type Connection, connectBy, type EngineWish } from "./connection.js";
import { findEngine } from "./engine.js";
import type { Address, Launch } from "./launch.js";
import { freePort, loopback } from "./spawn.js";

/** What MPI told, and the connection by which it did: there is one in a process. */
export interface Met {
  readonly address: Address;
  readonly token: string;
  readonly device: Device;
  readonly connection: Connection;
}

/** Bytes of what is told. */
const room = 1024;
/** Addresses that fit in there. */
const mostAddresses = 12;

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
    const [host = loopback(), ...others] = ownAddresses();
    const address: Address = { host, others, port: await freePort() };
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

/**
 * Addresses of this machine by which others may reach it: which of its networks are theirs as well (and not those of its
 * containers, say), it does not know. Its own comes last.
 */
export function ownAddresses(): string[] {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  // Those of one cable alone are no addresses without its name, which is another on each machine.
  const outer = all.filter(({ address, internal }) => !internal && !/^fe[89ab]/i.test(address));
  const byFamily = ["IPv4", "IPv6"].flatMap((family) => outer.filter((one) => one.family === family));
  return [...byFamily.slice(0, mostAddresses - 1).map(({ address }) => address), loopback()];
}
