/**
 * Classifies images with a checkpoint: the file alone says what the network is, how images are prepared for it, and what
 * its classes are called.
 *
 *   node examples/predict.ts [CHECKPOINT IMAGE...]
 *
 * Without arguments it takes what examples/train.ts left behind.
 */
import { join } from "node:path";
import { data, loadCheckpoint, predictImages } from "medmamba";

const [path = join("example-run", "best.safetensors"), ...given] = process.argv.slice(2);
const images = given.length > 0 ? given : data.demoClasses.map((name) => sampleOf(name));

const checkpoint = await loadCheckpoint(path, { device: "auto" });
const predictions = await predictImages(checkpoint, images);
for (const [i, { label, probability, probabilities }] of predictions.entries()) {
  const all = Object.entries(probabilities).map(([name, value]) => `${name} ${value.toFixed(3)}`);
  console.log(`${images[i]}: ${label} (${(100 * probability).toFixed(1)} %; ${all.join(", ")})`);
}
checkpoint.model.dispose();

/** The first test image of a class. */
function sampleOf(name: string): string {
  return join("example-data", "test", name, `${name}-0000.png`);
}
