/**
 * The metrics of `classificationMetrics` from samples that count several times or not at all, as resampling asks for them
 * thousands of times: what can be prepared is, and a set of weights costs one walk over the samples for each class.
 */
import { binOf } from "./calibration.js";
import { agreement, ratesOf } from "./classification.js";
import { column, oneVersusRest, type Samples, topClasses } from "./samples.js";
import { WeightedRanking } from "./weighted-ranking.js";

/** @internal Metrics that are one number. */
export const wholeScores = [
  "accuracy",
  "balancedAccuracy",
  "auc",
  "macroPrecision",
  "macroSensitivity",
  "macroSpecificity",
  "macroF1",
  "mcc",
  "cohenKappa",
  "crossEntropy",
  "brier",
  "ece",
] as const;

/** @internal Metrics that are a number for each class. */
export const classScores = [
  "aucPerClass",
  "averagePrecisionPerClass",
  "precision",
  "sensitivity",
  "specificity",
  "f1",
] as const;

/** @internal */
export type ClassScore = (typeof classScores)[number];

/** ECE's bins, as `classificationMetrics` has them. */
const bins = 15;

/** @internal */
export class WeightedScores {
  /** How many numbers there are: `wholeScores`, then each of `classScores` for all classes. */
  readonly numbers: number;
  readonly #samples: Samples;
  /** Where in the confusion matrix a sample counts: its label's row, and in that what it is called. */
  readonly #cell: Uint32Array;
  readonly #rankings: readonly (WeightedRanking | undefined)[];
  readonly #surprise: Float64Array;
  readonly #squares: Float64Array;
  /** 1 if a sample is called rightly and 0 if not, less how sure the call is. */
  readonly #excess: Float64Array;
  readonly #bin: Uint8Array;
  /** Which of `classScores` have a place in the macro means: those that are defined for the samples as they are. */
  #averaged: Uint8Array | undefined;

  /** @param ranks  whether areas under curves are asked for; else they are NaN */
  constructor(samples: Samples, { ranks }: { ranks: boolean }) {
    const { count, classes, labels, probabilities } = samples;
    const top = topClasses(samples);
    this.numbers = wholeScores.length + classScores.length * classes.length;
    this.#samples = samples;
    this.#cell = Uint32Array.from(top.index, (called, sample) => labels[sample]! * classes.length + called);
    this.#excess = Float64Array.from(
      top.probability,
      (probability, sample) => Number(top.index[sample] === labels[sample]) - probability,
    );
    this.#bin = Uint8Array.from(top.probability, (probability) => binOf(probability, bins));
    this.#rankings = classes.map((_, index) =>
      ranks ? new WeightedRanking(oneVersusRest(samples, index), column(samples, index)) : undefined,
    );
    this.#surprise = new Float64Array(count);
    this.#squares = new Float64Array(count);
    for (let sample = 0; sample < count; sample++) {
      const row = probabilities.subarray(sample * classes.length, (sample + 1) * classes.length);
      const ofTruth = row[labels[sample]!]!;
      this.#surprise[sample] = -Math.log(Math.min(Math.max(ofTruth, Number.EPSILON), 1 - Number.EPSILON));
      for (const [index, value] of row.entries()) {
        this.#squares[sample]! += (value - Number(index === labels[sample])) ** 2;
      }
    }
  }

  /** Where a number for a class stands. */
  placeOf(score: ClassScore, index: number): number {
    return wholeScores.length + classScores.indexOf(score) * this.#samples.classes.length + index;
  }

  /** A `Statistic`; the first call is for the samples as they are, each with weight 1. */
  readonly statistic = (weights: Uint16Array, into: Float64Array): void => {
    const { classes } = this.#samples;
    const { matrix, count, surprise, squares, ece } = this.#ofSamples(weights);
    const areas = { auc: Number.NaN, averagePrecision: Number.NaN };
    into.fill(Number.NaN);
    let hits = 0;
    for (const [index, ranking] of this.#rankings.entries()) {
      const rates = ratesOf(matrix, index, count);
      if (rates === undefined) continue;
      hits += matrix[index]![index]!;
      ranking?.areas(weights, areas);
      const { auc, averagePrecision } = areas;
      const values = [auc, averagePrecision, rates.precision, rates.sensitivity, rates.specificity, rates.f1];
      for (const [score, value] of values.entries()) {
        into[wholeScores.length + score * classes.length + index] = value;
      }
    }
    const { mcc, cohenKappa } = agreement(matrix);
    const sensitivity = this.#mean(into, "sensitivity");
    const whole: Record<(typeof wholeScores)[number], number> = {
      accuracy: hits / count,
      balancedAccuracy: sensitivity,
      auc: classes.length === 2 ? into[this.placeOf("aucPerClass", 1)]! : this.#mean(into, "aucPerClass"),
      macroPrecision: this.#mean(into, "precision"),
      macroSensitivity: sensitivity,
      macroSpecificity: this.#mean(into, "specificity"),
      macroF1: this.#mean(into, "f1"),
      mcc,
      cohenKappa,
      crossEntropy: surprise / count,
      brier: squares / count,
      ece,
    };
    for (const [place, score] of wholeScores.entries()) into[place] = whole[score];
  };

  /** What is a sum over samples, in one walk. */
  #ofSamples(weights: Uint16Array) {
    const { length } = this.#samples.classes;
    const cells = new Float64Array(length ** 2);
    const excesses = new Float64Array(bins);
    const [cell, bin, excess] = [this.#cell, this.#bin, this.#excess];
    const [surpriseOf, squaresOf] = [this.#surprise, this.#squares];
    let [count, surprise, squares] = [0, 0, 0];
    for (let sample = 0; sample < weights.length; sample++) {
      const weight = weights[sample]!;
      cells[cell[sample]!]! += weight;
      count += weight;
      surprise += weight * surpriseOf[sample]!;
      squares += weight * squaresOf[sample]!;
      excesses[bin[sample]!]! += weight * excess[sample]!;
    }
    const matrix = this.#samples.classes.map((_, row) =>
      Array.from(cells.subarray(row * length, (row + 1) * length)),
    );
    const ece = excesses.reduce((total, value) => total + Math.abs(value), 0) / count;
    return { matrix, count, surprise, squares, ece };
  }

  /** Over the classes that have the score in the samples as they are; NaN if one of them has not with these weights. */
  #mean(values: Float64Array, score: ClassScore): number {
    this.#averaged ??= Uint8Array.from(values, (value) => Number(!Number.isNaN(value)));
    let [total, classes] = [0, 0];
    for (const index of this.#samples.classes.keys()) {
      const place = this.placeOf(score, index);
      if (!this.#averaged[place]) continue;
      total += values[place]!;
      classes += 1;
    }
    return total / classes;
  }
}
