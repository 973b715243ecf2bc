/** What launchers say in the environment. The variables of each are those that were printed under it. */
import { describe, expect, it } from "vitest";
import { arrayPart, firstHost, launchOf, nodeLaunchOf } from "../../src/distributed/launch.js";

const torchrun = {
  RANK: "5",
  LOCAL_RANK: "1",
  WORLD_SIZE: "8",
  MASTER_ADDR: "gpu1",
  MASTER_PORT: "29500",
  TORCHELASTIC_RUN_ID: "job-1",
};
const slurm = {
  SLURM_JOB_ID: "77",
  SLURM_STEP_ID: "0",
  SLURM_PROCID: "3",
  SLURM_LOCALID: "1",
  SLURM_STEP_NUM_TASKS: "4",
  SLURM_STEP_NODELIST: "n[1-2]",
};
const openMpi = {
  OMPI_COMM_WORLD_RANK: "1",
  OMPI_COMM_WORLD_SIZE: "2",
  OMPI_COMM_WORLD_LOCAL_RANK: "1",
};
const mpich = { PMI_RANK: "1", PMI_SIZE: "2", MPI_LOCALRANKID: "0" };

describe("launchOf", () => {
  it("says nothing of a process that nobody started as one of several", () => {
    expect(launchOf({})).toBeUndefined();
    expect(launchOf({ RANK: "", WORLD_SIZE: "", LOCAL_RANK: "", JOB_COMPLETION_INDEX: "3" })).toBeUndefined();
    expect(launchOf({ SLURM_JOB_ID: "77", SLURM_PROCID: "0", SLURM_STEP_NUM_TASKS: "1" })).toBeUndefined();
    // The shell of sbatch is a step, too.
    expect(launchOf({ ...slurm, SLURM_STEP_ID: String(0xfffffffb) })).toBeUndefined();
  });

  it("reads torchrun, whose agent may have the port itself", () => {
    const launch = launchOf(torchrun);
    expect(launch).toEqual({
      launcher: "torchrun",
      rank: 5,
      worldSize: 8,
      localRank: 1,
      address: { host: "gpu1", port: 29500 },
      token: "job-1",
    });
    expect(launchOf({ ...torchrun, TORCHELASTIC_USE_AGENT_STORE: "True" })?.address?.port).toBe(29501);
    expect(launchOf({ ...torchrun, MEDMAMBA_JOB_TOKEN: "secret" })?.token).toBe("secret");
    expect(launchOf({ ...torchrun, MEDMAMBA_SPAWNED: "1" })?.launcher).toBe("medmamba");
  });

  it("reads Slurm, with a port that follows from job and step", () => {
    const launch = launchOf(slurm);
    expect(launch).toMatchObject({ launcher: "srun of Slurm", rank: 3, worldSize: 4, localRank: 1 });
    expect(launch?.address?.host).toBe("n1");
    expect(launch?.token).toBe("77.0");
    const other = launchOf({ ...slurm, SLURM_STEP_ID: "1" });
    expect(other?.address?.port).not.toBe(launch?.address?.port);
    expect(launchOf({ ...slurm, MASTER_ADDR: "n1-ib", MASTER_PORT: "4711" })?.address).toEqual({
      host: "n1-ib",
      port: 4711,
    });
  });

  it("reads both mpiruns, which name no address", () => {
    expect(launchOf(openMpi)).toMatchObject({ rank: 1, worldSize: 2, localRank: 1, address: undefined });
    // Under sbatch its processes also have the variables of the step that starts them.
    expect(launchOf({ ...slurm, ...mpich })).toMatchObject({
      launcher: "mpirun of MPICH",
      rank: 1,
      worldSize: 2,
    });
  });

  it("takes ranks that count machines for ranks, unless somebody starts more", () => {
    const job = { RANK: "1", WORLD_SIZE: "2", MASTER_ADDR: "job-0", MASTER_PORT: "23456" };
    expect(launchOf(job)).toMatchObject({ rank: 1, worldSize: 2, localRank: 0 });
    expect(nodeLaunchOf(job)).toMatchObject({ node: 1, nodes: 2, processes: undefined });
    expect(nodeLaunchOf({ ...job, LOCAL_RANK: "0" })).toBeUndefined();
    const trainer = {
      PET_NNODES: "2",
      PET_NODE_RANK: "1",
      PET_NPROC_PER_NODE: "4",
      PET_MASTER_ADDR: "a",
      PET_MASTER_PORT: "1",
    };
    expect(nodeLaunchOf(trainer)).toMatchObject({ node: 1, nodes: 2, processes: 4 });
    expect(nodeLaunchOf({ ...trainer, PET_NPROC_PER_NODE: "auto" })?.processes).toBeUndefined();
    expect(launchOf(trainer)).toMatchObject({ rank: 1, worldSize: 2, address: { host: "a", port: 1 } });
    // A PyTorchJob of 2023 or later, as kubeflow/trainer#1840 has it: 2 pods with 4 processes each.
    const newer = { ...job, WORLD_SIZE: "8", ...trainer, PET_MASTER_ADDR: "job-0", PET_MASTER_PORT: "23456" };
    expect(nodeLaunchOf(newer)).toMatchObject({
      node: 1,
      nodes: 2,
      processes: 4,
      address: { host: "job-0" },
    });
    // What torchrun starts there has these variables as well.
    const below = { ...newer, RANK: "5", LOCAL_RANK: "1" };
    expect(nodeLaunchOf(below)).toBeUndefined();
    expect(launchOf(below)).toMatchObject({ launcher: "torchrun", rank: 5, worldSize: 8, localRank: 1 });
  });

  it("takes an address of IPv6 with brackets or without", () => {
    for (const MASTER_ADDR of ["[fd00::1]", "fd00::1"])
      expect(launchOf({ ...torchrun, MASTER_ADDR })?.address).toEqual({ host: "fd00::1", port: 29500 });
  });

  it.each([
    [{ ...torchrun, RANK: "8" }, /RANK is 8, but WORLD_SIZE is 8/],
    [{ ...torchrun, RANK: "-1" }, /RANK has to be a whole number, but is "-1"/],
    [{ ...torchrun, MASTER_ADDR: "" }, /MASTER_ADDR is not set/],
    [{ ...torchrun, MASTER_PORT: "70000" }, /MASTER_PORT is 70000/],
    [{ ...slurm, SLURM_STEP_NODELIST: "" }, /SLURM_STEP_NODELIST "" names no machine/],
    [{ RANK: "2", WORLD_SIZE: "2", MASTER_ADDR: "a", MASTER_PORT: "1" }, /RANK is 2, but WORLD_SIZE is 2/],
  ])("refuses %j", (environment, sentence) => {
    expect(() => launchOf(environment)).toThrow(sentence);
  });
});

