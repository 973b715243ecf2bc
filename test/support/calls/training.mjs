/** Optimisers, schedules, averages, and training, evaluating and predicting with a model. */
import * as mm from "../../../dist/index.js";
import { calls as distributed } from "./distributed.mjs";

const { optim, ones } = mm;
const parameter = () => ones([4], { requiresGrad: true });
const layer =
  (Kind) =>
  (...a) =>
    new Kind(...a);
const optimizer = () => new optim.SGD([parameter()], { lr: 0.1 });
const module = () => new mm.nn.Linear(2, 2);
const orNull = { takes: { "*": ["null"] } };

const orNullAt = (place) =>
  Object.fromEntries(
    ["imageSize", "channels", "mean", "std", "resize", "window", "bitDepth", "slices"].map((name) => [
      `${place}.preprocessing.${name}`,
      ["null"],
    ]),
  );

const dataset = (length = 4) =>
  mm.data.fromArrays({
    images: new Uint8Array(length * 64).map((_, i) => i % 251),
    shape: [length, 8, 8],
    labels: Array.from({ length }, (_, i) => i % 2),
    preprocessing: { channels: 1, imageSize: 8 },
  });
const model = () =>
  new mm.MedMamba({ dims: [4], depths: [1], dState: 1, inChannels: 1, numClasses: 2, patchSize: 2 });
const aborted = AbortSignal.abort(new mm.TrainingError("stopped"));
const classifier = () => {
  const { classes, preprocessing } = dataset();
  return { model: model(), classes, preprocessing };
};
const pixels = await (await import("sharp"))
  .default(Buffer.alloc(64), { raw: { width: 8, height: 8, channels: 1 } })
  .png()
  .toBuffer();

export const calls = {
  ...distributed,
  "new optim.SGD": [
    layer(optim.SGD),
    () => [
      [{ parameters: [parameter()], settings: { momentum: 0.5 } }],
      { lr: 0.1, momentum: 0.9, dampening: 0.1, weightDecay: 0.1, nesterov: true },
    ],
    orNull,
  ],
  "new optim.Adam": [
    layer(optim.Adam),
    () => [[parameter()], { lr: 0.1, betas: [0.9, 0.99], eps: 1e-8, weightDecay: 0.1 }],
    { takes: { "*": ["null"], 0: [] } },
  ],
  "new optim.AdamW": [layer(optim.AdamW), () => [[parameter()], { lr: 0.1 }], orNull],
  "optim.Optimizer.lr": [
    (value) => {
      optimizer().lr = value;
    },
    () => [0.1],
  ],
  "optim.Optimizer.clipGradNorm": [(...a) => optimizer().clipGradNorm(...a), () => [1]],
  "optim.Optimizer.loadStateDict": [
    (...a) => new optim.SGD([parameter()], { lr: 0.1, momentum: 0.5 }).loadStateDict(...a),
    () => [{ step: 1, tensors: { momentum_buffers: ones([16]) } }],
    { takes: { "0.tensors.momentum_buffers": ["other dtype"] }, open: /^(0\.tensors)$/ },
  ],
  "new optim.MovingAverage": [layer(optim.MovingAverage), () => [module(), 0.9]],
  "optim.MovingAverage.update": [
    (...a) => new optim.MovingAverage(module()).update(...a),
    () => [1],
    { takes: { 0: ["function"] } },
  ],
  "optim.MovingAverage.during": [
    (...a) => new optim.MovingAverage(module()).during(...a),
    () => [async () => 1],
  ],
  "optim.MovingAverage.loadStateDict": [
    (...a) => new optim.MovingAverage(module()).loadStateDict(...a),
    () => [{ weight: ones([2, 2]), bias: ones([2]) }],
    { takes: { "0.weight": ["other dtype"], "0.bias": ["other dtype"] }, open: /^(0)$/ },
  ],
  "optim.warmupCosine": [optim.warmupCosine, () => [{ lr: 1, totalSteps: 10, warmupSteps: 2, minLr: 0.1 }]],
  "optim.oneCycle": [
    optim.oneCycle,
    () => [{ lr: 1, totalSteps: 10, rising: 0.3, divFactor: 2, finalDivFactor: 3 }],
  ],
  "optim.stepDecay": [optim.stepDecay, () => [{ lr: 1, every: 3, factor: 0.1 }]],
  "new optim.Plateau": [
    layer(optim.Plateau),
    () => [{ lr: 1, patience: 1, factor: 0.1, minLr: 0, mode: "min" }],
  ],
  "optim.Plateau.observe": [
    (...a) => new optim.Plateau({ lr: 1 }).observe(...a),
    () => [1],
    { takes: { 0: ["NaN"] } },
  ],
  "optim.Plateau.loadState": [
    (...a) => new optim.Plateau({ lr: 1 }).loadState(...a),
    () => [{ lr: 1, best: 0.5, waited: 1 }],
    { takes: { "0.best": ["null"] } },
  ],
  fit: [
    mm.fit,
    () => [
      model(),
      {
        train: dataset(),
        validation: dataset(),
        task: mm.tasks.binary,
        directory: "run",
        resume: false,
        assess: true,
        provenance: { a: 1 },
        signal: aborted,
        onProgress: () => {},
        observers: [
          { step: () => {}, epoch: () => {}, begin: () => {}, close: () => {}, validation: () => {} },
        ],
        epochs: 1,
        batchSize: 4,
        saveEvery: 0,
        graphs: false,
      },
    ],
    {
      takes: { "*": ["null"] },
      open: /^1\.(provenance|task|train|validation|observers\.0)$/,
      unused: /provenance\./,
    },
  ],
  evaluate: [
    mm.evaluate,
    () => [model(), dataset(), { task: mm.tasks.binary, batchSize: 4, graphs: false, onProgress: () => {} }],
    { open: /^(1|2\.task)$/, takes: orNullAt("1") },
  ],
  predictDataset: [
    mm.predictDataset,
    () => [model(), dataset(), { task: mm.tasks.binary, batchSize: 4, graphs: false, onProgress: () => {} }],
    { open: /^(1|2\.task)$/, takes: orNullAt("1") },
  ],
  predictStream: [
    mm.predictStream,
    () => [
      classifier(),
      [pixels],
      { task: mm.tasks.binary, batchSize: 4, prefetch: 1, graphs: false, refer: true },
    ],
    { open: /^(0|2\.task)$/, takes: { ...orNullAt("0"), "1.0": ["text"] } },
  ],
  predictImages: [
    mm.predictImages,
    () => [
      classifier(),
      [pixels],
      { task: mm.tasks.binary, batchSize: 4, graphs: false, refer: true, onProgress: () => {} },
    ],
    { open: /^(0|2\.task)$/, takes: { ...orNullAt("0"), "1.0": ["text"] } },
  ],
  explain: [
    mm.explain,
    () => [classifier(), pixels, { label: "0", method: "occlusion", window: 8, batchSize: 4, frame: 0 }],
    { open: /^0$/, takes: orNullAt("0") },
  ],
  fidelity: [
    mm.fidelity,
    () => [
      classifier(),
      pixels,
      { map: { height: 1, width: 2, data: Float32Array.of(0, 1) }, explained: "0" },
      { steps: 2, orders: 1, seed: 0, frame: 0 },
    ],
    { open: /^(0|2)$/, takes: orNullAt("0") },
  ],
  receptiveField: [
    mm.receptiveField,
    () => [classifier(), [pixels], { stage: 0 }],
    { open: /^0$/, takes: orNullAt("0") },
  ],
};
