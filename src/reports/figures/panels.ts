/**
 * Small plots of one curve each, with its band: one for a yes-or-no question, a grid of them for several classes. A curve that
 * is alone in its plot needs no color to be told from others. Every figure made of them fits a phone's width.
 */
import { area as areaBetween, line as curve, curveLinear, curveStepBefore } from "d3-shape";
import type { CurveBand } from "../../metrics/curves.js";
import { type Axis, axes, axis, horizontal, type PlotArea, type Scale, vertical } from "./axes.js";
import { fitText, textWidth } from "./lettering.js";
import {
  element,
  escapeMarkup,
  type FigureWords,
  figure,
  ink,
  line,
  type Markup,
  palette,
  text,
} from "./svg.js";

/** One plot. */
export interface Panel {
  /** Over it; empty where there is one plot alone. */
  readonly name: string;
  /** Under the name: the score. */
  readonly score: string;
  /** What is drawn, in the scales of the plot. */
  draw(x: Scale, y: Scale, area: PlotArea): readonly Markup[];
}

/** What all plots of a figure have in common. */
export interface PanelAxes {
  readonly x: string;
  readonly y: string;
  readonly xDomain?: readonly [number, number];
  readonly yDomain?: readonly [number, number];
}

/** One line of the legend: how a line or band is drawn, and what it is. */
export type LegendEntry = readonly [mark: Markup, words: string];

/** Pixels. */
const margin = { left: 54, right: 12, top: 14, bottom: 46 };
const alone = 286;
const several = 120;
const between = 20;
const scoreRow = 14;
export const legendRow = 18;
export const swatch = 26;
/** Of a row of the legend, from its top: marks are drawn about it. */
export const middle = 8;

/** Colors of what is drawn: the curve dark, its band light, everything that it is compared with grey. */
export const strokes = {
  curve: { stroke: palette[0].line, "stroke-width": 2, "stroke-linejoin": "round" },
  chance: { stroke: ink.axis, "stroke-width": 1.5, "stroke-dasharray": "4 3" },
  other: { stroke: palette[1].line, "stroke-width": 1.75, "stroke-dasharray": "7 3" },
  none: { stroke: ink.text, "stroke-width": 1.25, "stroke-dasharray": "1.5 2.5" },
} as const;
const bandFill = { fill: palette[0].line, "fill-opacity": 0.2 };

/** An SVG of the panels: one large, or two small ones a row. */
export function panelFigure(
  panels: readonly Panel[],
  labels: PanelAxes,
  words: FigureWords,
  legend: readonly LegendEntry[] = [],
): string {
  const single = panels.length === 1;
  const side = single ? alone : several;
  const broken = !single && panels.some(({ score }) => textWidth(score, 11) > side + margin.right);
  const heading = single ? (panels[0]!.score === "" ? 0 : 18) : broken ? 34 + scoreRow : 34;
  const columns = single ? 1 : 2;
  const stride = { x: margin.left + side + between, y: heading + side + margin.bottom };
  const rows = Math.ceil(panels.length / columns);
  const width = margin.left + side + (columns - 1) * stride.x + margin.right;
  const legendTop = margin.top + rows * stride.y + 8;
  const drawn = panels.map((panel, at) => {
    const area = {
      left: margin.left + (at % columns) * stride.x,
      top: margin.top + heading + Math.floor(at / columns) * stride.y,
      width: side,
      height: side,
    };
    return drawPanel(panel, area, labels, { single, broken });
  });
  const entries = legend.map(([mark, content], at) =>
    element(
      "g",
      { transform: `translate(${margin.left} ${legendTop + at * legendRow - middle})` },
      mark,
      text(swatch + 8, middle + 4, content, { "font-size": 11, fill: ink.muted }),
    ),
  );
  const widest = Math.max(0, ...legend.map(([, content]) => textWidth(content, 11)));
  return figure(
    Math.max(width, margin.left + swatch + 12 + widest),
    legendTop + Math.max(legend.length - 0.5, 0) * legendRow,
    words,
    ...drawn,
    ...entries,
  );
}

function drawPanel(
  panel: Panel,
  area: PlotArea,
  labels: PanelAxes,
  { single = false, broken = false },
): Markup {
  const { x: xTitle, y: yTitle, xDomain = [0, 1], yDomain = [0, 1] } = labels;
  const ticks = single ? 5 : 2;
  const x = axis(horizontal(area, xDomain), xTitle, ticks);
  const y: Axis = axis(vertical(area, yDomain), yTitle, ticks);
  const shown = fitText(panel.name, 12, area.width + 8);
  const above = area.top - (single ? 8 : broken ? 22 + scoreRow : 22);
  const name =
    panel.name === ""
      ? []
      : [
          element(
            "g",
            {},
            shown === panel.name ? ("" as Markup) : element("title", {}, escapeMarkup(panel.name)),
            text(area.left, above, shown, { "font-weight": 600 }),
          ),
        ];
  // The interval goes under the score where one line has no room for both.
  const lines = panel.score === "" ? [] : broken ? panel.score.split(/ (?=\()/) : [panel.score];
  const lowest = area.top - 8 - (broken ? (2 - lines.length) * scoreRow : 0);
  const score = lines.map((content, at) =>
    text(area.left, lowest - (lines.length - 1 - at) * scoreRow, content, { "font-size": 11 }),
  );
  return element("g", {}, axes(area, x, y), ...panel.draw(x.scale, y.scale, area), ...name, ...score);
}

/** A curve over its band. @param steps  whether values hold from place to place instead of running in lines */
export function bandedCurve(
  { x: places, y: values, lower, upper }: CurveBand,
  x: Scale,
  y: Scale,
  { steps = false, floor = Number.NEGATIVE_INFINITY } = {},
): Markup[] {
  const how = steps ? curveStepBefore : curveLinear;
  const at = places.map((_, place) => place);
  const inside = (value: number) => Number.isFinite(value) && value >= floor;
  const band = areaBetween<number>()
    .curve(how)
    .defined((place) => inside(upper[place]!))
    .x((place) => x(places[place]!))
    .y0((place) => y(Math.max(lower[place]!, floor)))
    .y1((place) => y(upper[place]!))
    .digits(1)(at);
  const path = curve<number>()
    .curve(how)
    .defined((place) => inside(values[place]!))
    .x((place) => x(places[place]!))
    .y((place) => y(values[place]!))
    .digits(1)(at);
  return [
    element("path", { d: band ?? "", ...bandFill }),
    element("path", { d: path ?? "", fill: "none", ...strokes.curve }),
  ];
}

/** A line through points, those below `floor` left out. */
export function plainCurve(
  points: readonly (readonly [number, number])[],
  x: Scale,
  y: Scale,
  stroke: Readonly<Record<string, string | number>>,
  floor = Number.NEGATIVE_INFINITY,
): Markup {
  const path = curve<readonly [number, number]>()
    .defined(([, value]) => Number.isFinite(value) && value >= floor)
    .x(([place]) => x(place))
    .y(([, value]) => y(value))
    .digits(1)([...points]);
  return element("path", { d: path ?? "", fill: "none", ...stroke });
}

/** Marks for the legend. */
export const legendLine = (stroke: Readonly<Record<string, string | number>>): Markup =>
  line(0, middle, swatch, middle, stroke);
export const legendBand: LegendEntry = [
  element(
    "g",
    {},
    element("rect", { x: 0, y: middle - 6, width: swatch, height: 12, ...bandFill }),
    line(0, middle, swatch, middle, strokes.curve),
  ),
  "the classifier, with its 95 % band",
];
