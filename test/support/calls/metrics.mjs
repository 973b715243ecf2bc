/** Metrics, tasks and reports: all that is made of labels, probabilities and counts. */
import * as mm from "../../../dist/index.js";

const { metrics, reports, tasks } = mm;
const labels = () => [0, 1, 1, 0];
const rows = () => [
  [0.9, 0.1],
  [0.2, 0.8],
  [0.6, 0.4],
  [0.5, 0.5],
];
const flat = () => Float32Array.from(rows().flat());
const positive = () => [0.1, 0.8, 0.4, 0.5];
const names = () => ["a", "b"];
const counts = () => [
  [2, 1],
  [0, 3],
];
const evaluation = () => ({
  metrics: metrics.classificationMetrics(labels(), flat(), names()),
  labels: Int32Array.from(labels()),
  probabilities: flat(),
});
const point = () => ({ ...metrics.atThreshold(labels(), positive(), 0.5) });
const bins = () => metrics.reliabilityBins(labels(), flat(), 2, { bins: 2 });

/** Scores from JSON have null for NaN. */
const scores = { "*": ["null", "NaN"] };

export const calls = {
  "metrics.classificationMetrics": [metrics.classificationMetrics, () => [labels(), rows(), names()]],
  "metrics.classificationMetrics, flat": [metrics.classificationMetrics, () => [labels(), flat(), 2]],
  "metrics.confidenceIntervals": [
    metrics.confidenceIntervals,
    () => [labels(), rows(), names(), { level: 0.95 }],
  ],
  "metrics.wilsonInterval": [metrics.wilsonInterval, () => [3, 4, 0.95]],
  "metrics.reliabilityBins": [metrics.reliabilityBins, () => [labels(), rows(), names(), { bins: 4 }]],
  "metrics.expectedCalibrationError": [
    metrics.expectedCalibrationError,
    () => [bins()],
    { open: /./, unused: /^0.0.(confidence|accuracy)$/ },
  ],
  "metrics.multiLabelMetrics": [
    metrics.multiLabelMetrics,
    () => [[0, 1, 1, 1], [0.1, 0.8, 0.4, 0.5], names(), [0.5, 0.4]],
  ],
  "metrics.chooseThresholds": [metrics.chooseThresholds, () => [[0, 1, 1, 1], [0.1, 0.8, 0.4, 0.5], 2]],
  "metrics.ordinalAgreement": [metrics.ordinalAgreement, () => [counts()]],
  "metrics.atThreshold": [metrics.atThreshold, () => [labels(), positive(), 0.5]],
  "metrics.chooseThreshold": [
    metrics.chooseThreshold,
    () => [labels(), positive(), { criterion: "sensitivity", atLeast: 0.5 }],
    { open: /2/ },
  ],
  "reports.confusionMatrixFigure": [reports.confusionMatrixFigure, () => [counts(), names()]],
  "reports.reliabilityDiagram": [
    reports.reliabilityDiagram,
    () => [bins()],
    { open: /./, unused: /^0.0.(confidence|accuracy)$/ },
  ],
  "reports.rocSeries": [reports.rocSeries, () => [labels(), rows(), names()]],
  "reports.rocCurves": [
    reports.rocCurves,
    () => [reports.rocSeries(labels(), rows(), names()), { operatingPoint: point() }],
    {
      open: /./,
      takes: { "*": ["NaN"] },
      unused: /thresholds|Points?\.(true|false|accuracy|positive|negative|f1|youden)/,
    },
  ],
  "reports.trainingCurves": [
    reports.trainingCurves,
    () => [
      [
        { epoch: 1, trainLoss: 1, validation: { loss: 1, accuracy: 0.5, auc: 0.5 } },
        { epoch: 2, trainLoss: 0.9, validation: { loss: 1, accuracy: 0.5, auc: 0.5 } },
      ],
      { bestEpoch: 2 },
    ],
    { open: /^0/, takes: { "*": ["null", "NaN"], 0: [], "0.0": [], 0.1: [], 1: [], "1.bestEpoch": [] } },
  ],
  "reports.reportHtml": [
    reports.reportHtml,
    () => [{ title: "t", description: "d", facts: { a: "b" }, metrics: evaluation().metrics, figures: [] }],
    { open: /metrics|facts/, takes: scores },
  ],
  "reports.writeReport": [
    reports.writeReport,
    () => [
      "report",
      { title: "t", description: "d", facts: { a: "b" }, evaluation: evaluation(), threshold: 0.5 },
    ],
    {
      open: /metrics|evaluation|facts/,
      takes: { ...scores, "1.threshold": [], 0: [], 1: [], "1.title": [], "1.description": [] },
    },
  ],
  "reports.operatingPoint": [
    reports.operatingPoint,
    () => [evaluation(), 0.5],
    { open: /^0/, takes: scores },
  ],
  "reports.scoresOf": [reports.scoresOf, () => [evaluation(), 0.5], { open: /^0/, takes: scores }],
  "tasks.taskOf": [tasks.taskOf, () => [{ task: "binary", classes: names() }], { open: /0/ }],
};
