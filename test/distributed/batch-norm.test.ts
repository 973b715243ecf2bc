/** Batch statistics over ranks: several, each with a share of the batch, compute what PyTorch does with the whole. */
import { describe, expect, it } from "vitest";
import { openDevice } from "../../src/index.js";
import { hasEmulatedCuda } from "../support/backends.js";
import { expectClose } from "../support/closeness.js";
import { fakeNccl, installedMpis, type Launcher, runJob } from "../support/collective-job.js";
import { loadGolden } from "../support/golden.js";
import { fixture } from "../support/repository.js";

type Results = Readonly<Record<string, string>>;
type Carrier = [name: string, launcher: Launcher, job: object, environment: Record<string, string>];

const [mpi] = installedMpis();
const nccl = hasEmulatedCuda() ? fakeNccl() : undefined;
const carriers: Carrier[] = [];
if (mpi) carriers.push(["CPUs", mpi, {}, {}]);
if (nccl)
  carriers.push(["GPUs", "spawn", { engine: "nccl", device: "cuda-emulated" }, { MEDMAMBA_NCCL: nccl }]);

const numbers = (base64: string | undefined) =>
  new Float32Array(new Uint8Array(Buffer.from(base64 ?? "", "base64")).buffer);

describe.each(carriers)(
  "a block over %s with batch statistics of all ranks",
  (name, launcher, job, environment) => {
    const cases: [shares: number[], recompute: boolean][] =
      name === "CPUs"
        ? [
            [[2, 1], false],
            [[1, 1, 1], true],
          ]
        : [[[2, 1], false]];
    it.each(cases)(
      "agrees with PyTorch on the whole batch, in shares of %j, recompute %s",
      async (shares, recompute) => {
        const golden = await loadGolden("block_train", openDevice("cpu", { threads: 1 }));
        const file = fixture("block_train.safetensors");
        const task = { ...job, task: "block", golden: file, shares, recompute };
        const said = await runJob<Results>(launcher, shares.length, task, environment);
        expect(said.map(({ error }) => error)).toEqual(shares.map(() => undefined));
        const joined = (key: string) =>
          Float32Array.from(said.flatMap(({ found }) => [...numbers(found[key])]));
        await expectClose(joined("out.y"), golden.get("out.y"), { relative: 1e-5 }, "y");
        await expectClose(joined("grad.x"), golden.get("grad.x"), { relative: 1e-4 }, "dx");
        for (const { rank, found } of said) {
          for (const [key, expected] of [...golden.under("grad."), ...golden.under("after.")]) {
            if (key === "x") continue;
            const result = numbers(found[`grad.${key}`] ?? found[`after.${key}`]);
            // The gradient of a bias before a norm is zero but for rounding.
            await expectClose(result, expected, { relative: 1e-4, absolute: 1e-6 }, `${key} on rank ${rank}`);
            if (rank > 0) expect(found[`grad.${key}`] ?? "").toEqual(said[0]?.found[`grad.${key}`] ?? "");
            expect(found[`after.${key}`] ?? "").toEqual(said[0]?.found[`after.${key}`] ?? "");
          }
        }
      },
      120_000,
    );
  },
);
