/** Figures and the report page of an evaluation, as files. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { confusionMatrixFigure } from "../evaluation/figures/confusion-matrix.js";
import { reliabilityDiagram } from "../evaluation/figures/reliability-diagram.js";
import { rocCurves, rocSeries } from "../evaluation/figures/roc-curves.js";
import { trainingCurves } from "../evaluation/figures/training-curves.js";
import { type ReportFigure, reportHtml } from "../evaluation/report.js";
import type { Evaluation } from "../inference/evaluate.js";
import { reliabilityBins } from "../metrics/calibration.js";
import { confidenceIntervals } from "../metrics/intervals.js";
import type { EpochRecord } from "../training/history.js";
import { runFiles, writeText } from "./run-directory.js";
import { operatingPoint } from "./scores.js";

export interface ReportContents {
  readonly title: string;
  readonly description: string;
  readonly facts: Readonly<Record<string, string>>;
  readonly evaluation: Evaluation;
  /** Of a two-class checkpoint that has one. */
  readonly threshold?: number | undefined;
  /** Of the training, if the report is about one. */
  readonly history?: { readonly epochs: readonly EpochRecord[]; readonly best: number | undefined };
}

/**
 * Writes the figures and `report.html`, which has them all in it.
 *
 * @returns the names of the files
 */
export async function writeReport(directory: string, contents: ReportContents): Promise<string[]> {
  const { title, description, facts, evaluation, threshold, history } = contents;
  const { metrics, labels, probabilities } = evaluation;
  const { classes } = metrics;
  const figures: (ReportFigure & { file: string })[] = [];
  if (history && history.epochs.length > 0) {
    const caption = "Loss, and validation scores, over the epochs; the best epoch is marked.";
    figures.push({ file: runFiles.curves, svg: curvesOf(history.epochs, history.best), caption });
  }
  figures.push(
    {
      file: runFiles.confusion,
      svg: confusionMatrixFigure(metrics.confusionMatrix, classes),
      caption: "Confusion matrix: a row is a true class, a column a predicted one.",
    },
    {
      file: runFiles.roc,
      svg: rocCurves(
        rocSeries(labels, probabilities, classes),
        threshold === undefined ? {} : { operatingPoint: operatingPoint(evaluation, threshold) },
      ),
      caption: "ROC curves, each class against the rest.",
    },
    {
      file: runFiles.reliability,
      svg: reliabilityDiagram(reliabilityBins(labels, probabilities, classes)),
      caption: "Reliability: how often predictions of a given confidence are right.",
    },
  );
  const intervals = confidenceIntervals(labels, probabilities, classes);
  await mkdir(directory, { recursive: true });
  for (const { file, svg } of figures) await writeText(join(directory, file), svg);
  await writeText(
    join(directory, runFiles.report),
    reportHtml({ title, description, facts, metrics, intervals, figures }),
  );
  return [...figures.map(({ file }) => file), runFiles.report];
}

/** The training curves as an SVG. */
export function curvesOf(epochs: readonly EpochRecord[], best: number | undefined): string {
  const history = epochs.map(({ epoch, trainLoss, validation }) => ({
    epoch,
    trainLoss,
    validationLoss: validation?.loss,
    validationAccuracy: validation?.accuracy,
    validationAuc: validation?.auc,
  }));
  return trainingCurves(history, best === undefined ? {} : { bestEpoch: best });
}
