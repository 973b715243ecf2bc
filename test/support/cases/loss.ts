/** Losses. */
import {
  binaryCrossEntropyWithLogits,
  crossEntropy,
  focalLoss,
  mseLoss,
  type Tensor,
  tensor,
} from "../../../src/index.js";
import * as reference from "../reference.js";
import { toTensor, uniform } from "../values.js";
import { operationCase } from "./operation-case.js";

const labelsOf = (rows: number, classes: number) =>
  Array.from({ length: rows }, (_, row) => (row * 7 + 1) % classes);
const onDevice = (
  labels: readonly number[],
  { device }: Tensor,
  dtype: "int64" | "int32" | "uint8" = "int64",
) => tensor(labels, [labels.length], { dtype, device });

const classLosses = [
  [1, 2],
  [5, 3],
  [9, 17],
].flatMap(([rows = 0, classes = 0], i) => {
  const labels = labelsOf(rows, classes);
  const logits = uniform(10 + i, [rows, classes], -4, 4);
  const weights = uniform(20 + i, [classes], 0.5, 3);
  const shape = `(${rows}, ${classes})`;
  return [
    operationCase({
      name: `crossEntropy of ${shape}`,
      inputs: { logits },
      run: (t) => crossEntropy(t.logits, onDevice(labels, t.logits, "int32")),
      reference: (v) => reference.crossEntropy(v.logits, labels),
    }),
    operationCase({
      name: `crossEntropy of ${shape}, smoothed and weighted`,
      inputs: { logits },
      run: (t) => {
        const classWeights = toTensor(weights, t.logits.device);
        return crossEntropy(t.logits, onDevice(labels, t.logits), { labelSmoothing: 0.2, classWeights });
      },
      reference: (v) => reference.crossEntropy(v.logits, labels, { smoothing: 0.2, weights }),
    }),
    ...[0, 0.5, 2].map((gamma) =>
      operationCase({
        name: `focalLoss of ${shape}, gamma ${gamma}, weighted`,
        inputs: { logits },
        run: (t) => {
          const classWeights = toTensor(weights, t.logits.device);
          return focalLoss(t.logits, onDevice(labels, t.logits, "uint8"), { gamma, classWeights });
        },
        reference: (v) => reference.focalLoss(v.logits, labels, { gamma, weights }),
      }),
    ),
  ];
});

const elementLosses = [[], [7], [3, 5, 9]].flatMap((shape, i) => {
  const targets = uniform(30 + i, shape, 0, 1);
  return [
    ...[1, 2.5].map((positiveWeight) =>
      operationCase({
        name: `binaryCrossEntropyWithLogits of (${shape}), positive weight ${positiveWeight}`,
        inputs: { logits: uniform(40 + i, shape, -5, 5) },
        run: ({ logits }) =>
          binaryCrossEntropyWithLogits(logits, toTensor(targets, logits.device), { positiveWeight }),
        reference: ({ logits }) => reference.binaryCrossEntropy(logits, targets, positiveWeight),
      }),
    ),
    operationCase({
      name: `mseLoss of (${shape})`,
      inputs: { x: uniform(50 + i, shape), target: uniform(60 + i, shape) },
      run: ({ x, target }) => mseLoss(x, target),
      reference: ({ x, target }) => reference.mse(x, target),
    }),
  ];
});

export const lossCases = [...classLosses, ...elementLosses];
