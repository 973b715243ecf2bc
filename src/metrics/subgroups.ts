/**
 * Is the classifier as good for everyone? Samples are divided by an attribute, such as sex, scanner or hospital, and each
 * group is judged beside all samples outside it, with the interval of the difference: one that holds 0 is no evidence that the
 * group is treated otherwise, and no evidence that it is not, the less the smaller the group.
 *
 * Many groups make some differ by chance: of twenty without a difference one is expected to have an interval without 0.
 */

import { EvaluationError } from "../errors.js";
import { expectList, expectNamed, expectTexts, inWords, type NamesOf } from "../settings/given.js";
import { classificationIntervals } from "./classification-intervals.js";
import { clustersOf } from "./clusters.js";
import { type Estimate, levelOf, notEstimated } from "./estimate.js";
import { bootstrapped, type ResamplingOptions, resample, resamplingNames } from "./resampling.js";
import { type Classes, checkSamples, type Labels, type Probabilities, type Samples } from "./samples.js";
import { WeightedScores, wholeScores } from "./weighted-scores.js";

/** Metrics that groups can be compared in. */
export type SubgroupMetric =
  | "accuracy"
  | "balancedAccuracy"
  | "auc"
  | "macroPrecision"
  | "macroSensitivity"
  | "macroSpecificity"
  | "macroF1"
  | "mcc"
  | "cohenKappa"
  | "crossEntropy"
  | "brier"
  | "ece";

/** One metric of a group. */
export interface SubgroupScore {
  /** Among the samples of the group. */
  readonly inside: Estimate;
  /** Among all others. */
  readonly outside: Estimate;
  /** Inside less outside. */
  readonly difference: Estimate;
}

/** The samples that have one value of an attribute. */
export interface Subgroup {
  /** Name of the attribute, such as "sex". */
  readonly attribute: string;
  /** Its value. */
  readonly value: string;
  /** Number of samples. */
  readonly samples: number;
  /** Each metric that was asked for. */
  readonly scores: Readonly<Partial<Record<SubgroupMetric, SubgroupScore>>>;
  /** Why to take the numbers with care: fewer than 20 samples. */
  readonly warning?: string;
}

/** What groups are compared in, and how often patients are drawn. */
export interface SubgroupOptions extends ResamplingOptions {
  /** Default accuracy and AUC. */
  readonly metrics?: readonly SubgroupMetric[];
}

/** @internal Names of the options. */
export const subgroupNames: NamesOf<SubgroupOptions> = { ...resamplingNames, metrics: true };

/** A group of fewer samples comes with a warning. */
const few = 20;
/** An attribute with more values than this is no division into groups but a name or a measurement. */
const mostValues = 50;

/**
 * @param labels         (n) class indices
 * @param probabilities  (n, classes)
 * @param attributes     by name: (n) text; undefined or empty where it is not known, which is in no group
 * @returns              groups in the order of attributes and of values
 * @throws EvaluationError if the samples are malformed, an attribute has another length or more than 50 values, or a metric
 *   is none
 */
export function subgroups(
  labels: Labels,
  probabilities: Probabilities,
  classes: Classes,
  attributes: Readonly<Record<string, ArrayLike<string | undefined>>>,
  options: SubgroupOptions = {},
): Subgroup[] {
  const operation = "subgroups";
  levelOf(operation, options, subgroupNames);
  const { metrics = ["accuracy", "auc"], ...drawing } = options;
  expectTexts(operation, "metrics", metrics);
  for (const metric of metrics) {
    if (wholeScores.includes(metric)) continue;
    throw new EvaluationError(
      `${operation}: ${inWords(metric)} is not one of the metrics ${wholeScores.join(", ")}.`,
    );
  }
  const samples = checkSamples("subgroups", labels, probabilities, classes);
  return Object.entries(expectNamed(operation, "attributes", attributes)).flatMap(([attribute, texts]) =>
    valuesOf(attribute, texts, samples.count).map((value) => {
      const inside = Uint8Array.from({ length: samples.count }, (_, i) => Number(texts[i] === value));
      const count = inside.reduce((total, flag) => total + flag, 0);
      return {
        attribute,
        value,
        samples: count,
        scores: compare(samples, inside, metrics, drawing),
        ...(count < few && {
          warning: `only ${count} ${count === 1 ? "sample" : "samples"}: fewer than ${few} say little`,
        }),
      };
    }),
  );
}

