/**
 * How well labels follow from numbers that are no finding: a logistic regression, fitted to four fifths of the images and
 * asked about the last, five times, with all images of a patient on one side. Its AUC is 0.5 where the numbers say nothing.
 *
 * The same with the labels dealt out anew among patients says what to expect by chance.
 */
import { groupedFolds } from "../data/splitting/grouped.js";
import { clusteredAuc } from "../metrics/clustered-auc.js";
import type { Interval } from "../metrics/intervals.js";
import { RandomStream } from "../tensor/random.js";
import { logisticScores, type Rows } from "./logistic.js";

/** The question put to every set of features: which images there are, how they are labelled, and what goes together. */
export interface Question {
  /** For each class that is asked about, (n) 1 where an image has it; one class of two. */
  readonly positives: readonly Uint8Array[];
  /** (n) images of one number stay together. */
  readonly clusters: Int32Array;
  /** (n) the fold in which an image is asked about. */
  readonly folds: Int32Array;
  readonly foldCount: number;
}

/** How well labels follow. */
export interface ProbeResult {
  /** Mean over the classes. */
  readonly auc: number;
  /** 95 %, with the images of a patient as one. */
  readonly interval: Interval;
  /** By class that was asked about. */
  readonly areas: readonly number[];
}

const mostFolds = 5;

/**
 * @param labels    classes of each image
 * @param clusters  what an image stays together with; undefined for none
 * @param keys      what each image is known by, so that the order of files does not matter
 */
export function question(
  labels: readonly (readonly number[])[],
  classes: number,
  {
    clusters,
    keys,
    multiLabel,
    seed,
  }: {
    readonly clusters: readonly (string | undefined)[];
    readonly keys: readonly string[];
    readonly multiLabel: boolean;
    readonly seed: number;
  },
): Question {
  const asked = !multiLabel && classes === 2 ? [1] : Array.from({ length: classes }, (_, label) => label);
  const positives = asked.map((label) => Uint8Array.from(labels, (own) => (own.includes(label) ? 1 : 0)));
  const numbers = new Map<string, number>();
  const numberOf = (name: string): number => {
    const number = numbers.get(name) ?? numbers.size;
    numbers.set(name, number);
    return number;
  };
  const together = Int32Array.from(labels, (_, i) => numberOf(clusters[i] ?? `image ${keys[i]}`));
  const foldCount = Math.min(mostFolds, new Set(together).size);
  const items = labels.map((own, i) => ({ key: keys[i]!, group: clusters[i], labels: own }));
  const folds =
    foldCount < 2 ? new Int32Array(labels.length) : groupedFolds(items, { folds: foldCount, seed });
  return { positives, clusters: together, folds, foldCount };
}

/** The AUC of scores that were given to images by models that had not seen them. */
export function probe(rows: Rows, { positives, clusters, folds, foldCount }: Question): ProbeResult {
  const scores = positives.map((positive) => {
    const all = new Float64Array(positive.length);
    for (let fold = 0; fold < foldCount; ++fold) {
      const fitted = Array.from(folds.keys()).filter((i) => folds[i] !== fold);
      const own = logisticScores(rows, positive, fitted);
      for (const [i, of] of folds.entries()) if (of === fold) all[i] = own[i]!;
    }
    return all;
  });
  return clusteredAuc(positives, scores, clusters);
}

/** What the probe gives by chance: the mean of its AUC, and what 19 of 20 stay below. */
export interface Chance {
  /** The mean. */
  readonly auc: number;
  /** What 19 of 20 stay below. */
  readonly upper: number;
  /** How often labels were dealt out. */
  readonly permutations: number;
}

const permutations = 20;

/** The probe with labels that are dealt out anew, each cluster's labels staying next to each other. */
export function chance(rows: Rows, asked: Question, seed: number): Chance {
  const areas = Array.from({ length: permutations }, (_, at) => {
    const order = byClusters(asked.clusters, new RandomStream(seed, at));
    const slots = byClusters(asked.clusters, undefined);
    const positives = asked.positives.map((positive) => {
      const dealt = new Uint8Array(positive.length);
      for (const [i, slot] of slots.entries()) dealt[slot] = positive[order[i]!]!;
      return dealt;
    });
    return probe(rows, { ...asked, positives }).auc;
  }).filter((area) => !Number.isNaN(area));
  areas.sort((a, b) => a - b);
  const mean = areas.reduce((sum, area) => sum + area, 0) / areas.length;
  return { auc: mean, upper: areas[Math.ceil(areas.length * 0.95) - 1] ?? Number.NaN, permutations };
}

/** The numbers of all images, cluster after cluster, in the order of their numbers or one that is drawn. */
function byClusters(clusters: Int32Array, random: RandomStream | undefined): number[] {
  const members = new Map<number, number[]>();
  for (const [i, cluster] of clusters.entries()) {
    const known = members.get(cluster);
    if (known) known.push(i);
    else members.set(cluster, [i]);
  }
  const names = [...members.keys()];
  random?.shuffle(names);
  return names.flatMap((name) => members.get(name)!);
}

/** A part of a question: some of the images. */
export function askedOf(
  { positives, clusters, folds, foldCount }: Question,
  images: readonly number[],
): Question {
  const pick = <A extends Int32Array | Uint8Array>(values: A): A =>
    (values instanceof Int32Array
      ? Int32Array.from(images, (i) => values[i]!)
      : Uint8Array.from(images, (i) => values[i]!)) as A;
  return { positives: positives.map(pick), clusters: pick(clusters), folds: pick(folds), foldCount };
}
