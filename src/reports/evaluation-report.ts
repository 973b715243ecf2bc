/**
 * The report of an evaluation as files: the page, its figures as SVG and PNG, and its numbers as JSON. What is known is given as
 * plain evidence; each kind of it is made into a section of the page by a file of `sections/`.
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { ArgumentError } from "../errors.js";
import {
  expectFlags,
  expectFunction,
  expectNamed,
  expectNumbers,
  expectTexts,
  inWords,
  type NamesOf,
} from "../settings/given.js";
import { type Path, pathOf } from "../settings/paths.js";
import type { EpochRecord } from "../training/history.js";
import { replaceFile, replaceText, writeFully } from "../weights/atomic-file.js";
import { makeFolder } from "../weights/file-errors.js";
import { estimatesOf, type SubgroupEvidence } from "./evidence.js";
import { figurePng, hasLettering } from "./figures/png.js";
import { type Finding, kindOf } from "./findings.js";
import { expectAnyEvaluation } from "./given.js";
import { expectEvidence } from "./given-report.js";
import type { PicturedMistakes } from "./mistake-pictures.js";
import { reportHtml } from "./page.js";
import type { ReportFigure } from "./page-figure.js";
import { pngOf, reportFiles } from "./report-files.js";
import { type Computed, computedOf, numbersOf } from "./report-numbers.js";
import { calibrationDiagram, calibrationSection } from "./sections/calibration.js";
import { classesSection, confusionFigure } from "./sections/classes.js";
import { curvesOf, curvesSection } from "./sections/curves.js";
import { type DataEvidence, dataSection } from "./sections/data.js";
import { mistakesSection } from "./sections/mistakes.js";
import { type ChosenEvidence, operatingPointSection } from "./sections/operating-point.js";
import { type AnyPooledEvaluation, pooledSection, rightOf } from "./sections/pooled.js";
import { type RunEvidence, runSection } from "./sections/run.js";
import { classTable, scoresSection } from "./sections/scores.js";
import { originWords, type ThresholdOrigin } from "./sections/seal.js";
import { expectSections, type ReportSection } from "./sections/section.js";
import { subgroupFigure, subgroupsSection } from "./sections/subgroups.js";
import { type JudgedImages, judgedImages, summaryOf, summarySection } from "./sections/summary.js";
import { trainingFigure, trainingSection } from "./sections/training.js";
import { type AnyEvaluation, isOfSeveralLabels } from "./several-labels.js";

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
  /** Who chose the threshold: "training" on validation images, "another"; default "unknown". */
  readonly thresholdFrom?: ThresholdOrigin | undefined;
  /** Of the training, if the report is about one. */
  readonly history?:
    | {
        /** All epochs. */
        readonly epochs: readonly EpochRecord[];
        /** Number of the best epoch. */
        readonly best: number | undefined;
      }
    | undefined;
  /** Which images were judged; the summary says what follows from that. */
  readonly judged?: JudgedImages | undefined;
  /** What else to be careful about, as sentences of the summary. */
  readonly cautions?: readonly string[];
  /** Of two classes: a threshold for a wish, chosen on validation images. */
  readonly chosen?: ChosenEvidence | undefined;
  /** What `poolEvaluation` gave. */
  readonly pooled?: AnyPooledEvaluation | undefined;
  /** What `subgroupsOf` gave. */
  readonly subgroups?: readonly SubgroupEvidence[] | undefined;
  /** What `mistakesOf` gave, or `pictureMistakes` of it. */
  readonly mistakes?: PicturedMistakes | undefined;
  /** Which images there were, and what an audit found. */
  readonly data?: DataEvidence | undefined;
  /** By what the numbers came about. */
  readonly run?: RunEvidence | undefined;
  /** Further parts of the page, as `reportHtml` takes them. */
  readonly sections?: readonly ReportSection[];
  /** Whether figures are written as PNG as well; default true. */
  readonly png?: boolean;
  /** Gets one sentence where this machine has no fonts, so that no PNG is written. */
  readonly onWarning?: ((message: string) => void) | undefined;
}

const reportNames: NamesOf<EvaluationReport> = {
  title: true,
  description: true,
  facts: true,
  evaluation: true,
  threshold: true,
  thresholdFrom: true,
  history: true,
  judged: true,
  cautions: true,
  chosen: true,
  pooled: true,
  subgroups: true,
  mistakes: true,
  data: true,
  run: true,
  sections: true,
  png: true,
  onWarning: true,
};

function expectReport(contents: EvaluationReport): void {
  const operation = "writeReport";
  const {
    evaluation,
    threshold,
    thresholdFrom,
    judged,
    cautions = [],
    sections = [],
    png = true,
    onWarning,
    ...evidence
  } = expectNamed(operation, "contents", contents, reportNames);
  expectAnyEvaluation(operation, evaluation);
  if (threshold !== undefined) expectNumbers(operation, { threshold });
  if (thresholdFrom !== undefined && !Object.hasOwn(originWords, thresholdFrom))
    throw new ArgumentError(
      `${operation}: thresholdFrom is ${inWords(thresholdFrom)}, not one of ${Object.keys(originWords).join(", ")}.`,
    );
  if (judged !== undefined && !judgedImages.includes(judged))
    throw new ArgumentError(
      `${operation}: judged is ${inWords(judged)}, not one of ${judgedImages.join(", ")}.`,
    );
  expectTexts(operation, "cautions", cautions);
  expectEvidence(operation, evidence);
  expectSections(operation, sections);
  expectFlags(operation, { png });
  if (onWarning !== undefined) expectFunction(operation, onWarning, "onWarning");
}

