/** What is drawn is what scikit-learn and statsmodels say (evidence.json), to a pixel. */
import { describe, expect, it } from "vitest";
import { binaryCalibration } from "../../../src/metrics/calibration-bins.js";
import { averagePrecisionEstimate, precisionRecallBand, rocBand } from "../../../src/metrics/curves.js";
import { decisionCurve } from "../../../src/metrics/decision-curve.js";
import { areaEstimate } from "../../../src/metrics/delong.js";
import { riskCoverage } from "../../../src/metrics/risk-coverage.js";
import { subgroupsOf } from "../../../src/reports/evidence.js";
import {
  decisionCurveFigure,
  precisionRecallFigure,
  riskCoverageFigure,
  rocBandFigure,
  usefulWords,
} from "../../../src/reports/figures/banded-curves.js";
import { calibrationFigure } from "../../../src/reports/figures/calibration-figure.js";
import { textWidth } from "../../../src/reports/figures/lettering.js";
import { scoreCounts, scoreHistogram } from "../../../src/reports/figures/score-histogram.js";
import { subgroupFigure } from "../../../src/reports/sections/subgroups.js";
import { elementsOf, heightsAt, numberIn, pointsOf, scalesOf } from "../../support/drawn.js";
import { evaluationOfEvidence } from "../../support/evaluations.js";
import { binaryLabels, binaryScores, drawnAlike, evidence } from "../../support/evidence.js";

const { patients, fine } = evidence;
const options = { ...drawnAlike, patients };
const places = Array.from({ length: 21 }, (_, place) => place / 20);
/** Half a pixel of 286, and the path's own rounding. */
const pixel = 1 / 286;

/** Two decimals less what was rounded away. */
function expectDrawn(drawn: readonly number[], golden: readonly number[], tolerance = pixel): void {
  expect(drawn).toHaveLength(golden.length);
  for (const [i, value] of golden.entries())
    expect(Math.abs(drawn[i]! - value)).toBeLessThanOrEqual(tolerance);
}

const paths = (svg: string) => elementsOf(svg, "path").map(({ d }) => d!);

/** Lower and upper edge of a band: its outline goes there above and comes back below. */
function edgesOf(outline: string): [string, string] {
  const points = pointsOf(outline);
  const half = points.slice(0, points.length / 2);
  const back = points.slice(points.length / 2).toReversed();
  const written = (list: readonly (readonly [number, number])[]) =>
    `M${list.map((point) => point.join(",")).join("L")}`;
  return [written(back), written(half)];
}

describe("the ROC curve", () => {
  const curve = rocBand(binaryLabels, binaryScores, { ...options, places: 21 });
  const area = areaEstimate(binaryLabels, binaryScores, { patients });
  const svg = rocBandFigure([{ name: "b", curve, area }], {
    threshold: 0.3,
    sensitivity: 0.8,
    specificity: 0.6,
  });
  const [, outline, line] = paths(svg);

  it("goes where scikit-learn's goes, in its band", () => {
    expectDrawn(heightsAt(line!, svg, places), evidence.roc.y);
    const [lower, upper] = edgesOf(outline!);
    expectDrawn(
      heightsAt(lower, svg, places),
      evidence.roc.byPatient.map(([low]) => low),
    );
    expectDrawn(
      heightsAt(upper, svg, places),
      evidence.roc.byPatient.map(([, high]) => high),
    );
  });

  it("has the threshold in use as a ring, and its area in words", () => {
    const { x, y } = scalesOf(svg);
    const [ring] = elementsOf(svg, "circle");
    expectDrawn([x(Number(ring!.cx)), y(Number(ring!.cy))], [0.4, 0.8]);
    expect(svg).toContain(
      `AUC ${area.value!.toFixed(3)} (${area.lower!.toFixed(3)} – ${area.upper!.toFixed(3)})`,
    );
  });
});

