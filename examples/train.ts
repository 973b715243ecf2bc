/**
 * Trains a small network on a folder of images, and says how good it is on images that it has never seen.
 *
 *   node examples/train.ts [DATA [OUT]]
 *
 * DATA is a folder with a folder of images for each class, a MedMNIST .npz file or a .csv file; without it, ultrasound-like
 * images are drawn into example-data. OUT, example-run unless told, gets best.safetensors and metrics.jsonl.
 */
import { data, evaluate, fit, MedMamba, manualSeed } from "medmamba";

const [source = "example-data", directory = "example-run"] = process.argv.slice(2);
if (source === "example-data") await data.writeDemoDataset(source);

const { train, val, test, classes } = await data.openDataset(source, {
  preprocessing: { imageSize: 64, channels: 1 },
  onWarning: (message) => console.warn(message),
});
for (const split of [train, val, test]) console.log(data.describeDataset(split));

manualSeed(0); // the same seed, the same bits: of the weights here, of order and augmentation by `seed` below
const model = new MedMamba({
  depths: [1, 1, 2, 1], // smaller than any variant: enough for small images, and quick on a laptop
  dims: [32, 64, 128, 256],
  dropPathRate: 0,
  inChannels: 1,
  numClasses: classes.length,
  device: "auto",
});

const { best } = await fit(model, {
  train,
  validation: val,
  epochs: 6,
  batchSize: 16,
  lr: 1e-3,
  averageDecay: 0.98,
  seed: 0,
  directory,
  onProgress: (progress) => {
    if (progress.type !== "epoch") return;
    const { epoch, trainLoss, validation } = progress.record;
    console.log(`epoch ${epoch}: loss ${trainLoss.toFixed(3)}, validation AUC ${validation?.auc.toFixed(3)}`);
  },
});

// The model holds the weights of the best epoch now.
const { metrics } = await evaluate(model, test);
console.log(`epoch ${best?.epoch} was best; on ${metrics.samples} test images:`);
console.log(`accuracy ${metrics.accuracy.toFixed(3)}, AUC ${metrics.auc.toFixed(3)}`);
model.dispose();
