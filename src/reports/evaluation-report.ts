/** Figures and the report page of an evaluation, as files. */
import { join } from "node:path";
import type { Evaluation } from "../inference/evaluate.js";
import { reliabilityBins } from "../metrics/calibration.js";
import type { MultiLabelMetrics } from "../metrics/multi-label.js";
import { expectNamed, expectNumbers, type NamesOf } from "../settings/given.js";
import { type Path, pathOf } from "../settings/paths.js";
import type { EpochRecord } from "../training/history.js";
import { replaceText } from "../weights/atomic-file.js";
import { makeFolder } from "../weights/file-errors.js";
import { estimatesOf } from "./evidence.js";
import { confusionMatrixFigure } from "./figures/confusion-matrix.js";
import { reliabilityDiagram } from "./figures/reliability-diagram.js";
import { rocCurves, rocSeries } from "./figures/roc-curves.js";
import { trainingCurves } from "./figures/training-curves.js";
import { expectAnyEvaluation } from "./given.js";
import { type ReportFigure, reportHtml } from "./page.js";
import { operatingPoint } from "./scores.js";
import { expectSections, type ReportSection } from "./sections/section.js";
import { type AnyEvaluation, isOfSeveralLabels, labelCurves } from "./several-labels.js";

/** Names of the files that `writeReport` writes. */
export const reportFiles = {
  /** Of a training. */
  curves: "curves.svg",
  /** What was taken for what. */
  confusion: "confusion.svg",
  /** Sensitivity against 1 - specificity. */
  roc: "roc.svg",
  /** How often predictions of a confidence are right. */
  reliability: "reliability.svg",
  /** The page with all of them. */
  report: "report.html",
} as const;

/** What a report of an evaluation is made of. */
export interface EvaluationReport {
  /** Heading of the page. */
  readonly title: string;
  /** A sentence or two under the title. */
  readonly description: string;
  /** Facts for the record, such as the checkpoint's file name, in order. */
  readonly facts: Readonly<Record<string, string>>;
  /** What `evaluate` gave. */
  readonly evaluation: AnyEvaluation;
  /** Of a two-class checkpoint that has one. */
  readonly threshold?: number | undefined;
  /** Of the training, if the report is about one. */
  readonly history?: {
    /** All epochs. */
    readonly epochs: readonly EpochRecord[];
    /** Number of the best epoch. */
    readonly best: number | undefined;
  };
  /** Further parts of the page, as `reportHtml` takes them. */
  readonly sections?: readonly ReportSection[];
}

const reportNames: NamesOf<EvaluationReport> = {
  title: true,
  description: true,
  facts: true,
  evaluation: true,
  threshold: true,
  history: true,
  sections: true,
};

function expectReport(contents: EvaluationReport): void {
  const {
    evaluation,
    threshold,
    history,
    sections = [],
  } = expectNamed("writeReport", "contents", contents, reportNames);
  expectAnyEvaluation("writeReport", evaluation);
  if (threshold !== undefined) expectNumbers("writeReport", { threshold });
  if (history !== undefined) expectNamed("writeReport", "history", history, { epochs: true, best: true });
  expectSections("writeReport", sections);
}

/**
 * Writes the figures and `report.html`, which has them all in it.
 *
 * @returns the names of the files
 */
export async function writeReport(location: Path, contents: EvaluationReport): Promise<string[]> {
  const directory = pathOf("writeReport", location, "the folder");
  expectReport(contents);
  const { title, description, facts, evaluation, threshold, history, sections = [] } = contents;
  const figures: FigureFile[] = [];
  if (history && history.epochs.length > 0) {
    const caption = "Loss, and validation scores, over the epochs; the best epoch is marked.";
    figures.push({
      file: reportFiles.curves,
      svg: trainingCurves(history.epochs, history.best === undefined ? {} : { bestEpoch: history.best }),
      caption,
    });
  }
  figures.push(
    ...(isOfSeveralLabels(evaluation) ? labelFigures(evaluation) : classFigures(evaluation, threshold)),
  );
  const estimates = estimatesOf(evaluation);
  await makeFolder(directory);
  for (const { file, svg } of figures) await replaceText(join(directory, file), svg);
  await replaceText(
    join(directory, reportFiles.report),
    reportHtml({ title, description, facts, metrics: evaluation.metrics, estimates, figures, sections }),
  );
  return [...figures.map(({ file }) => file), reportFiles.report];
}

type FigureFile = ReportFigure & { file: string };

function labelFigures(evaluation: Evaluation<MultiLabelMetrics>): FigureFile[] {
  const caption = "ROC curves, each label by itself.";
  return [{ file: reportFiles.roc, svg: rocCurves(labelCurves(evaluation)), caption }];
}

function classFigures(evaluation: Evaluation, threshold: number | undefined): FigureFile[] {
  const { metrics, labels, probabilities } = evaluation;
  const { classes } = metrics;
  return [
    {
      file: reportFiles.confusion,
      svg: confusionMatrixFigure(metrics.confusionMatrix, classes),
      caption: "Confusion matrix: a row is a true class, a column a predicted one.",
    },
    {
      file: reportFiles.roc,
      svg: rocCurves(
        rocSeries(labels, probabilities, classes),
        threshold === undefined ? {} : { operatingPoint: operatingPoint(evaluation, threshold) },
      ),
      caption: "ROC curves, each class against the rest.",
    },
    {
      file: reportFiles.reliability,
      svg: reliabilityDiagram(reliabilityBins(labels, probabilities, classes)),
      caption: "Reliability: how often predictions of a given confidence are right.",
    },
  ];
}
