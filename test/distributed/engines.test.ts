/** What engines are asked for, what they find, and what they say when they do not fit. */
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { describeEngines, findEngine } from "../../src/distributed/engine.js";
import { addInRankOrder } from "../../src/distributed/rank-order.js";
import { openDevice } from "../../src/index.js";
import { candidates } from "../../src/native/communicator.js";
import { backendLibrary, loadAddon } from "../../src/native/load.js";
import { hasEmulatedCuda } from "../support/backends.js";
import { fakeNccl, installedMpis, runJob } from "../support/collective-job.js";
import { repository } from "../support/repository.js";

const mpis = installedMpis();
const nccl = hasEmulatedCuda() ? fakeNccl() : undefined;
const onNccl = { engine: "nccl", device: "cuda-emulated" };

afterEach(() => {
  delete process.env.MEDMAMBA_MPI;
  delete process.env.MEDMAMBA_NCCL;
});

describe("the libraries of an engine", () => {
  const names = (environment: Record<string, string>) =>
    candidates("mpi", environment).filter((name) => typeof name === "string");

  it("are tried with the launcher's own first", () => {
    expect(names({})).toEqual(["libmpi_abi.so.0", "libmpi.so.40", "libmpi.so.12", "libmpich.so.12"]);
    expect(names({ PMI_SIZE: "2" })).toEqual([
      "libmpi_abi.so.0",
      "libmpi.so.12",
      "libmpich.so.12",
      "libmpi.so.40",
    ]);
    expect(names({ PMI_SIZE: "2", OMPI_COMM_WORLD_SIZE: "2" })[1]).toBe("libmpi.so.40");
    expect(names({ MEDMAMBA_MPI: "/opt/mpi/lib/libmpi.so" })).toEqual(["/opt/mpi/lib/libmpi.so"]);
    expect(candidates("nccl", {})[0]).toBe("libnccl.so.2");
  });

  it("that are not there, or are none, are named", () => {
    const addon = loadAddon();
    expect(() => addon.engineVersion("mpi", "cpu", "/nowhere/libmpi.so")).toThrow(/\/nowhere\/libmpi\.so/);
    expect(() => addon.engineVersion("mpi", "cpu", "libm.so.6")).toThrow(
      "libm.so.6 is no MPI: it has no MPI_Get_library_version",
    );
    process.env.MEDMAMBA_MPI = "/nowhere/libmpi.so";
    const device = openDevice("cpu", { threads: 1 });
    expect(() => findEngine("mpi", device)).toThrow(/^MPI cannot be used: .*\/nowhere\/libmpi\.so/);
    expect(() => findEngine("nccl", device)).toThrow(
      'NCCL cannot be used: it connects GPUs, and device "cpu" is none.',
    );
    device.close();
  });

  it.runIf(nccl)("of NCCL tell their version, and make ids of 128 bytes that differ", () => {
    process.env.MEDMAMBA_NCCL = nccl;
    const device = openDevice("cuda-emulated");
    const engine = findEngine("nccl", device);
    expect(engine).toMatchObject({ name: "nccl", version: "2.30.7", library: nccl });
    expect(describeEngines(device)[0]).toMatchObject({ name: "nccl", version: "2.30.7" });
    expect(engine.id()).toHaveLength(128);
    expect(engine.id()).not.toEqual(engine.id());
    const backend = backendLibrary("medmamba_cuda_emulated");
    const notNccl = join(repository, "build", "fakes", "libfake_backend.so");
    expect(() => loadAddon().engineVersion("nccl", backend, notNccl)).toThrow(
      "has no ncclGetVersion: it is no NCCL, or older than 2.7",
    );
    device.close();
  });
});

it("the host adds as devices do", () => {
  const sum = new Float32Array(2);
  addInRankOrder([Float32Array.of(1e8, 1), Float32Array.of(3, 2), Float32Array.of(-1e8, 3)], sum);
  expect([...sum]).toEqual([3, 6]);
});

