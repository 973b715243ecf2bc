/**
 * Who started this process, and as which of how many: what launchers say in environment variables, as a table. The first row
 * that matches counts.
 */
import { ArgumentError } from "../errors.js";

type Environment = Readonly<Record<string, string | undefined>>;

/** Where rank 0 is met. */
export interface Address {
  /** Name or number of its machine. */
  readonly host: string;
  /** What else that machine may be reached by. */
  readonly others?: readonly string[];
  /** Port of TCP that it listens on. */
  readonly port: number;
}

/** One process among those that work together. */
export interface Launch {
  /** Who started it, for people. */
  readonly launcher: string;
  /** Number of this process, from 0. */
  readonly rank: number;
  /** Processes that work together. */
  readonly worldSize: number;
  /** Number of this process on its machine, from 0. */
  readonly localRank: number;
  /** Where rank 0 is met; undefined where MPI has to tell. */
  readonly address: Address | undefined;
  /** What this job alone knows, which keeps processes of others out. */
  readonly token: string;
}

/** One process a machine, which has to start one a GPU. */
export interface NodeLaunch {
  /** Who started it, for people. */
  readonly launcher: string;
  /** Number of this machine, from 0. */
  readonly node: number;
  /** Machines that work together. */
  readonly nodes: number;
  /** Processes wanted here; undefined: one a GPU. */
  readonly processes: number | undefined;
  readonly address: Address;
  readonly token: string;
}

interface Row {
  readonly launcher: string;
  /** Variables that have to be there. */
  readonly needs: readonly string[];
  /** Whether they mean that, where their being there does not say it. */
  readonly matches?: (environment: Environment) => boolean;
  /** Names of the variables of rank, number of processes and rank on the machine. */
  readonly names: readonly [rank: string, worldSize: string, localRank: string];
  readonly address: (environment: Environment) => Address | undefined;
  /** What tells the job from others. */
  readonly job: readonly string[];
}

const rows: readonly Row[] = [
  {
    launcher: "torchrun",
    needs: ["RANK", "WORLD_SIZE", "LOCAL_RANK"],
    names: ["RANK", "WORLD_SIZE", "LOCAL_RANK"],
    address: masterAddress,
    job: ["TORCHELASTIC_RUN_ID"],
  },
  {
    launcher: "mpirun of Open MPI",
    needs: ["OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"],
    names: ["OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK"],
    address: mpiAddress,
    job: ["OMPI_MCA_ess_base_jobid", "PMIX_NAMESPACE"],
  },
  {
    // Before Slurm: under sbatch its processes have the variables of the step that starts them, which counts machines.
    launcher: "mpirun of MPICH",
    needs: ["PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID"],
    names: ["PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID"],
    address: mpiAddress,
    job: [],
  },
  {
    launcher: "srun of Slurm",
    needs: ["SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_STEP_ID"],
    // A batch script and an interactive shell are steps as well, with numbers of their own.
    matches: ({ SLURM_STEP_ID }) => Number(SLURM_STEP_ID) < 0xfffffff0,
    names: ["SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID"],
    address: slurmAddress,
    job: ["SLURM_JOB_ID", "SLURM_STEP_ID"],
  },
];

/**
 * What the environment says of this process; undefined where nobody started it as one of several.
 *
 * @throws ArgumentError for variables that contradict each other
 */
export function launchOf(environment: Environment = process.env): Launch | undefined {
  const row = rows.find(
    ({ needs, matches }) =>
      needs.every((name) => isSet(environment, name)) && (matches?.(environment) ?? true),
  );
  const node = row ? undefined : nodeLaunchOf(environment);
  // One process a machine is a rank where nobody makes more of it.
  if (node) {
    const { launcher, node: rank, nodes: worldSize, address, token } = node;
    return { launcher, rank, worldSize, localRank: 0, address, token };
  }
  if (!row) return undefined;
  const [rank, worldSize, localRank] = row.names;
  const launch = {
    launcher: isSet(environment, "MEDMAMBA_SPAWNED") ? "medmamba" : row.launcher,
    rank: wholeNumber(environment, rank),
    worldSize: wholeNumber(environment, worldSize),
    localRank: isSet(environment, localRank) ? wholeNumber(environment, localRank) : 0,
    token: tokenOf(environment, row.job),
  };
  if (launch.worldSize < 1 || launch.rank >= launch.worldSize)
    throw new ArgumentError(
      `${row.launcher}: ${rank} is ${launch.rank}, but ${worldSize} is ${launch.worldSize}: ranks count from 0.`,
    );
  return { ...launch, address: launch.worldSize > 1 ? row.address(environment) : undefined };
}

/**
 * What the environment says where it counts machines: the variables of Kubeflow's Trainer, which newer PyTorchJobs have as well
 * (their `WORLD_SIZE` counts processes), or `RANK` and `WORLD_SIZE` (older PyTorchJobs, Alibaba PAI). Undefined where it does not,
 * as in a process that torchrun has started there, which has a `LOCAL_RANK`.
 *
 * @throws ArgumentError for variables that contradict each other
 */