/** Numbers in their order, also within words. */
const inOrder = new Intl.Collator("en", { numeric: true }).compare;

function valuesOf(attribute: string, texts: ArrayLike<string | undefined>, samples: number): string[] {
  expectList("subgroups", `attribute "${attribute}"`, texts);
  if (texts.length !== samples) {
    throw new EvaluationError(
      `subgroups: attribute "${attribute}" has ${texts.length} values for ${samples} samples.`,
    );
  }
  const wrong = Array.from(texts).findIndex((text) => text !== undefined && typeof text !== "string");
  if (wrong >= 0) {
    throw new EvaluationError(
      `subgroups: attribute "${attribute}" of sample ${wrong} has to be text or undefined, but is ${inWords(texts[wrong])}.`,
    );
  }
  const values = [...new Set(Array.from(texts))].filter(
    (text): text is string => text !== undefined && text !== "",
  );
  if (values.length > mostValues) {
    throw new EvaluationError(
      `subgroups: attribute "${attribute}" has ${values.length} different values; put them into at most ${mostValues} groups.`,
    );
  }
  return values.sort(inOrder);
}

function compare(
  samples: Samples,
  inside: Uint8Array,
  metrics: readonly SubgroupMetric[],
  options: ResamplingOptions,
): Subgroup["scores"] {
  const level = levelOf("subgroups", options, resamplingNames);
  const sides = [1, 0].map((flag) => sideOf(samples, inside, flag, metrics, options));
  const [own, rest] = sides as [Side, Side];
  const clusters = clustersOf("subgroups", samples.count, options);
  const statistic = (weights: Uint16Array, into: Float64Array): void => {
    for (const side of sides) side.judge(weights);
    for (const [i, metric] of metrics.entries()) {
      const place = wholeScores.indexOf(metric);
      into[i] = own.values[place]! - rest.values[place]!;
    }
  };
  const drawn = resample("subgroups", clusters, metrics.length, statistic, options);
  return Object.fromEntries(
    metrics.map((metric, i): [SubgroupMetric, SubgroupScore] => {
      const [a, b] = [own.estimates(metric), rest.estimates(metric)];
      const difference =
        a.value === undefined || b.value === undefined
          ? notEstimated(a.value === undefined ? a.reason! : `outside the group, ${b.reason}`)
          : bootstrapped(a.value - b.value, drawn[i]!, level, "it is not defined");
      return [metric, { inside: a, outside: b, difference }];
    }),
  );
}

interface Side {
  readonly values: Float64Array;
  judge(weights: Uint16Array): void;
  estimates(metric: SubgroupMetric): Estimate;
}

/** The samples with one flag, judged by themselves. */
function sideOf(
  samples: Samples,
  inside: Uint8Array,
  flag: number,
  metrics: readonly SubgroupMetric[],
  options: ResamplingOptions,
): Side {
  const members = [...inside.keys()].filter((sample) => inside[sample] === flag);
  if (members.length === 0) {
    const values = new Float64Array(wholeScores.length).fill(Number.NaN);
    return { values, judge: () => {}, estimates: () => notEstimated("there are no such samples") };
  }
  const width = samples.classes.length;
  const labels = Int32Array.from(members, (sample) => samples.labels[sample]!);
  const probabilities = new Float64Array(members.length * width);
  for (const [row, sample] of members.entries()) {
    probabilities.set(samples.probabilities.subarray(sample * width, (sample + 1) * width), row * width);
  }
  const own: Samples = { count: members.length, classes: samples.classes, labels, probabilities };
  const scores = new WeightedScores(own, { ranks: metrics.includes("auc") });
  const values = new Float64Array(scores.numbers);
  const chosen = new Uint16Array(members.length).fill(1);
  scores.statistic(chosen, values);
  const patients = options.patients && members.map((sample) => options.patients![sample]);
  let intervals: ReturnType<typeof classificationIntervals> | undefined;
  return {
    values,
    judge(weights) {
      for (const [row, sample] of members.entries()) chosen[row] = weights[sample]!;
      scores.statistic(chosen, values);
    },
    estimates(metric) {
      intervals ??= classificationIntervals(labels, probabilities, samples.classes, { ...options, patients });
      return intervals[metric];
    },
  };
}
