/** Every metric of `multiLabelMetrics` with its interval, or the reason why it has none, as `classificationIntervals` does. */
import { expectTexts } from "../settings/given.js";
import { type Clusters, clustersOf } from "./clusters.js";
import type { ConfidenceLevel } from "./confidence-level.js";
import { binaryShares, estimateArea } from "./delong.js";
import { type EstimatesOf, levelOf, notEstimated } from "./estimate.js";
import { checkRows, columnOf, type MultiLabelMetrics } from "./multi-label.js";
import { proportion } from "./proportion.js";
import { bootstrapped, once, type ResamplingOptions, resample, resamplingNames } from "./resampling.js";
import { WeightedRanking } from "./weighted-ranking.js";

const wholeScores = [
  "accuracy",
  "subsetAccuracy",
  "balancedAccuracy",
  "auc",
  "meanAveragePrecision",
  "macroF1",
  "microF1",
  "crossEntropy",
  "brier",
] as const;
const labelScores = [
  "aucPerClass",
  "averagePrecisionPerClass",
  "precision",
  "sensitivity",
  "specificity",
  "f1",
] as const;

/** What `multiLabelIntervals` gives: the metrics of `MultiLabelMetrics`, by the same names. */
export type MultiLabelIntervals = EstimatesOf<
  Omit<MultiLabelMetrics, "classes" | "samples" | "positives" | "thresholds">
>;

/** How intervals of several labels an image are made. */
export interface MultiLabelIntervalOptions extends ResamplingOptions {
  /** Probability from which each label is called positive; default 0.5. */
  readonly thresholds?: readonly number[] | undefined;
}

/** One label of all images. */
interface Judged {
  readonly truth: Uint8Array;
  readonly called: Uint8Array;
  readonly scores: Float64Array;
  readonly ranking: WeightedRanking;
}

/**
 * All metrics with their intervals.
 *
 * @param labels         (n, labels) row-major, 0 or 1
 * @param probabilities  (n, labels) row-major, each from 0 to 1
 * @param classes        names of the labels
 * @throws EvaluationError if the samples are malformed, or the patients are not as many
 * @throws ArgumentError if the level, the number of resamples or the seed cannot be
 */
export function multiLabelIntervals(
  labels: ArrayLike<number>,
  probabilities: ArrayLike<number>,
  classes: readonly string[],
  options: MultiLabelIntervalOptions = {},
): MultiLabelIntervals {
  const operation = "multiLabelIntervals";
  const level = levelOf(operation, options, { ...resamplingNames, thresholds: true });
  expectTexts(operation, "classes", classes);
  const { thresholds = classes.map(() => 0.5) } = options;
  const images = checkRows(labels, probabilities, classes, thresholds);
  const clusters = clustersOf(operation, images, options);
  const judged = classes.map((_, label): Judged => {
    const truth = Uint8Array.from(columnOf(labels, label, classes.length));
    const scores = columnOf(probabilities, label, classes.length);
    const called = Uint8Array.from(scores, (score) => Number(score >= thresholds[label]!));
    return { truth, called, scores, ranking: new WeightedRanking(truth, scores) };
  });

  const statistic = statisticOf(judged, images);
  const numbers = wholeScores.length + labelScores.length * classes.length;
  const values = once(images, numbers, statistic);
  const drawn = resample(operation, clusters, numbers, statistic, options);
  const at = (place: number, reason: string) => bootstrapped(values[place]!, drawn[place]!, level, reason);
  const resampled = Object.fromEntries([
    ...wholeScores.map((score, place) => [score, at(place, "no label is on some images and not on others")]),
    ...labelScores.map((score, row) => [
      score,
      judged.map(({ truth }, label) =>
        at(wholeScores.length + row * classes.length + label, whyUndefined(truth)),
      ),
    ]),
  ]) as MultiLabelIntervals;
  return { ...resampled, ...closedForms(judged, clusters, level) };
}

const whyUndefined = (truth: Uint8Array): string =>
  truth.includes(1) ? "all images have the label" : "no image has the label";

const opposite = (flags: Uint8Array): Uint8Array => flags.map((flag) => 1 - flag);

