/**
 * Curves of a classifier with 95 % bands, a plot for each class: ROC (sensitivity against false alarms), precision against recall,
 * and net benefit against the threshold. They draw what `metrics` computed, and nothing else.
 */
import type { CurveBand } from "../../metrics/curves.js";
import type { DecisionCurve } from "../../metrics/decision-curve.js";
import type { Estimate } from "../../metrics/estimate.js";
import type { RiskCoverage } from "../../metrics/risk-coverage.js";
import { decimal, scored } from "../numbers.js";
import type { Scale } from "./axes.js";
import { textWidth } from "./lettering.js";
import {
  bandedCurve,
  legendBand,
  legendLine,
  type Panel,
  panelFigure,
  plainCurve,
  strokes,
} from "./panels.js";
import type { OperatingPoint } from "./roc-curves.js";
import { element, ink, type Markup, text } from "./svg.js";

/** A class with its curve. */
export interface BandedSeries {
  readonly name: string;
  readonly curve: CurveBand;
  /** The area under it. */
  readonly area: Estimate;
}

/** The name over a plot is left out where there is one alone: the caption says it. */
const nameIn = (series: readonly unknown[], name: string): string => (series.length === 1 ? "" : name);

/** Sensitivity at false positive rates. @param operatingPoint  the threshold in use, of one series alone: a ring */
export function rocBandFigure(series: readonly BandedSeries[], operatingPoint?: OperatingPoint): string {
  const panels = series.map(
    ({ name, curve, area }): Panel => ({
      name: nameIn(series, name),
      score: scored("AUC", area),
      draw: (x, y) => [
        plainCurve(
          [
            [0, 0],
            [1, 1],
          ],
          x,
          y,
          strokes.chance,
        ),
        ...bandedCurve(curve, x, y),
        ...(operatingPoint === undefined ? [] : [ring(operatingPoint, x, y)]),
      ],
    }),
  );
  return panelFigure(
    panels,
    { x: "1 − specificity", y: "Sensitivity" },
    {
      title: `ROC ${series.length === 1 ? "curve" : "curves"}, with 95 % bands`,
      description: `${series.map(({ name, area }) => `${name}: ${scored("AUC", area)}`).join("; ")}. A coin would run along the diagonal.${operatingPoint ? ` At the threshold ${decimal(operatingPoint.threshold)} sensitivity is ${decimal(operatingPoint.sensitivity)} and specificity ${decimal(operatingPoint.specificity)}.` : ""}`,
    },
    [legendBand, [legendLine(strokes.chance), "a coin"]],
  );
}

/** The threshold in use, with its numbers right below, where good curves leave the plot empty. */
function ring({ threshold, sensitivity, specificity }: OperatingPoint, x: Scale, y: Scale): Markup {
  const [cx, cy] = [x(1 - specificity), y(sensitivity)];
  const lines = [
    `threshold ${decimal(threshold)}`,
    `sensitivity ${decimal(sensitivity)}`,
    `specificity ${decimal(specificity)}`,
  ];
  const widest = Math.max(...lines.map((content) => textWidth(content, 11)));
  const left = Math.min(cx + 12, x(1) - 6 - widest);
  const top = Math.min(cy + 22, y(0) - 38);
  const halo = { stroke: ink.paper, "stroke-width": 3, "paint-order": "stroke", "stroke-linejoin": "round" };
  return element(
    "g",
    { "font-size": 11 },
    element("circle", { cx, cy, r: 4.5, fill: ink.paper, stroke: ink.text, "stroke-width": 1.75 }),
    ...lines.map((content, at) => text(left, top + at * 14, content, halo)),
  );
}

/** A class with its precisions, and how common it is among the samples. */
export interface PrecisionSeries extends BandedSeries {
  /** Precision of calling everyone. */
  readonly prevalence: number;
}

/** Precision at recalls. */
export function precisionRecallFigure(series: readonly PrecisionSeries[]): string {
  const panels = series.map(
    ({ name, curve, area, prevalence }): Panel => ({
      name: nameIn(series, name),
      score: scored("AP", area),
      draw: (x, y) => [
        plainCurve(
          [
            [0, prevalence],
            [1, prevalence],
          ],
          x,
          y,
          strokes.chance,
        ),
        ...bandedCurve(curve, x, y, { steps: true }),
      ],
    }),
  );
  return panelFigure(
    panels,
    { x: "Recall (sensitivity)", y: "Precision" },
    {
      title: `Precision-recall ${series.length === 1 ? "curve" : "curves"}, with 95 % bands`,
      description: `${series.map(({ name, area, prevalence }) => `${name}: ${scored("average precision", area)}, ${decimal(prevalence)} by calling everyone`).join("; ")}.`,
    },
    [legendBand, [legendLine(strokes.chance), "calling everyone (share that has it)"]],
  );
}

