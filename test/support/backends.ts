/**
 * The devices that every operation is tested on: the CPU at each SIMD level that this machine runs.
 *
 * @example describe.each(backends())("softmax on %s", (_, device) => { ... });
 */
import { type Device, openDevice } from "../../src/index.js";
import { loadAddon } from "../../src/native/load.js";

/** One device of two threads for each level, named "cpu-avx512", "cpu-avx2", ..., best first. */
export function backends(): [name: string, device: Device][] {
  return simdLevels().map((simd) => [`cpu-${simd}`, openDevice("cpu", { simd, threads: 2 })]);
}

export function simdLevels(): readonly string[] {
  return loadAddon().simdLevels;
}
