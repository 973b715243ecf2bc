/** Reports with everything that there can be in them, of each kind, from samples that evidence.json has golden numbers of. */
import type { Evaluation } from "../../src/inference/evaluate.js";
import { operatingPoint } from "../../src/metrics/operating-point.js";
import type { EvaluationReport } from "../../src/reports/evaluation-report.js";
import { ofSecondClass, subgroupsOf } from "../../src/reports/evidence.js";
import { mistakesOf } from "../../src/reports/mistakes.js";
import type { AnyPooledEvaluation } from "../../src/reports/sections/pooled.js";
import { type SealEvidence, sealSection } from "../../src/reports/sections/seal.js";
import type { AnyEvaluation } from "../../src/reports/several-labels.js";
import { evaluationOfEvidence } from "./evaluations.js";
import { evidence } from "./evidence.js";

export const kinds = ["two classes", "several classes", "several labels"] as const;
export type Kind = (typeof kinds)[number];

/** Red, 16 x 8 pixels. */
const picture =
  "data:image/svg+xml;base64,PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciIHdpZHRoPSIxNiIgaGVpZ2h0PSI4Ij48cmVjdCB3aWR0aD0iMTYiIGhlaWdodD0iOCIgZmlsbD0icmVkIi8+PC9zdmc+";

const evaluationOf = (kind: Kind): AnyEvaluation => {
  if (kind === "two classes") return evaluationOfEvidence(kind, { scores: evidence.fine });
  return kind === "several classes" ? evaluationOfEvidence(kind) : evaluationOfEvidence(kind);
};

const sealed: SealEvidence = {
  ...{ test: "internal", images: 160, of: { train: 0, val: 0, test: 160 } },
  looks: { total: 3, earlier: 1, atLeast: false, checkpoints: 1, decisions: 2 },
  ledger: { entries: 3, hash: "0123456789abcdef".repeat(4) },
  findings: [
    { code: "ledger", state: "broken", words: "A line was changed." },
    { code: "looks", state: "ok", words: "It is counted." },
  ],
};

/** @param renamed  other names in the place of the classes */
export function fullReport(kind: Kind, renamed: (name: string) => string = (name) => name): EvaluationReport {
  const plain = evaluationOf(kind);
  const classes = plain.metrics.classes.map(renamed);
  const evaluation = { ...plain, metrics: { ...plain.metrics, classes } } as AnyEvaluation;
  const threshold = kind === "two classes" ? 0.3 : undefined;
  const rare = evidence.subgroups.scanner.map((scanner, at) =>
    at < 6 ? "of a very long name, and rarely used" : scanner,
  );
  const mistakes = mistakesOf(evaluation, { threshold });
  const validation = { loss: 0.5, accuracy: 0.8, balancedAccuracy: 0.75, auc: 0.9, macroF1: 0.7 };
  const epochs = [1, 2, 3].map((epoch) => ({
    ...{ epoch, step: 10 * epoch, lr: 0.1, trainLoss: 1 / epoch, validation, best: epoch === 3 },
    ...{ seconds: 1, imagesPerSecond: 100 },
  }));
  return {
    title: "MedMamba on 160 test images",
    description: "A training of 3 epochs, judged on images that its weights were not fitted to.",
    facts: { Checkpoint: "run/best.safetensors", Data: "study.csv" },
    evaluation,
    threshold,
    judged: "internal test",
    cautions: ["The labels are of one reader."],
    ...(kind === "two classes" && { chosen: chosenOf(evaluation as Evaluation) }),
    pooled: {
      ...evaluation,
      ...{ pooling: { by: "patient", how: "mean" }, units: 160, leftOut: 1 },
    } as AnyPooledEvaluation,
    subgroups: subgroupsOf(evaluation, { scanner: rare }, { resamples: 50 }),
    mistakes: {
      ...mistakes,
      surest: mistakes.surest.map((mistake, at) => ({ ...mistake, picture: at === 0 ? undefined : picture })),
      heatMaps: "occlusion",
    },
    history: { epochs, best: 3 },
    sections: [sealSection(sealed)],
    data: {
      classes,
      splits: ["train", "val", "test"].map((name) => ({
        ...{ name, images: 1000, patients: name === "val" ? null : 400 },
        counts: classes.map(() => 500),
      })),
      facts: { Source: "study.csv" },
      audit: { ok: true, warnings: ["The label follows from brightness."] },
    },
    run: {
      command: "medmamba evaluate --checkpoint run/best.safetensors --data study.csv --report report",
      versions: { medmamba: "0.2.0", Node: "v20.20.2" },
      ...{ device: "cpu", precision: "float32", simd: "AVX-512", threads: 2, seed: 0 },
      checkpoint: "0123456789abcdef".repeat(4),
      settings: { model: "tiny", learningRate: 0.0003, augmentation: { flip: true, rotation: 10 } },
    },
  };
}

function chosenOf(evaluation: Evaluation): EvaluationReport["chosen"] {
  const samples = {
    labels: evaluation.labels,
    scores: ofSecondClass(evaluation),
    patients: evaluation.patients,
  };
  const criterion = { criterion: "sensitivity", atLeast: 0.9 } as const;
  const { threshold, test, validation } = operatingPoint(samples, samples, criterion);
  return { threshold, criterion, validation, ...test };
}