it("the precision-recall curve goes where scikit-learn's goes, in steps", () => {
  const curve = precisionRecallBand(binaryLabels, binaryScores, { ...options, places: 21 });
  const area = averagePrecisionEstimate(binaryLabels, binaryScores, options);
  const prevalence = binaryLabels.reduce((sum, label) => sum + label, 0) / binaryLabels.length;
  const svg = precisionRecallFigure([{ name: "b", curve, area, prevalence }]);
  const [chance, , line] = paths(svg);
  // A step's height holds for the places left of it.
  const between = places.slice(1).map((place) => place - 0.025);
  expectDrawn(heightsAt(line!, svg, between), evidence.precisionRecall.y.slice(1));
  expectDrawn(heightsAt(chance!, svg, [0.5]), [prevalence]);
  const [value, lower, upper] = evidence.averagePrecision;
  expect(svg).toContain(`AP ${value.toFixed(3)} (${lower.toFixed(3)} – ${upper.toFixed(3)})`);
});

it("the decision curve goes where the paper's formula goes, and says where it is of use", () => {
  const thresholds = [0.05, 0.1, 0.2, 0.3, 0.5, 0.75];
  const curve = decisionCurve(binaryLabels, binaryScores, { ...options, thresholds });
  expect(curve.netBenefit.map((value) => value.toFixed(9))).toEqual(
    evidence.netBenefit.y.slice(0, thresholds.length).map((value) => value.toFixed(9)),
  );
  const svg = decisionCurveFigure([{ name: "b", curve }]);
  const [none, everyone, , line] = paths(svg);
  const floor = scalesOf(svg).y(Math.max(...pointsOf(line!).map(([, top]) => top)));
  const shown = thresholds.filter((_, at) => curve.netBenefit[at]! >= floor - pixel);
  expectDrawn(heightsAt(line!, svg, shown), evidence.netBenefit.y.slice(0, shown.length));
  expectDrawn(heightsAt(none!, svg, [0, 1]), [0, 0]);
  expectDrawn(heightsAt(everyone!, svg, [0.05, 0.1]), curve.treatAll.slice(0, 2));
  expect(
    usefulWords({ ...curve, netBenefit: [0.2, 0, 0.2, 0.2, 0, 0], treatAll: [0.1, 0.1, 0, 0, 0, 0] }),
  ).toMatch(/at thresholds 0.05, 0.20 to 0.30$/);
  expect(usefulWords({ ...curve, netBenefit: curve.treatAll })).toMatch(/^at no threshold/);
});

it("risk and coverage go where numpy's go", () => {
  const curve = riskCoverage(
    binaryLabels,
    fine.map((score) => [1 - score, score]),
    2,
    { resamples: 50, places: 20 },
  );
  const svg = riskCoverageFigure(curve);
  const line = paths(svg).at(-1)!;
  const tolerance = Math.max(...curve.upper) / 250;
  expectDrawn(heightsAt(line, svg, curve.x), curve.y, tolerance);
  expect(svg).toContain(`mean risk ${evidence.risk.area.toFixed(3)}`);
});

it("calibration bins lie where scikit-learn's lie, with statsmodels' intervals", () => {
  const calibration = binaryCalibration(binaryLabels, fine, { bins: 8, resamples: 50 });
  const svg = calibrationFigure([{ name: "b", calibration }], { predicted: "p", observed: "o" });
  const { x, y } = scalesOf(svg);
  const dots = elementsOf(svg, "circle").slice(0, 8);
  expectDrawn(
    dots.map(({ cx }) => x(Number(cx))),
    evidence.calibrationBins.predicted,
  );
  expectDrawn(
    dots.map(({ cy }) => y(Number(cy))),
    evidence.calibrationBins.observed,
  );
  const whiskers = elementsOf(svg, "line").filter(
    (line) => line.x1 === line.x2 && dots.some(({ cx }) => cx === line.x1),
  );
  const ends = evidence.calibrationBins.intervals;
  expectDrawn(
    whiskers.map(({ y1 }) => y(Number(y1))),
    ends.map(([low]) => low),
  );
  expectDrawn(
    whiskers.map(({ y2 }) => y(Number(y2))),
    ends.map(([, high]) => high),
  );
});

