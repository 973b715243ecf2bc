/** Evaluations of each kind, made of the samples that evidence.json has golden numbers of. */
import type { Evaluation } from "../../src/inference/evaluate.js";
import { classificationMetrics } from "../../src/metrics/classification.js";
import { type MultiLabelMetrics, multiLabelMetrics } from "../../src/metrics/multi-label.js";
import type { AnyEvaluation } from "../../src/reports/several-labels.js";
import { binaryLabels, binaryScores, evidence } from "./evidence.js";

const whose = evidence.patients.map((patient) => `Smith-${patient}`);

interface Chosen {
  /** Whether it is known whom images are of; default true. */
  patients?: boolean;
  /** Of two classes: in the place of those that most golden numbers are of. */
  scores?: readonly number[];
}

/** By patient, with names that no report may have. */
export function evaluationOfEvidence(kind: "two classes", chosen?: Chosen): Evaluation;
export function evaluationOfEvidence(kind: "several classes", chosen?: Chosen): Evaluation;
export function evaluationOfEvidence(kind: "several labels", chosen?: Chosen): Evaluation<MultiLabelMetrics>;
export function evaluationOfEvidence(
  kind: "two classes" | "several classes" | "several labels",
  { patients = true, scores = binaryScores }: Chosen = {},
): AnyEvaluation {
  const people = patients ? { patients: whose } : {};
  if (kind === "several labels") {
    const { labels, scores: probabilities, thresholds } = evidence.multi;
    const names = ["edema", "mass", "nodule"];
    return {
      metrics: multiLabelMetrics(labels, probabilities, names, thresholds),
      labels: Int32Array.from(labels),
      probabilities: Float32Array.from(probabilities),
      ...people,
    };
  }
  const binary = kind === "two classes";
  const labels = binary ? binaryLabels : evidence.labels;
  const rows = binary ? scores.map((score) => [1 - score, score]) : evidence.probabilities;
  const names = binary ? ["normal", "pneumonia"] : ["a", "b", "c", "d"];
  return {
    metrics: classificationMetrics(labels, rows, names),
    labels: Int32Array.from(labels),
    probabilities: Float32Array.from(rows.flat()),
    ...people,
  };
}
