/** What the sections say is what statsmodels, scikit-learn and the formulas in evidence.json say. */
import { describe, expect, it } from "vitest";
import { subset } from "../../../src/data/dataset.js";
import { poolEvaluation } from "../../../src/inference/pooling.js";
import { operatingPoint } from "../../../src/metrics/operating-point.js";
import { calibrationOf, subgroupsOf } from "../../../src/reports/evidence.js";
import { findingsOf } from "../../../src/reports/findings.js";
import { calibrationSection, labelCalibrations } from "../../../src/reports/sections/calibration.js";
import { classesSection } from "../../../src/reports/sections/classes.js";
import { curvesOf, curvesSection } from "../../../src/reports/sections/curves.js";
import { dataEvidenceOf, dataSection } from "../../../src/reports/sections/data.js";
import {
  type ChosenEvidence,
  operatingPointSection,
  wishOf,
} from "../../../src/reports/sections/operating-point.js";
import { type AnyPooledEvaluation, pooledSection } from "../../../src/reports/sections/pooled.js";
import { runSection } from "../../../src/reports/sections/run.js";
import { scoresSection } from "../../../src/reports/sections/scores.js";
import { subgroupsSection } from "../../../src/reports/sections/subgroups.js";
import { trainingSection } from "../../../src/reports/sections/training.js";
import { multiClass } from "../../../src/tasks/multi-class.js";
import { evaluationOfEvidence } from "../../support/evaluations.js";
import { binaryLabels, binaryScores, drawnAlike, evidence, type Golden } from "../../support/evidence.js";
import { rowOf, tableOf, tablesOf, textOf } from "../../support/markup.js";
import { sides } from "../../support/sides.js";

const written = (value: number, digits = 3) => value.toFixed(digits).replace("-", "−");
const within = ([value, lower, upper]: Golden, digits = 3) => [
  written(value, digits),
  `${written(lower, digits)} – ${written(upper, digits)}`,
];
const { diagnostic } = evidence;
const byImage = evaluationOfEvidence("two classes", { patients: false });

describe("the section of classes", () => {
  const findings = findingsOf(byImage, diagnostic.threshold);
  const { body } = classesSection({ kind: "two classes", findings });

  it.each([
    ["Sensitivity", "sensitivity"],
    ["Specificity", "specificity"],
    ["Positive predictive value", "positivePredictiveValue"],
    ["Negative predictive value", "negativePredictiveValue"],
    ["Positive likelihood ratio", "positiveLikelihoodRatio"],
    ["Negative likelihood ratio", "negativeLikelihoodRatio"],
    ["Accuracy", "accuracy"],
    ["Prevalence", "prevalence"],
  ])("has statsmodels' %s", (row, name) => {
    const table = tableOf(body, /^What calls of pneumonia are worth, called from a probability of 0.300 on$/);
    expect(rowOf(table, row).slice(0, 2)).toEqual(within(diagnostic[name] as Golden));
  });

  it("has Mercaldo's predictive values where one in a hundred has it", () => {
    const table = tableOf(body, /other prevalences/);
    expect(table.headings[1]).toBe("1 % have it");
    const { positivePredictiveValue, negativePredictiveValue } = diagnostic.atOnePercent;
    expect(rowOf(table, "Of those called, the share that has it")[0]).toBe(
      within(positivePredictiveValue!).join(" "),
    );
    expect(rowOf(table, "Of those let go, the share without it")[0]).toBe(
      within(negativePredictiveValue!).join(" "),
    );
  });

  it("tells why there is no interval, by a letter under the table", () => {
    const none = { ...byImage, labels: byImage.labels.map(() => 0) };
    const all = findingsOf(evaluationOfEvidence("several classes", { patients: false }), undefined);
    const several = classesSection({
      kind: "several classes",
      findings: [findingsOf(none, 0.5)[0]!, all[0]!],
    });
    expect(rowOf(tableOf(several.body, /^What calls of each class/), "pneumonia")[1]).toBe("–a");
    expect(textOf(several.body)).toContain("a No interval, because no sample is positive.");
  });
});

describe("the section of scores", () => {
  it("has scikit-learn's values", () => {
    const { metrics } = evaluationOfEvidence("several classes");
    const table = tableOf(scoresSection({ metrics }).body, /^All scores/);
    for (const [row, name] of [
      ["Accuracy", "accuracy"],
      ["AUC", "auc"],
      ["Macro F1", "macroF1"],
      ["Matthews correlation", "mcc"],
      ["Brier score", "brier"],
    ] as const)
      expect(rowOf(table, row)[0]).toBe(written(evidence.whole[name]!));
  });

  it("has those of grades where classes are in order, and says that they have no interval", () => {
    const { metrics } = evaluationOfEvidence("several classes");
    const graded = { ...metrics, quadraticKappa: 0.5, meanAbsoluteError: 0.25 };
    const intervals = { level: 0.95, accuracy: [0.4, 0.6], auc: [0.7, 0.8] } as never;
    const row = rowOf(tableOf(scoresSection({ metrics: graded, intervals }).body, /^All/), "Quadratic kappa");
    expect(row.slice(0, 2)).toEqual(["0.500", "–"]);
    expect(row[2]).toMatch(/no interval, because none is computed for it/);
  });
});

