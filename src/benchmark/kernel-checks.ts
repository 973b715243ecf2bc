/**
 * Every kernel on two devices: the same random inputs, forward and backward, and how far the results are apart. The
 * reference is the CPU's portable code on one thread, which has neither vector instructions nor a division of work
 * that could be wrong.
 *
 * The error of a result is ||result - reference|| / ||reference||. Extents are odd on purpose: what vectors, tiles and
 * threads leave over is where kernels fail.
 */
import { MedMamba } from "../models/medmamba.js";
import type { Module } from "../nn/module.js";
import { SSConvSSM } from "../nn/ss-conv-ssm.js";
import { SS2D } from "../nn/ss2d.js";
import { exp, gelu, log, relu, sigmoid, silu } from "../ops/activation.js";
import { affineSample } from "../ops/affine-sample.js";
import { add, affine, div, mul, sub } from "../ops/arithmetic.js";
import { conv2d, depthwiseConv2d } from "../ops/convolution.js";
import { dropout } from "../ops/dropout.js";
import { binaryCrossEntropyWithLogits, crossEntropy, focalLoss, mseLoss } from "../ops/loss.js";
import { linear, matmul } from "../ops/matmul.js";
import { batchNorm, layerNorm } from "../ops/normalization.js";
import { mean, sum } from "../ops/reduction.js";
import { selectiveScan } from "../ops/selective-scan.js";
import { concat, permute, slice } from "../ops/shape.js";
import { logSoftmax, softmax } from "../ops/softmax.js";
import { random, tensor } from "../tensor/creation.js";
import type { Device, Precision } from "../tensor/device.js";
import { manualSeed } from "../tensor/generator.js";
import { RandomStream } from "../tensor/random.js";
import { tidy } from "../tensor/scope.js";
import type { Tensor } from "../tensor/tensor.js";
import { MovingAverage } from "../training/moving-average.js";
import { Adam, AdamW, type Optimizer, SGD } from "../training/optimizer.js";

/** An input by shape: normal around `shift` with deviation `scale`, unless `values` says otherwise. */
interface Source {
  readonly shape: readonly number[];
  readonly values: (random: RandomStream) => number;
  readonly labels?: boolean;
}

/** Results on one device; `backward` is empty where there is no gradient. */
interface Results {
  readonly forward: readonly Tensor[];
  readonly backward: readonly Tensor[];
}

export interface KernelCheck {
  readonly name: string;
  /** Whether gradients go through ReLUs whose input has been computed. */
  readonly relus?: boolean;
  run(device: Device): Results;
}

export interface KernelVerdict {
  readonly name: string;
  readonly forward: number;
  /** null where there is no gradient. */
  readonly backward: number | null;
  readonly ok: boolean;
}

/**
 * What float32 sums in another order may differ by, and what is lost where products have fewer digits; a gradient has
 * more of both behind it. Where rounding moves an input of a ReLU across zero, its gradient is there or not: of a network
 * with ReLUs, fewer digits can tell only that the gradients are no others altogether.
 */
const tolerances = {
  float32: { forward: 1e-5, backward: 1e-4, throughRelus: 1e-4 },
  tf32: { forward: 2e-3, backward: 2e-3, throughRelus: 0.5 },
  bf16: { forward: 2e-2, backward: 2e-2, throughRelus: 1 },
} as const satisfies Record<Precision, object>;

const normal = (shape: readonly number[], scale = 1, shift = 0): Source => ({
  shape,
  values: (stream) =>
    shift + scale * Math.sqrt(-2 * Math.log(1 - stream.uniform())) * Math.cos(2 * Math.PI * stream.uniform()),
});
const uniform = (shape: readonly number[], low = 0, high = 1): Source => ({
  shape,
  values: (stream) => low + (high - low) * stream.uniform(),
});
const labels = (count: number, classes: number): Source => ({
  shape: [count],
  values: (stream) => stream.integer(classes),
  labels: true,
});

