/** Several images of a patient, or of another unit, as one: what is called then, and how often it is right. */
import type { PooledEvaluation } from "../../inference/pooling.js";
import { estimatesOf } from "../evidence.js";
import { escapeMarkup } from "../figures/svg.js";
import { counted } from "../numbers.js";
import { type AnyEvaluation, isOfSeveralLabels } from "../several-labels.js";
import { scoreTable } from "./scores.js";
import type { ReportSection } from "./section.js";
import { summaryOf, summaryWords } from "./summary.js";

/** What `poolEvaluation` gave, of any task. */
export type AnyPooledEvaluation = PooledEvaluation<AnyEvaluation["metrics"]>;

/** The section. @param threshold  of two classes, as for images */
export function pooledSection(pooled: AnyPooledEvaluation, threshold?: number): ReportSection {
  const { units, leftOut, pooling } = pooled;
  const { by, how } = pooling;
  const evaluation = pooled as AnyEvaluation;
  const unit = by === "image" ? "file" : by;
  const summary = summaryOf(evaluation, rightOf(evaluation), { threshold, unit });
  const rule = how === "mean" ? "the mean of the probabilities" : "the largest probability";
  const torn =
    leftOut === 0
      ? ""
      : ` ${counted(leftOut, unit)} whose images are of several classes ${leftOut === 1 ? "is" : "are"} left out.`;
  return {
    id: "pooled",
    heading: `By ${unit}`,
    body: `<p>${escapeMarkup(`Images of one ${unit} are taken together, by ${rule}: ${counted(units, unit)}.${torn}`)}</p>
${summaryWords(summary)}
${scoreTable({ metrics: evaluation.metrics, estimates: estimates(evaluation) }, `Scores by ${unit}`)}`,
  };
}

const estimates = (evaluation: AnyEvaluation) =>
  isOfSeveralLabels(evaluation) ? estimatesOf(evaluation) : estimatesOf(evaluation);

/** The share called rightly; of several labels, of those with all right. */
export const rightOf = (evaluation: AnyEvaluation) =>
  isOfSeveralLabels(evaluation) ? estimatesOf(evaluation).subsetAccuracy : estimatesOf(evaluation).accuracy;
