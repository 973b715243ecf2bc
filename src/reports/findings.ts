/**
 * An evaluation as yes-or-no questions: of two classes the second is asked for, of more each, of several labels each label. Tables,
 * curves and sentences of a report are about these, whatever the task.
 */
import type { Evaluation } from "../inference/evaluate.js";
import { areaEstimate } from "../metrics/delong.js";
import {
  type DiagnosticMetrics,
  diagnosticMetrics,
  diagnosticMetricsPerClass,
} from "../metrics/diagnostic.js";
import type { Estimate, IntervalOptions } from "../metrics/estimate.js";
import { type AnyEvaluation, isOfSeveralLabels, labelsApart } from "./several-labels.js";

/** One question, and how it was answered. */
export interface Finding {
  /** Of the class or label. */
  readonly name: string;
  /** (n) 1 for those that have it */
  readonly positive: Uint8Array;
  /** (n) its probability */
  readonly scores: Float64Array;
  /** Probability from which it is called; undefined where the most probable class is. */
  readonly threshold: number | undefined;
  /** What the calls are worth. */
  readonly diagnostic: DiagnosticMetrics;
  /** Area under its ROC curve. */
  readonly area: Estimate;
}

/** What a report says of an evaluation in words: which kind it is, and whose images they are. */
export type TaskKind = "two classes" | "several classes" | "several labels";

export const kindOf = (evaluation: AnyEvaluation): TaskKind => {
  if (isOfSeveralLabels(evaluation)) return "several labels";
  return evaluation.metrics.classes.length === 2 ? "two classes" : "several classes";
};

/** 95 % intervals, by patient where they are known. */
export const whose = ({ patients }: AnyEvaluation): IntervalOptions => ({ level: 0.95, patients });

/** @param threshold  of two classes: from which probability the second is called; the more probable one unless given */
export function findingsOf(evaluation: AnyEvaluation, threshold?: number): Finding[] {
  const options = whose(evaluation);
  if (isOfSeveralLabels(evaluation)) {
    const { thresholds } = evaluation.metrics;
    return labelsApart(evaluation).map(({ name, positive, scores }, at) => ({
      name,
      positive,
      scores,
      threshold: thresholds[at]!,
      diagnostic: diagnosticMetrics(positive, scores, thresholds[at]!, options),
      area: areaEstimate(positive, scores, options),
    }));
  }
  const { labels, probabilities, metrics } = evaluation;
  const { classes } = metrics;
  const perClass = diagnosticMetricsPerClass(labels, probabilities, classes, options);
  const all = classes.map((name, at): Finding => {
    const positive = Uint8Array.from(labels, (label) => Number(label === at));
    const scores = scoresOfClass(evaluation, at);
    const called = classes.length === 2 && at === 1 ? threshold : undefined;
    const area = areaEstimate(positive, scores, options);
    const diagnostic =
      called === undefined ? perClass[at]! : diagnosticMetrics(positive, scores, called, options);
    return { name, positive, scores, threshold: called, diagnostic, area };
  });
  return classes.length === 2 ? all.slice(1) : all;
}

const scoresOfClass = ({ probabilities, metrics }: Evaluation, at: number): Float64Array =>
  Float64Array.from(
    { length: probabilities.length / metrics.classes.length },
    (_, image) => probabilities[image * metrics.classes.length + at]!,
  );

/** How many images and, where that is known of all, of how many patients. */
export function peopleOf(evaluation: AnyEvaluation): { samples: number; patients: number | undefined } {
  const { patients } = evaluation;
  const { samples } = evaluation.metrics;
  const known = patients?.every(Boolean) ? new Set(patients).size : undefined;
  return { samples, patients: known };
}