describe("the section of calibration", () => {
  it("has statsmodels' line, by patient", () => {
    const calibration = calibrationOf(evaluationOfEvidence("two classes", { scores: evidence.fine }));
    const table = tableOf(
      calibrationSection({ kind: "two classes", calibration }).body,
      /^How far off probabilities are$/,
    );
    for (const [row, name] of [
      ["Slope", "slope"],
      ["Intercept", "intercept"],
      ["In the large", "inTheLarge"],
    ] as const)
      expect(rowOf(table, row).slice(0, 2)).toEqual(within(evidence.calibrationLineByPatient[name]!));
  });

  it("has a row for each of several labels", () => {
    const evaluation = evaluationOfEvidence("several labels");
    const labels = labelCalibrations(evaluation, findingsOf(evaluation));
    const { body } = calibrationSection({ kind: "several labels", labels });
    expect(tableOf(body, /^Calibration of each label/).rows.map(([name]) => name)).toEqual([
      "edema",
      "mass",
      "nodule",
    ]);
  });
});

describe("the operating point", () => {
  const samples = { labels: binaryLabels, scores: binaryScores };
  const criterion = { criterion: "sensitivity", atLeast: 0.9 } as const;
  const { threshold, test, validation } = operatingPoint(samples, samples, criterion);
  const chosen: ChosenEvidence = { threshold, criterion, validation, ...test };
  const section = (evidenceOf: Partial<ChosenEvidence> = {}) =>
    operatingPointSection({ name: "ill", other: "well", chosen: { ...chosen, ...evidenceOf } }).body;

  it("is the threshold that trying all of them finds, with its counts", () => {
    expect(section()).toContain(
      `Calls at the chosen threshold ${written(evidence.thresholds.sensitivity90!)}`,
    );
    const table = tableOf(section(), /^Calls at the chosen threshold/);
    expect(rowOf(table, "is ill")).toEqual([
      String(test.truePositives),
      String(test.falseNegatives),
      String(test.truePositives + test.falseNegatives),
    ]);
  });

  it("says whether the wish came true", () => {
    const became = (value: number, lower: number, upper: number) =>
      section({ sensitivity: { value, lower, upper, method: "wilson" } });
    expect(became(0.95, 0.91, 0.98)).toContain("The wish is kept, the whole interval included.");
    expect(became(0.91, 0.85, 0.95)).toContain("kept by these images, but the interval reaches below it");
    expect(became(0.88, 0.83, 0.93)).toContain("not kept by these images, though the interval includes it");
    expect(became(0.6, 0.5, 0.7)).toContain("not kept: the whole interval lies below it");
    expect(section({ sensitivity: { reason: "no sample is positive" } })).toContain(
      "cannot be said, because no sample is positive",
    );
    expect(wishOf({ criterion: "specificity", atLeast: 0.95 }, "mass")).toBe(
      "at least 95 of 100 without mass are to be let go",
    );
  });

  it("says that there is none", () => {
    expect(operatingPointSection({ name: "ill", other: "well" }).body).toContain(
      "the more probable class is called",
    );
  });
});

describe("subgroups", () => {
  const { scanner, values, byPatient, newcombeByPatient } = evidence.subgroups;
  const evaluation = evaluationOfEvidence("several classes");

  it("have scikit-learn's differences with the same draws", () => {
    const groups = subgroupsOf(evaluation, { scanner }, { ...drawnAlike });
    const table = tableOf(subgroupsSection(groups).body, /^Each group/);
    const row = rowOf(table, "scanner old");
    expect(row[3]).toBe(within(newcombeByPatient).join(" "));
    expect(row[6]).toBe(within([values[1]!, ...byPatient[1]!]).join(" "));
  });

  it("warn of few images, in words and in the figure", () => {
    const rare = scanner.map((_, at) => (at < 5 ? "rare" : "other"));
    const { body } = subgroupsSection(subgroupsOf(evaluation, { scanner: rare }, { resamples: 50 }));
    expect(body).toContain("One group has fewer than 20 images: it says little.");
    expect(body).toContain('scanner rare <b class="bad">(few)</b>');
    expect(body).toContain("hollow: without an interval, or, with a dashed one");
  });

  it("say how many would look different by chance, which of few is fewer than one", () => {
    const of = (groups: number) => {
      const site = scanner.map((_, at) => `s${at % groups}`);
      return subgroupsSection(subgroupsOf(evaluation, { site }, { resamples: 50 })).body;
    };
    expect(of(7)).toContain(
      "Of 7 groups without any difference, fewer than 1 would look different by chance.",
    );
    expect(of(20)).toContain("Of 20 groups without any difference, about 1 would look different");
  });
});

