/**
 * From images to what is decided about: a patient, an eye, a lesion that several images show. The probabilities of a unit's
 * images are made one, by their mean, or by the highest of each class where one suspicious image is enough.
 */

import { ArgumentError, EvaluationError } from "../errors.js";
import { expectList, expectNumbers, inWords, optionsOf } from "../settings/given.js";
import { type Classes, checkSamples, type Labels, type Probabilities } from "./samples.js";

/** How several images become one. */
export interface PoolingOptions {
  /**
   * Default "mean". "max": of two classes the highest probability of the second; of more the highest of each, scaled to the
   * sum 1.
   */
  readonly by?: "mean" | "max";
  /**
   * What a unit is whose images have different labels. Default "same": that is refused. "highest": the highest label, as for
   * two classes where one positive image makes the patient positive, or for grades.
   */
  readonly label?: "same" | "highest";
}

/** Units in the order in which they first come. */
export interface PooledSamples {
  /** (units) */
  readonly units: readonly (string | number)[];
  /** (units) class indices */
  readonly labels: Int32Array;
  /** (units, classes) row-major */
  readonly probabilities: Float64Array;
  /** (units) images of each */
  readonly images: Int32Array;
}

/**
 * @param labels         (n) class indices
 * @param probabilities  (n, classes)
 * @param units          (n) what each image shows, such as patients
 * @throws EvaluationError if the samples are malformed, units are not as many or one is not known, or labels of one differ
 */
export function poolByUnit(
  labels: Labels,
  probabilities: Probabilities,
  classes: Classes,
  units: ArrayLike<string | number | undefined>,
  options: PoolingOptions = {},
): PooledSamples {
  const { by = "mean", label: rule = "same" } = optionsOf("poolByUnit", options, { by: true, label: true });
  if (by !== "mean" && by !== "max")
    throw new ArgumentError(`poolByUnit: by ${inWords(by)} is not mean or max.`);
  if (rule !== "same" && rule !== "highest") {
    throw new ArgumentError(`poolByUnit: label ${inWords(rule)} is not same or highest.`);
  }
  const samples = checkSamples("poolByUnit", labels, probabilities, classes);
  const width = samples.classes.length;
  const members = membersOf(units, samples.count);
  const pooled = new Float64Array(members.size * width);
  const truths = new Int32Array(members.size);
  for (const [place, images] of [...members.values()].entries()) {
    truths[place] = labelOf(images, samples.labels, rule);
    const row = pooled.subarray(place * width, (place + 1) * width);
    for (const image of images) {
      for (let index = 0; index < width; index++) {
        const value = samples.probabilities[image * width + index]!;
        row[index] = by === "mean" ? row[index]! + value / images.length : Math.max(row[index]!, value);
      }
    }
    if (by === "max") settle(row);
  }
  return {
    units: [...members.keys()],
    labels: truths,
    probabilities: pooled,
    images: Int32Array.from(members.values(), (images) => images.length),
  };
}

/** Highest probabilities of each class as probabilities that exclude each other. */
function settle(row: Float64Array): void {
  if (row.length === 2) row[0] = 1 - row[1]!;
  const sum = row.reduce((total, value) => total + value, 0);
  for (let index = 0; index < row.length; index++) row[index]! /= sum;
}

function membersOf(
  units: ArrayLike<string | number | undefined>,
  samples: number,
): Map<string | number, number[]> {
  expectList("poolByUnit", "units", units);
  if (units.length !== samples) {
    throw new EvaluationError(`poolByUnit: ${units.length} units for ${samples} samples.`);
  }
  const members = new Map<string | number, number[]>();
  for (let sample = 0; sample < samples; sample++) {
    const unit = units[sample];
    if (unit === undefined || unit === "") {
      throw new EvaluationError(`poolByUnit: the unit of sample ${sample} is not known.`);
    }
    if (typeof unit !== "string") expectNumbers("poolByUnit", { [`unit ${sample}`]: unit });
    const images = members.get(unit);
    if (images) images.push(sample);
    else members.set(unit, [sample]);
  }
  return members;
}

/** Units may be patients: an error names an image by its number, never the unit. */
function labelOf(images: readonly number[], labels: Int32Array, rule: "same" | "highest"): number {
  const own = images.map((image) => labels[image]!);
  const other = own.findIndex((label) => label !== own[0]);
  if (rule === "same" && other >= 0) {
    throw new EvaluationError(
      `poolByUnit: samples ${images[0]} and ${images[other]} are of one unit, but have different labels; label: "highest" takes the higher.`,
    );
  }
  return own.reduce((highest, label) => Math.max(highest, label));
}
