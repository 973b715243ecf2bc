/** The selective scan, SS2D and the SS-Conv-SSM block as a whole. */
import { selectiveScan, ss2d, ssConvSsm, type Tensor } from "../../../src/index.js";
import * as reference from "../reference-scan.js";
import { toTensor, uniform, type Values } from "../values.js";
import { operationCase } from "./operation-case.js";

interface ScanForm {
  batch: number;
  channels: number;
  length: number;
  states: number;
  groups?: number;
  deltaSoftplus?: boolean;
  /** D, z and deltaBias are optional. */
  without?: readonly string[];
}
/** Lengths around the 32 steps between two states that forward keeps for backward. */
const scanForms: ScanForm[] = [
  { batch: 1, channels: 1, length: 1, states: 1 },
  { batch: 2, channels: 3, length: 1, states: 5 },
  { batch: 1, channels: 5, length: 31, states: 4 },
  { batch: 2, channels: 6, length: 33, states: 3, groups: 2 },
  { batch: 1, channels: 19, length: 70, states: 16, groups: 1, without: ["z"] },
  { batch: 1, channels: 12, length: 10, states: 7, groups: 4, without: ["D", "deltaBias"] },
  { batch: 2, channels: 4, length: 65, states: 2, groups: 4, deltaSoftplus: false, without: ["D", "z"] },
];
const scans = scanForms.map((form, i) => {
  const { batch, channels, length, states, groups = 1, deltaSoftplus = true, without = [] } = form;
  const sequence = [batch, channels, length];
  const all: Record<string, Values> = {
    u: uniform(10 + i, sequence),
    delta: deltaSoftplus ? uniform(20 + i, sequence, -3, 1) : uniform(20 + i, sequence, 0.01, 0.8),
    A: uniform(30 + i, [channels, states], -4, -0.05),
    B: uniform(40 + i, [batch, groups, states, length]),
    C: uniform(50 + i, [batch, groups, states, length]),
    D: uniform(60 + i, [channels]),
    z: uniform(70 + i, sequence, -2, 2),
    deltaBias: uniform(80 + i, [channels], -0.1, 0.1),
  };
  const inputs = Object.fromEntries(Object.entries(all).filter(([name]) => !without.includes(name)));
  const kind = `${groups} groups${deltaSoftplus ? "" : ", no softplus"}${without.map((name) => `, no ${name}`).join("")}`;
  return operationCase({
    name: `selectiveScan of (${sequence}) with ${states} states, ${kind}`,
    inputs,
    run: (t) => selectiveScan(t as unknown as Parameters<typeof selectiveScan>[0], { deltaSoftplus }),
    reference: (v) => reference.selectiveScan(v as unknown as reference.ScanValues, deltaSoftplus).y,
    rounding: { result: 3e-6, gradient: 2e-5 },
  });
});

/** Random parameters of SS2D for c channels; step sizes and A are in the range of trained ones. */
function ss2dParameters(seed: number, c: number, states: number, rank: number) {
  const inner = 2 * c;
  return {
    inProjWeight: uniform(seed, [2 * inner, c]),
    conv2dWeight: uniform(seed + 1, [inner, 1, 3, 3], -0.5, 0.5),
    conv2dBias: uniform(seed + 2, [inner]),
    xProjWeight: uniform(seed + 3, [4, rank + 2 * states, inner], -0.7, 0.7),
    dtProjsWeight: uniform(seed + 4, [4, inner, rank]),
    dtProjsBias: uniform(seed + 5, [4, inner], -4, 0),
    aLogs: uniform(seed + 6, [4 * inner, states], -1, 1.5),
    ds: uniform(seed + 7, [4 * inner]),
    outNormWeight: uniform(seed + 8, [inner], 0.5, 1.5),
    outNormBias: uniform(seed + 9, [inner]),
    outProjWeight: uniform(seed + 10, [c, inner]),
  };
}

const imageForms = [
  { image: [1, 1, 1, 1], states: 1, rank: 1 },
  { image: [3, 1, 1, 3], states: 4, rank: 1 },
  { image: [1, 1, 6, 2], states: 3, rank: 2 },
  { image: [2, 7, 1, 2], states: 5, rank: 1 },
  { image: [2, 5, 7, 3], states: 5, rank: 2 },
  { image: [1, 6, 4, 9], states: 16, rank: 1 },
];
const rounding = { result: 1e-5, gradient: 5e-5 };