function make(source: Source, key: number, device: Device): Tensor {
  const stream = new RandomStream(7, key);
  const count = source.shape.reduce((product, extent) => product * extent, 1);
  const values = Array.from({ length: count }, () => source.values(stream));
  if (source.labels) return tensor(BigInt64Array.from(values, BigInt), source.shape, { device });
  return tensor(Float32Array.from(values), source.shape, { device });
}

type Sources<Name extends string> = Readonly<Record<Name, Source>>;
type Tensors<Name extends string> = Readonly<Record<Name, Tensor>>;

function makeAll<Name extends string>(inputs: Sources<Name>, device: Device): Tensors<Name> {
  const entries = Object.entries<Source>(inputs).map(([name, source], key) => [
    name,
    make(source, key, device),
  ]);
  return Object.fromEntries(entries) as Tensors<Name>;
}

/** Results, and the gradients of `leaves` for a random gradient of the output. */
function differentiate(y: Tensor, leaves: Iterable<Tensor>): Results {
  const forward = [y.detach()];
  y.backward({ gradient: make(normal(y.shape), 1000, y.device) });
  return { forward, backward: [...leaves].flatMap(({ grad }) => (grad ? [grad.detach()] : [])) };
}

/** An operation with a gradient. */
function differentiable<Name extends string>(
  name: string,
  inputs: Sources<Name>,
  run: (t: Tensors<Name>) => Tensor,
): KernelCheck {
  return {
    name,
    run(device) {
      const tensors = makeAll(inputs, device);
      const leaves = Object.values<Tensor>(tensors).filter(({ dtype }) => dtype === "float32");
      for (const leaf of leaves) leaf.requiresGrad = true;
      manualSeed(3);
      return differentiate(run(tensors), leaves);
    },
  };
}

/** An operation without. */
function plain<Name extends string>(
  name: string,
  inputs: Sources<Name>,
  run: (t: Tensors<Name>, device: Device) => Tensor[],
): KernelCheck {
  return {
    name,
    run(device) {
      manualSeed(3);
      return { forward: run(makeAll(inputs, device), device), backward: [] };
    },
  };
}

/** A module in training, with the initial weights of one seed. */
function network(
  name: string,
  input: Source,
  build: (device: Device) => Module & { forward(x: Tensor): Tensor },
  { relus = true } = {},
): KernelCheck {
  return {
    name,
    relus,
    run(device) {
      manualSeed(3);
      const module = build(device);
      const x = make(input, 0, device);
      x.requiresGrad = true;
      const results = differentiate(module.forward(x), [x, ...module.parameters()]);
      module.dispose();
      return results;
    },
  };
}

/** Three steps of an optimiser on the loss `sum(p * p * g)`. */
function optimizer(name: string, create: (parameters: Tensor[]) => Optimizer<{ lr: number }>): KernelCheck {
  return plain(name, { p: normal([37, 19]), g: normal([37, 19]) }, ({ p, g }) => {
    p.requiresGrad = true;
    const steps = create([p]);
    for (let step = 0; step < 3; ++step) {
      steps.zeroGrad();
      sum(mul(mul(p, p), g)).backward();
      steps.clipGradNorm(1);
      steps.step();
    }
    steps.dispose();
    return [p.detach()];
  });
}

const image = [2, 9, 7] as const;
const activations: Record<string, (x: Tensor) => Tensor> = { relu, silu, gelu, sigmoid, exp };
const pair = { a: normal([5, 33, 17]), b: uniform([33, 1], 0.5, 2) };
const scan = {
  u: normal([2, 24, 75]),
  delta: normal([2, 24, 75], 0.5, -3),
  A: uniform([24, 16], -8, -0.5),
  B: normal([2, 2, 16, 75]),
  C: normal([2, 2, 16, 75]),
  D: normal([24]),
  z: normal([2, 24, 75]),
  deltaBias: normal([24], 0.5),
};
const norm = { x: normal([...image, 37], 2, 0.5), weight: normal([37], 0.2, 1), bias: normal([37], 0.2) };

