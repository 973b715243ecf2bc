/**
 * Starts from the weights of an earlier training whose classes were others: "is there a lesion?", learned from a few
 * images by a network that has seen cysts, masses and normal tissue before.
 *
 *   node examples/fine-tune.ts [CHECKPOINT]
 *
 * Without an argument it takes what examples/train.ts left behind.
 */
import { join } from "node:path";
import { data, evaluate, fit, initialWeights, loadCheckpoint, MedMamba, manualSeed } from "medmamba";

const [path = join("example-run", "best.safetensors")] = process.argv.slice(2);
const before = await loadCheckpoint(path);
console.log(`${path} tells ${before.classes.join(", ")} apart`);

// The checkpoint's own preprocessing: the weights expect images as they were in training.
const opened = await data.openDataset("example-data", { preprocessing: before.preprocessing });
const train = onlyLesions(data.subset(opened.train, everyNth(opened.train.length, 4)));
const validation = onlyLesions(opened.val);

manualSeed(1);
const model = new MedMamba({ ...before.config, numClasses: 2 });
const { head } = await initialWeights(path, model, { classes: train.classes });
console.log(`new: ${head ? "nothing" : "head.weight, head.bias"}; all else is taken over`);
before.model.dispose();

const untrained = await evaluate(model, onlyLesions(opened.test));
const { history } = await fit(model, {
  train,
  validation,
  epochs: 4,
  batchSize: 10,
  lr: 3e-4, // lower than from random weights, so as not to forget
  averageDecay: 0,
});
const { metrics } = await evaluate(model, onlyLesions(opened.test));
console.log(`AUC ${untrained.metrics.auc.toFixed(3)} before, ${metrics.auc.toFixed(3)} after`);
console.log(`${history.length} epochs of ${train.length} images`);
model.dispose();

/** The same images under another question: what is not changed is passed on. */
function onlyLesions(dataset: data.Dataset): data.Dataset {
  const normal = dataset.classes.indexOf("normal");
  return data.derive(dataset, {
    classes: ["normal", "lesion"],
    labels: dataset.labels.map((label) => Number(label !== normal)),
  });
}

function everyNth(count: number, n: number): number[] {
  return Array.from({ length: Math.floor(count / n) }, (_, i) => i * n);
}
