/** Constructors of layers and models, and what modules and models do beside `forward`. */
import * as mm from "../../../dist/index.js";

const { nn, ones } = mm;
const f = (...shape) => ones(shape);
const tiny = { dims: [4, 8], depths: [1, 1], dState: 3 };
const images = () => f(1, 3, 16, 16);
const model = () => new mm.MedMamba(tiny).eval();
const layer =
  (Kind) =>
  (...a) =>
    new Kind(...a);
/** `complete` takes null for what is not given. */
const orNull = { takes: { "*": ["null"] } };

class Own extends nn.Module {
  forward(x) {
    return x;
  }
}

export const calls = {
  "new nn.Linear": [layer(nn.Linear), () => [3, 2, { bias: true, device: "cpu" }]],
  "new nn.Conv2d": [layer(nn.Conv2d), () => [4, 4, 3, { bias: true, stride: 1, groups: 4, device: "cpu" }]],
  "new nn.LayerNorm": [layer(nn.LayerNorm), () => [3, { device: "cpu" }]],
  "new nn.BatchNorm2d": [layer(nn.BatchNorm2d), () => [3, { device: "cpu" }]],
  "new nn.Dropout": [layer(nn.Dropout), () => [0.1]],
  "new nn.Activation": [layer(nn.Activation), () => [mm.relu]],
  "new nn.ReLU": [layer(nn.ReLU), () => []],
  "new nn.SiLU": [layer(nn.SiLU), () => []],
  "new nn.GELU": [layer(nn.GELU), () => []],
  "new nn.Sigmoid": [layer(nn.Sigmoid), () => []],
  "new nn.Sequential": [layer(nn.Sequential), () => [new nn.ReLU(), new nn.Linear(2, 2)]],
  "new nn.ModuleList": [layer(nn.ModuleList), () => [[new nn.ReLU(), new nn.Linear(2, 2)]]],
  "new nn.PatchEmbed": [layer(nn.PatchEmbed), () => [3, 4, 2, { device: "cpu" }]],
  "new nn.PatchMerging": [layer(nn.PatchMerging), () => [4, { device: "cpu" }]],
  "new nn.SS2D": [layer(nn.SS2D), () => [4, 3, { device: "cpu" }]],
  "new nn.SSConvSSM": [layer(nn.SSConvSSM), () => [4, { dState: 3, dropPathRate: 0.1, device: "cpu" }]],
  "nn.Module.parameter": [
    (...a) => new Own().parameter(...a),
    () => ["weight", f(2)],
    { takes: { 1: ["disposed"] } },
  ],
  "nn.Module.buffer": [
    (...a) => new Own().buffer(...a),
    () => ["mean", f(2)],
    { takes: { 1: ["other dtype", "disposed"] } },
  ],
  "nn.Module.child": [(...a) => new Own().child(...a), () => ["layer", new nn.ReLU()]],
  "nn.Module.train": [(...a) => new Own().train(...a), () => [true]],
  "nn.Module.to": [(...a) => new nn.Linear(2, 2).to(...a), () => ["cpu"]],
  "nn.Module.loadStateDict": [
    (...a) => new nn.Linear(2, 2).loadStateDict(...a),
    () => [{ weight: f(2, 2), bias: f(2) }, { strict: true }],
    { takes: { "0.weight": ["other dtype"], "0.bias": ["other dtype"] } },
  ],
  "new MedMamba": [
    layer(mm.MedMamba),
    () => [
      {
        ...tiny,
        patchSize: 2,
        inChannels: 1,
        numClasses: 2,
        dropPathRate: 0.1,
        device: "cpu",
        precision: "float32",
        variant: "tiny",
      },
    ],
    { takes: { "*": ["null"] } },
  ],
  "MedMamba.features": [(...a) => model().features(...a), () => [images(), { stage: 0 }]],
  "MedMamba.logits": [(...a) => model().logits(...a), () => [f(1, 4, 4, 4), { from: 0 }]],
  "MedMamba.predict": [
    (...a) => model().predict(...a),
    () => [images(), { graphs: false, activation: mm.softmax, stages: true }],
  ],
  "MedMamba.recompute": [
    (value) => {
      model().recompute = value;
    },
    () => [true],
  ],
  trainingSettings: [
    mm.trainingSettings,
    () => [
      {
        epochs: 1,
        batchSize: 2,
        accumulate: 1,
        lr: 0.1,
        minLrFraction: 0.1,
        warmupEpochs: 0,
        schedule: "cosine",
        weightDecay: 0.1,
        labelSmoothing: 0.1,
        classWeights: "none",
        augmentation: { ...mm.data.augmentations.standard },
        averageDecay: 0.9,
        maxGradNorm: 5,
        seed: 0,
        monitor: "auc",
        patience: 0,
        precision: "float32",
      },
    ],
    orNull,
  ],
  "data.definePreprocessing": [
    mm.data.definePreprocessing,
    () => [{ ...mm.data.definePreprocessing({ imageSize: 8, channels: 1 }) }],
    orNull,
  ],
};
