/**
 * The reliability diagram: accuracy against confidence, one point per bin with its 95 % Wilson interval, because a bin
 * of three samples says little; below, how many samples each bin holds. Points under the diagonal are overconfident.
 */

import { EvaluationError } from "../../errors.js";
import { expectBins, expectedCalibrationError, type ReliabilityBin } from "../../metrics/calibration.js";
import { wilsonInterval } from "../../metrics/intervals.js";
import { type Axis, axes, axis, horizontal, vertical, xTitle, yTitle } from "./axes.js";
import { grouped } from "./lettering.js";
import { element, figure, ink, line, type Markup, palette, text } from "./svg.js";

const plot = { left: 58, top: 16, width: 300, height: 300 };
const histogram = { left: 58, top: 336, width: 300, height: 64 };
const margin = { right: 22, bottom: 48 };
const diagonal = { stroke: ink.axis, "stroke-dasharray": "4 3" };

/**
 * An SVG of the reliability diagram.
 *
 * @param bins  of `reliabilityBins`
 * @throws EvaluationError if the bins hold no sample
 */
export function reliabilityDiagram(bins: readonly ReliabilityBin[]): string {
  expectBins("reliabilityDiagram", bins);
  const samples = bins.reduce((total, { count }) => total + count, 0);
  if (samples === 0) throw new EvaluationError("reliabilityDiagram: the bins hold no sample.");
  const error = expectedCalibrationError(bins);
  const x = axis(horizontal(plot, [0, 1]), "Confidence", 5);
  const y = axis(vertical(plot, [0, 1]), "Accuracy", 5);
  return figure(
    plot.left + plot.width + margin.right,
    histogram.top + histogram.height + margin.bottom,
    `Reliability diagram: expected calibration error ${error.toFixed(3)} over ${grouped(samples)} samples`,
    // The confidence axis is drawn once, under the histogram.
    axes(plot, { ...x, title: "", format: () => "" }, y),
    line(x.scale(0), y.scale(0), x.scale(1), y.scale(1), diagonal),
    ...bins.filter(({ count }) => count > 0).map((bin) => drawBin(bin, x, y)),
    legend(error, samples, bins),
    ...drawHistogram(bins, x),
  );
}

/** What the picture says in words, in the corner that the points leave free: below the diagonal if need be. */
function legend(error: number, samples: number, bins: readonly ReliabilityBin[]): Markup {
  const above = bins.some((bin) => bin.count > 0 && bin.confidence < 0.48 && interval(bin)[1] > 0.72);
  const left = plot.left + (above ? 158 : 14);
  const top = plot.top + (above ? 244 : 24);
  return element(
    "g",
    { fill: ink.muted },
    text(left, top, `ECE = ${error.toFixed(3)}`, { "font-size": 13, fill: ink.text }),
    text(left, top + 18, `${grouped(samples)} ${samples === 1 ? "sample" : "samples"}`),
    line(left, top + 32, left + 22, top + 32, diagonal),
    text(left + 28, top + 36, "perfect"),
  );
}

const interval = ({ accuracy, count }: ReliabilityBin) => wilsonInterval(Math.round(accuracy * count), count);

function drawBin(bin: ReliabilityBin, x: Axis, y: Axis): Markup {
  const [lower, upper] = interval(bin);
  const cx = x.scale(bin.confidence);
  const colour = palette[0].line;
  const whisker = { stroke: colour, "stroke-width": 1.25, "stroke-opacity": 0.65 };
  return element(
    "g",
    {},
    line(cx, y.scale(lower), cx, y.scale(upper), whisker),
    element("circle", {
      cx,
      cy: y.scale(bin.accuracy),
      r: 4,
      fill: colour,
      stroke: ink.paper,
      "stroke-width": 1.25,
    }),
  );
}

function drawHistogram(bins: readonly ReliabilityBin[], x: Axis): Markup[] {
  const most = Math.max(...bins.map(({ count }) => count));
  const scale = vertical(histogram, [0, most]).nice(2);
  const bottom = histogram.top + histogram.height;
  const ticks = scale.ticks(2).filter(Number.isInteger);
  const thousands = scale.tickFormat(2, "~s");
  const bars = bins
    .filter(({ count }) => count > 0)
    .map(({ lower, upper, count }) =>
      element("rect", {
        x: x.scale(lower) + 0.75,
        y: scale(count),
        width: x.scale(upper) - x.scale(lower) - 1.5,
        height: bottom - scale(count),
        fill: palette[0].line,
        "fill-opacity": 0.35,
      }),
    );
  const frame = axes(
    histogram,
    { ...x, title: "" },
    { scale, title: "", ticks, format: (count) => (count === 0 ? "0" : thousands(count)) },
  );
  return [frame, ...bars, xTitle(histogram, "Confidence"), yTitle(histogram, "Samples")];
}
