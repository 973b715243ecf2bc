/**
 * Several looks at an image, one verdict. Noise and inverted greys are seen in the early stages of a network and in the
 * picture itself, another organ in the later ones; no look sees everything. Each gives a score of its own, of which the
 * logarithm is counted from the median of the validation images in their standard deviations, so that scores compare. An
 * image's score is the highest of them, a little more where others are high, too: ln(sum of exp(2 score)) / 2. The limit is set
 * on these of the validation images, so all looks together keep the promised share of false alarms.
 */

import { ArgumentError, EvaluationError } from "../errors.js";
import {
  expectCounts,
  expectList,
  expectNamed,
  expectNumbers,
  expectText,
  inWords,
} from "../settings/given.js";
import { outlierLimit, outlierScores } from "./outliers.js";
import { fitPrincipal, type PrincipalModel } from "./principal.js";

/** One look at images: some of their features. */
export interface OutlierView {
  /** What is looked at: "stage 1", "picture". */
  readonly name: string;
  /** What training images look like there. */
  readonly model: PrincipalModel;
  /** Median of the logarithms of the validation images' scores. */
  readonly median: number;
  /** Standard deviation of these. */
  readonly spread: number;
}

/** All looks, and the limit. */
export interface OutlierPanel {
  /** In the order of the features. */
  readonly views: readonly OutlierView[];
  /** Images above are unlike the training images. */
  readonly limit: number;
  /** Share of images of the right kind that are above. */
  readonly falseAlarms: number;
}

/** What a panel says of some images. */
export interface PanelScores {
  /** (n) higher is stranger. */
  readonly scores: Float64Array;
  /** (n) the look, counted from 0, by which each is the strangest. */
  readonly strangest: Int32Array;
}

/** Features of one look at training and validation images. */
export interface ViewFeatures {
  /** What is looked at. */
  readonly name: string;
  /** Features an image. */
  readonly width: number;
  /** Directions with a variance of their own, see `fitPrincipal`; default 16. */
  readonly directions?: number | undefined;
  /** (n, width) row-major */
  readonly train: ArrayLike<number>;
  /** (m, width) row-major */
  readonly validation: ArrayLike<number>;
}

/** How strange an image is at most called, also one of which a feature is not a number. */
const strangest = 1e6;

/**
 * @param falseAlarms  share of images of the right kind that may be called strange; default 0.05
 * @throws EvaluationError if features are malformed or do not vary, or validation images are too few for the share
 * @throws ArgumentError if there is no look, or the share is not above 0 and below 1
 */
export function fitOutlierPanel(looks: readonly ViewFeatures[], falseAlarms = 0.05): OutlierPanel {
  const operation = "fitOutlierPanel";
  expectList(operation, "looks", looks);
  expectLooks(operation, looks);
  const names = { name: true, width: true, directions: true, train: true, validation: true };
  const views = looks.map((look, at): OutlierView => {
    const {
      name,
      width,
      directions = 16,
      train,
      validation,
    } = expectNamed(operation, `look ${at}`, look, names);
    expectText(operation, "a look's name", name);
    const model = fitPrincipal(train, width, { directions });
    const logarithms = outlierScores(validation, model).map(logarithmOf);
    return { name, model, ...placeOf(logarithms) };
  });
  const unlimited = { views, limit: Number.POSITIVE_INFINITY, falseAlarms };
  const widths = looks.map(({ width }) => width);
  const counts = looks.map(({ validation, width }) => validation.length / width);
  const odd = counts.find((count) => count !== counts[0]);
  if (odd !== undefined)
    throw new EvaluationError(`${operation}: one look is at ${counts[0]} images, another at ${odd}.`);
  const total = widths.reduce((sum, width) => sum + width, 0);
  const joined = new Float64Array((counts[0] ?? 0) * total);
  let from = 0;
  for (const { validation, width } of looks) {
    for (let at = 0; at < validation.length; at++)
      joined[Math.floor(at / width) * total + from + (at % width)] = validation[at]!;
    from += width;
  }
  return { ...unlimited, limit: outlierLimit(panelScores(joined, unlimited).scores, falseAlarms) };
}

/**
 * @param features  (n, sum of the looks' widths) row-major: of each image those of the first look, then those of the next. One
 *   that is not finite makes its image the strangest there can be
 * @throws EvaluationError if they are no such rows
 * @throws ArgumentError if the panel is none
 */
export function panelScores(features: ArrayLike<number>, panel: OutlierPanel): PanelScores {
  const operation = "panelScores";
  const { views } = expectNamed(operation, "the panel", panel);
  expectList(operation, "views", views);
  expectLooks(operation, views);
  expectList(operation, "features", features);
  for (const view of views) {
    const { model, median, spread } = expectNamed(operation, "a view", view);
    expectCounts(operation, { width: expectNamed(operation, "a view's model", model).width });
    expectNumbers(operation, { median, spread });
  }
  const total = views.reduce((sum, { model }) => sum + model.width, 0);
  const count = features.length / total;
  if (!Number.isInteger(count))
    throw new EvaluationError(`${operation}: ${features.length} values are no vectors of ${total} features.`);
  const highest = new Float64Array(count).fill(Number.NEGATIVE_INFINITY);
  const sums = new Float64Array(count);
  const which = new Int32Array(count);
  let from = 0;
  for (const [at, { model, median, spread }] of views.entries()) {
    const own = new Float64Array(count * model.width);
    const broken = new Uint8Array(count);
    for (let place = 0; place < own.length; place++) {
      const image = Math.floor(place / model.width);
      const value = features[image * total + from + (place % model.width)]!;
      if (typeof value !== "number") {
        throw new EvaluationError(
          `${operation}: a feature of image ${image} is ${inWords(value)}, and no number.`,
        );
      }
      if (Number.isFinite(value)) own[place] = value;
      else broken[image] = 1;
    }
    const found = count === 0 ? new Float64Array(0) : outlierScores(own, model);
    for (const [image, score] of found.entries()) {
      const strange = Math.min(strangest, broken[image] ? strangest : (logarithmOf(score) - median) / spread);
      const before = highest[image]!;
      // The sum is kept in units of its largest term, which may be beyond what a number holds.
      if (strange > before) {
        sums[image] = sums[image]! * Math.exp(2 * (before - strange)) + 1;
        highest[image] = strange;
        which[image] = at;
      } else sums[image]! += Math.exp(2 * (strange - before));
    }
    from += model.width;
  }
  return { scores: highest.map((most, image) => most + Math.log(sums[image]!) / 2), strangest: which };
}

/** As many as a deep network has stages, and more. */
const mostLooks = 64;

function expectLooks(operation: string, { length }: readonly unknown[]): void {
  if (length >= 1 && length <= mostLooks) return;
  throw new ArgumentError(`${operation}: ${length} looks are none, or too many; use 1 to ${mostLooks}.`);
}

const logarithmOf = (score: number): number => Math.log(Math.max(score, 1e-12));

function placeOf(values: Float64Array): { median: number; spread: number } {
  const sorted = values.toSorted();
  const middle = Math.floor(sorted.length / 2);
  const median = sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
  const mean = values.reduce((sum, value) => sum + value / values.length, 0);
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2 / values.length, 0);
  return { median, spread: Math.max(Math.sqrt(variance), 1e-6) };
}
