/**
 * How often 95 % intervals hold the truth, on made-up studies whose truth is known: 80 patients with 4 images each, 3 classes,
 * images of one patient alike by half of their variance. The truth is what 60,000 patients give. Prints the table of
 * docs/evidence.md: `node bench/interval-coverage.mjs`, after `npm run build:ts`.
 */
import { metrics } from "../dist/index.js";
import { generator } from "./generator.mjs";

const studies = 400;
const resamples = 400;

/** @param sharpness  what logits are multiplied by: 1 is calibrated nearly, above is too extreme */
function draw({ uniform, normal }, people, sharpness) {
  const study = { labels: [], rows: [], patients: [] };
  for (let patient = 0; patient < people; patient++) {
    const label = Math.floor(3 * uniform());
    const own = [normal(), normal(), normal()];
    for (let image = 0; image < 4; image++) {
      const logits = own.map((value, i) => 0.9 * value + 0.9 * normal() + (i === label ? 1.6 : 0));
      const powers = logits.map((logit) => Math.exp(sharpness * logit));
      const sum = powers.reduce((total, power) => total + power);
      study.labels.push(label);
      study.rows.push(powers.map((power) => power / sum));
      study.patients.push(patient);
    }
  }
  return study;
}

/** In percent, by score: [by patient, as if images were patients]. */
function coverage(sharpness) {
  const random = generator(77);
  const all = draw(random, 60_000, sharpness);
  const truth = metrics.classificationMetrics(all.labels, all.rows, 3);
  const held = {};
  for (let study = 0; study < studies; study++) {
    const { labels, rows, patients } = draw(random, 80, sharpness);
    for (const [column, whose] of [patients, undefined].entries()) {
      const options = { resamples, seed: study, patients: whose };
      for (const [score, found] of Object.entries(
        metrics.classificationIntervals(labels, rows, 3, options),
      )) {
        const [estimate] = [found].flat();
        const [value] = [truth[score]].flat();
        held[score] ??= [0, 0];
        if (estimate.lower <= value && value <= estimate.upper) held[score][column] += 100 / studies;
      }
    }
  }
  return { held, ece: truth.ece };
}

for (const sharpness of [1, 1.3, 2]) {
  const { held, ece } = coverage(sharpness);
  console.log(`\nlogits times ${sharpness}, calibration error ${ece.toFixed(3)}`);
  for (const [score, [byPatient, byImage]] of Object.entries(held)) {
    if (sharpness === 1 || score === "ece") console.log(score, byPatient.toFixed(1), byImage.toFixed(1));
  }
}
