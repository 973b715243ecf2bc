/** A plot area with its axes: light grid, ticks outside, a title on each axis. */
import { type ScaleLinear, scaleLinear } from "d3-scale";
import { element, ink, line, type Markup, text } from "./svg.js";

export interface PlotArea {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

export type Scale = ScaleLinear<number, number>;

export interface Axis {
  readonly scale: Scale;
  /** Empty for none. */
  readonly title: string;
  readonly ticks: readonly number[];
  readonly format: (value: number) => string;
}

export const horizontal = (area: PlotArea, domain: readonly [number, number]): Scale =>
  scaleLinear(domain, [area.left, area.left + area.width]);

export const vertical = (area: PlotArea, domain: readonly [number, number]): Scale =>
  scaleLinear(domain, [area.top + area.height, area.top]);

/** An axis with about `count` round ticks. */
export function axis(scale: Scale, title: string, count: number): Axis {
  return { scale, title, ticks: scale.ticks(count), format: scale.tickFormat(count) };
}

const tickLength = 4;
const tickSize = 11;

/** Draws both axes; the curves go on top. */
export function axes(area: PlotArea, x: Axis, y: Axis): Markup {
  const bottom = area.top + area.height;
  const right = area.left + area.width;
  const stroke = { stroke: ink.axis, "stroke-width": 1 };
  const xMarks = x.ticks.flatMap((value) => {
    const at = x.scale(value);
    return [
      line(at, bottom, at, bottom + tickLength, stroke),
      text(at, bottom + tickLength + 13, x.format(value), { "text-anchor": "middle" }),
    ];
  });
  const yMarks = y.ticks.flatMap((value) => {
    const at = y.scale(value);
    return [
      line(area.left, at, right, at, { stroke: ink.grid, "stroke-width": 1 }),
      line(area.left - tickLength, at, area.left, at, stroke),
      text(area.left - tickLength - 4, at + 4, y.format(value), { "text-anchor": "end" }),
    ];
  });
  return element(
    "g",
    { fill: ink.muted, "font-size": tickSize },
    ...yMarks,
    ...xMarks,
    line(area.left, bottom, right, bottom, stroke),
    line(area.left, area.top, area.left, bottom, stroke),
    ...(x.title === "" ? [] : [xTitle(area, x.title)]),
    ...(y.title === "" ? [] : [yTitle(area, y.title)]),
  );
}

export const xTitle = (area: PlotArea, title: string): Markup =>
  text(area.left + area.width / 2, area.top + area.height + 36, title, {
    "text-anchor": "middle",
    "font-size": 12,
    fill: ink.text,
  });

export function yTitle(area: PlotArea, title: string): Markup {
  const x = area.left - 42;
  const y = area.top + area.height / 2;
  return text(x, y, title, {
    "text-anchor": "middle",
    "font-size": 12,
    fill: ink.text,
    transform: `rotate(-90 ${+x.toFixed(2)} ${+y.toFixed(2)})`,
  });
}
