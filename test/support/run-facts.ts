/** Facts of a run that knows everything that a run can know: two classes, patients, age and sex. */
import { augmentations } from "../../src/data/augmentation.js";
import { definePreprocessing } from "../../src/data/preprocessing.js";
import { medMambaConfig } from "../../src/models/config.js";
import type { PartFacts, RunFacts, ScoreFact } from "../../src/reports/checklists/facts.js";
import { trainingSettings } from "../../src/training/settings.js";

const score = (value: number, lower: number, upper: number): ScoreFact => ({
  value,
  interval: [lower, upper],
});

const part = (images: number, patients: number, benign: number): PartFacts => ({
  images,
  patients,
  classes: { benign, malignant: images - benign },
  columns: {
    age: { median: 57, quartiles: [43, 68], missing: 0 },
    sex: { counts: { F: images - 3, M: 2 }, missing: 1 },
  },
});

export const wholeFacts: RunFacts = {
  software: { name: "medmamba", version: "9.8.7", license: "MIT", node: "v20.1.2", platform: "linux x64" },
  checkpoint: { file: "best.safetensors", sha256: "ab".repeat(32) },
  runKept: true,
  computing: { device: "A processor", precision: "float32" },
  task: "binary",
  classes: ["benign", "malignant"],
  network: { ...medMambaConfig({ numClasses: 2, inChannels: 1 }), parameters: 14_448_642 },
  preprocessing: definePreprocessing({ channels: 1, imageSize: 112 }),
  frames: "first",
  dataName: "study.csv",
  parts: { train: part(701, 350, 401), val: part(151, 75, 81), test: part(149, 74, 79) },
  division: {
    given: false,
    validationFraction: 0.15,
    testFraction: 0.15,
    seed: 3,
    keptTogether: true,
    leaksAllowed: false,
  },
  training: {
    settings: trainingSettings({ epochs: 17, lr: 0.0007, seed: 41 }),
    augmentation: augmentations.standard,
    epochs: 17,
    bestEpoch: 13,
    from: "random weights",
    best: { trainLoss: 0.31, loss: 0.36, auc: 0.921 },
  },
  thresholds: [0.431],
  evaluation: {
    part: "test",
    external: false,
    samples: 149,
    patients: 74,
    classes: ["benign", "malignant"],
    scores: { AUC: score(0.913, 0.861, 0.952), Accuracy: score(0.852, 0.781, 0.903) },
    sensitivity: [score(0.861, 0.77, 0.92), score(0.843, 0.74, 0.91)],
    specificity: [score(0.843, 0.74, 0.91), score(0.861, 0.77, 0.92)],
    confusion: [
      [68, 11],
      [11, 59],
    ],
    operating: {
      threshold: 0.431,
      scores: { sensitivity: score(0.843, 0.74, 0.91), specificity: score(0.861, 0.77, 0.92) },
    },
    calibration: { slope: score(0.97, 0.71, 1.23), intercept: score(0.04, -0.31, 0.39) },
    subgroups: [
      {
        attribute: "sex",
        value: "F",
        samples: 146,
        metric: "auc",
        inside: score(0.917, 0.86, 0.955),
        difference: { value: 0.12, reason: "too few samples" },
      },
    ],
  },
  audit: {
    ok: true,
    images: 1001,
    unreadable: 0,
    duplicates: 0,
    nearDuplicates: 2,
    crossSplit: 0,
    labelConflicts: 0,
    burnedIn: 0,
    patientsAcrossSplits: 0,
    sizes: { "512 x 512": 1001 },
  },
  seal: { looks: 1, intact: true, sameImages: true },
  uncertainty: { temperature: 1.31, risk: 0.1, falseAlarms: 0.05, referred: score(0.11, 0.07, 0.17) },
};
