/**
 * Same inputs, same bits: for every number of threads and on every run, results and gradients alike, on shapes large
 * enough to be shared out. Between SIMD levels sums are ordered differently, and agree to rounding.
 */
import { afterAll, describe, expect, it } from "vitest";
import {
  crossEntropy,
  type Device,
  MedMamba,
  manualSeed,
  openDevice,
  optim,
  randn,
} from "../../src/index.js";
import { simdLevels } from "../support/backends.js";
import { expectClose, expectSameBits } from "../support/closeness.js";
import { labels, outcome, programs } from "../support/programs.js";

const families = programs("large");

/** Losses and final weights of a few steps with everything that draws random numbers or sums over tensors. */
async function training(device: Device): Promise<Float32Array[]> {
  manualSeed(3);
  const model = new MedMamba({ depths: [1, 2], dims: [24, 48], numClasses: 4, dropPathRate: 0.3, device });
  const optimizer = new optim.AdamW(model.parameters(), { lr: 1e-2 });
  const [images, targets] = [randn([3, 3, 36, 28], { device }), labels(3, 4, device)];
  const losses: number[] = [];
  for (let step = 0; step < 4; step += 1) {
    optimizer.zeroGrad();
    const loss = crossEntropy(model.forward(images), targets);
    loss.backward();
    optimizer.clipGradNorm(1);
    optimizer.step();
    losses.push(await loss.item());
  }
  const weights = await Promise.all([...model.parameters()].map((parameter) => parameter.data()));
  model.dispose();
  optimizer.dispose();
  return [Float32Array.from(losses), ...weights];
}

const computations: [string, (device: Device) => Promise<Float32Array[]>][] = [
  ...Object.entries(families).map(
    ([name, program]): [string, (device: Device) => Promise<Float32Array[]>] => [
      name,
      (device) => outcome(program, device),
    ],
  ),
  ["four training steps", training],
];

describe.each(simdLevels())("determinism at level %s", (simd) => {
  const [one, two, five] = [1, 2, 5].map((threads) => openDevice("cpu", { simd, threads })) as [
    Device,
    Device,
    Device,
  ];
  afterAll(() => {
    for (const device of [one, two, five]) device.close();
  });

  it.each(computations)("%s: the same bits with 1, 2 and 5 threads, and again", async (_, compute) => {
    const first = await compute(one);
    for (const other of [await compute(two), await compute(five), await compute(two)]) {
      expect(other).toHaveLength(first.length);
      for (const [i, values] of other.entries())
        await expectSameBits(values, first[i]!, i ? `gradient ${i}` : "result");
    }
  });
});

describe("SIMD levels", () => {
  const open = simdLevels().map((simd) => [simd, openDevice("cpu", { simd, threads: 2 })] as const);
  afterAll(() => {
    for (const [, device] of open) device.close();
  });

  it.each(Object.entries(families))("%s: agree to rounding", async (_, program) => {
    const [best, ...others] = open;
    const expected = await outcome(program, best![1]);
    for (const [simd, device] of others) {
      for (const [i, values] of (await outcome(program, device)).entries())
        await expectClose(
          values,
          expected[i]!,
          { relative: 3e-5 },
          `${i ? `gradient ${i}` : "result"} at level ${simd}`,
        );
    }
  });
});

describe("activation checkpointing", () => {
  it("gives the same bits, moves running statistics once, and holds less memory", async () => {
    const device = openDevice("cpu", { threads: 2 });
    const run = async (checkpointing: boolean) => {
      manualSeed(5);
      const model = new MedMamba({
        depths: [2, 2],
        dims: [16, 32],
        dropPathRate: 0.3,
        numClasses: 3,
        device,
      });
      model.checkpointing = checkpointing;
      const before = device.memory().bytes;
      const loss = crossEntropy(model.forward(randn([4, 3, 64, 64], { device })), labels(4, 3, device));
      const bytes = device.memory().bytes - before;
      loss.backward();
      const gradients = await Promise.all([...model.parameters()].map(({ grad }) => grad!.data()));
      const buffers = await Promise.all([...model.namedBuffers()].map(([, buffer]) => buffer.data()));
      return { bytes, values: [await loss.data(), ...gradients, ...buffers] };
    };
    const [kept, again] = [await run(false), await run(true)];
    for (const [i, values] of kept.values.entries()) expect(again.values[i]).toEqual(values);
    expect(again.bytes).toBeLessThan(kept.bytes / 2);
    device.close();
  });
});
