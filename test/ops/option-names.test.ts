/** Options that there are not are refused with the nearest name. */
import { expect, it } from "vitest";
import {
  ArgumentError,
  batchNorm,
  captureGraph,
  conv2d,
  crossEntropy,
  dropout,
  layerNorm,
  nn,
  ones,
  openDevice,
  optim,
  selectiveScan,
  sum,
  zeros,
} from "../../src/index.js";

const x = () => ones([2, 3]);
const c = () => ones([3]);
const labels = () => zeros([2], { dtype: "int64" });
const image = () => ones([1, 4, 4, 3]);

it.each<[string, () => unknown]>([
  [
    "layerNorm: epsilon is no setting; did you mean eps?",
    () => layerNorm(x(), c(), c(), { epsilon: 1 } as object),
  ],
  [
    "batchNorm: train is no setting; did you mean training?",
    () => batchNorm(x(), c(), c(), { mean: c(), variance: c() }, { train: true } as object),
  ],
  [
    "batchNorm: batchTracked is no setting; did you mean batchesTracked?",
    () => batchNorm(x(), c(), c(), { mean: c(), variance: c(), batchTracked: c() } as never),
  ],
  ["sum: keepdim is no setting; did you mean keepDims?", () => sum(x(), 0, { keepdim: true } as object)],
  [
    "dropout: train is no setting; did you mean training?",
    () => dropout(x(), 0.5, { train: true } as object),
  ],
  [
    "conv2d: pad is no setting; did you mean padding?",
    () => conv2d(image(), ones([2, 3, 1, 1]), undefined, { pad: 0 } as object),
  ],
  [
    "crossEntropy: weight is no setting; settings are labelSmoothing, classWeights.",
    () => crossEntropy(x(), labels(), { weight: c() } as object),
  ],
  [
    "selectiveScan: delta_bias is no setting; did you mean deltaBias?",
    () => selectiveScan({ u: x(), delta_bias: c() } as never),
  ],
  [
    "openDevice: thread is no setting; did you mean threads?",
    () => openDevice("cpu", { thread: 1 } as object),
  ],
  [
    "captureGraph: shareMemory is no setting; did you mean shareMemoryWith?",
    () => captureGraph("cpu", () => 1, { shareMemory: 1 } as object),
  ],
  ["Linear: Bias is no setting; did you mean bias?", () => new nn.Linear(2, 2, { Bias: false } as object)],
  [
    "AdamW: learningRate is no setting; did you mean lr?",
    () => new optim.AdamW([ones([1], { requiresGrad: true })], { learningRate: 1 } as object),
  ],
  [
    "SGD: momentun is no setting; did you mean momentum?",
    () => new optim.SGD([ones([1], { requiresGrad: true })], { lr: 1, momentun: 0.9 } as never),
  ],
])("%s", (message, call) => {
  expect(call).toThrow(ArgumentError);
  expect(call).toThrow(message);
});

it("but an option that is undefined is not there", () => {
  expect(sum(x(), 0, { keepdim: undefined } as object).shape).toEqual([3]);
});

it("a group's momentum has a buffer where no other group has one", () => {
  const parameter = ones([1], { requiresGrad: true });
  const optimizer = new optim.SGD([{ parameters: [parameter], settings: { momentum: 0.9 } }], { lr: 0.1 });
  parameter.mul(2).backward({ gradient: ones([1]) });
  expect(() => optimizer.step()).not.toThrow();
  expect(Object.keys(optimizer.stateDict().tensors)).toEqual(["momentum_buffers"]);
});
