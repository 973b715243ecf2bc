/**
 * The namespace `metrics`: how good predictions are, in numbers, and how far these can be trusted. Figures and pages are in
 * `reports`.
 *
 * @module
 */

export { EvaluationError } from "../errors.js";
export { type BrierParts, brierParts } from "./brier.js";
export { expectedCalibrationError, type ReliabilityBin, reliabilityBins } from "./calibration.js";
export {
  type BinnedCalibration,
  binaryCalibration,
  type CalibrationBin,
  type CalibrationOptions,
  topClassCalibration,
} from "./calibration-bins.js";
export { type CalibrationLine, calibrationLine } from "./calibration-line.js";
export { type ClassificationMetrics, classificationMetrics } from "./classification.js";
export {
  type ClassificationIntervalOptions,
  type ClassificationIntervals,
  classificationIntervals,
} from "./classification-intervals.js";
export {
  type ConformalCoverage,
  type ConformalOptions,
  type ConformalSets,
  conformalCoverage,
  conformalSet,
  fitConformalSets,
} from "./conformal.js";
export {
  averagePrecisionEstimate,
  type CurveBand,
  type CurveOptions,
  precisionRecallBand,
  rocBand,
} from "./curves.js";
export { type DecisionCurve, type DecisionCurveOptions, decisionCurve } from "./decision-curve.js";
export { type AreaComparison, areaEstimate, compareAreas, compareBinaryAreas } from "./delong.js";
export {
  type DiagnosticMetrics,
  diagnosticMetrics,
  diagnosticMetricsPerClass,
  type PredictiveValues,
  predictiveValuesAt,
} from "./diagnostic.js";
export type {
  Estimate,
  Estimated,
  EstimatesOf,
  IntervalMethod,
  IntervalOptions,
  NotEstimated,
} from "./estimate.js";
export {
  type ConfidenceIntervals,
  type ConfidenceLevel,
  confidenceIntervals,
  type Interval,
  wilsonInterval,
} from "./intervals.js";
export { fitMahalanobis, type MahalanobisModel } from "./mahalanobis.js";
export { chooseThresholds, type MultiLabelMetrics, multiLabelMetrics } from "./multi-label.js";
export {
  type MultiLabelIntervalOptions,
  type MultiLabelIntervals,
  multiLabelIntervals,
} from "./multi-label-intervals.js";
export { fitNearest, type NearestModel, type NearestOptions } from "./nearest.js";
export { type OperatingPoint, operatingPoint, type ScoredSamples } from "./operating-point.js";
export { type OrdinalAgreement, ordinalAgreement } from "./ordinal.js";
export {
  fitOutlierPanel,
  type OutlierPanel,
  type OutlierView,
  type PanelScores,
  panelScores,
  type ViewFeatures,
} from "./outlier-panel.js";
export { type OutlierModel, outlierLimit, outlierScores } from "./outliers.js";
export { type PooledSamples, type PoolingOptions, poolByUnit } from "./pooling.js";
export { fitPrincipal, type PrincipalModel, type PrincipalOptions } from "./principal.js";
export type { RocCurve } from "./ranking.js";
export type { ResamplingOptions } from "./resampling.js";
export { type RiskCoverage, riskCoverage } from "./risk-coverage.js";
export type { Classes, Labels, Probabilities } from "./samples.js";
export {
  type Subgroup,
  type SubgroupMetric,
  type SubgroupOptions,
  type SubgroupScore,
  subgroups,
} from "./subgroups.js";
export {
  fitTemperature,
  type LogitActivation,
  logitsOf,
  type Temperature,
  withTemperature,
} from "./temperature.js";
export { atThreshold, chooseThreshold, type ThresholdCriterion, type ThresholdMetrics } from "./threshold.js";