describe("curves", () => {
  it("are not drawn of a class that there is not, which is said", () => {
    const evaluation = evaluationOfEvidence("several classes");
    const labels = evaluation.labels.map((label) => (label === 3 ? 0 : label));
    const changed = { ...evaluation, labels };
    const found = curvesOf(changed, findingsOf(changed));
    const { figures, remarks } = found;
    expect(figures.roc!.svg.match(/>AUC /g)).toHaveLength(3);
    expect(remarks).toEqual(["There is no curve of d: these images all have it, or none has."]);
    expect(curvesSection(found).body).toContain("no curve of d");
  });

  it("of two classes have a histogram, of several labels no risk and coverage", () => {
    const names = (kind: "two classes" | "several labels") => {
      const evaluation = kind === "two classes" ? evaluationOfEvidence(kind) : evaluationOfEvidence(kind);
      return Object.keys(curvesOf(evaluation, findingsOf(evaluation, 0.3)).figures);
    };
    expect(names("two classes")).toEqual(["roc", "precisionRecall", "decision", "risk", "histogram"]);
    expect(names("several labels")).toEqual(["roc", "precisionRecall", "decision"]);
  });
});

it("units are counted as what they are", () => {
  const dataset = sides(8, 1);
  const evaluation = {
    metrics: multiClass.metrics(dataset.labels, new Float32Array(16).fill(0.5), dataset.classes),
    labels: dataset.labels,
    probabilities: Float32Array.from({ length: 16 }, (_, i) =>
      i % 2 === dataset.labels[i >> 1] ? 0.9 : 0.1,
    ),
  };
  const patients = Array.from(dataset.labels, (label, i) => `p${label}${i % 2}`);
  const pooled = poolEvaluation(
    evaluation,
    { ...dataset, patients } as never,
    { by: "patient", how: "mean" },
    multiClass,
  );
  const { heading, body } = pooledSection(pooled as unknown as AnyPooledEvaluation);
  expect(heading).toBe("By patient");
  expect(body).toContain(`by the mean of the probabilities: ${pooled.units} patients.`);
  expect(textOf(body)).toMatch(/Of 100 patients of class \S+ it finds 100/);
  expect(tableOf(body, /^Scores by patient/)).toBeDefined();
});

describe("data, training and run", () => {
  it("count images and patients, and repeat what an audit found", () => {
    const train = { ...sides(6, 1), patients: ["a", "a", "b", undefined, "c", "c"] };
    const evidenceOf = dataEvidenceOf({
      train: train as never,
      val: sides(4, 2),
      test: subset(sides(4, 3), []),
    });
    expect(evidenceOf.splits.map(({ name, images, patients }) => [name, images, patients])).toEqual([
      ["train", 6, 3],
      ["val", 4, null],
    ]);
    const audit = { ok: false, warnings: ["3 images are in <two> splits."] };
    const { body } = dataSection({ ...evidenceOf, audit });
    expect(rowOf(tableOf(body, /^Images of each part/), "val").slice(0, 2)).toEqual(["4", "not known"]);
    expect(body).toContain("3 images are in &lt;two&gt; splits.");
    expect(body).toContain("makes scores wrong");
    expect(dataSection(evidenceOf).body).toContain("were not audited");
  });

  it("tell of the epoch that was kept, and that its scores have no intervals", () => {
    const validation = { loss: 0.5, accuracy: 0.8, balancedAccuracy: 0.75, auc: Number.NaN, macroF1: 0.7 };
    const epoch = {
      epoch: 1,
      step: 10,
      lr: 0.1,
      trainLoss: 1,
      validation,
      best: true,
      seconds: 100,
      imagesPerSecond: 1,
    };
    const { body } = trainingSection({ epochs: [epoch, { ...epoch, epoch: 2, step: 20 }], best: 1 });
    const table = tableOf(body, /^Epoch 1, which was kept/);
    expect(rowOf(table, "Accuracy")).toEqual(["0.800"]);
    expect(rowOf(table, "AUC")).toEqual(["–"]);
    expect(textOf(body)).toContain("no intervals, because the epoch was chosen by them");
    expect(textOf(body)).toContain("Time of all epochs3 min");
  });

  it("tell by what the numbers came about, and leave out what is not known", () => {
    const { body } = runSection(
      { device: "cpu", seed: 0, settings: { model: "tiny", flip: undefined, sizes: [1, 2] } },
      "abc",
    );
    expect(body).toContain(
      "<dt>Device</dt><dd>cpu</dd><dt>Seed</dt><dd>0</dd><dt>SHA-256 of report.json</dt><dd>abc</dd>",
    );
    expect(tablesOf(body)[0]!.rows).toEqual([
      ["model", "tiny"],
      ["sizes", "[1,2]"],
    ]);
    expect(runSection({}).body).toBe("");
  });
});
