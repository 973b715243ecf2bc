/** Devices for the tests of graphs, closed when a test or all of a file are done, and what is thrown there. */
import { afterAll, afterEach } from "vitest";
import { type Device, openDevice } from "../../src/index.js";
import { hasEmulatedCuda } from "./backends.js";

/** Where graphs are tested: on the emulator, which refuses what CUDA refuses, where it is built. */
export const kinds = hasEmulatedCuda() ? ["cpu", "cuda-emulated"] : ["cpu"];

const open: Device[] = [];

/** A device of one test. */
export function device(kind: string): Device {
  const opened = openDevice(kind, kind === "cpu" ? { threads: 2 } : {});
  open.push(opened);
  return opened;
}

const shared = new Map<string, Device>();
/** A device of all tests of a file. */
export function sharedDevice(kind: string): Device {
  if (!shared.has(kind)) shared.set(kind, openDevice(kind, kind === "cpu" ? { threads: 2 } : {}));
  return shared.get(kind)!;
}
afterEach(() => {
  for (const opened of open.splice(0)) opened.close();
  delete process.env.MEDMAMBA_EMULATOR_MEMORY;
});
afterAll(() => {
  for (const opened of shared.values()) opened.close();
});

/** What an action throws. */
export function problem(action: () => unknown): Error & { code?: string } {
  try {
    action();
  } catch (error) {
    return error as Error;
  }
  throw new Error("nothing was thrown");
}
