/**
 * Computations on random leaves, one for each family of kernels, for tests that compare a device with itself: other
 * orders of threads, other numbers of them, other precisions. Extents leave tails behind vectors, tiles and blocks.
 */
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
  manualSeed,
  matmul,
  mean,
  neg,
  nn,
  ones,
  optim,
  permute,
  randn,
  selectiveScan,
  silu,
  softmax,
  type Tensor,
  tensor,
  zeros,
} from "../../src/index.js";

/** `leaf` makes a random leaf of that shape. */
export type Program = (leaf: (...shape: number[]) => Tensor, device: Device) => Tensor;

/** Labels of `rows` images, each class in turn. */
export const labels = (rows: number, classes: number, device: Device): Tensor =>
  tensor(
    Array.from({ length: rows }, (_, row) => (row * 5) % classes),
    [rows],
    { dtype: "int64", device },
  );

/** Extents of the programs: batch, height and width of images, and the channels that go in and out. */
interface Extents {
  readonly matrices: readonly [batch: number, m: number, k: number, n: number];
  readonly longSum: number;
  readonly images: readonly [batch: number, height: number, width: number];
  readonly channels: readonly [first: number, second: number];
  readonly rows: number;
  readonly features: number;
  readonly scan: readonly [channels: number, groups: number, length: number];
  readonly deep: readonly [batch: number, height: number, width: number, channels: number];
  readonly block: readonly [batch: number, height: number, width: number, channels: number];
  readonly softmax: readonly [number, number, number];
}

const extents = {
  /** For the emulator: enough for tails, and for more than one block. */
  small: {
    matrices: [2, 67, 75, 33],
    longSum: 3000,
    images: [2, 9, 7],
    channels: [24, 20],
    rows: 70,
    features: 36,
    scan: [12, 2, 70],
    deep: [1, 3, 5, 40],
    block: [2, 7, 6, 24],
    softmax: [4, 30, 33],
  },
  /** Large enough to be shared out among threads. */
  large: {
    matrices: [3, 130, 257, 65],
    longSum: 5000,
    images: [3, 30, 29],
    channels: [24, 40],
    rows: 3000,
    features: 96,
    scan: [40, 4, 300],
    deep: [2, 7, 7, 96],
    block: [3, 14, 13, 96],
    softmax: [40, 300, 33],
  },
} as const satisfies Record<string, Extents>;

export function programs(size: keyof typeof extents): Readonly<Record<string, Program>> {
  const {
    matrices,
    longSum,
    images,
    channels,
    rows,
    features,
    scan,
    deep,
    block,
    softmax: soft,
  } = extents[size];
  const [batch, m, k, n] = matrices;
  const [first, second] = channels;
  const [scanned, groups, length] = scan;
  const half = block[3] / 2;
  return {
    matmul: (leaf) => matmul(leaf(batch, m, k), leaf(batch, k, n)),
    "matmul with a long sum": (leaf) => matmul(leaf(3, longSum), leaf(longSum, 5)),
    linear: (leaf) => linear(leaf(...images, 48), leaf(50, 48), leaf(50)),
    "conv2d 3x3": (leaf) => conv2d(leaf(...images, first), leaf(second, first, 3, 3), leaf(second)),
    "conv2d 3x3, deep": (leaf) => conv2d(leaf(...deep), leaf(deep[3], deep[3], 3, 3), leaf(deep[3])),
    depthwiseConv2d: (leaf) =>
      depthwiseConv2d(leaf(...images, second), leaf(second, 1, 3, 3), leaf(second), { silu: true }),
    layerNorm: (leaf) =>
      layerNorm(leaf(rows, features), leaf(features), leaf(features), { gate: leaf(rows, features) }),
    batchNorm: (leaf, device) => {
      const running = { mean: zeros([second], { device }), variance: ones([second], { device }) };
      return batchNorm(leaf(...images, second), leaf(second), leaf(second), running, { training: true });
    },
    selectiveScan: (leaf) => {
      const sequence = () => leaf(2, scanned, length);
      const [u, delta, z] = [sequence(), sequence(), sequence()];
      const A = neg(exp(leaf(scanned, 16)));
      const [B, C] = [leaf(2, groups, 16, length), leaf(2, groups, 16, length)];
      const [D, deltaBias] = [leaf(scanned), leaf(scanned)];
      return selectiveScan({ u, delta, A, B, C, D, z, deltaBias }, { deltaSoftplus: true });
    },
    ss2d: (leaf, device) => new nn.SS2D(half, 16, { device }).forward(leaf(...images, half)),
    "ssConvSsm in training": (leaf, device) =>
      new nn.SSConvSSM(block[3], { dropPathRate: 0.5, device }).train().forward(leaf(...block)),
    "softmax, mean, permute": (leaf) => permute(mean(softmax(leaf(...soft)), 1), [1, 0]),
    "silu, dropout, pooling": (leaf) => globalAveragePool(dropout(silu(leaf(...images, 33)), 0.3)),
    crossEntropy: (leaf, device) =>
      crossEntropy(leaf(rows, 9), labels(rows, 9, device), {
        labelSmoothing: 0.1,
        classWeights: ones([9], { device }),
      }),
    "AdamW with clipping": (leaf, device) => {
      const [weight, x] = [leaf(30, 20), leaf(7, 20)];
      const optimizer = new optim.AdamW([weight], { lr: 1e-2 });
      linear(x, weight).backward({ gradient: ones([7, 30], { device }) });
      optimizer.clipGradNorm(1);
      optimizer.step();
      optimizer.zeroGrad();
      return linear(x, weight);
    },
  };
}

/** The result of a program and the gradients of all its leaves. */
export async function outcome(program: Program, device: Device): Promise<Float32Array[]> {
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
