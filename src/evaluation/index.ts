/** The namespace `metrics`: how good predictions are, and figures that show it. */
export { binSamples, expectedCalibrationError, type ReliabilityBin, reliabilityBins } from "./calibration.js";
export { EvaluationError } from "./errors.js";
export { confusionMatrixFigure } from "./figures/confusion-matrix.js";
export { reliabilityDiagram } from "./figures/reliability-diagram.js";
export { rocCurves, rocSeries } from "./figures/roc-curves.js";
export { trainingCurves } from "./figures/training-curves.js";
export { confidenceIntervals, wilsonInterval } from "./intervals.js";
export { type ClassificationMetrics, classificationMetrics } from "./metrics.js";
export { type ReportContents, type ReportFigure, reportHtml } from "./report.js";
export { atThreshold, chooseThreshold, type ThresholdCriterion, type ThresholdMetrics } from "./threshold.js";
