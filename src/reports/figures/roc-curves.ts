/** ROC curves: sensitivity against 1 - specificity, one curve per class, with the areas in the legend. */
import { line as curve } from "d3-shape";
import { ArgumentError, EvaluationError } from "../../errors.js";
import { areaUnderRoc, type RocCurve, rocCurve } from "../../metrics/ranking.js";
import {
  type Classes,
  checkSamples,
  column,
  type Labels,
  oneVersusRest,
  type Probabilities,
} from "../../metrics/samples.js";
import {
  expectList,
  expectNamed,
  expectNumbers,
  expectText,
  inWords,
  optionsOf,
} from "../../settings/given.js";
import { axes, axis, horizontal, vertical } from "./axes.js";
import { fitText, textWidth } from "./lettering.js";
import { element, escapeMarkup, figure, ink, line, type Markup, palette, text } from "./svg.js";

/** One curve of the figure. */
export interface RocSeries {
  /** Of the class. */
  readonly name: string;
  /** NaN, with a curve of NaN, where it is undefined; such a series is only named. */
  readonly auc: number;
  /** Its points. */
  readonly curve: RocCurve;
}

/** A threshold in use, drawn as a ring. */
export interface OperatingPoint {
  /** Probability from which the class is called. */
  readonly threshold: number;
  /** 0 to 1; the point's height. */
  readonly sensitivity: number;
  /** 0 to 1; the point lies at 1 minus it. */
  readonly specificity: number;
}

/**
 * The curves of a classifier: of the second (positive) class if there are two, otherwise of each class against the
 * rest.
 *
 * @param labels         (n) class indices
 * @param probabilities  (n, classes)
 * @throws EvaluationError if the samples are malformed
 */
export function rocSeries(labels: Labels, probabilities: Probabilities, classes: Classes): RocSeries[] {
  const samples = checkSamples("rocSeries", labels, probabilities, classes);
  return samples.classes
    .map((name, index) => {
      const positive = oneVersusRest(samples, index);
      const scores = column(samples, index);
      return { name, auc: areaUnderRoc(positive, scores), curve: rocCurve(positive, scores) };
    })
    .slice(samples.classes.length === 2 ? 1 : 0);
}

function expectSeries(series: readonly RocSeries[]): void {
  expectList("rocCurves", "series", series);
  for (const one of series) {
    const { name, auc, curve } = expectNamed("rocCurves", "a series", one);
    expectText("rocCurves", "the name of a series", name);
    if (typeof auc !== "number")
      throw new ArgumentError(`rocCurves: the auc of a series has to be a number, but is ${inWords(auc)}.`);
    const { falsePositiveRate, sensitivity } = expectNamed("rocCurves", "the curve of a series", curve);
    for (const [name, values] of Object.entries({ falsePositiveRate, sensitivity })) {
      expectList("rocCurves", name, values);
      for (const value of values)
        if (typeof value !== "number")
          throw new ArgumentError(`rocCurves: ${name} holds ${inWords(value)}, which is no number.`);
    }
  }
}

const plot = { left: 58, top: 16, width: 320, height: 320 };
const row = 20;
const swatch = 26;
const longestName = 200;
const dashes = [undefined, "6 3", "2 2.5"];

/**
 * An SVG of the curves.
 *
 * @param series                  up to 21 stay distinct: 7 colours in 3 kinds of line
 * @param options.operatingPoint  a threshold to mark, as `atThreshold` describes it
 * @throws EvaluationError if there is no series
 */
