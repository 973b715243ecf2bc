/**
 * Calibration in bins of equally many samples: what share came true against the probability that was given, each with its 95 %
 * interval. A bin's width is drawn as a horizontal line. Points under the diagonal are probabilities that are too high.
 */
import type { BinnedCalibration, CalibrationBin } from "../../metrics/calibration-bins.js";
import { decimal, scored } from "../numbers.js";
import type { Scale } from "./axes.js";
import { legendLine, middle, type Panel, panelFigure, plainCurve, strokes, swatch } from "./panels.js";
import { element, ink, line, type Markup, palette } from "./svg.js";

/** Calibration of a class, or of the called class. */
export interface CalibrationSeries {
  readonly name: string;
  readonly calibration: BinnedCalibration;
}

/** @param axis  what is on the axes: the probability, and what came true */
export function calibrationFigure(
  series: readonly CalibrationSeries[],
  axis: { readonly predicted: string; readonly observed: string },
): string {
  const panels = series.map(
    ({ name, calibration }): Panel => ({
      name: series.length === 1 ? "" : name,
      score: scored("ECE", calibration.error),
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
        ...calibration.bins.flatMap((bin) => drawBin(bin, x, y, series.length === 1 ? 4 : 3)),
      ],
    }),
  );
  const bins = series.map(
    ({ name, calibration }) =>
      `${name}: ${scored("expected calibration error", calibration.error)}; ${calibration.bins.map(({ predicted, observed }) => `given ${decimal(predicted, 2)}, came true ${decimal(observed.value, 2)}`).join("; ")}`,
  );
  return panelFigure(
    panels,
    { x: axis.predicted, y: axis.observed },
    { title: "Calibration: whether probabilities come true", description: `${bins.join(". ")}.` },
    [
      [legendBin(), "a bin of images, with its 95 % interval"],
      [legendLine(strokes.chance), "probabilities that come true"],
    ],
  );
}

const whisker = { stroke: palette[0].line, "stroke-width": 1.25 };
const width = { stroke: ink.axis, "stroke-width": 1.25 };
const dot = (cx: number, cy: number, r: number): Markup =>
  element("circle", { cx, cy, r, fill: palette[0].line, stroke: ink.paper, "stroke-width": 1 });

function drawBin(
  { lowest, highest, predicted, observed }: CalibrationBin,
  x: Scale,
  y: Scale,
  radius: number,
): Markup[] {
  const { value, lower, upper, reason } = observed;
  if (value === undefined) return [];
  const [cx, cy] = [x(Math.min(predicted, 1)), y(value)];
  const interval = reason === undefined ? [line(cx, y(lower), cx, y(upper), whisker)] : [];
  return [line(x(lowest), cy, x(Math.min(highest, 1)), cy, width), ...interval, dot(cx, cy, radius)];
}

const legendBin = (): Markup =>
  element(
    "g",
    {},
    line(4, middle, swatch - 4, middle, width),
    line(swatch / 2, middle - 7, swatch / 2, middle + 7, whisker),
    dot(swatch / 2, middle, 3.5),
  );
