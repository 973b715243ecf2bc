/**
 * The namespace `metrics`: how good predictions are, and figures that show it.
 *
 * @module
 */

export { EvaluationError } from "../errors.js";
export { binSamples, expectedCalibrationError, type ReliabilityBin, reliabilityBins } from "./calibration.js";
export { confusionMatrixFigure } from "./figures/confusion-matrix.js";
export { reliabilityDiagram } from "./figures/reliability-diagram.js";
export { type OperatingPoint, type RocSeries, rocCurves, rocSeries } from "./figures/roc-curves.js";
export { type CurveEpoch, trainingCurves } from "./figures/training-curves.js";
export {
  type ConfidenceIntervals,
  type ConfidenceLevel,
  confidenceIntervals,
  type Interval,
  wilsonInterval,
} from "./intervals.js";
export { type ClassificationMetrics, classificationMetrics } from "./metrics.js";
export type { RocCurve } from "./ranking.js";
export { type ReportContents, type ReportFigure, reportHtml } from "./report.js";
export type { Classes, Labels, Probabilities } from "./samples.js";
export { atThreshold, chooseThreshold, type ThresholdCriterion, type ThresholdMetrics } from "./threshold.js";
