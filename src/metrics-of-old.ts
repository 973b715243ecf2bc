/**
 * The namespace `metrics`, with the names that have moved to `reports`, until 1.0.
 *
 * @module
 */
import * as reports from "./reports/index.js";

export * from "./metrics/index.js";

/** @deprecated `reports.confusionMatrixFigure` */
export const confusionMatrixFigure = reports.confusionMatrixFigure;
/** @deprecated `reports.reliabilityDiagram` */
export const reliabilityDiagram = reports.reliabilityDiagram;
/** @deprecated `reports.rocCurves` */
export const rocCurves = reports.rocCurves;
/** @deprecated `reports.rocSeries` */
export const rocSeries = reports.rocSeries;
/** @deprecated `reports.trainingCurves` */
export const trainingCurves = reports.trainingCurves;
/** @deprecated `reports.reportHtml` */
export const reportHtml = reports.reportHtml;
