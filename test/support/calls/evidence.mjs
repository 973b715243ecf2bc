/** How far scores can be trusted: metrics with intervals, and what `reports` makes of an evaluation with them. */
import * as mm from "../../../dist/index.js";

const { metrics, reports } = mm;
const labels = () => [0, 1, 1, 0, 1, 0];
const scores = () => [0.1, 0.8, 0.4, 0.5, 0.9, 0.3];
const others = () => [0.2, 0.6, 0.7, 0.5, 0.8, 0.4];
const rowsOf = (list) => list.map((score) => [1 - score, score]);
const rows = () => rowsOf(scores());
const flat = () => Float32Array.from(rows().flat());
const names = () => ["a", "b"];
const patients = () => ["p", "p", "q", "r", 7, undefined];
const whose = () => ({ level: 0.95, patients: patients() });
const drawn = () => ({ ...whose(), resamples: 20, seed: 1 });
const features = () => Float32Array.from({ length: 12 }, (_, i) => Math.sin(i * i + 1));
const manyFeatures = () => Float32Array.from({ length: 80 }, (_, i) => Math.sin(i * i + 2));
const panel = () =>
  metrics.fitOutlierPanel([{ name: "a", width: 2, train: features(), validation: manyFeatures() }]);
const assurance = () => ({
  images: { train: 6, validation: 40 },
  calibration: { temperature: 1.5, before: 1, after: 0.9 },
  sets: { risks: [0.3], least: [[0.4, 0.4]], images: [20, 20] },
  outliers: panel(),
});
const sets = () => ({ ...metrics.fitConformalSets(labels(), rows(), 2) });
const evaluation = () => ({
  metrics: metrics.classificationMetrics(labels(), flat(), names()),
  labels: Int32Array.from(labels()),
  probabilities: flat(),
});
const worth = () => ({ ...metrics.diagnosticMetrics(labels(), scores(), 0.35) });

/** Any text or number may be a patient. */
const patientsAt = (place) =>
  Object.fromEntries(patients().map((_, i) => [`${place}.patients.${i}`, ["text", "number", "negative"]]));
const last = (place) => ({ takes: patientsAt(place) });