export const kernelChecks: readonly KernelCheck[] = [
  differentiable("add, subtract, multiply, divide", pair, ({ a, b }) => div(mul(add(a, b), sub(a, b)), b)),
  differentiable("scale and shift", { x: normal([1001]) }, ({ x }) => affine(x, 1.5, -0.25)),
  ...Object.entries(activations).map(([name, apply]) =>
    differentiable(name, { x: normal([1001], 2) }, ({ x }) => apply(x)),
  ),
  differentiable("log", { x: uniform([1001], 0.1, 5) }, ({ x }) => log(x)),
  differentiable("permute, slice, concatenate", { x: normal([6, 11, 13]) }, ({ x }) =>
    concat([slice(permute(x, [2, 0, 1]), 0, 1, 9), permute(x, [2, 0, 1])], 0),
  ),
  differentiable("sum, mean", { x: normal([11, 203, 13]) }, ({ x }) => add(sum(x, 1), mean(x, 1))),
  plain("cast to bfloat16 and back", { x: normal([1001]) }, ({ x }) => [x.cast("bfloat16").cast("float32")]),
  differentiable("matrix product", { a: normal([3, 45, 67]), b: normal([3, 67, 37]) }, ({ a, b }) =>
    matmul(a, b),
  ),
  differentiable("linear", { x: normal([95, 67]), w: normal([37, 67]), b: normal([37]) }, ({ x, w, b }) =>
    linear(x, w, b),
  ),
  differentiable(
    "convolution 3x3",
    { x: normal([...image, 21]), w: normal([19, 21, 3, 3]), b: normal([19]) },
    ({ x, w, b }) => conv2d(x, w, b),
  ),
  differentiable(
    "depthwise convolution 3x3",
    { x: normal([...image, 37]), w: normal([37, 1, 3, 3]), b: normal([37]) },
    ({ x, w, b }) => depthwiseConv2d(x, w, b, { silu: true }),
  ),
  differentiable("layer norm", norm, ({ x, weight, bias }) => layerNorm(x, weight, bias)),
  differentiable(
    "layer norm, gated",
    { ...norm, gate: normal([...image, 37]) },
    ({ x, weight, bias, gate }) => layerNorm(x, weight, bias, { gate }),
  ),
  ...[true, false].map((training) =>
    differentiable(`batch norm, ${training ? "training" : "inference"}`, norm, ({ x, weight, bias }) => {
      const running = {
        mean: make(normal([37]), 50, x.device),
        variance: make(uniform([37], 0.5, 2), 51, x.device),
      };
      return batchNorm(x, weight, bias, running, { training });
    }),
  ),
  plain(
    "batch norm, running statistics",
    { ...norm, mean: normal([37]), variance: uniform([37], 0.5, 2) },
    ({ x, weight, bias, mean, variance }) => {
      batchNorm(x, weight, bias, { mean, variance }, { training: true });
      return [mean, variance];
    },
  ),
  differentiable("softmax", { x: normal([33, 17], 3) }, ({ x }) => softmax(x)),
  differentiable("log-softmax", { x: normal([33, 17], 3) }, ({ x }) => logSoftmax(x)),
  differentiable(
    "cross-entropy",
    { x: normal([33, 7], 2), t: labels(33, 7), w: uniform([7], 0.5, 2) },
    ({ x, t, w }) => crossEntropy(x, t, { labelSmoothing: 0.1, classWeights: w }),
  ),
  differentiable("focal loss", { x: normal([33, 7], 2), t: labels(33, 7) }, ({ x, t }) => focalLoss(x, t)),
  differentiable("binary cross-entropy", { x: normal([133], 2), t: uniform([133]) }, ({ x, t }) =>
    binaryCrossEntropyWithLogits(x, t.detach(), { positiveWeight: 2 }),
  ),
  differentiable("mean squared error", { x: normal([133]), t: normal([133]) }, ({ x, t }) => mseLoss(x, t)),
  differentiable("dropout", { x: normal([1001]) }, ({ x }) => dropout(x, 0.3)),
  plain("random: uniform, normal, truncated", {}, (_, device) =>
    (["uniform", "normal", "truncatedNormal"] as const).map((kind) => random([1001], kind, 0, 1, { device })),
  ),
  plain(
    "image sampling",
    {
      x: uniform([2, 3, 33, 29]),
      matrix: normal([2, 2, 3], 1),
      gain: uniform([2], 0.8, 1.2),
      offset: normal([2], 0.1),
      channelScale: uniform([3], 1, 2),
      channelShift: normal([3]),
    },
    ({ x, ...how }) => [affineSample(x, [21, 23], how)],
  ),
  differentiable("selective scan", scan, (inputs) => selectiveScan(inputs, { deltaSoftplus: true })),
  network("SS2D, four directions", normal([2, 9, 7, 24]), (device) => new SS2D(24, 16, { device }), {
    relus: false,
  }),
  // With 32768 channels and more of all images and directions a GPU has other scans: a thread has 16 states forward, in
  // blocks of 96 or 64 channels, and two channels backward, in blocks of 48 or 32.
  ...(
    [
      [48, 7, 5],
      [32, 3, 3],
    ] as const
  ).map(([width, rows, columns]) =>
    network(
      `SS2D, many images of ${width} channels`,
      normal([Math.ceil(4096 / width), rows, columns, width]),
      (device) => new SS2D(width, 16, { device }),
      { relus: false },
    ),
  ),
  network(
    "SS-Conv-SSM block",
    normal([2, 9, 7, 48]),
    (device) => new SSConvSSM(48, { dropPathRate: 0.3, device }),
  ),
  network(
    "MedMamba",
    normal([2, 3, 96, 64]),
    (device) => new MedMamba({ depths: [1, 1, 1, 1], dims: [16, 32, 64, 128], numClasses: 5, device }),
  ),
  optimizer("SGD", (parameters) => new SGD(parameters, { lr: 0.1, momentum: 0.9, nesterov: true })),
  optimizer("Adam", (parameters) => new Adam(parameters, { lr: 0.1, weightDecay: 0.1 })),
  optimizer("AdamW, clipped gradient", (parameters) => new AdamW(parameters, { lr: 0.1, weightDecay: 0.1 })),
  plain("moving average of weights", { x: normal([2, 9, 7, 24]) }, (_, device) => {
    const module = new SS2D(24, 16, { device });
    const average = new MovingAverage(module, 0.9);
    for (const parameter of module.parameters()) parameter.copyFrom(affine(parameter, 2, 1).detach());
    average.update(100);
    const results = Object.values(average.stateDict()).map((tensor) => tensor.clone());
    average.dispose();
    module.dispose();
    return results;
  }),
];