describe.skipIf(mpis.length === 0)("MPI", () => {
  it.each(mpis)(
    "%s gathers, and brings what one rank has to all",
    async (launcher) => {
      const said = await runJob<string[]>(launcher, 3, { task: "moves" });
      expect(said.map(({ error, found }) => error ?? found)).toEqual([[], [], []]);
      expect(said[0]?.version).toMatch(
        launcher === "openmpi" ? /^Open MPI \d+\.\d+\.\d+$/ : /^MPICH \d+\.\d+/,
      );
    },
    60_000,
  );

  it.each(mpis)(
    "%s adds in its own order when it is asked to",
    async (launcher) => {
      const job = { task: "sums", lengths: [1000], reduction: "engine" };
      const said = await runJob<[{ values: number[] }]>(launcher, 2, job);
      const ours = await runJob<[{ values: number[] }]>(launcher, 2, { ...job, reduction: "rank order" });
      // Of two, any order is the same.
      expect(said[0]?.found).toEqual(ours[0]?.found);
    },
    60_000,
  );

  it.each(mpis)(
    "%s does not take the ranks of another launcher",
    async (launcher) => {
      const said = await runJob(launcher, 1, { task: "moves", alone: true, pretend: 2 });
      expect(said[0]?.error).toMatch(
        /^MPI did not connect rank 0 of 2: MPI says this is rank 0 of 1, the launcher says rank 0 of 2: the launcher is not that/,
      );
    },
    60_000,
  );

  it.runIf(mpis.length === 2)(
    "ranks of one MPI's mpirun with the library of the other are told so",
    async () => {
      const said = await runJob("mpich", 2, { task: "moves" }, { MEDMAMBA_MPI: "libmpi.so.40" });
      expect(said.map(({ error }) => error)).toEqual([
        expect.stringMatching(/MPI says this is rank 0 of 1, the launcher says rank 0 of 2/),
        expect.stringMatching(/MPI says this is rank 0 of 1, the launcher says rank 1 of 2/),
      ]);
    },
    60_000,
  );
});

describe.runIf(nccl)("NCCL", () => {
  const environment = { MEDMAMBA_NCCL: nccl ?? "" };

  it("gathers, and brings what one rank has to all", async () => {
    const said = await runJob<string[]>("spawn", 2, { ...onNccl, task: "moves" }, environment);
    expect(said.map(({ error, found }) => error ?? found)).toEqual([[], []]);
  }, 60_000);

  it("adds in its own order when it is asked to, with other bits", async () => {
    const job = { ...onNccl, task: "sums", lengths: [1000] };
    type Sums = [{ hash: string }];
    const own = await runJob<Sums>("spawn", 3, { ...job, reduction: "engine" }, environment);
    const ours = await runJob<Sums>("spawn", 3, { ...job, reduction: "rank order" }, environment);
    expect(new Set(own.map(({ found }) => found[0].hash)).size).toBe(1);
    expect(own[0]?.found[0].hash).not.toBe(ours[0]?.found[0].hash);
  }, 60_000);

  it("is held by a graph, which fails once it is closed", async () => {
    type Found = { found: string[]; before: string[]; error: string };
    const said = await runJob<Found>("spawn", 2, { ...onNccl, task: "graph" }, environment);
    for (const { found, error: problem } of said) {
      expect(problem).toBeUndefined();
      expect(found.found).toEqual(found.before);
      expect(found.error).toBe("graph: the communicator that it was captured with has been closed");
    }
  }, 60_000);

  it("of different versions, or without a driver, does not connect", async () => {
    const job = { ...onNccl, task: "moves" };
    const differing = await runJob("spawn", 2, job, (rank) => ({
      ...environment,
      FAKE_NCCL_VERSION: rank === 0 ? "23007" : "22304",
    }));
    expect(differing.map(({ error }) => error)).toEqual(
      [0, 1].map((rank) =>
        expect.stringContaining(
          `NCCL did not connect rank ${rank} of 2: invalid usage (run with NCCL_DEBUG=WARN for details): ranks have NCCL of different versions.`,
        ),
      ),
    );
    const without = await runJob(
      "spawn",
      1,
      { ...job, alone: true },
      { ...environment, FAKE_NCCL_NO_DRIVER: "1" },
    );
    expect(without[0]?.error).toBe(
      "NCCL did not connect rank 0 of 1: unhandled cuda error (run with NCCL_DEBUG=INFO for details): Cuda failure 35 " +
        "'CUDA driver version is insufficient for CUDA runtime version'.",
    );
  }, 60_000);
});
