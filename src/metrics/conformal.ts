/**
 * Prediction sets that keep a promise: instead of one class, an image gets all classes that cannot be ruled out, such that the
 * true one is among them for at least 1 - risk of new images, whatever the network and however wrong its probabilities. One
 * class in the set is an answer; several, or none, are "not sure: refer".
 *
 * Split conformal prediction: on n validation images that the network was not fitted to, the probability of the true class is
 * put in order, and the k-th largest, k = ceil((n + 1)(1 - risk)), is the least probability that a class in a set must have
 * (LAC, the least ambiguous sets). If k > n there are too few images for the promise, and every class is in every set.
 *
 * Class by class (Mondrian), each class has a least probability of its own from its own validation images, and the promise
 * holds for each class: rare ones are not sacrificed to common ones. It needs at least 1 / risk - 1 images of each.
 *
 * The promise is on average over validation sets, for images drawn as these were: another scanner or population voids it.
 *
 * @see Vovk, Gammerman, Shafer, Algorithmic Learning in a Random World (2005); Sadinle, Lei, Wasserman, J. Am. Stat. Assoc.
 *   114 (2019) 223; Angelopoulos and Bates, https://arxiv.org/abs/2107.07511
 */

import { ArgumentError, EvaluationError } from "../errors.js";
import {
  expectFlags,
  expectList,
  expectNamed,
  expectNumbers,
  inWords,
  optionsOf,
} from "../settings/given.js";
import { clustersOf } from "./clusters.js";
import { type Estimate, levelOf } from "./estimate.js";
import { proportion } from "./proportion.js";
import { bootstrapped, type ResamplingOptions, resample, resamplingNames } from "./resampling.js";
import {
  type Classes,
  checkSamples,
  isProbability,
  type Labels,
  numbersOf,
  type Probabilities,
} from "./samples.js";

/** What turns probabilities into sets; plain numbers, as a checkpoint carries them. */
export interface ConformalSets {
  /** The share of true classes that may be missed, above 0 and below 1. */
  readonly risk: number;
  /** Whether the promise holds for each class, or for all images together. */
  readonly perClass: boolean;
  /** (classes) a class is in the set from this probability on; 0 for one that validation has too few images of to rule out. */
  readonly leastProbability: readonly number[];
  /** (classes) validation images that each of these is from. */
  readonly images: readonly number[];
}

/** How prediction sets are made. */
export interface ConformalOptions {
  /** The share of true classes that may be missed; default 0.1. */
  readonly risk?: number;
  /** Keep the promise for each class; default true. */
  readonly perClass?: boolean;
}

/** What sets do on labelled images. */
export interface ConformalCoverage {
  /** Share of images whose true class is in the set; 1 - risk is promised. */
  readonly coverage: Estimate;
  /** (classes) the same among the images of each class. */
  readonly coveragePerClass: readonly Estimate[];
  /** Mean number of classes in a set. */
  readonly size: Estimate;
  /** Share of images with exactly one class: those that get an answer. */
  readonly single: Estimate;
  /** Share of images with no class at all: unlike anything in validation. */
  readonly empty: Estimate;
}

/**
 * @param labels         (n) class indices, of validation images
 * @param probabilities  (n, classes)
 * @throws EvaluationError if the samples are malformed
 * @throws ArgumentError if the risk is not above 0 and below 1
 */
export function fitConformalSets(
  labels: Labels,
  probabilities: Probabilities,
  classes: Classes,
  options: ConformalOptions = {},
): ConformalSets {
  const operation = "fitConformalSets";
  const { risk = 0.1, perClass = true } = optionsOf(operation, options, { risk: true, perClass: true });
  expectFlags(operation, { perClass });
  if (typeof risk !== "number" || !(risk > 0 && risk < 1)) {
    throw new ArgumentError(`${operation}: ${inWords(risk)} is not a risk above 0 and below 1.`);
  }
  const samples = checkSamples(operation, labels, probabilities, classes);
  const width = samples.classes.length;
  const ofTruth = Float64Array.from(samples.labels, (label, i) => samples.probabilities[i * width + label]!);
  const groups = samples.classes.map((_, index) =>
    perClass ? ofTruth.filter((_, sample) => samples.labels[sample] === index) : ofTruth,
  );
  return {
    risk,
    perClass,
    leastProbability: groups.map((group) => leastOf(group, risk)),
    images: groups.map((group) => group.length),
  };
}

