/**
 * The namespace `reports`: what came of a training or an evaluation, as figures, pages and plain JSON.
 *
 * @module
 */
export { type AuditPage, auditHtml, type PicturedPair } from "./audit-page.js";
export { type AuditContents, auditFiles, writeAudit } from "./audit-report.js";
export type { CardStatements, StatementName } from "./card/statements.js";
export { cardFiles, writeModelCard } from "./card-files.js";
export type { AnsweredChecklist, AnsweredItem, ChecklistOrigin, ItemState } from "./checklists/checklist.js";
export type {
  AuditFacts,
  BestEpochFacts,
  CalibrationFacts,
  CheckpointFacts,
  ColumnFact,
  ComputingFacts,
  CountedColumn,
  DivisionFacts,
  EvaluationFacts,
  ExplanationFacts,
  MeasuredColumn,
  NetworkFacts,
  OperatingFacts,
  PartFacts,
  RunFacts,
  ScoreFact,
  SealFacts,
  SoftwareFacts,
  SubgroupFact,
  TrainingFacts,
  UncertaintyFacts,
} from "./checklists/facts.js";
export type { Code } from "./dicom/content.js";
export { type LabelCodes, readLabelCodes } from "./dicom/label-codes.js";
export { checkpointHash, type ReportingModel } from "./dicom/reporting-model.js";
export { secondaryCapture } from "./dicom/secondary-capture.js";
export { type DicomSource, dicomSource } from "./dicom/source.js";
export {
  type ReportedDoubt,
  type ReportedImage,
  type ReportedPrediction,
  type ReportedReason,
  type StructuredReportOptions,
  structuredReport,
} from "./dicom/structured-report.js";
export type { WrittenObject } from "./dicom/writing.js";
export { type EvaluationReport, writeReport } from "./evaluation-report.js";
export {
  type AnyIntervals,
  type CalibrationEvidence,
  calibrationOf,
  comparisonOf,
  estimatesOf,
  type IntervalFacts,
  type IntervalOrReason,
  type LabelIntervals,
  type OperatingEvidence,
  operatingEvidence,
  type ScoreIntervals,
  type SubgroupEvidence,
  scoreIntervals,
  subgroupsOf,
} from "./evidence.js";
export { confusionMatrixFigure } from "./figures/confusion-matrix.js";
export { reliabilityDiagram } from "./figures/reliability-diagram.js";
export { type OperatingPoint, type RocSeries, rocCurves, rocSeries } from "./figures/roc-curves.js";
export { type CurveEpoch, type CurveScores, trainingCurves } from "./figures/training-curves.js";
export {
  type MistakePictureOptions,
  type PicturedMistake,
  type PicturedMistakes,
  pictureMistakes,
} from "./mistake-pictures.js";
export { type Mistake, type MistakeOptions, type Mistakes, mistakesOf } from "./mistakes.js";
export { type PageContents, reportHtml } from "./page.js";
export type { ReportFigure } from "./page-figure.js";
export { reportFiles } from "./report-files.js";
export { operatingPoint, type Scores, scoresOf } from "./scores.js";
export { answeredChecklists, checklistSection } from "./sections/checklists.js";
export { type DataEvidence, type DataSplit, dataEvidenceOf } from "./sections/data.js";
export type { ChosenEvidence } from "./sections/operating-point.js";
export type { AnyPooledEvaluation } from "./sections/pooled.js";
export type { RunEvidence } from "./sections/run.js";
export type { ThresholdOrigin } from "./sections/seal.js";
export { type ReportSection, type SectionId, sectionOrder } from "./sections/section.js";
export type { JudgedImages } from "./sections/summary.js";
export type { AnyEvaluation } from "./several-labels.js";
export {
  type CalledOutliers,
  type JudgedCheckpoint,
  type LabelCoverage,
  type UncertaintyEvidence,
  uncertaintyOf,
} from "./uncertainty-evidence.js";
