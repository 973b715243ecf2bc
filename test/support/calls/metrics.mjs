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

const dataset = () =>
  mm.data.fromArrays({
    images: new Uint8Array(64),
    shape: [4, 4, 4],
    labels: labels(),
    patients: ["p", "p", "q", "r"],
    classes: names(),
    preprocessing: { channels: 1, imageSize: 4 },
  });
const classifier = () => {
  const { classes, preprocessing } = dataset();
  const model = new mm.MedMamba({
    ...{ dims: [4], depths: [1], dState: 1, inChannels: 1, numClasses: 2, patchSize: 2 },
  });
  return { model, classes, preprocessing };
};
const preprocessingOrNull = (place) =>
  Object.fromEntries(
    ["imageSize", "channels", "mean", "std", "resize", "window", "bitDepth", "slices"].map((name) => [
      `${place}.preprocessing.${name}`,
      ["null"],
    ]),
  );
const about = (index) => ({ split: null, index, name: String(index), labels: ["a"] });
const pair = () => ({ images: [about(0), about(1)], similarity: 0.9, how: "mirrored" });
const some = (first) => ({ count: first.length, first });
const shortcut = () => ({
  feature: "brightness",
  from: "picture",
  auc: 0.6,
  interval: [0.5, 0.7],
  areas: [0.6, 0.5],
  suspicious: true,
});
/** The same, tried as it is but not part by part: another call does that. */
const whole = (value) => Object.assign(Object.create({}), value);
const estimate = () => ({ value: 0.5, lower: 0.4, upper: 0.6, method: "wilson" });
const subgroup = () => ({
  attribute: "sex",
  value: "F",
  samples: 2,
  scores: { auc: { inside: estimate(), outside: estimate(), difference: { reason: "too few" } } },
});
const mistakes = () => ({
  surest: [{ image: 0, truth: "a", called: "b", explained: "b", probability: 0.9, confidence: 0.8 }],
  wrong: 1,
  answers: 4,
});
const dataEvidence = () => ({
  classes: names(),
  splits: [{ name: "test", images: 4, patients: 3, counts: [2, 2] }],
  audit: { ok: true, warnings: [] },
});
const auditReport = () => ({
  images: {
    count: 4,
    unreadable: some([{ ...about(2), reason: "torn" }]),
    constant: some([about(3)]),
    ...Object.fromEntries(["blank", "tiny", "clipped", "burnedIn"].map((name) => [name, some([])])),
    sizes: { "4 x 4": 4 },
    ...{ bitDepths: { 8: 4 }, channels: { grey: 4 }, photometrics: {}, spacings: {} },
  },
  patients: { count: 3, images: 4, acrossSplits: 0, groupsAcrossSplits: 0 },
  splits: { all: { images: 4, patients: 3, classes: { a: 2, b: 2 } } },
  duplicates: some([{ images: [about(0), about(1)] }]),
  nearDuplicates: some([pair()]),
  crossSplit: { ...some([]), identical: 0, copiesOfTrain: 0 },
  labelConflicts: some([]),
  shortcuts: {
    images: 4,
    clusters: 3,
    classes: names(),
    chance: { auc: 0.5, upper: 0.6, permutations: 20 },
    all: shortcut(),
    features: [shortcut()],
    leftOut: ["c"],
  },
  warnings: ["look"],
  ok: false,
});
/** An audit's scores are null or NaN where they could not be computed; some counts and what was not asked are null. */
const auditTakes = (place) =>
  Object.fromEntries([
    ...["all", "features.0"].flatMap((own) =>
      ["auc", "interval.0", "interval.1", "areas.0", "areas.1"].map((score) => [
        `${place}.shortcuts.${own}.${score}`,
        ["null", "NaN"],
      ]),
    ),
    ...["chance.auc", "chance.upper"].map((score) => [`${place}.shortcuts.${score}`, ["null", "NaN"]]),
    ...["shortcuts.chance", "shortcuts.all", "patients.count", "splits.all.patients"].map((name) => [
      `${place}.${name}`,
      ["null"],
    ]),
    ...["images.sizes", "images.bitDepths", "images.channels", "splits", "splits.all.classes"].map((name) => [
      `${place}.${name}`,
      ["object"],
    ]),
    ...[
      "images.unreadable.first.0",
      "images.constant.first.0",
      ...["duplicates", "nearDuplicates"].flatMap((set) => [0, 1].map((at) => `${set}.first.0.images.${at}`)),
    ].map((name) => [`${place}.${name}.split`, ["null"]]),
  ]);

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
      {
        ...{ title: "t", description: "d", facts: { a: "b" }, threshold: 0.5, png: false },
        evaluation: { ...evaluation(), metrics: whole(evaluation().metrics) },
      },
    ],
    { open: /facts|evaluation/ },
  ],
  "reports.writeReport, with all evidence": [
    reports.writeReport,
    () => [
      "whole",
      {
        ...{ title: "t", description: "d", facts: { a: "b" }, evaluation: whole(evaluation()) },
        ...{ threshold: 0.5, judged: "internal test", cautions: ["c"], png: false },
        sections: [{ id: "seal", heading: "h", body: "b" }],
        subgroups: [subgroup()],
        mistakes: { ...mistakes(), heatMaps: "occlusion" },
        data: dataEvidence(),
        run: { device: "cpu", threads: 2, versions: { node: "1" }, settings: { model: "tiny" } },
      },
    ],
    {
      open: /./,
      takes: { "1.data.splits.0.patients": ["null"] },
      unused: /settings\.\w/,
    },
  ],
  "reports.mistakesOf": [
    reports.mistakesOf,
    () => [evaluation(), { count: 2, threshold: 0.5 }],
    { open: /^0/, takes: scores },
  ],
  "reports.pictureMistakes": [
    reports.pictureMistakes,
    () => [mistakes(), dataset(), { classifier: classifier(), method: "occlusion" }],
    { open: /./, takes: { ...preprocessingOrNull("1"), ...preprocessingOrNull("2.classifier") } },
  ],
  "reports.dataEvidenceOf": [
    reports.dataEvidenceOf,
    () => [{ train: dataset(), test: dataset() }],
    { open: /./, takes: { ...preprocessingOrNull("0.train"), ...preprocessingOrNull("0.test") } },
  ],
  "reports.auditHtml": [
    reports.auditHtml,
    () => [
      {
        title: "t",
        report: auditReport(),
        conflicts: [],
        across: [],
        near: [{ ...pair(), pictures: ["data:,", "data:,"] }],
      },
    ],
    {
      open: /report|near/,
      takes: {
        ...auditTakes("0.report"),
        "0.near.0.images.0.split": ["null"],
        "0.near.0.images.1.split": ["null"],
      },
    },
  ],
  "reports.writeAudit": [
    reports.writeAudit,
    () => ["audit", { title: "t", report: auditReport(), dataset: dataset() }],
    {
      open: /report|dataset/,
      takes: { ...auditTakes("1.report"), ...preprocessingOrNull("1.dataset") },
    },
  ],
  "reports.operatingPoint": [
    reports.operatingPoint,
    () => [evaluation(), 0.5],
    { open: /^0/, takes: scores },
  ],
  "reports.scoresOf": [reports.scoresOf, () => [evaluation(), 0.5], { open: /^0/, takes: scores }],
  audit: [
    mm.audit,
    () => [dataset(), { shortcuts: true, seed: 0, listed: 10, onProgress: () => {} }],
    { open: /^0$/, takes: preprocessingOrNull("0") },
  ],
  poolingOf: [mm.poolingOf, () => ["patient:mean"]],
  unitsOf: [mm.unitsOf, () => [["p", "p", "q"]]],
  poolEvaluation: [
    mm.poolEvaluation,
    () => [evaluation(), dataset(), { by: "patient", how: "mean" }, tasks.binary],
    { open: /^[013]/, unused: /^0\.metrics/, takes: preprocessingOrNull("1") },
  ],
  poolPredictions: [
    mm.poolPredictions,
    () => [
      classifier(),
      [
        { label: "a", labels: ["a"], probability: 0.9, probabilities: { a: 0.9, b: 0.1 } },
        { label: "b", labels: ["b"], probability: 0.8, probabilities: { a: 0.2, b: 0.8 } },
      ],
      { of: Int32Array.of(0, 0), count: 1 },
      "mean",
    ],
    {
      open: /^[01]/,
      unused: /^0\.(model|preprocessing)|^1\.\d\.(label|labels|labels\.0|probability)$/,
      takes: preprocessingOrNull("0"),
    },
  ],
  "tasks.taskOf": [tasks.taskOf, () => [{ task: "binary", classes: names() }], { open: /0/ }],
};
