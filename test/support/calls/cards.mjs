/** What `reports` makes of the facts of a run and of what people state: checklists and a model card. */
import { reports } from "../../../dist/index.js";

const names = () => ["a", "b"];
const score = () => ({ value: 0.9, interval: [0.8, 0.95], reason: "none" });
const part = () => ({
  images: 6,
  patients: 4,
  classes: { a: 3, b: 3 },
  columns: {
    sex: { counts: { F: 3, M: 2 }, missing: 1 },
    age: { median: 50, quartiles: [40, 60], missing: 0 },
  },
});
const facts = () => ({
  software: { name: "medmamba", version: "1", license: "MIT", node: "v20", platform: "linux" },
  checkpoint: { file: "best.safetensors", sha256: "ab" },
  runKept: true,
  computing: { device: "cpu", precision: "float32" },
  task: "binary",
  classes: names(),
  frames: "first",
  dataName: "study.csv",
  parts: { train: part(), val: part(), test: part() },
  externalPart: part(),
  division: {
    given: false,
    validationFraction: 0.1,
    testFraction: 0.1,
    seed: 0,
    keptTogether: true,
    groups: "x",
    leaksAllowed: false,
  },
  thresholds: [0.4],
  evaluation: {
    part: "test",
    external: false,
    samples: 6,
    patients: 4,
    classes: names(),
    scores: { AUC: score() },
    sensitivity: [score()],
    specificity: [score()],
    confusion: [[2, 1]],
    operating: { threshold: 0.4, scores: { sensitivity: score() } },
    calibration: { slope: score(), intercept: score() },
    subgroups: [
      {
        attribute: "sex",
        value: "F",
        label: "a",
        samples: 3,
        metric: "auc",
        inside: score(),
        difference: score(),
      },
    ],
  },
  audit: {
    ok: true,
    images: 6,
    unreadable: 0,
    duplicates: 0,
    nearDuplicates: 0,
    crossSplit: 0,
    labelConflicts: 0,
    burnedIn: 0,
    patientsAcrossSplits: 0,
    sizes: { "8 x 8": 6 },
  },
  seal: { looks: 1, intact: true, sameImages: true },
  uncertainty: {
    temperature: 1.1,
    risk: 0.1,
    falseAlarms: 0.05,
    referred: score(),
    rightOfAnswered: score(),
  },
  explanation: { method: "occlusion", images: 3, check: "It was checked." },
});
const statements = () => ({ users: "radiologists", keywords: "lung" });
/** Numbers and patients may be null, where there are none; names of classes, columns, scores, sizes and counts are free. */
const ofFacts = {
  takes: Object.fromEntries([
    ...["AUC"].map((name) => [`0.evaluation.scores.${name}.value`, ["null"]]),
    ...["sensitivity", "specificity"].map((name) => [`0.evaluation.${name}.0.value`, ["null"]]),
    ["0.evaluation.operating.scores.sensitivity.value", ["null"]],
    ...["slope", "intercept"].map((name) => [`0.evaluation.calibration.${name}.value`, ["null"]]),
    ...["inside", "difference"].map((name) => [`0.evaluation.subgroups.0.${name}.value`, ["null"]]),
    ...["referred", "rightOfAnswered"].map((name) => [`0.uncertainty.${name}.value`, ["null"]]),
    ["0.evaluation.patients", ["null"]],
    ...["parts.train", "parts.val", "parts.test", "externalPart"].map((place) => [
      `0.${place}.patients`,
      ["null"],
    ]),
    ...["users", "keywords"].map((name) => [`1.${name}`, ["null", "number", "negative", "list"]]),
  ]),
  open: /\.(classes|columns|counts|scores|sizes)$/,
};
const few = () => ({ classes: names(), software: facts().software });

export const calls = {
  "reports.answeredChecklists": [reports.answeredChecklists, () => [facts(), statements()], ofFacts],
  "reports.checklistSection": [reports.checklistSection, () => [few(), statements()], ofFacts],
  "reports.writeModelCard": [
    (given, stated) => reports.writeModelCard("card", given, stated),
    () => [few(), statements()],
    ofFacts,
  ],
};
