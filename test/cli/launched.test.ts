/** `predict --shard auto` and `doctor --distributed` under launchers, and without one. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { hasEmulatedCuda } from "../support/backends.js";
import { fakeNccl } from "../support/collective-job.js";
import { alone, byLauncher, byTorchrun } from "../support/launched.js";
import { mpich, openMpi } from "../support/launchers.js";
import { fixture } from "../support/repository.js";
import { writeSides } from "../support/sides.js";
import { root } from "../support/temporary-folder.js";

const launchers = [openMpi, mpich].filter((launcher) => launcher !== undefined);
const options = { folder: root };

describe("predict --shard auto", () => {
  const checkpoint = fixture("run-0.1.0/best.safetensors");
  const images = 7;
  let whole: string[];

  beforeAll(async () => {
    await writeSides(join(root, "ward"), images, 3);
    const { code, stdout, stderr } = await alone(predict("ward"), options);
    expect(code, stderr).toBe(0);
    whole = linesOf(stdout);
    expect(whole).toHaveLength(images);
  }, 60_000);

  const predict = (asked: string, ...more: string[]): string[] =>
    `predict --checkpoint ${checkpoint} --device cpu --format jsonl ${asked}`.split(" ").concat(more);
  const linesOf = (text: string): string[] => text.split("\n").filter(Boolean);
  const partsOf = (name: string, of: number): string[][] =>
    Array.from({ length: of }, (_, part) =>
      linesOf(readFileSync(join(root, `${name}-${part + 1}.jsonl`), "utf8")),
    );
  /** Image i is in part i mod n, in order: dealt out as cards are. */
  const dealt = (parts: readonly string[][]) =>
    whole.map((_, at) => parts[at % parts.length]?.[Math.floor(at / parts.length)]);

  it.each([2, 3])("by %i processes has each image once, as one process says it", async (worldSize) => {
    const args = predict("ward --shard auto", "--out", `part-${worldSize}-{shard}.jsonl`);
    for (const { code, stderr } of await byTorchrun(worldSize, args, options)) expect(code, stderr).toBe(0);
    const parts = partsOf(`part-${worldSize}`, worldSize);
    expect(dealt(parts)).toEqual(whole);
    expect(parts.flat()).toHaveLength(images);
  });

  it("leaves those without an image an output without a line", async () => {
    const args = predict("ward/left/0.png ward/left/2.png --shard auto", "--out", "few-{shard}.jsonl");
    const outcomes = await byTorchrun(3, args, options);
    for (const { code, stderr } of outcomes) expect(code, stderr).toBe(0);
    expect(partsOf("few", 3)).toEqual([[whole[0]], [whole[1]], []]);
    const again = await byTorchrun(3, [...args, "--resume"], options);
    for (const { code, stderr } of again) expect(code, stderr).toBe(0);
    expect(partsOf("few", 3)).toEqual([[whole[0]], [whole[1]], []]);
  });

  it.each(launchers)("is understood under mpirun of $name", async (launcher) => {
    const name = launcher === openMpi ? "open" : "mpich";
    const args = predict("ward --shard auto", "--out", `${name}-{shard}.jsonl`);
    const { code, stderr } = await byLauncher(launcher, 2, args, options);
    expect(code, stderr).toBe(0);
    expect(dealt(partsOf(name, 2))).toEqual(whole);
  });

  it.each([
    ["an Indexed Job", "auto/2", (part: number) => ({ JOB_COMPLETION_INDEX: `${part}` })],
    [
      "an array of Slurm",
      "auto",
      (part: number) => ({
        SLURM_ARRAY_TASK_ID: `${part + 5}`,
        SLURM_ARRAY_TASK_MIN: "5",
        SLURM_ARRAY_TASK_COUNT: "2",
      }),
    ],
  ] as const)("is understood in %s", async (_, shard, variables) => {
    const parts = await Promise.all(
      [0, 1].map(async (part) => {
        const environment = variables(part);
        const { code, stdout, stderr } = await alone(predict("ward", "--shard", shard), {
          folder: root,
          environment,
        });
        expect(code, stderr).toBe(0);
        return linesOf(stdout);
      }),
    );
    expect(dealt(parts)).toEqual(whole);
  });

  it("is refused where nobody says which part, and asked for where several would write one file", async () => {
    const nobody = await alone(predict("ward --shard auto"), options);
    expect(nobody).toMatchObject({ code: 2, stdout: "" });
    expect(nobody.stderr).toContain("--shard auto: no launcher says which part this process has");
    for (const { code, stderr } of await byTorchrun(2, predict("ward", "--out", "one.jsonl"), options)) {
      expect(code).toBe(2);
      expect(stderr).toContain(
        "2 processes were started, and each would predict all images: give --shard auto",
      );
    }
  });
});

