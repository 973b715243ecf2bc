/**
 * Same inputs, same bits: for every number of threads and on every run, results and gradients alike, on shapes large
 * enough to be shared out. Between SIMD levels sums are ordered differently, and agree to rounding.
 */
import { afterAll, describe, expect, it } from "vitest";
import {
  batchNorm,
  conv2d,
  crossEntropy,
  type Device,
  depthwiseConv2d,
  dropout,
  exp,
  globalAveragePool,
  layerNorm,
  linear,
  MedMamba,
  manualSeed,
  matmul,
  mean,
  neg,
  nn,
  ones,
  openDevice,
  optim,
  permute,
  randn,
  selectiveScan,
  silu,
  softmax,
  type Tensor,
  tensor,
  zeros,
} from "../src/index.js";
import { simdLevels } from "./support/backends.js";
import { expectClose, expectSameBits } from "./support/closeness.js";

/** A computation on random leaves, which `leaf` makes. */
type Program = (leaf: (...shape: number[]) => Tensor, device: Device) => Tensor;

const labels = (rows: number, classes: number, device: Device) =>
  tensor(
    Array.from({ length: rows }, (_, row) => (row * 5) % classes),
    [rows],
    { dtype: "int64", device },
  );

const programs: Readonly<Record<string, Program>> = {
  matmul: (leaf) => matmul(leaf(3, 130, 257), leaf(3, 257, 65)),
  "matmul with a long sum": (leaf) => matmul(leaf(3, 5000), leaf(5000, 5)),
  linear: (leaf) => linear(leaf(2, 40, 40, 48), leaf(100, 48), leaf(100)),
  "conv2d 3x3": (leaf) => conv2d(leaf(3, 30, 29, 24), leaf(40, 24, 3, 3), leaf(40)),
  "conv2d 3x3, deep": (leaf) => conv2d(leaf(2, 7, 7, 96), leaf(96, 96, 3, 3), leaf(96)),
  depthwiseConv2d: (leaf) =>
    depthwiseConv2d(leaf(3, 30, 29, 40), leaf(40, 1, 3, 3), leaf(40), { silu: true }),
  layerNorm: (leaf) => layerNorm(leaf(3000, 96), leaf(96), leaf(96), { gate: leaf(3000, 96) }),
  batchNorm: (leaf, device) => {
    const running = { mean: zeros([48], { device }), variance: ones([48], { device }) };
    return batchNorm(leaf(3, 40, 41, 48), leaf(48), leaf(48), running, { training: true });
  },
  selectiveScan: (leaf) => {
    const [u, delta, z] = [leaf(2, 40, 300), leaf(2, 40, 300), leaf(2, 40, 300)];
    const A = neg(exp(leaf(40, 16)));
    const [B, C] = [leaf(2, 4, 16, 300), leaf(2, 4, 16, 300)];
    return selectiveScan({ u, delta, A, B, C, D: leaf(40), z, deltaBias: leaf(40) }, { deltaSoftplus: true });
  },
  ss2d: (leaf, device) => new nn.SS2D(40, 16, { device }).forward(leaf(2, 15, 14, 40)),
  "ssConvSsm in training": (leaf, device) =>
    new nn.SSConvSSM(96, { dropPathRate: 0.5, device }).train().forward(leaf(3, 14, 13, 96)),
  "softmax, mean, permute": (leaf) => permute(mean(softmax(leaf(40, 300, 33)), 1), [1, 0]),
  "silu, dropout, pooling": (leaf) => globalAveragePool(dropout(silu(leaf(3, 40, 40, 33)), 0.3)),
  crossEntropy: (leaf, device) =>
    crossEntropy(leaf(3000, 9), labels(3000, 9, device), {
      labelSmoothing: 0.1,
      classWeights: ones([9], { device }),
    }),
};

/** The result and the gradients of all leaves. */
async function outcome(program: Program, device: Device): Promise<Float32Array[]> {
  manualSeed(11);
  const leaves: Tensor[] = [];
  const y = program((...shape) => {
    const made = randn(shape, { device, requiresGrad: true });
    leaves.push(made);
    return made;
  }, device);
  const result = await y.data();
  y.backward({ gradient: randn(y.shape, { device }) });
  const gradients = await Promise.all(leaves.map((made) => made.grad!.data()));
  for (const made of leaves) made.dispose();
  return [result, ...gradients];
}

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
  ...Object.entries(programs).map(
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

  it.each(Object.entries(programs))("%s: agree to rounding", async (_, program) => {
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
