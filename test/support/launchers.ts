/** Launchers of this machine; undefined where one is absent, which is said aloud. */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";

export interface Launcher {
  readonly name: string;
  readonly command: string;
  /** Before the program. */
  args(processes: number): string[];
}

function find(name: string, why: string): string | undefined {
  const places = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/sbin"];
  const path = places.map((place) => join(place, name)).find((path) => existsSync(path));
  if (path === undefined) console.warn(`SKIPPED: ${name} is not there (apt-get install ${why}).`);
  return path;
}

const openMpiPath = find("mpirun.openmpi", "openmpi-bin");
const mpichPath = find("mpirun.mpich", "mpich");

export const openMpi: Launcher | undefined = openMpiPath
  ? {
      name: "Open MPI",
      command: openMpiPath,
      args: (processes) => ["--allow-run-as-root", "--oversubscribe", "-np", String(processes)],
    }
  : undefined;

export const mpich: Launcher | undefined = mpichPath
  ? { name: "MPICH", command: mpichPath, args: (processes) => ["-np", String(processes)] }
  : undefined;

/** Programs of Slurm, where all are there and this user may start them. */
export const slurm: boolean =
  ["slurmctld", "slurmd", "srun"].every((name) => find(name, "slurm-wlm") !== undefined) &&
  find("munged", "munge") !== undefined &&
  isRoot("Slurm's daemons");

/** Whether two "machines" can be had: network namespaces with a cable between. */
export const namespaces: boolean =
  find("ip", "iproute2") !== undefined && isRoot("network namespaces") && canMake();

function isRoot(what: string): boolean {
  if (process.getuid?.() === 0) return true;
  console.warn(`SKIPPED: ${what} need root.`);
  return false;
}

function canMake(): boolean {
  const made = spawnSync("ip", ["netns", "add", "medmamba-try"], { encoding: "utf8" });
  if (made.status === 0) spawnSync("ip", ["netns", "del", "medmamba-try"]);
  else console.warn(`SKIPPED: network namespaces cannot be made here: ${made.stderr.trim()}`);
  return made.status === 0;
}
