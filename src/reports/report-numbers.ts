/** What `report.json` holds: the numbers of the page's tables, by the names that they have in `evaluate --json` where it has them. */
import { predictiveValuesAt } from "../metrics/diagnostic.js";
import type { EvaluationReport } from "./evaluation-report.js";
import { type Finding, findingsOf } from "./findings.js";
import { type Scores, scoresOf } from "./scores.js";
import { type LabelCalibration, labelCalibrations } from "./sections/calibration.js";
import { prevalences } from "./sections/classes.js";
import { isOfSeveralLabels } from "./several-labels.js";

/** What follows from an evaluation, computed once. */
export interface Computed {
  readonly scores: Scores;
  readonly findings: readonly Finding[];
  /** Of several labels an image. */
  readonly labels: readonly LabelCalibration[] | undefined;
}

export function computedOf({
  evaluation,
  threshold,
}: Pick<EvaluationReport, "evaluation" | "threshold">): Computed {
  const findings = findingsOf(evaluation, threshold);
  return {
    scores: scoresOf(evaluation, threshold),
    findings,
    labels: isOfSeveralLabels(evaluation) ? labelCalibrations(evaluation, findings) : undefined,
  };
}

/** The numbers, and the evidence that was given; pictures stay on the page. */
export function numbersOf(contents: EvaluationReport, { scores, findings, labels }: Computed): object {
  const { chosen, pooled, subgroups, mistakes, judged, threshold, data, history } = contents;
  return {
    ...scores,
    byClass: findings.map(({ name, threshold: from, diagnostic, area }) => ({
      name,
      threshold: from ?? null,
      ...diagnostic,
      area,
      elsewhere: prevalences.map((prevalence) => predictiveValuesAt(diagnostic, prevalence)),
    })),
    ...(labels && { labelCalibration: labels }),
    ...(judged && { judged }),
    ...(chosen && { chosen }),
    ...(subgroups && { subgroups }),
    ...(pooled && {
      pooled: {
        ...pooled.pooling,
        units: pooled.units,
        leftOut: pooled.leftOut,
        ...computedOf({ evaluation: pooled as EvaluationReport["evaluation"], threshold }).scores,
      },
    }),
    ...(mistakes && {
      mistakes: { ...mistakes, surest: mistakes.surest.map(({ picture: _, ...told }) => told) },
    }),
    ...(data && { data }),
    ...(history && { history: history.epochs, bestEpoch: history.best ?? null }),
  };
}
