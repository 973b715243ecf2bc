/**
 * The namespace `metrics`: how good predictions are, and figures that show it.
 *
 * @module
 */

export { EvaluationError } from "../errors.js";
export { confusionMatrixFigure } from "../evaluation/figures/confusion-matrix.js";
export { reliabilityDiagram } from "../evaluation/figures/reliability-diagram.js";
export {
  type OperatingPoint,
  type RocSeries,
  rocCurves,
  rocSeries,
} from "../evaluation/figures/roc-curves.js";
export { type CurveEpoch, trainingCurves } from "../evaluation/figures/training-curves.js";
export { type ReportContents, type ReportFigure, reportHtml } from "../evaluation/report.js";
export { binSamples, expectedCalibrationError, type ReliabilityBin, reliabilityBins } from "./calibration.js";
export { type ClassificationMetrics, classificationMetrics } from "./classification.js";
export {
  type ConfidenceIntervals,
  type ConfidenceLevel,
  confidenceIntervals,
  type Interval,
  wilsonInterval,
} from "./intervals.js";
export type { RocCurve } from "./ranking.js";
export type { Classes, Labels, Probabilities } from "./samples.js";
export { atThreshold, chooseThreshold, type ThresholdCriterion, type ThresholdMetrics } from "./threshold.js";