describe("arrayPart", () => {
  const array = { SLURM_ARRAY_TASK_ID: "7", SLURM_ARRAY_TASK_MIN: "5", SLURM_ARRAY_TASK_COUNT: "4" };

  it.each([
    ["a launcher before all else", { ...torchrun, ...array }, undefined, { index: 5, of: 8 }],
    ["an array that begins anywhere", array, undefined, { index: 2, of: 4 }],
    ["no array with gaps", { ...array, SLURM_ARRAY_TASK_ID: "11" }, undefined, undefined],
    ["an Indexed Job of which the number is known", { JOB_COMPLETION_INDEX: "3" }, 4, { index: 3, of: 4 }],
    ["none of which it is not", { JOB_COMPLETION_INDEX: "3" }, undefined, undefined],
    ["none beyond it", { JOB_COMPLETION_INDEX: "4" }, 4, undefined],
    ["nobody", {}, undefined, undefined],
  ])("is that of %s", (_, environment, of, part) => {
    expect(arrayPart(of, environment)).toEqual(part);
  });
});

describe("firstHost", () => {
  it.each([
    ["n1", "n1"],
    ["n1,n2", "n1"],
    ["n[1-4,7],m2", "n1"],
    ["gpu-[007-010]", "gpu-007"],
    ["rack[2,4]-a", "rack2-a"],
    ["", ""],
  ])("of %j is %j", (list, host) => expect(firstHost(list)).toBe(host));
});
