/** Jobs of several ranks, each a process that runs collective-process.mjs: started by an mpirun, or by us. */
import { spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { repository } from "./repository.js";

const script = fileURLToPath(new URL("collective-process.mjs", import.meta.url));

/** Who starts the ranks: an MPI's mpirun, or nobody in particular, with an id by a file. */
export type Launcher = "openmpi" | "mpich" | "spawn";

/** What each rank says. */
export interface RankResult<Found> {
  readonly rank: number;
  readonly version?: string;
  readonly library?: string;
  readonly found: Found;
  readonly error?: string;
}

/** The MPIs that are installed; says loudly which are not. */
export function installedMpis(): Exclude<Launcher, "spawn">[] {
  return (["openmpi", "mpich"] as const).filter((name) => {
    const { error, status } = spawnSync(`mpirun.${name}`, ["--version"]);
    if (!error && status === 0) return true;
    console.error(`NOT TESTED: ranks by ${name}: install it (Debian: openmpi-bin, mpich).`);
    return false;
  });
}

/** The NCCL of test/native/fakes; undefined, and said loudly, where it is not built. */
export function fakeNccl(): string | undefined {
  const library = join(repository, "build", "fakes", "libnccl.so.2");
  if (existsSync(library)) return library;
  console.error(`NOT TESTED: NCCL, because ${library} is missing: run \`node scripts/build.mjs tests\`.`);
  return undefined;
}

/**
 * Runs a job, and resolves with what its ranks said, in their order.
 *
 * @param environment  of all ranks, or of each where we start them
 */
export async function runJob<Found>(
  launcher: Launcher,
  ranks: number,
  job: Readonly<Record<string, unknown>>,
  environment: Readonly<Record<string, string>> | ((rank: number) => Readonly<Record<string, string>>) = {},
): Promise<RankResult<Found>[]> {
  const folder = await mkdtemp(join(tmpdir(), "medmamba-ranks-"));
  const program = [
    process.execPath,
    script,
    JSON.stringify({ device: "cpu", engine: "mpi", ...job, folder }),
  ];
  const of = (rank: number) => (typeof environment === "function" ? environment(rank) : environment);
  try {
    let problems: string[];
    if (launcher === "spawn") {
      const alone = (rank: number) => ({ RANK: `${rank}`, WORLD_SIZE: `${ranks}`, ...of(rank) });
      problems = await Promise.all(Array.from({ length: ranks }, (_, rank) => run(program, alone(rank))));
    } else {
      const options = launcher === "openmpi" ? openMpiOptions : [];
      problems = [await run([`mpirun.${launcher}`, ...options, "-n", `${ranks}`, ...program], of(0))];
    }
    const said = (await readdir(folder)).filter((name) => name.endsWith(".json"));
    if (said.length === 0) throw new Error(`No rank said anything: ${problems.join("\n")}`);
    const results = await Promise.all(said.map((name) => readFile(join(folder, name), "utf8")));
    return results.map((text) => JSON.parse(text) as RankResult<Found>).sort((a, b) => a.rank - b.rank);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const openMpiOptions = ["--allow-run-as-root", "--oversubscribe", "--bind-to", "none"];

/** How it ended, and what it complained of. */
function run(command: readonly string[], environment: Readonly<Record<string, string>>): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command[0]!, command.slice(1), {
      env: { ...process.env, MEDMAMBA_THREADS: "1", OMPI_MCA_mpi_yield_when_idle: "1", ...environment },
      stdio: ["ignore", "inherit", "pipe"],
      timeout: 120_000,
      killSignal: "SIGKILL",
    });
    let stderr = "";
    child.stderr.on("data", (data) => {
      stderr += data;
    });
    child.on("error", reject);
    child.on("close", (code) => resolve(`exit code ${code}: ${stderr}`));
  });
}
