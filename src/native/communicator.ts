/**
 * Engines that move bytes between ranks: which libraries there may be, and which of them the system loads. Nothing is linked
 * to them and none is delivered: NCCL comes with a CUDA system or a Python package, MPI with the cluster.
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { messageOf } from "../settings/realms.js";
import type { NativeEngine } from "./addon.js";
import { loadAddon } from "./load.js";

/** A library of an engine that is loaded, or why there is none. */
export type FoundEngine =
  | { readonly library: string; readonly version: string; readonly reason?: undefined }
  | { readonly library?: undefined; readonly reason: string };

type Environment = Readonly<Record<string, string | undefined>>;

/** The environment variable that names an engine's library, and takes the place of all others. */
const variables: Readonly<Record<NativeEngine, string>> = { nccl: "MEDMAMBA_NCCL", mpi: "MEDMAMBA_MPI" };

/** What to do where there is none. */
const advice: Readonly<Record<NativeEngine, string>> = {
  nccl: "install NCCL (libnccl2, or the Python package nvidia-nccl-cu13), or name its library by MEDMAMBA_NCCL",
  mpi: "install Open MPI or MPICH (Debian: openmpi-bin or mpich), or name its library by MEDMAMBA_MPI",
};

const engines = new Map<string, FoundEngine>();

/**
 * The library of an engine, loaded, and remembered for the process.
 *
 * @param backend  "cpu" for MPI; for NCCL, the path of the device's shared library
 */
export function findEngineLibrary(engine: NativeEngine, backend: string): FoundEngine {
  const key = `${engine} ${backend}`;
  const known = engines.get(key);
  if (known) return known;
  const found = search(engine, backend);
  engines.set(key, found);
  return found;
}

function search(engine: NativeEngine, backend: string): FoundEngine {
  const problems: string[] = [];
  const tried = candidates(engine, process.env);
  for (const candidate of tried) {
    const library = typeof candidate === "string" ? candidate : candidate();
    if (!library) continue;
    try {
      return { library, version: versionOf(engine, loadAddon().engineVersion(engine, backend, library)) };
    } catch (error) {
      const problem = messageOf(error);
      // That a usual place has none is no news; anything else is.
      if (process.env[variables[engine]] || !/no such file/i.test(problem)) problems.push(problem);
    }
  }
  if (problems.length > 0) return { reason: problems.join("; ") };
  const names = tried.filter((candidate) => typeof candidate === "string").join(", ");
  return { reason: `none of ${names} was found: ${advice[engine]}` };
}

/** @internal The libraries to try, in their order; what takes a look elsewhere first is a function. */
export function candidates(
  engine: NativeEngine,
  environment: Environment,
): readonly (string | (() => string | undefined))[] {
  const named = environment[variables[engine]];
  if (named) return [named];
  if (engine === "nccl") return ["libnccl.so.2", ncclOfPython];
  const openMpi = ["libmpi.so.40"];
  const mpich = ["libmpi.so.12", "libmpich.so.12"];
  // The launcher's own comes first where it is known: another MPI would take every process for the only one.
  const byMpich = environment.PMI_SIZE !== undefined && environment.OMPI_COMM_WORLD_SIZE === undefined;
  return ["libmpi_abi.so.0", ...(byMpich ? [...mpich, ...openMpi] : [...openMpi, ...mpich])];
}

/** NCCL as PyTorch's users have it: in the packages of the Python on the path. */
function ncclOfPython(): string | undefined {
  const question =
    "import importlib.util as u; s = u.find_spec('nvidia.nccl'); print(list(s.submodule_search_locations)[0])";
  const { stdout } = spawnSync("python3", ["-c", question], {
    encoding: "utf8",
    timeout: 10_000,
    killSignal: "SIGKILL",
  });
  const library = join(stdout?.trim() || ".", "lib", "libnccl.so.2");
  return stdout?.trim() && existsSync(library) ? library : undefined;
}

/** "Open MPI 4.1.4", "MPICH 4.0.2", "2.30.7": of what a library says at length. */
function versionOf(engine: NativeEngine, told: string): string {
  const first = told.split(/[,\n]/)[0]?.trim() ?? "";
  if (engine === "nccl") return first;
  return first
    .replace(/^Open MPI v/, "Open MPI ")
    .replace(/^MPICH Version:\s*/, "MPICH ")
    .replace(/\s+/g, " ");
}
