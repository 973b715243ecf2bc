/**
 * Which CUDA library this machine's driver runs. They are built from the same sources, each with a version of CUDA whose
 * runtime wants a driver of that version or of a newer one. npm delivers those of 13 and of 11; whoever compiles has those of
 * the toolkits that are there (scripts/find-nvcc.mjs).
 */
import { existsSync } from "node:fs";
import { backendLibrary, loadAddon } from "./load.js";

/** The newest first: it has code for the newest GPUs. */
const builds = [
  { name: "medmamba_cuda", cuda: 13_000 },
  { name: "medmamba_cuda12", cuda: 12_000 },
  { name: "medmamba_cuda11", cuda: 11_000 },
] as const;

/**
 * The newest that is there and that the driver runs. Where it runs none, or there is no driver, the oldest that is there, as it
 * asks for the least: what that is, it says itself. Where there is none at all, where the newest would be.
 *
 * @throws AddonError if there is no addon
 */
export function cudaLibrary(): string {
  const driver = loadAddon().driverCuda() ?? 0;
  const there = builds
    .map(({ name, cuda }) => ({ path: backendLibrary(name), cuda }))
    .filter(({ path }) => existsSync(path));
  const chosen = there.find(({ cuda }) => cuda <= driver) ?? there.at(-1);
  return chosen?.path ?? backendLibrary(builds[0].name);
}