const images = imageForms.map(({ image, states, rank }, i) =>
  operationCase({
    name: `ss2d of (${image}) with ${states} states, rank ${rank}`,
    inputs: { x: uniform(100 + i, image), ...ss2dParameters(1000 + 50 * i, image[3]!, states, rank) },
    run: ({ x, ...parameters }) => ss2d(x, parameters),
    reference: ({ x, ...parameters }) => reference.ss2d(x, parameters),
    rounding,
  }),
);

function branchParameters(seed: number, c: number) {
  return {
    norm1Weight: uniform(seed, [c], 0.5, 1.5),
    norm1Bias: uniform(seed + 1, [c]),
    conv1Weight: uniform(seed + 2, [c, c, 3, 3], -0.5, 0.5),
    conv1Bias: uniform(seed + 3, [c]),
    norm2Weight: uniform(seed + 4, [c], 0.5, 1.5),
    norm2Bias: uniform(seed + 5, [c]),
    conv2Weight: uniform(seed + 6, [c, c, 3, 3], -0.5, 0.5),
    conv2Bias: uniform(seed + 7, [c]),
    norm3Weight: uniform(seed + 8, [c], 0.5, 1.5),
    norm3Bias: uniform(seed + 9, [c]),
    conv3Weight: uniform(seed + 10, [c, c, 1, 1]),
    conv3Bias: uniform(seed + 11, [c]),
  };
}

const blockForms = [
  { image: [1, 1, 1, 4], states: 3, rank: 1, training: false, drops: false },
  { image: [2, 3, 5, 6], states: 4, rank: 2, training: false, drops: true },
  { image: [2, 3, 5, 6], states: 4, rank: 2, training: true, drops: false },
  { image: [5, 2, 3, 10], states: 5, rank: 1, training: true, drops: true },
];
const blocks = blockForms.map(({ image, states, rank, training, drops }, i) => {
  const [batch = 0, , , channels = 0] = image;
  const c = channels / 2;
  const branch = branchParameters(3000 + 100 * i, c);
  const attention = ss2dParameters(4000 + 100 * i, c, states, rank);
  const ln = { ln1Weight: uniform(200 + i, [c], 0.5, 1.5), ln1Bias: uniform(210 + i, [c]) };
  const running = [0, 1, 2].map((norm) => ({
    mean: uniform(220 + norm, [c]),
    variance: uniform(230 + norm, [c], 0.5, 2),
  }));
  const scales = { shape: [batch], data: Float64Array.from({ length: batch }, (_, n) => (n % 2 ? 1.25 : 0)) };
  const pathScale = drops ? scales : undefined;
  const names = <P extends object>(parameters: P) => Object.keys(parameters) as (keyof P)[];
  return operationCase({
    name: `ssConvSsm of (${image}) in ${training ? "training" : "evaluation"}${drops ? ", with pathScale" : ""}`,
    inputs: { x: uniform(240 + i, image), ...ln, ...attention, ...branch },
    run: (t) => {
      const part = <Name extends string>(keys: readonly Name[]) =>
        Object.fromEntries(keys.map((key) => [key, (t as Record<string, Tensor>)[key]])) as Record<
          Name,
          Tensor
        >;
      const on = (values: Values) => toTensor(values, t.x.device);
      const [first, second, third] = running.map(({ mean, variance }) => ({
        mean: on(mean),
        variance: on(variance),
      }));
      const parameters = {
        ln1Weight: t.ln1Weight,
        ln1Bias: t.ln1Bias,
        attention: part(names(attention)),
        branch: part(names(branch)),
      };
      const options = { training, pathScale: pathScale && on(pathScale) };
      return ssConvSsm(t.x, parameters, [first!, second!, third!], options);
    },
    reference: ({ x, ...parameters }) => reference.ssConvSsm(x, parameters, { training, pathScale, running }),
    flat: training ? ["conv1Bias", "conv2Bias"] : [],
    rounding,
  });
});

export const scanCases = [...scans, ...images, ...blocks];
