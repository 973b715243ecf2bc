/** What figures and pages are made of, as callers bring it: whether it is that, before anything is drawn. */
import { ArgumentError } from "../errors.js";
import type { Evaluation } from "../inference/evaluate.js";
import type { ClassificationMetrics } from "../metrics/classification.js";
import { expectList, expectNamed, expectTexts, expectTypedArray, inWords } from "../settings/given.js";
import { type AnyEvaluation, isOfSeveralLabels } from "./several-labels.js";

const perClass = [
  "aucPerClass",
  "averagePrecisionPerClass",
  "precision",
  "sensitivity",
  "specificity",
  "f1",
] as const satisfies readonly (keyof ClassificationMetrics)[];

/** NaN is null where metrics come from JSON. */
const isNumber = (value: unknown): boolean => typeof value === "number" || value === null;

/** @throws ArgumentError unless all scores are numbers, and lists have one for each class */
export function expectMetrics(operation: string, metrics: ClassificationMetrics): void {
  const { classes, confusionMatrix, ...scores } = expectNamed(operation, "metrics", metrics);
  expectTexts(operation, "metrics.classes", classes);
  expectList(operation, "metrics.confusionMatrix", confusionMatrix);
  for (const name of perClass) expectList(operation, `metrics.${name}`, scores[name]);
  const refuse = (name: string, value: unknown) => {
    throw new ArgumentError(`${operation}: metrics.${name} is ${inWords(value)}, which is no score.`);
  };
  const lists = { ...scores, ...Object.fromEntries(Array.from(rowsOf(confusionMatrix))) };
  for (const [name, value] of Object.entries(lists)) {
    if (!Array.isArray(value)) isNumber(value) || refuse(name, value);
    else if (value.length !== classes.length || !Array.from(value).every(isNumber)) refuse(name, value);
  }
  if (confusionMatrix.length !== classes.length) refuse("confusionMatrix", confusionMatrix);
}

function* rowsOf(matrix: readonly (readonly number[])[]): Generator<[string, readonly number[]]> {
  for (const [at, row] of matrix.entries()) {
    expectList("metrics", `row ${at} of the confusion matrix`, row);
    yield [`confusionMatrix[${at}]`, row];
  }
}

/** @throws ArgumentError unless it is what `evaluate` gave */
export function expectEvaluation(operation: string, evaluation: Evaluation): void {
  const { metrics, labels, probabilities } = expectNamed(operation, "the evaluation", evaluation);
  expectMetrics(operation, metrics);
  expectTypedArray(operation, "the evaluation's labels", labels);
  expectTypedArray(operation, "the evaluation's probabilities", probabilities);
}

/** @throws ArgumentError unless it is what `evaluate` gave, of one class or of several labels an image */
export function expectAnyEvaluation(operation: string, evaluation: AnyEvaluation): void {
  if (!isOfSeveralLabels(evaluation)) {
    expectEvaluation(operation, evaluation);
    return;
  }
  const { metrics, labels, probabilities } = evaluation;
  expectTexts(operation, "metrics.classes", metrics.classes);
  expectTypedArray(operation, "the evaluation's labels", labels);
  expectTypedArray(operation, "the evaluation's probabilities", probabilities);
}
