/** Every operation on tensors, and every layer's function. */
import * as exported from "../../../dist/index.js";

const mm = { ...exported };

const { nn, tensor, zeros, ones } = mm;
const f = (...shape) => ones(shape);
const ints = (...shape) => zeros(shape, { dtype: "int64" });

const running = () => ({ mean: f(4), variance: f(4), batchesTracked: ints() });
const half = () => ({ mean: f(2), variance: f(2), batchesTracked: ints() });
const ss2dWeights = () => ({ ...new nn.SS2D(2, 3).weights });
function blockParameters() {
  const names = ["norm1", "conv1", "norm2", "conv2", "norm3", "conv3"];
  const shapes = { conv1Weight: [2, 2, 3, 3], conv2Weight: [2, 2, 3, 3], conv3Weight: [2, 2, 1, 1] };
  const branch = {};
  for (const name of names)
    for (const part of ["Weight", "Bias"]) branch[name + part] = f(...(shapes[name + part] ?? [2]));
  return { ln1Weight: f(2), ln1Bias: f(2), attention: ss2dWeights(), branch };
}
const image = () => f(1, 4, 4, 4);
const anyDtype = { takes: { 0: ["other dtype"] } };
const anyInteger = { takes: { 1: ["other dtype"] } };
const anyTensor = { takes: { 0: ["other dtype", "disposed"] } };
const numbers = ["number", "NaN", "negative"];

