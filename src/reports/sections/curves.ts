/** Curves with their bands: what the classifier can do at every threshold, not only at the one in use. */
import { averagePrecisionEstimate, precisionRecallBand, rocBand } from "../../metrics/curves.js";
import { decisionCurve } from "../../metrics/decision-curve.js";
import type { Estimate } from "../../metrics/estimate.js";
import type { ResamplingOptions } from "../../metrics/resampling.js";
import { riskCoverage } from "../../metrics/risk-coverage.js";
import { estimatesOf } from "../evidence.js";
import {
  type BandedSeries,
  type DecisionSeries,
  decisionCurveFigure,
  type PrecisionSeries,
  precisionRecallFigure,
  riskCoverageFigure,
  rocBandFigure,
  usefulWords,
} from "../figures/banded-curves.js";
import type { OperatingPoint } from "../figures/roc-curves.js";
import { scoreHistogram } from "../figures/score-histogram.js";
import { escapeMarkup } from "../figures/svg.js";
import { type Finding, kindOf, whose } from "../findings.js";
import { figuresHtml, type ReportFigure } from "../page-figure.js";
import { type AnyEvaluation, isOfSeveralLabels } from "../several-labels.js";
import type { ReportSection } from "./section.js";

/** The figures of the section; those that the task has not are not there. */
export interface CurveFigures {
  readonly roc?: ReportFigure;
  readonly precisionRecall?: ReportFigure;
  readonly decision?: ReportFigure;
  readonly risk?: ReportFigure;
  readonly histogram?: ReportFigure;
}

/** What the section shows. */
export interface CurvesEvidence {
  readonly figures: CurveFigures;
  /** Sentences under the figures. */
  readonly remarks: readonly string[];
  /** Draws of patients that bands are made of. */
  readonly draws: number;
}

/** Curves of more classes than this are drawn for those that are told apart worst. */
const mostPanels = 12;

/** Draws for a band; fewer where there are many scores to draw, because an edge is a line in a picture, not a number. */
const draws = { usual: 2000, large: 500 };
const large = 20_000;

/** Computes and draws; classes that these images do not have, or have alone, have no curve. */
export function curvesOf(evaluation: AnyEvaluation, findings: readonly Finding[]): CurvesEvidence {
  const options = whose(evaluation);
  const drawable = findings.filter(({ positive }) => positive.includes(0) && positive.includes(1));
  const missing = findings.filter((finding) => !drawable.includes(finding)).map(({ name }) => name);
  const shown =
    drawable.length <= mostPanels
      ? drawable
      : drawable.toSorted((a, b) => (a.area.value ?? 0) - (b.area.value ?? 0)).slice(0, mostPanels);
  const remarks = [
    ...(missing.length === 0
      ? []
      : [`There is no curve of ${missing.join(", ")}: these images all have it, or none has.`]),
    ...(shown.length === drawable.length
      ? []
      : [`Of ${drawable.length} classes, curves of the ${mostPanels} with the lowest AUC are drawn.`]),
  ];
  const resamples = evaluation.metrics.samples * shown.length > large ? draws.large : draws.usual;
  const drawing = { ...options, resamples };
  const figures: CurveFigures = {
    ...(shown.length > 0 && {
      roc: rocOf(shown, evaluation, drawing),
      precisionRecall: precisionRecallOf(shown, evaluation, drawing),
      decision: decisionOf(shown, drawing),
    }),
    ...(!isOfSeveralLabels(evaluation) && {
      risk: {
        svg: riskCoverageFigure(
          riskCoverage(evaluation.labels, evaluation.probabilities, evaluation.metrics.classes, options),
        ),
        caption:
          "Risk and coverage: how often it is wrong if only the images that it is surest of are answered, and the others are left to a human.",
      },
    }),
    ...(kindOf(evaluation) === "two classes" && { histogram: histogramOf(findings[0]!, evaluation) }),
  };
  return { figures, remarks, draws: resamples };
}

function rocOf(
  shown: readonly Finding[],
  evaluation: AnyEvaluation,
  drawing: ResamplingOptions,
): ReportFigure {
  const series = shown.map(
    ({ name, positive, scores, area }): BandedSeries => ({
      name,
      curve: rocBand(positive, scores, drawing),
      area,
    }),
  );
  const alone = kindOf(evaluation) === "two classes" ? shown[0] : undefined;
  return {
    svg: rocBandFigure(series, alone && pointOf(alone)),
    caption: alone
      ? `ROC curve of ${alone.name}: what is found, against what is called wrongly, at every threshold.`
      : "ROC curves, each against all others: what is found, against what is called wrongly, at every threshold.",
  };
}

function pointOf({ threshold, diagnostic }: Finding): OperatingPoint | undefined {
  const { sensitivity, specificity } = diagnostic;
  if (threshold === undefined || sensitivity.value === undefined || specificity.value === undefined)
    return undefined;
  return { threshold, sensitivity: sensitivity.value, specificity: specificity.value };
}

function precisionRecallOf(
  shown: readonly Finding[],
  evaluation: AnyEvaluation,
  drawing: ResamplingOptions,
): ReportFigure {
  const series = shown.map(
    ({ name, positive, scores, diagnostic }): PrecisionSeries => ({
      name,
      curve: precisionRecallBand(positive, scores, drawing),
      area: precisionOf(evaluation, { name, positive, scores }),
      prevalence: diagnostic.prevalence.value ?? 0,
    }),
  );
  return {
    svg: precisionRecallFigure(series),
    caption:
      "Precision and recall: how much of what is called is right, against how much is found. AP is the mean precision.",
  };
}

/** Average precision as the table of classes has it; of labels it is computed here. */
function precisionOf(
  evaluation: AnyEvaluation,
  { name, positive, scores }: Pick<Finding, "name" | "positive" | "scores">,
): Estimate {
  if (isOfSeveralLabels(evaluation)) return averagePrecisionEstimate(positive, scores, whose(evaluation));
  const at = evaluation.metrics.classes.indexOf(name);
  return estimatesOf(evaluation).averagePrecisionPerClass[at]!;
}

function decisionOf(shown: readonly Finding[], drawing: ResamplingOptions): ReportFigure {
  const series = shown.map(
    ({ name, positive, scores }): DecisionSeries => ({
      name,
      curve: decisionCurve(positive, scores, drawing),
    }),
  );
  const [only] = series;
  const words = series.length === 1 && only ? ` Here the line is ${usefulWords(only.curve)}.` : "";
  return {
    svg: decisionCurveFigure(series),
    caption: `Decision curve: the good done by acting on the classifier, for those who would act from that probability on. It is of use where its line is above both others.${words}`,
  };
}

const histogramOf = ({ threshold, positive, scores }: Finding, { metrics }: AnyEvaluation): ReportFigure => ({
  svg: scoreHistogram({
    classes: [metrics.classes[0]!, metrics.classes[1]!],
    labels: positive,
    scores,
    threshold,
  }),
  caption: "Probabilities that the two classes are given, each as shares of its class.",
});

/** The section. */
export function curvesSection({ figures, remarks, draws }: CurvesEvidence): ReportSection {
  const { roc, precisionRecall, histogram, decision, risk } = figures;
  const shown = [roc, precisionRecall, decision, risk, histogram].filter((one) => one !== undefined);
  return {
    id: "curves",
    heading: "Curves",
    body: `${figuresHtml(shown)}
${remarks.map((sentence) => `<p class="note">${escapeMarkup(sentence)}</p>`).join("\n")}
<p class="note">A band holds the true curve at one place with 95 % certainty, not along its whole length; it is made of ${draws} draws.</p>`,
  };
}
