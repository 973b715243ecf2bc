/** What `evaluate` says beside scores: a threshold for a wish, a second checkpoint, images as one, and how far it was a test. */
import type { PooledEvaluation } from "../../inference/pooling.js";
import type { Estimate } from "../../metrics/estimate.js";
import { lookWords, type ThresholdOrigin, testWords } from "../../reports/sections/seal.js";
import type { AnyEvaluation } from "../../reports/several-labels.js";
import type { ChosenPoint } from "../../study/chosen-point.js";
import type { Against } from "../../study/comparison.js";
import type { Verdict } from "../../study/verdict.js";
import { scoreLines } from "./score-lines.js";
import { columns, decimals, lineWidth, wrapped } from "./wording.js";

const row = (name: string, estimate: Estimate): string[] =>
  estimate.reason === undefined
    ? [name, decimals(estimate.value), `${decimals(estimate.lower)} to ${decimals(estimate.upper)}`]
    : [name, decimals(estimate.value), "-"];

/** The chosen threshold as lines of 80 columns. */
export function chosenLines(chosen: ChosenPoint, classes: readonly string[]): string[] {
  const { threshold, criterion, sensitivity, specificity } = chosen;
  const fellShort =
    sensitivity.value !== undefined && sensitivity.value < criterion.atLeast
      ? [
          `The wish fell short on these images: ${decimals(sensitivity.value)} is less than ${criterion.atLeast}.`,
        ]
      : [];
  const { positivePredictiveValue, negativePredictiveValue, validation } = chosen;
  const rows = [
    ["", "value", "95 % interval"],
    row("sensitivity", sensitivity),
    row("specificity", specificity),
    row("predictive value of a call", positivePredictiveValue),
    row("predictive value of no call", negativePredictiveValue),
    row("sensitivity on the val images", validation.sensitivity),
  ];
  return [
    "",
    ...wrapped(
      `To find ${decimals(100 * criterion.atLeast, 1)} % of ${classes[1]}, by the val images, call it from ${decimals(threshold)} on:`,
      lineWidth - 2,
    ).map((line) => `  ${line}`),
    ...[...columns(rows), ...fellShort].map((line) => `  ${line}`),
  ];
}

const spent =
  "Whoever chooses between checkpoints by test images has spent them: the chosen one needs another test.";

/** The comparison as lines of 80 columns. */
export function comparisonLines({ first, second, difference, pValue }: Against, path: string): string[] {
  const rows = [
    ["AUC", "value", "95 % interval"],
    row("this checkpoint", first),
    row("the other", second),
    row("difference", difference),
  ];
  const { reason } = difference;
  return [
    "",
    `  Against ${path}, on the same images:`,
    ...columns(rows).map((line) => `  ${line}`),
    ...(reason === undefined ? [] : [`  no interval of the difference, because ${reason}`]),
    ...(pValue === undefined
      ? []
      : [`  p ${pValue < 0.001 ? "below 0.001" : decimals(pValue)} (DeLong, paired)`]),
    ...wrapped(spent, lineWidth - 2).map((line) => `  ${line}`),
  ];
}

/**
 * The scores of units, under a line that says what they are; where each has one image, that alone.
 *
 * @param images  that were pooled
 */
export function pooledLines(
  pooled: PooledEvaluation<AnyEvaluation["metrics"]>,
  threshold: number | undefined,
  from: ThresholdOrigin,
  images: number,
): string[] {
  const { units, leftOut, pooling } = pooled;
  const { by, how } = pooling;
  const rule = how === "mean" ? "mean" : "largest probability";
  if (units === images) return ["", `Each ${by} has one image: by ${by} the scores are those above.`];
  const torn = leftOut === 0 ? "" : ` (${leftOut} left out, whose images are of several classes)`;
  const heading = `By ${by}, ${rule} of the images of each: ${units}${torn}`;
  return ["", ...wrapped(heading, lineWidth), "", ...scoreLines(pooled as AnyEvaluation, threshold, from)];
}

/** What kind of a test it was, and how often its images were looked at, or why that is not known. */
export function sealLines({ seal }: Pick<Verdict, "seal">): string[] {
  const beside = seal.test === "external" ? "apart" : "looks";
  const found = seal.findings.find(({ code }) => code === beside);
  const words = beside === "looks" && seal.looks ? lookWords(seal) : found?.words;
  const sentences = words === undefined ? [testWords(seal)] : [testWords(seal), words];
  return ["", ...sentences.flatMap((text) => wrapped(text, lineWidth - 2).map((line) => `  ${line}`))];
}