/** A class with its decision curve. */
export interface DecisionSeries {
  readonly name: string;
  readonly curve: DecisionCurve;
}

/** Net benefit at thresholds, beside acting on everyone and on no one. */
export function decisionCurveFigure(series: readonly DecisionSeries[]): string {
  const highest = Math.max(0.01, ...series.flatMap(({ curve }) => [...curve.upper, ...curve.treatAll]));
  const floor = -highest / 4; // below, both lines only say that acting does harm
  const panels = series.map(({ name, curve }): Panel => {
    const { thresholds, netBenefit, lower, upper, treatAll } = curve;
    const all = thresholds.map((threshold, at) => [threshold, treatAll[at]!] as const);
    return {
      name: nameIn(series, name),
      score: "",
      draw: (x, y) => [
        plainCurve(
          [
            [0, 0],
            [1, 0],
          ],
          x,
          y,
          strokes.none,
        ),
        plainCurve(all, x, y, strokes.other, floor),
        ...bandedCurve({ x: thresholds, y: netBenefit, lower, upper }, x, y, { floor }),
      ],
    };
  });
  const described = series.map(({ name, curve }) => `${name}: ${usefulWords(curve)}`);
  return panelFigure(
    panels,
    { x: "Threshold probability", y: "Net benefit", yDomain: [floor, highest * 1.05] },
    {
      title: "Decision curve: net benefit of acting on the classifier",
      description: `${described.join("; ")}.`,
    },
    [
      legendBand,
      [legendLine(strokes.other), "acting on everyone"],
      [legendLine(strokes.none), "acting on no one"],
    ],
  );
}

/** Thresholds at which the classifier does more good than acting on everyone and on no one. */
export function usefulWords({ thresholds, netBenefit, treatAll }: DecisionCurve): string {
  const useful = thresholds.map((_, at) => netBenefit[at]! > Math.max(0, treatAll[at]!) + 1e-12);
  const starts = [...useful.keys()].filter((at) => useful[at] && !useful[at - 1]);
  const ranges = starts.map((start) => {
    const after = useful.indexOf(false, start);
    const end = after < 0 ? useful.length - 1 : after - 1;
    const [from, to] = [decimal(thresholds[start], 2), decimal(thresholds[end], 2)];
    return from === to ? from : `${from} to ${to}`;
  });
  if (ranges.length === 0) return "at no threshold above both acting on everyone and acting on no one";
  const shown = ranges.slice(0, 4).join(", ");
  return `above both acting on everyone and acting on no one at thresholds ${shown}${ranges.length > 4 ? " and others" : ""}`;
}

/** Share of wrong answers among those that the classifier is surest of, by how many these are. */
export function riskCoverageFigure(curve: RiskCoverage): string {
  const { x: coverages, y: risks, upper, area } = curve;
  const highest = Math.max(0.01, ...upper.slice(Math.floor(upper.length / 20)), ...risks);
  const whole = risks.at(-1)!;
  return panelFigure(
    [
      {
        name: "",
        score: scored("mean risk", area),
        draw: (x, y) => [
          plainCurve(
            [
              [0, whole],
              [1, whole],
            ],
            x,
            y,
            strokes.chance,
          ),
          ...bandedCurve(capped(curve, highest), x, y),
        ],
      },
    ],
    {
      x: "Coverage: share that is answered",
      y: "Risk: share of these that is wrong",
      yDomain: [0, Math.min(1, highest * 1.05)],
    },
    {
      title: "Risk and coverage: errors among the images that the classifier is surest of",
      description: `Answering all, ${decimal(whole)} are wrong; answering the surest half, ${decimal(risks[Math.round(coverages.length / 2) - 1])}. ${scored("Mean risk", area)}.`,
    },
    [legendBand, [legendLine(strokes.chance), "leaving out images at random"]],
  );
}

/** At the lowest coverages a band of a few images runs off the plot. */
const capped = (curve: CurveBand, most: number): CurveBand => ({
  ...curve,
  upper: curve.upper.map((value) => Math.min(value, most)),
  lower: curve.lower.map((value) => Math.min(value, most)),
});