/** The k-th largest, k = ceil((n + 1)(1 - risk)); 0 if there is none. */
function leastOf(probabilities: Float64Array, risk: number): number {
  // What rounding adds to a whole number must not make it the next one.
  const place = Math.ceil((probabilities.length + 1) * (1 - risk) - 1e-9);
  return probabilities.toSorted()[probabilities.length - place] ?? 0;
}

/**
 * The classes of one image that cannot be ruled out, by falling probability; empty if all can.
 *
 * @param probabilities  (classes)
 * @throws EvaluationError if there are not as many as the sets were made for
 * @throws ArgumentError if the sets are none
 */
export function conformalSet(probabilities: ArrayLike<number>, sets: ConformalSets): number[] {
  expectSets("conformalSet", sets);
  const given = numbersOf("conformalSet", "probabilities", probabilities);
  const wrong = given.find((value) => !isProbability(value));
  if (wrong !== undefined) throw new EvaluationError(`conformalSet: ${wrong} is no probability.`);
  return setOf(given, sets);
}

function setOf(probabilities: Float64Array, sets: ConformalSets): number[] {
  if (probabilities.length !== sets.leastProbability.length) {
    throw new EvaluationError(
      `conformalSet: ${probabilities.length} probabilities for sets of ${sets.leastProbability.length} classes.`,
    );
  }
  return sets.leastProbability
    .flatMap((least, index) => (probabilities[index]! >= least ? [index] : []))
    .sort((a, b) => probabilities[b]! - probabilities[a]!);
}

/**
 * Whether the promise is kept on other images.
 *
 * @param labels         (n) class indices, of test images
 * @param probabilities  (n, classes)
 * @throws EvaluationError if the samples are malformed
 */
export function conformalCoverage(
  labels: Labels,
  probabilities: Probabilities,
  classes: Classes,
  sets: ConformalSets,
  options: ResamplingOptions = {},
): ConformalCoverage {
  const level = levelOf("conformalCoverage", options, resamplingNames);
  expectSets("conformalCoverage", sets);
  const samples = checkSamples("conformalCoverage", labels, probabilities, classes);
  const width = samples.classes.length;
  const clusters = clustersOf("conformalCoverage", samples.count, options);
  const found = Array.from(samples.labels, (_, sample) =>
    setOf(samples.probabilities.subarray(sample * width, (sample + 1) * width), sets),
  );
  const flags = (of: (set: readonly number[], sample: number) => boolean) =>
    Uint8Array.from(found, (set, sample) => Number(of(set, sample)));
  const share = (counted: Uint8Array, hits: Uint8Array) =>
    proportion(counted, hits, clusters, level, "no label names the class");
  const all = flags(() => true);
  const covered = flags((set, sample) => set.includes(samples.labels[sample]!));
  const total = found.reduce((sum, set) => sum + set.length, 0);
  const meanSize = (weights: Uint16Array, into: Float64Array): void => {
    let [classesInSets, count] = [0, 0];
    for (const [sample, weight] of weights.entries()) {
      classesInSets += weight * found[sample]!.length;
      count += weight;
    }
    into[0] = classesInSets / count;
  };
  const [sizes] = resample("conformalCoverage", clusters, 1, meanSize, options);
  return {
    coverage: share(all, covered),
    coveragePerClass: samples.classes.map((_, index) =>
      share(
        flags((_set, sample) => samples.labels[sample] === index),
        covered,
      ),
    ),
    size: bootstrapped(total / samples.count, sizes!, level, "there are no images"),
    single: share(
      all,
      flags((set) => set.length === 1),
    ),
    empty: share(
      all,
      flags((set) => set.length === 0),
    ),
  };
}

function expectSets(operation: string, sets: ConformalSets): void {
  const { leastProbability } = expectNamed(operation, "what makes sets", sets);
  expectList(operation, "leastProbability", leastProbability);
  for (const least of leastProbability) expectNumbers(operation, { leastProbability: least });
}
