/** Sums over ranks: what they are, beside sums in double, and that they are the same bits whoever moves the bytes. */
import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { hasEmulatedCuda } from "../support/backends.js";
import { fakeNccl, installedMpis, type Launcher, runJob } from "../support/collective-job.js";
import { ofRank } from "../support/collective-values.mjs";

/** One, below and above the number of ranks, one line and more, and what is cut into parts, with a rest and without. */
const lengths = [1, 2, 17, 1000, 4096, 4097, 6144, 100_003];

interface Sum {
  readonly length: number;
  readonly hash: string;
  readonly values?: readonly number[];
}

const mpis = installedMpis();
const nccl = hasEmulatedCuda() ? fakeNccl() : undefined;
const carriers: [name: string, launcher: Launcher, job: object, environment: Record<string, string>][] = [
  ...mpis.map((name) => [name, name, {}, {}] as [string, Launcher, object, Record<string, string>]),
];
if (nccl)
  carriers.push(["NCCL", "spawn", { engine: "nccl", device: "cuda-emulated" }, { MEDMAMBA_NCCL: nccl }]);
// A GPU whose ranks have no NCCL: through the host.
if (nccl && mpis[0]) carriers.push(["MPI, through the host", mpis[0], { device: "cuda-emulated" }, {}]);

/** In double, one rank after another, rounded once. */
function expected(ranks: number, length: number): Float32Array {
  const sum = new Float64Array(length);
  for (let rank = 0; rank < ranks; rank++) {
    const values = ofRank(rank, length);
    for (let i = 0; i < length; i++) sum[i]! += values[i]!;
  }
  return Float32Array.from(sum);
}

const hashOf = (values: Float32Array<ArrayBufferLike>): string =>
  createHash("sha256")
    .update(new Uint8Array(values.buffer as ArrayBuffer))
    .digest("hex")
    .slice(0, 16);

describe.each(carriers)("sums by %s", (_, launcher, job, environment) => {
  it.each([2, 3])(
    "of %i ranks are those in double, with the same bits on all",
    async (ranks) => {
      const said = await runJob<Sum[]>(launcher, ranks, { ...job, task: "sums", lengths }, environment);
      expect(said.map(({ error }) => error)).toEqual(Array(ranks).fill(undefined));
      for (const { found } of said) {
        for (const { length, hash, values } of found) {
          if (values) expect(Float32Array.from(values)).toEqual(expected(ranks, length));
          expect({ length, hash }).toEqual({ length, hash: hashOf(expected(ranks, length)) });
        }
      }
    },
    120_000,
  );
});