/** One check on both devices. */
export async function compare(check: KernelCheck, device: Device, reference: Device): Promise<KernelVerdict> {
  const [results, expected] = [await read(check, device), await read(check, reference)];
  const forward = worst(results.forward, expected.forward);
  const backward = results.backward.length > 0 ? worst(results.backward, expected.backward) : null;
  const tolerance = tolerances[device.precision];
  const ofGradients = check.relus ? tolerance.throughRelus : tolerance.backward;
  const ok = forward <= tolerance.forward && (backward === null || backward <= ofGradients);
  return { name: check.name, forward, backward, ok };
}

async function read(
  check: KernelCheck,
  device: Device,
): Promise<{ forward: Float32Array[]; backward: Float32Array[] }> {
  const { forward, backward } = tidy(() => check.run(device));
  try {
    const values = (tensors: readonly Tensor[]) => Promise.all(tensors.map((result) => result.data()));
    return { forward: await values(forward), backward: await values(backward) };
  } finally {
    for (const result of [...forward, ...backward]) result.dispose();
  }
}

/** The largest error of several results; NaN if one of them is. */
function worst(results: readonly Float32Array[], expected: readonly Float32Array[]): number {
  return Math.max(...results.map((values, i) => relativeError(values, expected[i] ?? new Float32Array(0))));
}

function relativeError(values: Float32Array, expected: Float32Array): number {
  if (values.length !== expected.length) return Number.NaN;
  let [difference, size] = [0, 0];
  for (const [i, value] of expected.entries()) {
    difference += ((values[i] ?? 0) - value) ** 2;
    size += value ** 2;
  }
  return difference === 0 ? 0 : Math.sqrt(difference / size);
}