it("the forest plot has the differences that scikit-learn has with the same draws", () => {
  const { scanner, values, byPatient } = evidence.subgroups;
  const groups = subgroupsOf(evaluationOfEvidence("several classes"), { scanner }, { ...drawnAlike });
  const { svg } = subgroupFigure(groups)!;
  const at = groups.findIndex(({ value }) => value === "old");
  const ticks = elementsOf(svg, "text").filter(
    (text) => text["text-anchor"] === "middle" && /^[−\d.]+$/.test(text.content),
  );
  const [first, last] = [ticks[0]!, ticks.at(-1)!];
  const value = (px: number) =>
    numberIn(first.content) +
    ((px - Number(first.x)) * (numberIn(last.content) - numberIn(first.content))) /
      (Number(last.x) - Number(first.x));
  const square = elementsOf(svg, "rect").filter(({ width }) => width === "8")[at]!;
  const interval = elementsOf(svg, "line").filter((line) => line["stroke-width"] === "2")[at]!;
  const reach = 0.005;
  expectDrawn([value(Number(square.x) + 4)], [values[1]!], reach);
  expectDrawn([value(Number(interval.x1)), value(Number(interval.x2))], byPatient[1]!, reach);
});

it("the forest plot draws a difference without an interval hollow, as its legend says", () => {
  const sure = { value: -0.1, lower: -0.2, upper: -0.0001, method: "newcombe" } as const;
  const estimates = [sure, { value: 0.2, reason: "too few errors to tell" }];
  const groups = estimates.map((difference, at) => ({
    attribute: "sex",
    value: "FM"[at]!,
    samples: 100,
    scores: { accuracy: { inside: sure, outside: sure, difference } },
  }));
  const { svg, caption } = subgroupFigure(groups)!;
  const squares = elementsOf(svg, "rect").filter(({ width }) => width === "8");
  expect(squares.map(({ fill, stroke }) => fill === stroke)).toEqual([true, false]);
  expect(caption).toContain("hollow: without an interval");
  expect(svg).not.toContain("−0.000");
});

describe("the histogram", () => {
  const contents = {
    classes: ["well", "ill"] as const,
    labels: [0, 0, 0, 1, 1, 0],
    scores: [0, 0.049, 0.05, 0.99, 1, 0.5],
    threshold: 0.4,
  };

  it("counts each image once", () => {
    const [well, ill] = scoreCounts(contents);
    expect(well.slice(0, 2)).toEqual([2, 1]);
    expect(well[10]).toBe(1);
    expect(ill[19]).toBe(2);
    expect([...well, ...ill].reduce((sum, count) => sum + count, 0)).toBe(6);
  });

  it("draws shares of each class, the finding above and the rest below", () => {
    const svg = scoreHistogram(contents);
    const bars = elementsOf(svg, "rect").filter((rect) => rect["fill-opacity"] !== undefined);
    const zero = Math.min(...bars.filter((bar) => bar["fill-opacity"] === "0.55").map(({ y }) => Number(y)));
    const heights = bars.map(({ height }) => Number(height));
    expect(heights[0]! / heights[1]!).toBeCloseTo(1 / 0.5, 1); // all of the ill, half of the well
    expect(Number(bars[0]!.y) + heights[0]!).toBeCloseTo(zero, 1);
    expect(svg).toContain("called from 0.400 on");
  });
});

it("small plots have their scores within the figure, the interval under the score where both are too long", () => {
  const curve = rocBand(binaryLabels, binaryScores, { ...options, places: 21 });
  const area = areaEstimate(binaryLabels, binaryScores, { patients });
  const series = ["a", "b"].map((name) => ({ name, curve, area }));
  const svg = rocBandFigure(series);
  const width = Number(/ width="(\d+)"/.exec(svg)![1]);
  const texts = [...svg.matchAll(/<text x="([\d.]+)"[^>]*>([^<]*)</g)].map(
    ([, x, words]) => [Number(x), words!] as const,
  );
  const intervals = texts.filter(([, words]) => words.startsWith("("));
  expect(intervals).toHaveLength(2);
  for (const [x, words] of [...intervals, ...texts.filter(([, words]) => words.startsWith("AUC"))])
    expect(x + textWidth(words, 11)).toBeLessThanOrEqual(width);
});
