/**
 * Calls every operation and layer with every wrong kind of value for each argument, in a process of its own: the last line
 * on standard error names the call that is made, so that a crash names its cause. Prints what went wrong as JSON.
 */
import { writeSync } from "node:fs";
import * as exported from "../../dist/index.js";

const mm = { ...exported };

const { nn, tensor, zeros, ones } = mm;
const other = mm.openDevice("cpu", { threads: 1 });
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
const anyKind = new Set(["reshape", "permute", "transpose", "slice", "concat", "affineSample.0", "labels"]);

/** Name, what is called, and arguments that go. */
const calls = {
  ...Object.fromEntries(
    ["relu", "silu", "gelu", "sigmoid", "exp", "log", "neg", "softmax", "logSoftmax"].map((name) => [
      name,
      [mm[name], () => [f(2, 3)]],
    ]),
  ),
  ...Object.fromEntries(
    ["add", "sub", "mul", "div"].map((name) => [name, [mm[name], () => [f(2, 3), f(3)]]]),
  ),
  sum: [mm.sum, () => [f(2, 3), [0], { keepDims: true }]],
  mean: [mm.mean, () => [f(2, 3), 1, { keepDims: true }]],
  globalAveragePool: [mm.globalAveragePool, () => [image()]],
  matmul: [mm.matmul, () => [f(2, 3), f(3, 2)]],
  linear: [mm.linear, () => [f(2, 3), f(4, 3), f(4)]],
  conv2d: [mm.conv2d, () => [image(), f(2, 4, 3, 3), f(2), { stride: 1, padding: 1 }]],
  depthwiseConv2d: [mm.depthwiseConv2d, () => [image(), f(4, 1, 3, 3), f(4), { silu: true }]],
  dropout: [mm.dropout, () => [f(4), 0.5, { training: true }]],
  crossEntropy: [mm.crossEntropy, () => [f(2, 3), ints(2), { labelSmoothing: 0.1, classWeights: f(3) }]],
  focalLoss: [mm.focalLoss, () => [f(2, 3), ints(2), { gamma: 2, classWeights: f(3) }]],
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
  reshape: [mm.reshape, () => [f(2, 3), [3, 2]]],
  permute: [mm.permute, () => [f(2, 3), [1, 0]]],
  transpose: [mm.transpose, () => [f(2, 3), 0, 1]],
  slice: [mm.slice, () => [f(4, 3), 0, 1, 3]],
  concat: [mm.concat, () => [[f(2, 3), f(1, 3)], 0]],
  tensor: [tensor, () => [[1, 2], [2], { dtype: "float32", device: "cpu", requiresGrad: true }]],
  full: [mm.full, () => [[2], 3, { dtype: "float32", device: "cpu" }]],
  zeros: [zeros, () => [[2], { dtype: "float32", device: "cpu" }]],
  ones: [ones, () => [[2], { dtype: "float32", device: "cpu" }]],
  rand: [mm.rand, () => [[2], { dtype: "float32", device: "cpu" }]],
  randn: [mm.randn, () => [[2], { dtype: "float32", device: "cpu" }]],
  "Tensor.empty": [mm.Tensor.empty, () => [[2], { dtype: "float32", device: "cpu" }]],
  "tensor.view": [(...a) => f(2, 3).view(...a), () => [[2], 1]],
  "tensor.to": [(...a) => f(2, 3).to(...a), () => ["float32"]],
  "tensor.copyFrom": [(...a) => f(2, 3).copyFrom(...a), () => [f(2, 3)]],
  "tensor.upload": [(...a) => f(2).upload(...a), () => [new Float32Array(2)]],
  "tensor.backward": [
    (...a) => {
      const x = f(2, 3);
      x.requiresGrad = true;
      mm.relu(x).backward(...a);
    },
    () => [{ gradient: f(2, 3), retainGraph: false }],
  ],
  manualSeed: [mm.manualSeed, () => [1]],
  setGeneratorState: [mm.setGeneratorState, () => [{ seed: 1, offset: 0 }]],
  openDevice: [(...a) => mm.openDevice(...a).close(), () => ["cpu", { threads: 1, simd: "portable" }]],
  memory: [mm.memory, () => ["cpu"]],
  tidy: [mm.tidy, () => [() => 1]],
  noGrad: [mm.noGrad, () => [() => 1]],
  keep: [mm.keep, () => [f(1)]],
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

/** Never what is wanted, whatever the argument. */
const wrong = {
  null: () => null,
  text: () => "3",
  number: () => 0.5,
  NaN: () => Number.NaN,
  negative: () => -7,
  object: () => ({}),
  list: () => ["a", null],
  symbol: () => Symbol("s"),
  bigint: () => 3n,
  function: () => () => 1,
  "sparse array": () => new Array(2 ** 32 - 1),
};
/** Of a tensor. */
const wrongTensors = {
  "other dtype": (x) => zeros(x.shape, { dtype: x.dtype === "uint8" ? "int64" : "uint8" }),
  "other shape": () => f(7, 1, 2),
  "no elements": () => f(0),
  "other device": (x) => x.to(other),
  disposed: (x) => {
    const gone = x.clone();
    gone.dispose();
    return gone;
  },
};

/** Every place in the arguments that a value stands in, down through lists and objects of named ones. */
function* places(value, path = []) {
  if (path.length > 0) yield [path, value];
  if (value instanceof mm.Tensor || typeof value !== "object" || value === null || ArrayBuffer.isView(value))
    return;
  for (const key of Object.keys(value)) yield* places(value[key], [...path, key]);
}

function replaced(value, [key, ...rest], by) {
  const copy = Array.isArray(value) ? [...value] : { ...value };
  copy[key] = rest.length > 0 ? replaced(copy[key], rest, by) : by;
  return copy;
}

const problems = [];
let made = 0;
for (const [name, [call, valid]] of Object.entries(calls)) {
  const attempt = (path, kind, by, mustThrow) => {
    const label = `${name}(${path.join(".")} = ${kind})`;
    writeSync(2, `${label}\n`);
    made += 1;
    try {
      mm.tidy(() => void call(...replaced(valid(), path, by)));
      if (mustThrow) problems.push(`${label}: taken`);
    } catch (error) {
      if (!(error instanceof mm.MedMambaError)) problems.push(`${label}: ${error?.stack ?? error}`);
    }
  };
  mm.tidy(() => void call(...valid()));
  for (const [path, value] of places(valid())) {
    const isTensor = value instanceof mm.Tensor;
    const loose = anyKind.has(name) || anyKind.has(`${name}.${path.join(".")}`) || value.dtype === "int64";
    const takesNumbers = ["add", "sub", "mul", "div"].includes(name) && path[0] === "1";
    for (const [kind, make] of Object.entries(wrong)) {
      const number = ["number", "NaN", "negative"].includes(kind);
      const always = isTensor && name !== "keep" && !(number && takesNumbers);
      attempt(path, kind, make(), always);
    }
    if (!isTensor) continue;
    for (const [kind, make] of Object.entries(wrongTensors)) {
      const always = kind === "disposed" ? true : kind === "other dtype" && !loose;
      const copies = name === "tensor.copyFrom" || name === "keep";
      attempt(path, kind, make(value), always && !copies);
    }
  }
  await ones([1])
    .device.synchronize()
    .catch((error) => {
      if (!(error instanceof mm.MedMambaError))
        problems.push(`${name}, waited for: ${error?.stack ?? error}`);
    });
}
const untried = Object.keys(mm).filter(
  (name) => typeof mm[name] === "function" && /^[a-z]/.test(name) && !calls[name],
);
console.log(JSON.stringify({ made, problems, untried }));
process.exit(0);
