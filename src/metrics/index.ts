/**
 * The namespace `metrics`: how good predictions are, in numbers. Figures and pages are in `reports`.
 *
 * @module
 */

export { EvaluationError } from "../errors.js";
export { expectedCalibrationError, type ReliabilityBin, reliabilityBins } from "./calibration.js";
export { type ClassificationMetrics, classificationMetrics } from "./classification.js";
export {
  type ConfidenceIntervals,
  type ConfidenceLevel,
  confidenceIntervals,
  type Interval,
  wilsonInterval,
} from "./intervals.js";
export { chooseThresholds, type MultiLabelMetrics, multiLabelMetrics } from "./multi-label.js";
export { type OrdinalAgreement, ordinalAgreement } from "./ordinal.js";
export type { RocCurve } from "./ranking.js";
export type { Classes, Labels, Probabilities } from "./samples.js";
export { atThreshold, chooseThreshold, type ThresholdCriterion, type ThresholdMetrics } from "./threshold.js";
