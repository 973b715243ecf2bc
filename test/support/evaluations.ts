/** Evaluations of each kind, made of the samples that evidence.json has golden numbers of. */
import type { Evaluation } from "../../src/inference/evaluate.js";
import { classificationMetrics } from "../../src/metrics/classification.js";
import { type MultiLabelMetrics, multiLabelMetrics } from "../../src/metrics/multi-label.js";
import type { AnyEvaluation } from "../../src/reports/several-labels.js";
import { binaryLabels, binaryScores, evidence } from "./evidence.js";

const whose = evidence.patients.map((patient) => `Smith-${patient}`);

/** By patient, with names that no report may have. */
export function evaluationOfEvidence(kind: "two classes", options?: { patients?: boolean }): Evaluation;
export function evaluationOfEvidence(kind: "several classes", options?: { patients?: boolean }): Evaluation;
export function evaluationOfEvidence(
  kind: "several labels",
  options?: { patients?: boolean },
): Evaluation<MultiLabelMetrics>;
export function evaluationOfEvidence(
  kind: "two classes" | "several classes" | "several labels",
  { patients = true }: { patients?: boolean } = {},
): AnyEvaluation {
  const people = patients ? { patients: whose } : {};
  if (kind === "several labels") {
    const { labels, scores, thresholds } = evidence.multi;
    const names = ["edema", "mass", "nodule"];
    return {
      metrics: multiLabelMetrics(labels, scores, names, thresholds),
      labels: Int32Array.from(labels),
      probabilities: Float32Array.from(scores),
      ...people,
    };
  }
  const binary = kind === "two classes";
  const labels = binary ? binaryLabels : evidence.labels;
  const rows = binary ? binaryScores.map((score) => [1 - score, score]) : evidence.probabilities;
  const names = binary ? ["normal", "pneumonia"] : ["a", "b", "c", "d"];
  return {
    metrics: classificationMetrics(labels, rows, names),
    labels: Int32Array.from(labels),
    probabilities: Float32Array.from(rows.flat()),
    ...people,
  };
}
