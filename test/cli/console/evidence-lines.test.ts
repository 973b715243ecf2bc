/** What evaluate's terminal says of decisions, wishes and comparisons; and how warnings are broken into lines. */
import { Command } from "commander";
import { afterEach, expect, it, vi } from "vitest";
import { define as defineReport } from "../../../src/cli/commands/report.js";
import { summary } from "../../../src/cli/commands/train.js";
import { chosenLines, comparisonLines, pooledLines } from "../../../src/cli/console/evidence.js";
import { thresholdLines } from "../../../src/cli/console/prediction-lines.js";
import { scoreLines } from "../../../src/cli/console/score-lines.js";
import { tellProgress } from "../../../src/cli/console/study-progress.js";
import { Terminal } from "../../../src/cli/console/terminal.js";
import { data } from "../../../src/index.js";
import type { AnyPooledEvaluation } from "../../../src/reports/sections/pooled.js";
import type { StudyOutcome, StudyProgress } from "../../../src/study/carry-out.js";
import type { ChosenPoint } from "../../../src/study/chosen-point.js";
import type { Against } from "../../../src/study/comparison.js";
import { type Verdict, verdictReport } from "../../../src/study/verdict.js";
import { evaluationOfEvidence } from "../../support/evaluations.js";

const evaluation = evaluationOfEvidence("two classes", { patients: false });
const { classes, samples } = evaluation.metrics;
const estimate = (value: number) => ({ value, lower: value - 0.01, upper: value + 0.01 });

it("tells of a threshold that it is the checkpoint's, and who chose it only where that is known", () => {
  const told = (from?: Parameters<typeof scoreLines>[2]) => scoreLines(evaluation, 0.3, from).join(" ");
  expect(told()).toContain("0.300 on (as stored in the checkpoint)");
  expect(told("training").replace(/\s+/g, " ")).toContain("(chosen on validation images in training)");
  expect(told("another").replace(/\s+/g, " ")).toContain("(not the one that the training chose)");
  expect(thresholdLines({ threshold: 0.3, classes }).join(" ")).toContain("on, as stored in the checkpoint.");
});

it("names the rule at each table, within 80 columns", () => {
  const lines = scoreLines(evaluation, 0.3, "training");
  expect(lines.filter((line) => line.includes("the most probable class is called:"))).toHaveLength(3);
  for (const line of lines) expect(line.length, line).toBeLessThanOrEqual(80);
});

it("says where a wish fell short", () => {
  const told = (value: number) => {
    const names = ["specificity", "positivePredictiveValue", "negativePredictiveValue"];
    const others = Object.fromEntries(names.map((name) => [name, estimate(0.5)]));
    const criterion = { criterion: "sensitivity", atLeast: 0.95 };
    const point = { threshold: 0.2, criterion, sensitivity: estimate(value), ...others };
    return chosenLines({ ...point, validation: point } as unknown as ChosenPoint, classes).join("\n");
  };
  expect(told(0.935)).toContain("The wish fell short on these images: 0.935 is less than 0.95.");
  expect(told(0.96)).not.toContain("fell short");
});

it("says that choosing by test images spends them", () => {
  const [first, second, difference] = [0.9, 0.8, 0.1].map(estimate);
  const against = { first, second, difference, pValue: 0.01 } as unknown as Against;
  expect(comparisonLines(against, "other").join(" ").replace(/\s+/g, " ")).toContain(
    "Whoever chooses between checkpoints by test images has spent them",
  );
});

it("does not repeat the page where each unit has one image", () => {
  const pooled = { ...evaluation, units: samples, leftOut: 0, pooling: { by: "patient", how: "mean" } };
  expect(pooledLines(pooled as unknown as AnyPooledEvaluation, 0.3, "training", samples)).toEqual([
    "",
    "Each patient has one image: by patient the scores are those above.",
  ]);
});

it("a summary warns where most images are referred", () => {
  const told = (value: number) => {
    const seal = { test: "internal", looks: null, findings: [], images: 100, of: null, ledger: null };
    const shares = { referred: estimate(value), right: estimate(0.7), rightOfAnswered: estimate(0.8) };
    const absent = { reason: "there are too few" };
    const uncertainty = {
      ...{ ...shares, images: 100, assessedOn: { train: 1, validation: 1 }, risk: 0.1, reasons: {} },
      ...{ calibration: absent, sets: absent, outliers: absent },
    };
    return verdictReport({ evaluation, seal, uncertainty } as unknown as Verdict).cautions;
  };
  expect(told(0.98)).toEqual(["It refers 98 of 100 images to a human: of little use as it is."]);
  expect(told(0.5)).toEqual([]);
});

it("train names the rule that its accuracy is by, where predict has another", () => {
  const told = (threshold?: number) =>
    summary("run", {
      ...{ result: { history: [], stopped: "done" }, checkpoint: "run/best.safetensors", files: [] },
      verdict: { split: "val", evaluation, threshold },
    } as unknown as StudyOutcome);
  expect(told(0.3).join(" ")).toMatch(/accuracy [\d.]+( \([\d. to]+\))? of the most probable class, AUC/);
  expect(told().join(" ")).not.toContain("most probable");
  for (const line of told(0.3)) expect(line.length).toBeLessThanOrEqual(80);
});

afterEach(() => void vi.restoreAllMocks());

it.each([true, false])("breaks warnings on a terminal alone (%s)", (isTTY) => {
  const { isTTY: before, columns } = process.stderr;
  Object.assign(process.stderr, { isTTY, columns: 40 });
  const written: string[] = [];
  vi.spyOn(process.stderr, "write").mockImplementation((text) => written.push(String(text)) > 0);
  new Terminal({}).warn(new Array(50).fill("word").join(" "));
  Object.assign(process.stderr, { isTTY: before, columns });
  const lines = written.join("").trimEnd().split("\n");
  if (isTTY) for (const line of lines) expect(line.length).toBeLessThanOrEqual(40);
  else expect(lines).toHaveLength(1);
});

it("tells of many classes before a training, and helps with reports, within 80 columns", () => {
  const classes = ["akiec", "basal cell", "keratosis", "dermatofibroma", "melanoma", "nevus", "vascular"];
  const labels = classes.map((_, at) => at);
  const train = data.fromArrays({ images: new Uint8Array(7 * 64), shape: [7, 8, 8], labels, classes });
  const none = { ...train, length: 0 };
  const lines: string[] = [];
  const terminal = { status: (line: string) => lines.push(line) } as unknown as Terminal;
  const device = { name: "cpu", precision: "float32", describe: () => ({ model: "a processor" }) };
  tellProgress(terminal, { chosen: false })({
    ...{
      type: "prepared",
      dataset: { train, val: none, test: none },
      model: { device, parameterCount: 1e6 },
    },
    plan: {
      data: "scans",
      model: { depths: [1], dims: [4] },
      settings: { epochs: 1, batchSize: 1, lr: 1, seed: 0 },
    },
  } as unknown as StudyProgress);
  expect(lines.join(" ")).toContain("vascular 1");
  const command = new Command().configureOutput({ writeOut: (text) => lines.push(...text.split("\n")) });
  defineReport(command);
  command.outputHelp();
  expect(lines.join(" ")).toContain("STARD-AI");
  for (const line of lines) expect(line.length, line).toBeLessThanOrEqual(80);
});
