/**
 * How far a feature vector lies from the k-th nearest of the training images. It asks nothing of how classes are distributed,
 * at the price of keeping the vectors.
 *
 * @see Sun et al., Out-of-distribution detection with deep nearest neighbors, https://arxiv.org/abs/2204.06507
 */

import { ArgumentError } from "../errors.js";
import { inWords, optionsOf } from "../settings/given.js";
import { checkFeatures, type Features } from "./features.js";
import { Random } from "./random.js";

/** Training vectors, in plain arrays as a checkpoint carries them. */
export interface NearestModel {
  /** Which kind of model. */
  readonly method: "nearest";
  /** Features of an image. */
  readonly width: number;
  /** (images, width) row-major; of length 1 where the distance is "cosine" */
  readonly kept: Float32Array;
  /** Which neighbour's distance counts: 1 is the nearest. */
  readonly neighbor: number;
  /** "cosine": 1 less the cosine of the angle, 0 to 2. "euclidean": the length of the difference. */
  readonly distance: "cosine" | "euclidean";
}

/** What is kept and compared. */
export interface NearestOptions {
  /** Which neighbour's distance counts; default 10, or all that are kept if these are fewer. */
  readonly neighbor?: number;
  /** Default "cosine". */
  readonly distance?: "cosine" | "euclidean";
  /** How many training vectors are kept at most, drawn at random; default 5000. */
  readonly most?: number;
  /** Of that draw; default 0. */
  readonly seed?: number;
}

/**
 * @param features  (n, width) row-major, of training images
 * @throws EvaluationError if the features are malformed
 * @throws ArgumentError if an option cannot be
 */
export function fitNearest(
  features: ArrayLike<number>,
  width: number,
  options: NearestOptions = {},
): NearestModel {
  const names = { neighbor: true, distance: true, most: true, seed: true };
  const {
    neighbor = 10,
    distance = "cosine",
    most = 5000,
    seed = 0,
  } = optionsOf("fitNearest", options, names);
  const { count } = checkFeatures("fitNearest", features, width);
  for (const [name, value] of Object.entries({ neighbor, most })) {
    if (!Number.isSafeInteger(value) || value < 1) {
      throw new ArgumentError(`fitNearest: ${name} ${inWords(value)} is not a positive integer.`);
    }
  }
  if (distance !== "cosine" && distance !== "euclidean") {
    throw new ArgumentError(`fitNearest: distance ${inWords(distance)} is not cosine or euclidean.`);
  }
  const samples = drawn(count, most, Random.seeded("fitNearest", seed));
  const kept = new Float32Array(samples.length * width);
  for (const [row, sample] of samples.entries()) {
    const vector = Float64Array.from({ length: width }, (_, i) => features[sample * width + i]!);
    kept.set(distance === "cosine" ? ofLengthOne(vector) : vector, row * width);
  }
  return { method: "nearest", width, kept, neighbor: Math.min(neighbor, samples.length), distance };
}

/** @internal (n) distance of each vector from its neighbour. */
export function nearestScores({ count, values }: Features, model: NearestModel): Float64Array {
  const { width, kept, neighbor, distance } = model;
  const scores = new Float64Array(count);
  for (let sample = 0; sample < count; sample++) {
    const vector = Float64Array.from({ length: width }, (_, i) => values[sample * width + i]!);
    const asked = distance === "cosine" ? ofLengthOne(vector) : vector;
    const nearest = new Float64Array(neighbor).fill(Number.POSITIVE_INFINITY);
    for (let row = 0; row < kept.length; row += width) {
      let sum = 0;
      if (distance === "cosine") for (let i = 0; i < width; i++) sum -= asked[i]! * kept[row + i]!;
      else for (let i = 0; i < width; i++) sum += (asked[i]! - kept[row + i]!) ** 2;
      insert(nearest, sum);
    }
    const last = nearest[neighbor - 1]!;
    scores[sample] = distance === "cosine" ? 1 + last : Math.sqrt(last);
  }
  return scores;
}

/** Into a rising list, whose last falls out. */
function insert(list: Float64Array, value: number): void {
  let place = list.length - 1;
  if (value >= list[place]!) return;
  for (; place > 0 && list[place - 1]! > value; place--) list[place] = list[place - 1]!;
  list[place] = value;
}

/** A vector of zeros has no direction, and stays: its cosine with every other is 0. */
function ofLengthOne(vector: Float64Array): Float64Array {
  const length = Math.sqrt(vector.reduce((sum, value) => sum + value ** 2, 0));
  return length === 0 ? vector : vector.map((value) => value / length);
}

/** At most so many of the samples, each as likely as the others, in order. */
function drawn(count: number, most: number, random: Random): number[] {
  const samples = Array.from({ length: count }, (_, sample) => sample);
  if (count <= most) return samples;
  for (let place = 0; place < most; place++) {
    const other = place + random.below(count - place);
    [samples[place], samples[other]] = [samples[other]!, samples[place]!];
  }
  return samples.slice(0, most).sort((a, b) => a - b);
}
