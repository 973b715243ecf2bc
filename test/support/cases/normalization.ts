/** Layer and batch normalisation. */
import { batchNorm, layerNorm } from "../../../src/index.js";
import * as reference from "../reference.js";
import { toTensor, uniform } from "../values.js";
import { operationCase } from "./operation-case.js";

const layerNorms = [[3], [1, 2], [5, 7], [2, 3, 5, 33], [3, 64], [3, 130], [2, 300]].flatMap((shape, i) => {
  const channels = shape.at(-1)!;
  const inputs = {
    x: uniform(10 + i, shape, -2, 3),
    weight: uniform(20 + i, [channels], 0.5, 1.5),
    bias: uniform(30 + i, [channels]),
  };
  return [
    operationCase({
      name: `layerNorm of (${shape})`,
      inputs,
      run: ({ x, weight, bias }) => layerNorm(x, weight, bias),
      reference: ({ x, weight, bias }) => reference.layerNorm(x, weight, bias),
      // Of two channels one is always +1 and the other -1: only eps lets x move them.
      flat: channels === 2 ? ["x"] : [],
    }),
    operationCase({
      name: `layerNorm of (${shape}), gated, eps 0.1`,
      inputs: { ...inputs, gate: uniform(40 + i, shape, -3, 3) },
      run: ({ x, weight, bias, gate }) => layerNorm(x, weight, bias, { gate, eps: 0.1 }),
      reference: ({ x, weight, bias, gate }) => reference.layerNorm(x, weight, bias, gate, 0.1),
    }),
  ];
});

const batchNorms = [
  [6, 1],
  [2, 3, 5, 7],
  [3, 4, 4, 33],
].flatMap((shape, i) => {
  const channels = shape.at(-1)!;
  const inputs = {
    x: uniform(50 + i, shape, -2, 3),
    weight: uniform(60 + i, [channels], 0.5, 1.5),
    bias: uniform(70 + i, [channels]),
  };
  const running = { mean: uniform(80 + i, [channels]), variance: uniform(90 + i, [channels], 0.5, 2) };
  return [true, false].map((training) =>
    operationCase({
      name: `batchNorm of (${shape}) in ${training ? "training" : "evaluation"}`,
      inputs,
      run: ({ x, weight, bias }) => {
        const on = (values: typeof running.mean) => toTensor(values, x.device);
        const statistics = { mean: on(running.mean), variance: on(running.variance) };
        return batchNorm(x, weight, bias, statistics, { training });
      },
      reference: ({ x, weight, bias }) =>
        reference.batchNorm(x, weight, bias, training ? reference.channelStatistics(x) : running),
    }),
  );
});

export const normalizationCases = [...layerNorms, ...batchNorms];
