/**
 * Gradients that are added up while backward goes on: the weights have the bits that they have without, whatever carries the sums,
 * and whatever else there is in a step.
 */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { readHeader, readTensors } from "../../src/weights/safetensors.js";
import { hasEmulatedCuda } from "../support/backends.js";
import { fakeNccl } from "../support/collective-job.js";
import { type Launcher, mpich, openMpi } from "../support/launchers.js";
import { programOf } from "../support/ranks.js";
import { jobFile, type RanksJob, type Trained, trainedOf, trainTogether } from "../support/ranks-training.js";
import { root } from "../support/temporary-folder.js";

/** MB of a bucket: the network of these tests has some ten of them. */
const small = "0.01";

/** Unequal parts of batches, in passes; weights of images and classes; clipping. */
const job: RanksJob = {
  train: 23,
  weights: Array.from({ length: 23 }, (_, i) => 1 + (i % 3)),
  options: { epochs: 2, batchSize: 12, accumulate: 2, classWeights: [1, 3], maxGradNorm: 0.5 },
};

type Environment = Record<string, string>;

/** What all ranks say, which has to be the same, by processes that this starts. */
async function together(own: RanksJob, worldSize: number, environment: Environment): Promise<Trained> {
  const outcomes = await trainTogether(own, { worldSize, environment });
  return same(
    outcomes.map(({ stderr, trained }) => ({ stderr, trained })),
    worldSize,
  );
}

/** The same, by a launcher of MPI's. */
async function byMpi({ command, args }: Launcher, own: RanksJob, ranks: number, environment: Environment) {
  const program = [process.execPath, programOf("train"), await jobFile(own)];
  const { stdout, stderr } = spawnSync(command, [...args(ranks), ...program], {
    encoding: "utf8",
    timeout: 120_000,
    killSignal: "SIGKILL",
    env: { ...process.env, MEDMAMBA_THREADS: "1", ...environment },
  });
  const said = stdout.split("\n").flatMap((line) => trainedOf([line]) ?? []);
  return same(
    said.map((trained) => ({ stderr, trained })),
    ranks,
  );
}

function same(
  said: readonly { readonly stderr: string; readonly trained: Trained | undefined }[],
  worldSize: number,
): Trained {
  const [first] = said;
  expect(said.map(({ trained }) => trained?.hash, first?.stderr)).toEqual(
    Array(worldSize).fill(first?.trained?.hash ?? `a hash: ${first?.stderr}`),
  );
  return first?.trained as Trained;
}

/** Tensors of a checkpoint, and what it says of overlap. */
async function contentsOf(path: string) {
  const { metadata } = await readHeader(path);
  const tensors = [...(await readTensors(path))].map(([name, { data }]) => [
    name,
    Buffer.from(data).toString("base64"),
  ]);
  return { tensors, overlap: JSON.parse(metadata.provenance ?? "{}").distributed.overlap };
}

const others = ({ carriage: _, ...rest }: Trained) => rest;

describe.each([2, 3])("%i ranks", (worldSize) => {
  let waiting: Promise<Trained> | undefined;
  const reference = (): Promise<Trained> => {
    waiting ??= together(job, worldSize, { MEDMAMBA_OVERLAP: "0" });
    return waiting;
  };

  it("have the same weights with buckets as without, over TCP", async () => {
    const without = await reference();
    const trained = await together(job, worldSize, { MEDMAMBA_OVERLAP: small });
    expect([without.carriage, trained.carriage]).toMatchObject([{ overlap: 0 }, { overlap: Number(small) }]);
    expect(others(trained)).toEqual(others(without));
  }, 60_000);

  it("leave the same checkpoint, which says how, where BatchNorm is frozen", async () => {
    const files = ["0", small].map((overlap) => ({
      overlap,
      directory: join(root, `${worldSize}-${overlap}`),
    }));
    for (const { overlap, directory } of files)
      await together({ ...job, frozen: true, options: { ...job.options, directory } }, worldSize, {
        MEDMAMBA_OVERLAP: overlap,
      });
    const [without, trained] = await Promise.all(
      files.map(({ directory }) => contentsOf(join(directory, "last.safetensors"))),
    );
    expect(trained?.tensors).toEqual(without?.tensors);
    expect([without?.overlap, trained?.overlap]).toEqual([0, Number(small)]);
  }, 60_000);

  it.each([openMpi, mpich].filter((launcher) => launcher !== undefined))(
    "have the same weights with buckets as without, by $name",
    async (launcher) => {
      const trained = await byMpi(launcher, job, worldSize, { MEDMAMBA_OVERLAP: small });
      expect(trained.carriage).toMatchObject({ engine: "mpi", overlap: Number(small) });
      expect(others(trained)).toEqual(others(await reference()));
    },
    60_000,
  );
});

