/** A forest plot: for each subgroup by how much it differs from all others, with the interval; a line that holds 0 shows nothing. */
import type { Estimate } from "../../metrics/estimate.js";
import { decimal, rangeOf } from "../numbers.js";
import { axis, horizontal } from "./axes.js";
import { fitText, grouped } from "./lettering.js";
import { element, escapeMarkup, figure, ink, line, type Markup, palette, text } from "./svg.js";

/** A row of the plot. */
export interface ForestRow {
  readonly name: string;
  readonly samples: number;
  /** Drawn hollow where it has no interval: nothing says how sure it is. */
  readonly difference: Estimate;
  /** Whether it is of so few samples that it says little: drawn hollow. */
  readonly few: boolean;
}

const left = 184;
const plotWidth = 160;
const countWidth = 36;
const rowHeight = 24;
const top = 24;

/** @param measure  what is compared, such as "AUC"; more of it is better */
export function forestPlot(rows: readonly ForestRow[], measure: string): string {
  const ends = rows.flatMap(({ difference: { value, lower, upper } }) =>
    [value, lower, upper].filter((end): end is number => end !== undefined && Number.isFinite(end)),
  );
  const reach = Math.max(0.02, ...ends.map(Math.abs)) * 1.08;
  const area = { left, top, width: plotWidth, height: rows.length * rowHeight };
  const x = axis(horizontal(area, [-reach, reach]), `${measure} less that of all others`, 3);
  const bottom = top + area.height;
  const ticks = x.ticks.flatMap((value) => [
    line(x.scale(value), top, x.scale(value), bottom, { stroke: value === 0 ? ink.text : ink.grid }),
    text(x.scale(value), bottom + 16, decimal(value, 2), {
      "text-anchor": "middle",
      "font-size": 11,
      fill: ink.muted,
    }),
  ]);
  const marks = rows.map((row, at) => drawRow(row, top + (at + 0.5) * rowHeight, x.scale));
  return figure(
    left + plotWidth + 14,
    bottom + 44,
    {
      title: `${measure} of each subgroup less that of all others, with 95 % intervals`,
      description: `${rows.map(({ name, samples, difference }) => `${name}, ${samples} images: ${decimal(difference.value)}${difference.reason === undefined ? ` (${rangeOf(difference)})` : `, no interval, because ${difference.reason}`}`).join("; ")}.`,
    },
    ...ticks,
    text(left - 10, 14, "images", { "font-size": 11, fill: ink.muted, "text-anchor": "end" }),
    text(area.left, 14, "worse", { "font-size": 11, fill: ink.muted }),
    text(area.left + plotWidth, 14, "better", { "font-size": 11, fill: ink.muted, "text-anchor": "end" }),
    ...marks,
    text(area.left + plotWidth / 2, bottom + 36, x.title, { "text-anchor": "middle" }),
  );
}

function drawRow(
  { name, samples, difference, few }: ForestRow,
  y: number,
  x: (value: number) => number,
): Markup {
  const shown = fitText(name, 11.5, left - countWidth - 16);
  const { value, lower, upper, reason } = difference;
  const stroke = { stroke: palette[0].line, "stroke-width": 2, "stroke-dasharray": few ? "3 2" : undefined };
  const label = element(
    "g",
    {},
    element("title", {}, escapeMarkup(`${name}, ${samples} images`)),
    text(4, y + 4, shown, { "font-size": 11.5 }),
    text(left - 10, y + 4, grouped(samples), { "text-anchor": "end", "font-size": 11, fill: ink.muted }),
  );
  if (value === undefined)
    return element(
      "g",
      {},
      label,
      text(left + plotWidth / 2, y + 4, "–", { "text-anchor": "middle", fill: ink.muted }),
    );
  const interval = reason === undefined ? [line(x(lower), y, x(upper), y, stroke)] : [];
  const square = element("rect", {
    x: x(value) - 4,
    y: y - 4,
    width: 8,
    height: 8,
    fill: few || reason !== undefined ? ink.paper : palette[0].line,
    stroke: palette[0].line,
    "stroke-width": 1.5,
  });
  return element("g", {}, label, ...interval, square);
}