export function rocCurves(
  series: readonly RocSeries[],
  options: { operatingPoint?: OperatingPoint } = {},
): string {
  const { operatingPoint } = optionsOf("rocCurves", options, { operatingPoint: true });
  expectSeries(series);
  if (operatingPoint !== undefined) {
    const { threshold, sensitivity, specificity } = expectNamed(
      "rocCurves",
      "operatingPoint",
      operatingPoint,
    );
    expectNumbers("rocCurves", { threshold, sensitivity, specificity });
  }
  if (series.length === 0) throw new EvaluationError("rocCurves: there is no curve to draw.");
  const x = axis(horizontal(plot, [0, 1]), "1 − specificity", 5);
  const y = axis(vertical(plot, [0, 1]), "Sensitivity", 5);
  const path = ({ falsePositiveRate, sensitivity }: RocCurve) =>
    curve<[number, number]>().digits(1)(
      corners(falsePositiveRate.map((rate, index) => [x.scale(rate), y.scale(sensitivity[index]!)])),
    );
  const curves = series.flatMap(({ auc, curve }, index) =>
    Number.isNaN(auc)
      ? []
      : [element("path", { d: path(curve) ?? "", fill: "none", ...stroke(index, series.length) })],
  );
  const legend = drawLegend(series, plot.left + plot.width + 24, plot.top + 12);
  const point = operatingPoint === undefined ? [] : [drawPoint(operatingPoint)];
  return figure(
    legend.right + 16,
    Math.max(plot.top + plot.height + 48, legend.bottom + 16),
    `ROC curves: ${series.map(({ name, auc }) => `${name} AUC ${area(auc)}`).join(", ")}`,
    axes(plot, x, y),
    line(x.scale(0), y.scale(0), x.scale(1), y.scale(1), { stroke: ink.axis, "stroke-dasharray": "4 3" }),
    ...curves,
    ...point,
    legend.markup,
  );

  function drawPoint({ threshold, sensitivity, specificity }: OperatingPoint): Markup {
    const [cx, cy] = [x.scale(1 - specificity), y.scale(sensitivity)];
    // Right below the point the plot is empty: good curves pass above it.
    const lines = [
      `threshold ${threshold.toFixed(3)}`,
      `sensitivity ${sensitivity.toFixed(3)}`,
      `specificity ${specificity.toFixed(3)}`,
    ];
    const left = Math.min(
      cx + 12,
      plot.left + plot.width - 8 - Math.max(...lines.map((content) => textWidth(content, 11))),
    );
    const top = Math.min(cy + 20, plot.top + plot.height - 38);
    return element(
      "g",
      { "font-size": 11 },
      element("circle", { cx, cy, r: 4.5, fill: ink.paper, stroke: ink.text, "stroke-width": 1.75 }),
      ...lines.map((content, index) =>
        text(left, top + index * 14, content, {
          stroke: ink.paper,
          "stroke-width": 3,
          "paint-order": "stroke",
          "stroke-linejoin": "round",
        }),
      ),
    );
  }
}

const stroke = (index: number, count: number) => ({
  stroke: palette[index % palette.length]!.line,
  "stroke-width": count > 8 ? 1.5 : 2,
  "stroke-dasharray": dashes[Math.floor(index / palette.length) % dashes.length],
  "stroke-linejoin": "round",
});

const area = (auc: number): string => (Number.isNaN(auc) ? "–" : auc.toFixed(3));

function drawLegend(series: readonly RocSeries[], left: number, top: number) {
  const names = series.map(({ name }) => fitText(name, 12, longestName));
  const widest = Math.max(...names.map((name) => textWidth(name, 12)));
  const right = left + swatch + 8 + Math.max(widest, 40) + 18 + textWidth("0.000", 12);
  const rows = series.map(({ name, auc }, index) => {
    const y = top + (index + 1) * row;
    const shown = names[index]!;
    return element(
      "g",
      {},
      shown === name ? ("" as Markup) : element("title", {}, escapeMarkup(name)),
      Number.isNaN(auc)
        ? ("" as Markup)
        : line(left, y - 4, left + swatch, y - 4, stroke(index, series.length)),
      text(left + swatch + 8, y, shown),
      text(right, y, area(auc), { "text-anchor": "end" }),
    );
  });
  const heading = text(right, top, "AUC", { "text-anchor": "end", "font-size": 11, fill: ink.muted });
  return { markup: element("g", {}, heading, ...rows), right, bottom: top + series.length * row };
}

/** Only the points where a curve turns, to half a pixel: of a million samples few can be seen. */
function corners(points: [number, number][]): [number, number][] {
  const seen = points
    .map(([x, y]): [number, number] => [Math.round(x * 2) / 2, Math.round(y * 2) / 2])
    .filter(([x, y], index, all) => index === 0 || x !== all[index - 1]![0] || y !== all[index - 1]![1]);
  return seen.filter(([x, y], index) => {
    const [before, after] = [seen[index - 1], seen[index + 1]];
    if (before === undefined || after === undefined) return true;
    return (x - before[0]) * (after[1] - y) !== (after[0] - x) * (y - before[1]);
  });
}