/**
 * Writes `report.html`, which has everything in it, the figures by themselves, and the numbers as `report.json`.
 *
 * @returns the names of the files
 */
export async function writeReport(location: Path, contents: EvaluationReport): Promise<string[]> {
  const directory = pathOf("writeReport", location, "the folder");
  expectReport(contents);
  const { title, description, facts, evaluation, sections = [], png = true, onWarning } = contents;
  const computed = computedOf(contents);
  const numbers = `${JSON.stringify(numbersOf(contents, computed), null, 2)}\n`;
  const drawn = drawReport(contents, computed, createHash("sha256").update(numbers).digest("hex"));
  const page = reportHtml({
    title,
    description,
    facts,
    metrics: evaluation.metrics,
    sections: [...drawn.sections.filter((own) => !sections.some(({ id }) => id === own.id)), ...sections],
  });
  await makeFolder(directory);
  const files: string[] = [];
  const drawable = png && (await hasLettering());
  if (png && !drawable)
    onWarning?.(
      "Figures are written as SVG alone: this machine has no fonts to draw PNG with. Install some, such as fonts-dejavu, to have both.",
    );
  for (const { file, svg } of drawn.figures) {
    await replaceText(join(directory, file), svg);
    files.push(file);
    if (!drawable) continue;
    const bytes = await figurePng(svg);
    await replaceFile(join(directory, pngOf(file)), (target) => writeFully(target, bytes));
    files.push(pngOf(file));
  }
  await replaceText(join(directory, reportFiles.numbers), numbers);
  await replaceText(join(directory, reportFiles.report), page);
  return [...files, reportFiles.numbers, reportFiles.report];
}

type FigureFile = Pick<ReportFigure, "svg"> & { readonly file: string };

/** All sections that follow from what is known, and their figures as files. */
function drawReport(
  contents: EvaluationReport,
  computed: Computed,
  hash: string,
): { sections: ReportSection[]; figures: FigureFile[] } {
  const { evaluation, threshold, history, chosen, pooled, subgroups, mistakes, data, run = {} } = contents;
  const { judged, cautions, thresholdFrom } = contents;
  const figures: FigureFile[] = [];
  const kept = <Figure extends ReportFigure | undefined>(file: string, figure: Figure): Figure => {
    if (figure) figures.push({ file, svg: figure.svg });
    return figure;
  };
  const estimates = isOfSeveralLabels(evaluation) ? estimatesOf(evaluation) : estimatesOf(evaluation);
  const { findings } = computed;
  const training = history && history.epochs.length > 0 ? history : undefined;
  const trained = training && kept(reportFiles.curves, trainingFigure(training));
  const classes = classesOf(evaluation, findings, classTable({ metrics: evaluation.metrics, estimates }));
  kept(reportFiles.confusion, classes.confusion);
  const curves = curvesOf(evaluation, findings);
  for (const name of ["roc", "precisionRecall", "decision", "risk", "histogram"] as const)
    kept(reportFiles[name], curves.figures[name]);
  const calibration = calibrationEvidence(evaluation, computed);
  kept(reportFiles.reliability, calibration.figure);
  const forest = subgroups && kept(reportFiles.subgroups, subgroupFigure(subgroups));
  const binary = kindOf(evaluation) === "two classes";
  const sections: (ReportSection | false | undefined)[] = [
    summarySection(
      summaryOf(evaluation, rightOf(evaluation), { threshold, judged, cautions: cautions ?? [] }),
    ),
    scoresSection({ metrics: evaluation.metrics, estimates }),
    classesSection(classes),
    binary && operatingPointOf(evaluation, findings[0]!, { threshold, thresholdFrom, chosen }),
    curvesSection(curves),
    calibrationSection(calibration),
    pooled && pooledSection(pooled, threshold),
    subgroups && subgroups.length > 0 && subgroupsSection(subgroups, forest),
    mistakes && mistakesSection(mistakes),
    data && dataSection(data),
    training && trainingSection(training, trained),
    runSection(run, hash),
  ];
  return { sections: sections.filter((section) => typeof section === "object"), figures };
}

function classesOf(evaluation: AnyEvaluation, findings: readonly Finding[], before: string) {
  const { metrics } = evaluation;
  return {
    kind: kindOf(evaluation),
    findings,
    before,
    confusion:
      "confusionMatrix" in metrics ? confusionFigure(metrics.confusionMatrix, metrics.classes) : undefined,
  };
}

function calibrationEvidence(evaluation: AnyEvaluation, { scores, findings, labels }: Computed) {
  const kind = kindOf(evaluation);
  const evidence = labels ? { kind, labels } : { kind, calibration: scores.calibration };
  return { ...evidence, figure: calibrationDiagram(evidence, findings[0]!.name) };
}

const operatingPointOf = (
  { metrics }: AnyEvaluation,
  { name, diagnostic }: Finding,
  asked: Pick<EvaluationReport, "threshold" | "thresholdFrom" | "chosen">,
): ReportSection => operatingPointSection({ name, other: metrics.classes[0]!, diagnostic, ...asked });