/** Name, what is called, and arguments that go. */
export const calls = {
  ...Object.fromEntries(
    ["relu", "silu", "gelu", "sigmoid", "exp", "log", "neg", "softmax", "logSoftmax"].map((name) => [
      name,
      [mm[name], () => [f(2, 3)]],
    ]),
  ),
  ...Object.fromEntries(
    ["add", "sub", "mul", "div"].map((name) => [
      name,
      [mm[name], () => [f(2, 3), f(3)], { takes: { 1: numbers } }],
    ]),
  ),
  sum: [mm.sum, () => [f(2, 3), [0], { keepDims: true }]],
  mean: [mm.mean, () => [f(2, 3), 1, { keepDims: true }]],
  globalAveragePool: [mm.globalAveragePool, () => [image()]],
  matmul: [mm.matmul, () => [f(2, 3), f(3, 2)]],
  linear: [mm.linear, () => [f(2, 3), f(4, 3), f(4)]],
  conv2d: [mm.conv2d, () => [image(), f(2, 4, 3, 3), f(2), { stride: 1, padding: 1 }]],
  depthwiseConv2d: [mm.depthwiseConv2d, () => [image(), f(4, 1, 3, 3), f(4), { silu: true }]],
  dropout: [mm.dropout, () => [f(4), 0.5, { training: true }]],
  crossEntropy: [
    mm.crossEntropy,
    () => [f(2, 3), ints(2), { labelSmoothing: 0.1, classWeights: f(3) }],
    anyInteger,
  ],
  focalLoss: [mm.focalLoss, () => [f(2, 3), ints(2), { gamma: 2, classWeights: f(3) }], anyInteger],
  binaryCrossEntropyWithLogits: [
    mm.binaryCrossEntropyWithLogits,
    () => [f(2, 3), f(2, 3), { positiveWeight: 1 }],
  ],
  mseLoss: [mm.mseLoss, () => [f(2, 3), f(2, 3)]],
  layerNorm: [mm.layerNorm, () => [f(2, 3), f(3), f(3), { eps: 1e-5, gate: f(2, 3) }]],
  batchNorm: [
    mm.batchNorm,
    () => [f(2, 4), f(4), f(4), running(), { training: true, momentum: 0.1, eps: 1e-5 }],
  ],
  selectiveScan: [
    mm.selectiveScan,
    () => [
      {
        ...{ u: f(1, 4, 5), delta: f(1, 4, 5), A: f(4, 3), B: f(1, 3, 5), C: f(1, 3, 5) },
        ...{ D: f(4), z: f(1, 4, 5), deltaBias: f(4) },
      },
      { deltaSoftplus: true, returnLastState: false },
    ],
  ],
  ss2d: [mm.ss2d, () => [f(1, 4, 4, 2), ss2dWeights()]],
  ssConvSsm: [
    mm.ssConvSsm,
    () => [
      image(),
      blockParameters(),
      [half(), half(), half()],
      { training: true, momentum: 0.1, pathScale: f(1), recompute: false },
    ],
  ],
  affineSample: [
    mm.affineSample,
    () => [
      zeros([1, 3, 4, 4], { dtype: "uint8" }),
      [2, 2],
      { matrix: f(1, 2, 3), gain: f(1), offset: f(1), channelScale: f(3), channelShift: f(3) },
    ],
  ],
  reshape: [mm.reshape, () => [f(2, 3), [3, 2]], anyDtype],
  permute: [mm.permute, () => [f(2, 3), [1, 0]], anyDtype],
  transpose: [mm.transpose, () => [f(2, 3), 0, 1], anyDtype],
  slice: [mm.slice, () => [f(4, 3), 0, 1, 3], anyDtype],
  concat: [mm.concat, () => [[f(2, 3), f(1, 3)], 0]],
  tensor: [
    tensor,
    () => [[1, 2], [2], { dtype: "float32", device: "cpu", requiresGrad: true }],
    { takes: { "0.0": ["NaN"], 0.1: ["NaN"] } },
  ],
  full: [mm.full, () => [[2], 3, { dtype: "float32", device: "cpu" }], { takes: { 1: ["NaN"] } }],
  zeros: [zeros, () => [[2], { dtype: "float32", device: "cpu" }]],
  ones: [ones, () => [[2], { dtype: "float32", device: "cpu" }]],
  rand: [mm.rand, () => [[2], { dtype: "float32", device: "cpu" }]],
  randn: [mm.randn, () => [[2], { dtype: "float32", device: "cpu" }]],
  "Tensor.empty": [mm.Tensor.empty, () => [[2], { dtype: "float32", device: "cpu" }]],
  "Tensor.like": [mm.Tensor.like, () => [f(2)], anyTensor],
  "tensor.view": [(...a) => f(2, 3).view(...a), () => [[2], 1]],
  "tensor.to": [(...a) => f(2, 3).to(...a), () => ["float32"]],
  "tensor.copyFrom": [(...a) => f(2, 3).copyFrom(...a), () => [f(2, 3)], anyDtype],
  "tensor.upload": [(...a) => f(2).upload(...a), () => [new Float32Array(2)]],
  "tensor.backward": [
    (...a) => {
      const x = f(2, 3);
      x.requiresGrad = true;
      mm.relu(x).backward(...a);
    },
    () => [{ gradient: f(2, 3), retainGraph: false }],
  ],
  captureGraph: [
    (...a) => mm.captureGraph(...a).dispose(),
    () => ["cpu", () => f(1), { shareMemoryWith: undefined }],
  ],
  GraphedFunction: [
    (...a) => new mm.GraphedFunction(...a),
    () => [f(1).device, (x) => mm.relu(x), { dependencies: () => [], mostGraphs: 2 }],
  ],
  "GraphedFunction.call": [
    (...a) => new mm.GraphedFunction(f(1).device, (x) => mm.relu(x)).call(...a),
    () => [f(2)],
  ],
  toInput: [
    mm.toInput,
    () => [
      {
        shape: [1, 3, 4, 4],
        images: new Uint8Array(48),
        affine: Float32Array.of(1, 0, 0, 0, 1, 0),
        gain: Float32Array.of(1),
        offset: Float32Array.of(0),
      },
      { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] },
      "cpu",
    ],
    { open: /^(0|1)$/ },
  ],
  devices: [mm.devices, () => []],
  whyNotGpu: [mm.whyNotGpu, () => []],
  generatorState: [mm.generatorState, () => []],
  manualSeed: [mm.manualSeed, () => [1]],
  setGeneratorState: [mm.setGeneratorState, () => [{ seed: 1, offset: 0 }]],
  openDevice: [(...a) => mm.openDevice(...a).close(), () => ["cpu", { threads: 1, simd: "portable" }]],
  memory: [mm.memory, () => ["cpu"]],
  tidy: [mm.tidy, () => [() => 1]],
  noGrad: [mm.noGrad, () => [() => 1]],
  keep: [mm.keep, () => [f(1)], anyTensor],
};
for (const [name, layer, input] of [
  ["Linear", new nn.Linear(3, 2), () => f(2, 3)],
  ["Conv2d", new nn.Conv2d(4, 2, 3), image],
  ["LayerNorm", new nn.LayerNorm(3), () => f(2, 3)],
  ["BatchNorm2d", new nn.BatchNorm2d(4), image],
  ["Dropout", new nn.Dropout(), () => f(4)],
  ["ReLU", new nn.ReLU(), () => f(4)],
  ["Sequential", new nn.Sequential(new nn.Linear(3, 2), new nn.SiLU()), () => f(2, 3)],
  ["PatchEmbed", new nn.PatchEmbed(3, 4, 2), () => f(1, 3, 4, 4)],
  ["PatchMerging", new nn.PatchMerging(4), image],
  ["SSConvSSM", new nn.SSConvSSM(4, { dState: 3, dropPathRate: 0.5 }), image],
  ["SS2D", new nn.SS2D(4, 3), image],
  ["MedMamba", new mm.MedMamba({ dims: [4, 8], depths: [1, 1], dState: 3 }), () => f(1, 3, 16, 16)],
])
  calls[`nn.${name}`] = [(x) => layer.forward(x), () => [input()]];
