// What the default settings of a training cost or bring: short trainings on several data sets, by settings, budget and seed.
//
//     node bench/defaults.mjs FOLDER... [--epochs 4,15] [--seeds 0,1,2] [--settings defaults,reference] > results.jsonl
//
// A FOLDER has a table labels.csv. One line of JSON a training: the AUC of its best epoch on validation images, by which settings
// are chosen, and AUC and accuracy on test images, which decide nothing. docs/results.md has a table of such lines.
import { basename, join } from "node:path";
import { parseArgs } from "node:util";
import { data, evaluate, fit as fitModel, MedMamba, manualSeed } from "../dist/index.js";

const { none, standard } = data.augmentations;
const flips = { ...none, horizontalFlip: 0.5 };
const strong = { ...standard, scale: [0.8, 1], aspect: [0.9, 1 / 0.9], rotation: 10 };

const settings = {
  defaults: {},
  /** What was the default before. */
  before: {
    augmentation: { ...strong, brightness: 0.1, contrast: 0.1 },
    lr: 5e-4,
    averageDecay: 0.998,
    labelSmoothing: 0.05,
  },
  /** As trainings in PyTorch are often set up. */
  reference: { augmentation: flips, schedule: "one-cycle", averageDecay: 0, labelSmoothing: 0 },
  strong: { augmentation: strong },
  smoothed: { labelSmoothing: 0.05 },
  none: { augmentation: none },
};

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    epochs: { type: "string", default: "4,15" },
    seeds: { type: "string", default: "0,1,2" },
    settings: { type: "string", default: "defaults,before,reference" },
  },
});
const numbers = (text) => text.split(",").map(Number);

for (const folder of positionals) {
  const { train, val, test } = await data.openDataset(join(folder, "labels.csv"), {
    preprocessing: { imageSize: 64 },
  });
  for (const epochs of numbers(values.epochs)) {
    for (const seed of numbers(values.seeds)) {
      for (const name of values.settings.split(",")) {
        manualSeed(seed);
        const model = new MedMamba({
          depths: [1, 1, 2, 1],
          dims: [48, 96, 192, 384],
          numClasses: train.classes.length,
        });
        const { best } = await fitModel(model, { train, validation: val, epochs, seed, ...settings[name] });
        const { metrics } = await evaluate(model, test);
        const validation = best?.validation?.auc;
        const { auc, accuracy } = metrics;
        console.log(
          JSON.stringify({ data: basename(folder), epochs, seed, name, validation, auc, accuracy }),
        );
        model.dispose();
      }
    }
  }
}
