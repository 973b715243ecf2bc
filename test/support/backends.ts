/**
 * The devices that every operation is tested on: the CPU at each SIMD level that this machine runs, and the CUDA
 * kernels on the emulator.
 *
 * @example describe.each(backends())("softmax on %s", (_, device) => { ... });
 */
import { existsSync } from "node:fs";
import { type Device, openDevice } from "../../src/index.js";
import { backendLibrary, loadAddon } from "../../src/native/load.js";

/** One device of two threads for each level, named "cpu-avx512", "cpu-avx2", ..., best first; then "cuda-emulated". */
export function backends(): [name: string, device: Device][] {
  const all = simdLevels().map((simd): [string, Device] => [
    `cpu-${simd}`,
    openDevice("cpu", { simd, threads: 2 }),
  ]);
  if (hasEmulatedCuda()) all.push(["cuda-emulated", openDevice("cuda-emulated")]);
  return all;
}

export function simdLevels(): readonly string[] {
  return loadAddon().simdLevels;
}

/** Whether the emulated CUDA library is built and wanted; says so loudly if it is not built. */
export function hasEmulatedCuda(): boolean {
  if (process.env.MEDMAMBA_TEST_CPU_ALONE) return false;
  const library = backendLibrary("medmamba_cuda_emulated");
  if (existsSync(library)) return true;
  console.error(
    `NOT TESTED: the CUDA kernels, because ${library} is missing: run \`node scripts/build.mjs tests\`.`,
  );
  return false;
}