describe("doctor --distributed", () => {
  const doctor = ["doctor", "--distributed", "--device", "cpu"];
  const bigSum = { values: 14_400_000, milliseconds: expect.any(Number) };

  it("alone says what there is, and what would be timed", async () => {
    const { code, stdout } = await alone(doctor, options);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^nccl {8}not usable: it connects GPUs, and device "cpu" is none$/m);
    expect(stdout).toMatch(/^started by {2}nobody, as one of several$/m);
    expect(stdout).toMatch(/^Started by a launcher \(torchrun, srun, mpirun\), this also times a sum/m);
    const json = JSON.parse((await alone([...doctor, "--json"], options)).stdout);
    expect(json).toMatchObject({ launch: null, carriage: null, sums: [] });
    expect(json.engines.map(({ name }: { name: string }) => name)).toEqual(["nccl", "mpi"]);
  });

  it.each(launchers)("times sums under mpirun of $name, once", async (launcher) => {
    const { code, stdout, stderr } = await byLauncher(launcher, 2, [...doctor, "--json"], options);
    expect(code, stderr).toBe(0);
    const { launch, carriage, sums } = JSON.parse(stdout);
    expect(launch).toMatchObject({ launcher: `mpirun of ${launcher.name}`, rank: 0, worldSize: 2 });
    expect(carriage).toMatchObject({ worldSize: 2, engine: "mpi", reduction: "rank order" });
    expect(sums).toEqual([{ values: 10_000, milliseconds: expect.any(Number) }, bigSum]);
  });

  it("over TCP says that it is no way to train", async () => {
    const [first, second] = await byTorchrun(2, doctor, options);
    expect([first?.code, second?.code], first?.stderr).toEqual([0, 0]);
    expect(first?.stdout).toMatch(/^started by {2}torchrun, as rank 0 of 2$/m);
    expect(first?.stdout).toMatch(/^by TCP, through rank 0, added in rank order$/m);
    expect(first?.stderr).toContain("warning: bytes pass through rank 0");
    expect(second).toMatchObject({ stdout: "", stderr: "" });
  });

  const nccl = hasEmulatedCuda() ? fakeNccl() : undefined;
  it.runIf(nccl)("by NCCL leaves out a sum that would take long", async () => {
    const args = ["doctor", "--distributed", "--device", "cuda-emulated"];
    const environment = { MEDMAMBA_NCCL: nccl ?? "" };
    const [first, second] = await byTorchrun(2, args, { folder: root, environment });
    expect([first?.code, second?.code], first?.stderr).toEqual([0, 0]);
    expect(first?.stdout).toMatch(/^nccl {8}2\.30\.7 \(.*libnccl\.so\.2\)$/m);
    expect(first?.stdout).toMatch(/^a sum of 10000 values over 2 ranks: \d/m);
    expect(first?.stdout).toMatch(
      /^a sum of 14400000 values over 2 ranks: left out, as it would take too long$/m,
    );
    expect(first?.stdout).toMatch(/^by NCCL 2\.30\.7, added in rank order$/m);
    expect(first?.stderr).toBe("");
  });

  it("says on which rank an engine is missing that was asked for", async () => {
    const environment = { MEDMAMBA_ENGINE: "mpi", MEDMAMBA_MPI: "/nowhere/libmpi.so" };
    const [first, second] = await byTorchrun(2, doctor, { folder: root, environment });
    expect([first?.code, second?.code]).toEqual([1, 1]);
    expect(first?.stderr).toMatch(/^medmamba: on rank 0, MPI cannot be used: .*\/nowhere\/libmpi\.so/);
    expect(second?.stderr).toBe("");
  });
});
