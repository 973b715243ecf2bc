/**
 * The namespace `reports`: what came of a training or an evaluation, as figures, pages and plain JSON.
 *
 * @module
 */
export { type AuditPage, auditHtml, type PicturedPair } from "./audit-page.js";
export { type AuditContents, auditFiles, writeAudit } from "./audit-report.js";
export { type EvaluationReport, reportFiles, writeReport } from "./evaluation-report.js";
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
export { type PageContents, type ReportFigure, reportHtml } from "./page.js";
export { operatingPoint, type Scores, scoresOf } from "./scores.js";
export type { AnyEvaluation } from "./several-labels.js";
export {
  type CalledOutliers,
  type JudgedCheckpoint,
  type LabelCoverage,
  type UncertaintyEvidence,
  uncertaintyOf,
} from "./uncertainty-evidence.js";
