/** Data sets, and all that names a file. */
import sharp from "sharp";
import * as mm from "../../../dist/index.js";

const { data, safetensors, ones } = mm;

/** Preprocessing takes null for what is not given. */
const orNull = Object.fromEntries(
  ["imageSize", "channels", "mean", "std", "resize", "window", "bitDepth", "slices"].flatMap((name) =>
    ["0", "2"].map((at) => [`${at}.preprocessing.${name}`, ["null"]]),
  ),
);
const arrays = () => ({
  images: new Uint8Array(64),
  shape: [4, 4, 4],
  labels: [0, 1, 0, 1],
  task: "binary",
  patients: ["p", "q", "r", "s"],
  weights: [1, 1, 1, 2],
  classes: ["a", "b"],
  preprocessing: { channels: 1 },
});
const dataset = () => data.fromArrays(arrays());
const loader = () => new data.Loader(dataset(), { batchSize: 2 });
const model = () =>
  new mm.MedMamba({ dims: [4], depths: [1], dState: 1, inChannels: 1, numClasses: 2, patchSize: 2 });
const { classes, preprocessing } = dataset();
const description = () => ({
  config: { ...model().config },
  classes: [...classes],
  preprocessing,
  task: "binary",
  threshold: 0.5,
  provenance: { from: "here" },
});
await mm.saveCheckpoint("model.safetensors", model().stateDict(), description());
await data.writeDemoDataset("demo", { size: 16, perClass: { train: 1, val: 1, test: 1 } });
await safetensors.save("weights.safetensors", model().stateDict());
/** Nothing is downloaded: it is stopped before. */
const stopped = new mm.DataError("stopped");
const png = await sharp(Buffer.alloc(64), { raw: { width: 8, height: 8, channels: 1 } })
  .png()
  .toBuffer();

export const calls = {
  "data.fromArrays": [
    data.fromArrays,
    () => [arrays()],
    { takes: { "0.preprocessing.channels": ["null"], "0.preprocessing": ["object"] } },
  ],
  "data.derive": [
    data.derive,
    () => [dataset(), { length: 4 }],
    { open: /^[01]$/, takes: orNull, unused: /^0\.(length|preprocessing\..*)$/ },
  ],
  "data.subset": [data.subset, () => [dataset(), [0, 2]], { open: /^0$/, takes: orNull }],
  "data.countLabels": [
    data.countLabels,
    () => [{ classes: ["a", "b"], labels: Int32Array.of(0, 1), task: "binary" }],
    { open: /^0$/, unused: /task/ },
  ],
  "data.describeDataset": [data.describeDataset, () => [dataset()], { open: /^0$/, takes: orNull }],
  "new data.Loader": [
    (...a) => new data.Loader(...a),
    () => [
      dataset(),
      {
        batchSize: 2,
        shuffle: true,
        seed: 1,
        dropLast: false,
        prefetch: 1,
        shard: { rank: 0, worldSize: 1 },
        augmentation: { ...data.augmentations.standard },
      },
    ],
    { open: /^0$/, takes: orNull },
  ],
  "data.Loader.epoch": [(...a) => loader().epoch(...a), () => [0, { startBatch: 0 }]],
  "data.loadImage": [
    data.loadImage,
    () => [png, { imageSize: 8, channels: 1 }, { maxPixels: 1e6 }],
    { takes: { "1.imageSize": ["null"], "1.channels": ["null"] } },
  ],
  "data.openDataset": [
    data.openDataset,
    () => [
      "demo",
      {
        preprocessing: { imageSize: 16 },
        split: "train",
        classes: ["cyst", "mass", "normal"],
        cacheBytes: 1000,
        maxPixels: 1000,
        onWarning: () => {},
        onProgress: () => {},
        seed: 1,
        validationFraction: 0.1,
        testFraction: 0.1,
      },
    ],
    { takes: { "1.preprocessing": ["null"], "1.preprocessing.imageSize": ["null"] } },
  ],
  "data.writeDemoDataset": [
    data.writeDemoDataset,
    () => ["demo", { seed: 1, size: 16, perClass: { train: 1, val: 1, test: 1 } }],
  ],
  "safetensors.save": [
    safetensors.save,
    () => ["x.safetensors", { x: ones([2]) }, { a: "b" }],
    { takes: { "1.x": ["other dtype"] }, open: /^(1|2)$/ },
  ],
  "safetensors.load": [safetensors.load, () => ["model.safetensors", { device: "cpu" }]],
  "safetensors.readHeader": [safetensors.readHeader, () => ["model.safetensors"]],
  readCheckpoint: [mm.readCheckpoint, () => ["model.safetensors"]],
  loadCheckpoint: [mm.loadCheckpoint, () => ["model.safetensors", { device: "cpu", precision: "float32" }]],
  convert: [
    mm.convert,
    () => [
      "weights.safetensors",
      "converted.safetensors",
      { classes: ["a", "b"], preprocessing: { imageSize: 16, mean: [0.5] }, task: "binary", overwrite: true },
    ],
    {
      takes: {
        "2.preprocessing": ["null"],
        "2.preprocessing.imageSize": ["null"],
        "2.preprocessing.mean": ["null"],
      },
    },
  ],
  "data.download": [
    (...a) =>
      data.download(...a).catch((error) => {
        if (error !== stopped) throw error;
      }),
    () => [
      "breastmnist",
      {
        size: 28,
        directory: "downloads",
        overwrite: false,
        from: "http://127.0.0.1:1/",
        onProgress: () => {},
        signal: AbortSignal.abort(stopped),
      },
    ],
  ],
  loadWeights: [mm.loadWeights, () => ["model.safetensors", model()]],
  initialWeights: [mm.initialWeights, () => ["model.safetensors", model()]],
  saveCheckpoint: [
    mm.saveCheckpoint,
    () => [
      "saved.safetensors",
      { "patch_embed.proj.weight": ones([4, 1, 2, 2]) },
      description(),
      { progress: { a: 1 }, tensors: { y: ones([1]) } },
    ],
    {
      takes: {
        ...orNull,
        "1.patch_embed.proj.weight": ["other dtype"],
        "3.tensors.y": ["other dtype"],
        "2.config": ["object"],
        ...Object.fromEntries(Object.keys(model().config).map((name) => [`2.config.${name}`, ["null"]])),
      },
      open: /^(1|2|2\.provenance|3\.tensors|3\.progress)$/,
      unused: /^(2\.provenance\.|3\.progress)/,
    },
  ],
};