export const calls = {
  "metrics.classificationIntervals": [
    metrics.classificationIntervals,
    () => [labels(), rows(), names(), { ...drawn(), resampleAll: true }],
    last(3),
  ],
  "metrics.multiLabelIntervals": [
    metrics.multiLabelIntervals,
    () => [
      [0, 1, 1, 1, 0, 0],
      [0.1, 0.8, 0.4, 0.5, 0.2, 0.3],
      names(),
      { level: 0.9, patients: ["p", "q", "q"], resamples: 20, seed: 1, thresholds: [0.5, 0.4] },
    ],
    {
      takes: Object.fromEntries([0, 1, 2].map((i) => [`3.patients.${i}`, ["text", "number", "negative"]])),
    },
  ],
  "metrics.areaEstimate": [metrics.areaEstimate, () => [labels(), scores(), whose()], last(2)],
  "metrics.compareAreas": [
    metrics.compareAreas,
    () => [labels(), rows(), rowsOf(others()), names(), whose()],
    last(4),
  ],
  "metrics.compareBinaryAreas": [
    metrics.compareBinaryAreas,
    () => [labels(), scores(), others(), whose()],
    last(3),
  ],
  "metrics.averagePrecisionEstimate": [
    metrics.averagePrecisionEstimate,
    () => [labels(), scores(), drawn()],
    last(2),
  ],
  "metrics.rocBand": [metrics.rocBand, () => [labels(), scores(), { ...drawn(), places: 5 }], last(2)],
  "metrics.precisionRecallBand": [
    metrics.precisionRecallBand,
    () => [labels(), scores(), { ...drawn(), places: 5 }],
    last(2),
  ],
  "metrics.decisionCurve": [
    metrics.decisionCurve,
    () => [labels(), scores(), { ...drawn(), thresholds: [0.2, 0.6] }],
    last(2),
  ],
  "metrics.riskCoverage": [
    metrics.riskCoverage,
    () => [labels(), rows(), names(), { ...drawn(), places: 4 }],
    last(3),
  ],
  "metrics.brierParts": [
    metrics.brierParts,
    () => [labels(), rows(), names(), { ...drawn(), bins: 3 }],
    last(3),
  ],
  "metrics.binaryCalibration": [
    metrics.binaryCalibration,
    () => [labels(), scores(), { ...drawn(), bins: 3 }],
    last(2),
  ],
  "metrics.topClassCalibration": [
    metrics.topClassCalibration,
    () => [labels(), rows(), names(), { ...drawn(), bins: 3 }],
    last(3),
  ],
  "metrics.calibrationLine": [metrics.calibrationLine, () => [labels(), scores(), whose()], last(2)],
  "metrics.diagnosticMetrics": [
    metrics.diagnosticMetrics,
    () => [labels(), scores(), 0.35, whose()],
    last(3),
  ],
  "metrics.diagnosticMetricsPerClass": [
    metrics.diagnosticMetricsPerClass,
    () => [labels(), rows(), names(), whose()],
    last(3),
  ],
  "metrics.predictiveValuesAt": [
    metrics.predictiveValuesAt,
    () => [worth(), 0.2],
    { open: /^0/, unused: /^0\.(?!(positive|negative)LikelihoodRatio)|^0\..*\.method$/ },
  ],
  "metrics.operatingPoint": [
    metrics.operatingPoint,
    () => [
      { labels: labels(), scores: scores(), patients: patients() },
      { labels: labels(), scores: others(), patients: patients() },
      { criterion: "cost", falsePositive: 1, falseNegative: 5, prevalence: 0.2 },
      { level: 0.95 },
    ],
    { open: /^2/, takes: { ...patientsAt(0), ...patientsAt(1) } },
  ],
  "metrics.subgroups": [
    metrics.subgroups,
    () => [
      labels(),
      rows(),
      names(),
      { sex: ["F", "M", "F", undefined, "M", "F"] },
      { ...drawn(), metrics: ["accuracy", "auc"] },
    ],
    { open: /^3$/, takes: patientsAt(4) },
  ],
  "metrics.poolByUnit": [
    metrics.poolByUnit,
    () => [labels(), rows(), names(), ["p", "p", "q", 3, 4, 5], { by: "max", label: "highest" }],
    {
      takes: Object.fromEntries([0, 1, 2, 3, 4, 5].map((i) => [`3.${i}`, ["text", "number", "negative"]])),
    },
  ],
  "metrics.fitConformalSets": [
    metrics.fitConformalSets,
    () => [labels(), rows(), names(), { risk: 0.4, perClass: true }],
  ],
  "metrics.conformalSet": [
    metrics.conformalSet,
    () => [[0.3, 0.7], sets()],
    { open: /^1/, unused: /^1\.(risk|perClass|images)/ },
  ],
  "metrics.conformalCoverage": [
    metrics.conformalCoverage,
    () => [labels(), rows(), names(), sets(), drawn()],
    { open: /^3/, unused: /^3\.(risk|perClass|images)/, takes: patientsAt(4) },
  ],
  "metrics.fitTemperature": [
    metrics.fitTemperature,
    () => [labels(), Float32Array.from(rows().flat(), Math.log), 2, { activation: "softmax" }],
  ],
  "metrics.withTemperature": [metrics.withTemperature, () => [[0.3, 0.7], 2, 1.5, { activation: "softmax" }]],
  "metrics.logitsOf": [metrics.logitsOf, () => [[0.3, 0.7], "sigmoid"]],
  "metrics.fitNearest": [
    metrics.fitNearest,
    () => [features(), 2, { neighbor: 2, distance: "cosine", most: 5, seed: 1 }],
  ],
  "metrics.fitMahalanobis": [
    metrics.fitMahalanobis,
    () => [features(), 2, labels()],
    { takes: Object.fromEntries(labels().map((_, i) => [`2.${i}`, ["bigint"]])) },
  ],
  "metrics.outlierScores": [
    metrics.outlierScores,
    () => [[0.1, 0.2], metrics.fitNearest(features(), 2, { neighbor: 2 })],
    { open: /^1/ },
  ],
  "metrics.outlierScores, by class": [
    metrics.outlierScores,
    () => [[0.1, 0.2], metrics.fitMahalanobis(features(), 2, labels())],
    { open: /^1/, unused: /shrinkage/ },
  ],
  "metrics.fitPrincipal": [metrics.fitPrincipal, () => [features(), 2, { directions: 1 }]],
  "metrics.outlierScores, along directions": [
    metrics.outlierScores,
    () => [[0.1, 0.2], metrics.fitPrincipal(features(), 2, { directions: 1 })],
    { open: /^1/ },
  ],
  "metrics.fitOutlierPanel": [
    metrics.fitOutlierPanel,
    () => [[{ name: "a", width: 2, directions: 1, train: features(), validation: manyFeatures() }], 0.1],
  ],
  "metrics.panelScores": [
    metrics.panelScores,
    () => [[0.1, 0.2], panel()],
    { open: /^1/, unused: /^1\.(limit|falseAlarms)|name$/, takes: { "0.0": ["NaN"], 0.1: ["NaN"] } },
  ],
  "reports.uncertaintyOf": [
    reports.uncertaintyOf,
    () => [evaluation(), { classes: names(), task: "binary", threshold: 0.5, assurance: assurance() }, 0.3],
    { open: /^[01]/, unused: /^1\.assurance/, takes: { "*": ["null", "NaN"] } },
  ],
  "metrics.outlierLimit": [metrics.outlierLimit, () => [Array.from({ length: 30 }, (_, i) => i), 0.1]],
  "reports.estimatesOf": [
    reports.estimatesOf,
    () => [evaluation()],
    { open: /^0/, takes: { "*": ["null", "NaN"] } },
  ],
  "reports.scoreIntervals": [
    reports.scoreIntervals,
    () => [evaluation()],
    { open: /^0/, takes: { "*": ["null", "NaN"] } },
  ],
  "reports.calibrationOf": [
    reports.calibrationOf,
    () => [evaluation()],
    { open: /^0/, takes: { "*": ["null", "NaN"] } },
  ],
  "reports.operatingEvidence": [
    reports.operatingEvidence,
    () => [evaluation(), 0.5],
    { open: /^0/, takes: { "*": ["null", "NaN"], 1: [] } },
  ],
  "reports.comparisonOf": [
    reports.comparisonOf,
    () => [evaluation(), evaluation()],
    { open: /./, takes: { "*": ["null", "NaN"] } },
  ],
  "reports.subgroupsOf": [
    reports.subgroupsOf,
    () => [
      evaluation(),
      { sex: ["F", "M", "F", undefined, "M", "F"] },
      { ...drawn(), metrics: ["accuracy"] },
    ],
    { open: /^[01]/, takes: { "*": ["null", "NaN"], ...patientsAt(2) } },
  ],
};