export function nodeLaunchOf(environment: Environment = process.env): NodeLaunch | undefined {
  if (isSet(environment, "LOCAL_RANK")) return undefined;
  const token = tokenOf(environment, ["TORCHELASTIC_RUN_ID", "PET_RDZV_ID"]);
  const isPet = isSet(environment, "PET_NNODES") && isSet(environment, "PET_NODE_RANK");
  const isPlain = isSet(environment, "RANK") && isSet(environment, "WORLD_SIZE");
  if (!isPet && !isPlain) return undefined;
  const [rank, size, prefix] = isPet ? ["PET_NODE_RANK", "PET_NNODES", "PET_"] : ["RANK", "WORLD_SIZE", ""];
  const node = wholeNumber(environment, rank);
  const nodes = wholeNumber(environment, size);
  if (nodes < 1 || node >= nodes)
    throw new ArgumentError(`${rank} is ${node}, but ${size} is ${nodes}: machines count from 0.`);
  const wanted = environment.PET_NPROC_PER_NODE;
  return {
    launcher: isPet ? "Kubeflow's Trainer" : "RANK and WORLD_SIZE",
    node,
    nodes,
    processes: /^\d+$/.test(wanted ?? "") ? Number(wanted) : undefined,
    address: masterAddress(environment, prefix),
    token,
  };
}

/**
 * Which of how many parts of independent work this process has: of an array of Slurm's jobs, an Indexed Job of Kubernetes, or a
 * launcher. Undefined where nobody says.
 *
 * @param of  parts in all, where the launcher does not say: an Indexed Job's
 */
export function arrayPart(
  of: number | undefined,
  environment: Environment = process.env,
): { index: number; of: number } | undefined {
  const launch = launchOf(environment);
  if (launch && launch.worldSize > 1) return { index: launch.rank, of: launch.worldSize };
  const names = ["SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_COUNT"] as const;
  if (names.every((name) => isSet(environment, name))) {
    const [task = 0, first = 0, count = 1] = names.map((name) => wholeNumber(environment, name));
    if (task - first < count) return { index: task - first, of: count };
  }
  if (of === undefined || !isSet(environment, "JOB_COMPLETION_INDEX")) return undefined;
  const index = wholeNumber(environment, "JOB_COMPLETION_INDEX");
  return index < of ? { index, of } : undefined;
}

const isSet = (environment: Environment, name: string): boolean => (environment[name] ?? "") !== "";

/** @throws ArgumentError naming the variable */
function wholeNumber(environment: Environment, name: string): number {
  const text = environment[name] ?? "";
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new ArgumentError(`the environment variable ${name} has to be a whole number, but is "${text}".`);
}

/** `MEDMAMBA_JOB_TOKEN`, else what the launcher calls the job. */
function tokenOf(environment: Environment, job: readonly string[]): string {
  const given = environment.MEDMAMBA_JOB_TOKEN;
  if (given) return given;
  return job.map((name) => environment[name] ?? "").join(".");
}

/** @throws ArgumentError where there is none */
function masterAddress(environment: Environment, prefix = ""): Address {
  const host = environment[`${prefix}MASTER_ADDR`]?.replace(/^\[(.*)\]$/, "$1"); // As in an address with a port.
  if (!host)
    throw new ArgumentError(
      `${prefix}MASTER_ADDR is not set: name the machine of rank 0 in it, and a free port there in ${prefix}MASTER_PORT.`,
    );
  // torchrun's agent holds the port itself.
  const isTaken = environment.TORCHELASTIC_USE_AGENT_STORE === "True";
  const port = wholeNumber(environment, `${prefix}MASTER_PORT`) + (isTaken ? 1 : 0);
  if (port < 1 || port > 65535)
    throw new ArgumentError(`${prefix}MASTER_PORT is ${port}: ports are 1 to 65535.`);
  return { host, port };
}

/** Where somebody names it; else MPI has to tell, which knows all processes before they know each other. */
function mpiAddress(environment: Environment): Address | undefined {
  return isSet(environment, "MASTER_ADDR") ? masterAddress(environment) : undefined;
}

/** The first machine of the step, and a port that follows from job and step: no two steps of a job have the same. */
function slurmAddress(environment: Environment): Address {
  const list = environment.SLURM_STEP_NODELIST ?? "";
  const host = environment.MASTER_ADDR || firstHost(list);
  if (!host)
    throw new ArgumentError(
      `SLURM_STEP_NODELIST "${list}" names no machine: name that of rank 0 in MASTER_ADDR.`,
    );
  if (isSet(environment, "MASTER_PORT")) return { host, port: wholeNumber(environment, "MASTER_PORT") };
  const [job, step] = [Number(environment.SLURM_JOB_ID ?? 0), Number(environment.SLURM_STEP_ID ?? 0)];
  // Below the range that Linux hands out by itself (from 32768), above that of well-known services.
  return { host, port: 20_000 + ((job * 16 + step) % 12_000) };
}

/** "n1" of "n[1-4,7],m2", and "gpu-007" of "gpu-[007-010]". */
export function firstHost(list: string): string {
  const [, before = "", first = "", after = ""] =
    /^([^,[\]]*)(?:\[([^\],-]*)[^\]]*\]([^,[\]]*))?/.exec(list.trim()) ?? [];
  return before + first + after;
}
