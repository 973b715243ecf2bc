/** Evidence of what a checkpoint knows of itself, counted by hand, and the section that tells it. */
import { describe, expect, it } from "vitest";
import { uncertaintyLines } from "../../../src/cli/console/uncertainty-lines.js";
import { type Assurance, metrics, reports } from "../../../src/index.js";
import { uncertaintySection } from "../../../src/reports/sections/uncertainty.js";

const classes = ["a<b", "no"];
const labels = Int32Array.of(0, 0, 0, 0, 1, 1, 1, 1);
const first = [0.9, 0.8, 0.5, 0.2, 0.1, 0.2, 0.45, 0.9];
const probabilities = Float32Array.from(first.flatMap((value) => [value, 1 - value]));
const evaluation = {
  metrics: metrics.classificationMetrics(labels, probabilities, classes),
  labels,
  probabilities,
  outlierScores: Float64Array.of(0, 3, 0, 0, 0, 0, 0, 3),
};
const outliers = metrics.fitOutlierPanel([
  {
    name: "picture",
    width: 1,
    train: Array.from({ length: 30 }, (_, i) => Math.sin(i)),
    validation: Array.from({ length: 30 }, (_, i) => Math.sin(i + 0.5)),
  },
]);
const assurance: Assurance = {
  images: { train: 30, validation: 25 },
  calibration: { temperature: 1.5, before: 1, after: 0.9 },
  sets: {
    risks: [0.1, 0.2],
    least: [
      [0.4, 0.5],
      [0.6, null],
    ],
    images: [20, 5],
  },
  outliers: { ...outliers, limit: 2 },
};
const evidence = reports.uncertaintyOf(evaluation, { classes, assurance });

describe("the evidence", () => {
  it("is what can be counted by hand", () => {
    // Sets: a | a | a,no | no | no | no | a,no | a. Strange: the second and the last.
    expect(evidence?.referred.value).toBe(4 / 8);
    expect(evidence?.reasons).toEqual({ "unlike-training": 2, "several-possible": 2 });
    // Called: a a a no no no no a; answered are 1, 4, 5, 6, of which the second is wrong.
    expect(evidence?.right.value).toBe(6 / 8);
    expect(evidence?.rightOfAnswered.value).toBe(3 / 4);
    const sets = evidence?.sets as metrics.ConformalCoverage;
    expect(sets.coverage.value).toBe(6 / 8);
    expect(sets.single.value).toBe(6 / 8);
    expect(evidence?.outliers).toMatchObject({ limit: 2, promised: 0.05, called: { value: 2 / 8 } });
    const [lower, upper] = metrics.wilsonInterval(3, 4);
    expect(evidence?.rightOfAnswered).toMatchObject({ lower, upper, method: "wilson" });
    expect(JSON.parse(JSON.stringify(evidence)).riskCoverage.area.value).toBeGreaterThan(0);
  });

  it("calls images as the threshold does", () => {
    const strict = reports.uncertaintyOf(evaluation, { classes, assurance, threshold: 0.15 });
    // Called no from 0.15 on: all but the first and the last; of the second only a is possible.
    expect(strict?.right.value).toBe(4 / 8);
    expect(strict?.reasons["called-ruled-out"]).toBe(1);
  });

  it("is of another risk where that has sets, and says why it is not", () => {
    expect(() => reports.uncertaintyOf(evaluation, { classes, assurance }, 0.2)).toThrow(
      "uncertaintyOf: the checkpoint has no sets for a risk of 0.2: it has them for 0.1.",
    );
    expect(reports.uncertaintyOf(evaluation, { classes })).toBeUndefined();
  });

  it("has reasons in the place of what the checkpoint lacks", () => {
    const lacking = { reason: "there are too few" };
    const without = { ...assurance, sets: lacking, outliers: lacking, calibration: lacking };
    const found = reports.uncertaintyOf(evaluation, { classes, assurance: without });
    expect(found).toMatchObject({ sets: lacking, outliers: lacking, referred: { value: 0 } });
    expect(uncertaintySection(found as reports.UncertaintyEvidence).body).toContain(
      "There are no sets of possible classes: there are too few.",
    );
  });

  it("is of each label where an image has several", () => {
    const several = {
      metrics: metrics.multiLabelMetrics(
        Array.from(labels).flatMap((label) => [1 - label, label]),
        probabilities,
        classes,
      ),
      labels: Int32Array.from(Array.from(labels).flatMap((label) => [1 - label, label])),
      probabilities,
    };
    const sets = { risks: [0.1], least: [[0.4, 0.4, null, 0.5]], images: [10, 10, 1, 19] };
    const found = reports.uncertaintyOf(several, {
      classes,
      task: "multi-label",
      assurance: { ...assurance, sets },
    });
    // Of the first label: there | there | both | absent | absent | absent | both | there.
    expect(found?.labels).toHaveLength(1);
    expect(found?.labels?.[0]).toMatchObject({ coverage: { value: 6 / 8 }, decided: { value: 6 / 8 } });
    expect(uncertaintySection(found as reports.UncertaintyEvidence).body).toContain(
      "truth about a&lt;b not ruled out",
    );
  });
});

describe("the section", () => {
  const { id, heading, body } = uncertaintySection(evidence as reports.UncertaintyEvidence);

  it("says first what it comes to", () => {
    expect([id, heading]).toEqual(["uncertainty", "When it does not know"]);
    expect(body).toMatch(
      /^<p class="lead">Of 100 such images it refers 50 \(95 % interval \d+ to \d+\) to a human\./,
    );
    expect(body).toContain("answers it is right about 75 (95 % interval");
    expect(body).toContain("calibrated by a temperature of 1.50");
  });

  it("has tables with headings, and no markup of others", () => {
    expect(body.match(/<table>/g)).toHaveLength(4);
    expect(body.match(/<thead>/g)).toHaveLength(4);
    expect(body).toContain('<th scope="row">truth among the possible classes</th>');
    expect(body).not.toContain("a<b");
  });

  it("says by which decision each share is", () => {
    expect(body).toContain("called from the threshold on, where there is one");
    expect(body).toContain("most certain images are answered, and the most probable class is called");
  });

  it("fits a terminal as lines", () => {
    const lines = uncertaintyLines(evidence as reports.UncertaintyEvidence);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80);
    expect(lines.join("\n")).toContain("referred to a human");
  });
});