describe("a rank that is lost while gradients are on their way", () => {
  const lost: RanksJob = { ...job, lost: { rank: 1, images: 30 }, options: { ...job.options, epochs: 50 } };
  const environment = { MEDMAMBA_OVERLAP: small };

  it("ends the others over TCP, within two seconds and a little", async () => {
    const [other, gone] = await trainTogether(lost, { worldSize: 2, environment });
    expect([other?.code, gone?.signal], other?.stderr).toEqual([75, "SIGKILL"]);
    expect((other?.at ?? 0) - (gone?.at ?? 0)).toBeLessThan(6_000); // Machines that run tests are busy.
  }, 60_000);

  it.each([openMpi, mpich].filter((launcher) => launcher !== undefined))(
    "ends the job of $name",
    async ({ command, args }) => {
      const program = [process.execPath, programOf("train"), await jobFile(lost)];
      const { status, signal } = spawnSync(command, [...args(2), ...program], {
        timeout: 60_000,
        killSignal: "SIGKILL",
        env: { ...process.env, MEDMAMBA_THREADS: "1", ...environment },
      });
      expect([signal, status]).toEqual([null, expect.any(Number)]);
      expect(status).not.toBe(0);
    },
    60_000,
  );
});

const whole: RanksJob = { ...job, options: { ...job.options, accumulate: 1, syncBatchNorm: true } };

it.each([openMpi, mpich].filter((launcher) => launcher !== undefined))(
  "ranks whose BatchNorm sees all have the same weights with buckets as without, by $name",
  async (launcher) => {
    const without = await byMpi(launcher, whole, 2, { MEDMAMBA_OVERLAP: "0" });
    const trained = await byMpi(launcher, whole, 2, { MEDMAMBA_OVERLAP: small });
    expect(others(trained)).toEqual(others(without));
  },
  60_000,
);

describe.runIf(hasEmulatedCuda() && fakeNccl())("NCCL", () => {
  const environment = { MEDMAMBA_NCCL: fakeNccl() ?? "", MEDMAMBA_ENGINE: "nccl" };
  const onGpu = (options: RanksJob["options"]): RanksJob => ({
    ...job,
    train: 12,
    weights: job.weights?.slice(0, 12),
    validation: 4,
    model: { device: "cuda-emulated" },
    options: { ...job.options, batchSize: 6, assess: false, ...options },
  });

  it("that waits for a rank which is lost ends, too", async () => {
    const own = { ...onGpu({ accumulate: 1, epochs: 50 }), lost: { rank: 1, images: 8 } };
    const [other, gone] = await trainTogether(own, {
      worldSize: 2,
      environment: { ...environment, MEDMAMBA_OVERLAP: small },
    });
    expect([other?.code, gone?.signal], other?.stderr).toEqual([75, "SIGKILL"]);
    expect((other?.at ?? 0) - (gone?.at ?? 0)).toBeLessThan(6_000);
  }, 60_000);

  it.each([
    [2, "in passes", { accumulate: 2 }],
    [2, "as graphs", { accumulate: 1, graphs: true, epochs: 3 }],
    [
      3,
      "as graphs, where BatchNorm sees all",
      { accumulate: 1, graphs: true, epochs: 3, syncBatchNorm: true },
    ],
  ] as const)(
    "gives %i ranks the same weights with buckets as without, %s",
    async (worldSize, _, options) => {
      const without = await together(onGpu(options), worldSize, { ...environment, MEDMAMBA_OVERLAP: "0" });
      const trained = await together(onGpu(options), worldSize, { ...environment, MEDMAMBA_OVERLAP: small });
      expect(trained.carriage).toMatchObject({ engine: "nccl", overlap: Number(small) });
      expect(others(trained)).toEqual(others(without));
    },
    120_000,
  );
});