function closedForms(
  judged: readonly Judged[],
  clusters: Clusters,
  level: ConfidenceLevel,
): Pick<MultiLabelIntervals, "subsetAccuracy" | "aucPerClass" | "precision" | "sensitivity" | "specificity"> {
  const share = (counted: Uint8Array, hits: Uint8Array, nothing: string) =>
    proportion(counted, hits, clusters, level, nothing);
  const allRight = allRightOf(judged, clusters.of.length);
  return {
    subsetAccuracy: share(new Uint8Array(allRight.length).fill(1), allRight, "there are no images"),
    aucPerClass: judged.map(({ truth, scores }) =>
      truth.includes(0) && truth.includes(1)
        ? estimateArea(binaryShares(truth, scores), clusters, level)
        : notEstimated(whyUndefined(truth)),
    ),
    precision: judged.map(({ truth, called }) => share(called, truth, "no image is called so")),
    sensitivity: judged.map(({ truth, called }) => share(truth, called, whyUndefined(truth))),
    specificity: judged.map(({ truth, called }) =>
      share(opposite(truth), opposite(called), whyUndefined(truth)),
    ),
  };
}

function allRightOf(judged: readonly Judged[], images: number): Uint8Array {
  return Uint8Array.from({ length: images }, (_, image) =>
    Number(judged.every(({ truth, called }) => truth[image] === called[image])),
  );
}

/** The numbers of `wholeScores`, then those of `labelScores`, each for all labels. */
function statisticOf(judged: readonly Judged[], images: number) {
  const allRight = allRightOf(judged, images);
  const squares = new Float64Array(images);
  const surprise = new Float64Array(images);
  for (const { truth, scores } of judged) {
    for (let image = 0; image < images; image++) {
      const ofTruth = truth[image] ? scores[image]! : 1 - scores[image]!;
      squares[image]! += (1 - ofTruth) ** 2;
      surprise[image]! -= Math.log(Math.min(Math.max(ofTruth, Number.EPSILON), 1 - Number.EPSILON));
    }
  }
  /** Which labels have a place in the means: those for which a score is defined with the images as they are. */
  let averaged: boolean[][] | undefined;
  return (weights: Uint16Array, into: Float64Array): void => {
    const areas = { auc: Number.NaN, averagePrecision: Number.NaN };
    const counts = { right: 0, called: 0, positives: 0, hits: 0 };
    const rows = judged.map(({ truth, called, ranking }) => {
      const [[trueNegatives, falsePositives], [falseNegatives, truePositives]] = countsOf(
        weights,
        truth,
        called,
      );
      ranking.areas(weights, areas);
      const positives = truePositives + falseNegatives;
      const calls = truePositives + falsePositives;
      counts.right += truePositives + trueNegatives;
      counts.called += calls;
      counts.positives += positives;
      counts.hits += truePositives;
      return [
        areas.auc,
        positives === 0 ? Number.NaN : areas.averagePrecision,
        calls === 0 ? 0 : truePositives / calls,
        truePositives / positives,
        trueNegatives / (trueNegatives + falsePositives),
        truePositives === 0 ? 0 : (2 * truePositives) / (calls + positives),
      ];
    });
    averaged ??= rows.map((row) => row.map((value) => !Number.isNaN(value)));
    const mean = (score: number): number => {
      const among = rows.filter((_, label) => averaged![label]![score]);
      return among.reduce((total, row) => total + row[score]!, 0) / among.length;
    };
    const count = weights.reduce((total, weight) => total + weight, 0);
    const weighted = (of: ArrayLike<number>) =>
      weights.reduce((total, weight, image) => total + weight * of[image]!, 0);
    const both = rows.filter((_, label) => averaged![label]![3] && averaged![label]![4]);
    const whole: Record<(typeof wholeScores)[number], number> = {
      accuracy: counts.right / (count * judged.length),
      subsetAccuracy: weighted(allRight) / count,
      balancedAccuracy: both.reduce((total, row) => total + (row[3]! + row[4]!) / 2, 0) / both.length,
      auc: mean(0),
      meanAveragePrecision: mean(1),
      macroF1: mean(5),
      microF1: counts.hits === 0 ? 0 : (2 * counts.hits) / (counts.called + counts.positives),
      crossEntropy: weighted(surprise) / (count * judged.length),
      brier: weighted(squares) / (count * judged.length),
    };
    for (const [place, score] of wholeScores.entries()) into[place] = whole[score];
    for (const score of labelScores.keys()) {
      for (const [label, row] of rows.entries()) {
        into[wholeScores.length + score * judged.length + label] = row[score]!;
      }
    }
  };
}

/** [truth][called] */
function countsOf(
  weights: Uint16Array,
  truth: Uint8Array,
  called: Uint8Array,
): [[number, number], [number, number]] {
  const counts = [0, 0, 0, 0] as [number, number, number, number];
  for (let image = 0; image < weights.length; image++) {
    counts[2 * truth[image]! + called[image]!]! += weights[image]!;
  }
  return [
    [counts[0], counts[1]],
    [counts[2], counts[3]],
  ];
}
