import { describe, expect, it } from "vitest";
import type { Evaluation } from "../../src/inference/evaluate.js";
import { classificationMetrics } from "../../src/metrics/classification.js";
import { comparisonOf, estimatesOf, scoreIntervals, subgroupsOf } from "../../src/reports/evidence.js";
import { scoresOf } from "../../src/reports/scores.js";
import { endsOf, evidence, expectNear } from "../support/evidence.js";

const { labels, probabilities, other, patients } = evidence;
const names = ["a", "b", "c", "d"];

function evaluationOf(rows: number[][], whose?: (string | undefined)[]): Evaluation {
  return {
    metrics: classificationMetrics(labels, rows, names),
    labels: Int32Array.from(labels),
    probabilities: Float32Array.from(rows.flat()),
    patients: whose,
  };
}

describe("the evidence of an evaluation", () => {
  const whose = patients.map(String);
  const byPatient = evaluationOf(probabilities, whose);

  it("counts patients where they are known, those not known one each", () => {
    expect(scoreIntervals(byPatient).patients).toBe(new Set(patients).size);
    expect(scoreIntervals(evaluationOf(probabilities)).patients).toBeNull();
    const unknown = whose.map((patient, i) => (i < 3 ? undefined : patient));
    const rest = new Set(whose.slice(3)).size;
    expect(scoreIntervals(evaluationOf(probabilities, unknown)).patients).toBe(rest + 3);
  });

  it("holds both ends of what is estimated", () => {
    const { auc, f1, accuracy } = scoreIntervals(byPatient);
    expect(auc).toEqual(endsOf(estimatesOf(byPatient).auc));
    expect(accuracy).toEqual(endsOf(estimatesOf(byPatient).accuracy));
    expect(f1).toHaveLength(4);
  });

  it("is of subgroups and of another classifier, by patient", () => {
    const { scanner } = evidence.subgroups;
    const [first] = subgroupsOf(byPatient, { scanner }, { resamples: 50 });
    expect(first).toMatchObject({ attribute: "scanner", value: "new" });
    const { difference } = comparisonOf(byPatient, evaluationOf(other));
    expect(difference.value).toBeCloseTo(byPatient.metrics.auc - evaluationOf(other).metrics.auc, 6);
  });

  it("goes through JSON without a loss, and names no patient", () => {
    const strange = whose.map((patient) => `Smith-${patient}`);
    const text = JSON.stringify(scoresOf(evaluationOf(probabilities, strange), undefined));
    expect(text).not.toContain("Smith");
    expect(text).not.toContain("null,null");
    expectNear(JSON.parse(text).intervals.auc, [...endsOf(estimatesOf(byPatient).auc)], 0);
  });
});
