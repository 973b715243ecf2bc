// The figure of bench/scaling.mjs: time against pixels, memory against pixels, throughput against the batch.
//
// Time and memory are drawn with logarithms on both axes, where a cost that grows as the pixels is a line of slope 1;
// that slope is drawn beside the times.
import { scaleLinear, scaleLog } from "d3-scale";
import { line as curve } from "d3-shape";
import { axes } from "../dist/reports/figures/axes.js";
import { grouped } from "../dist/reports/figures/lettering.js";
import { element, figure, ink, line, palette, text } from "../dist/reports/figures/svg.js";

const series = [
  { name: "inference", task: "inference", checkpointing: false, colour: palette[0] },
  { name: "training", task: "training", checkpointing: false, colour: palette[1] },
  { name: "checkpointing", task: "training", checkpointing: true, colour: palette[2] },
];
const panel = { left: 44, top: 40, width: 236, height: 216, names: 98, bottom: 62 };
const labelDistance = 15;

/**
 * @param sizes    measured rows { task, checkpointing, size, batch, seconds, peakBytes } at growing image sizes
 * @param batches  the same at growing batches
 * @param caption  one line that says of what and where
 */
export function scalingFigure({ sizes, batches, caption }) {
  const pixels = ({ size }) => size ** 2;
  const milliseconds = ({ batch, seconds }) => (1000 * seconds) / batch;
  const megabytes = ({ peakBytes }) => 1e-6 * peakBytes;
  const rate = ({ batch, seconds }) => batch / seconds;
  const side = (count) => `${Math.round(Math.sqrt(count))}²`;
  const overPixels = { rows: sizes, x: pixels, xTitle: "Pixels of an image", xFormat: side };
  const drawn = [
    { ...overPixels, y: milliseconds, title: "Time, ms an image", guide: true },
    { ...overPixels, y: megabytes, title: "Most memory of the process, MB" },
    {
      rows: batches,
      x: ({ batch }) => batch,
      y: rate,
      title: "Throughput, images/s",
      xTitle: `Batch, at ${batches[0]?.size ?? ""} px`,
      xFormat: String,
      linear: true,
    },
  ].filter(({ rows }) => rows.length > 0);
  const stride = panel.left + panel.width + panel.names;
  const panels = drawn.map((settings, i) => {
    const area = { left: i * stride + panel.left, top: panel.top, width: panel.width, height: panel.height };
    return drawPanel(area, settings);
  });
  const height = panel.top + panel.height + panel.bottom;
  const note = text(panel.left, height - 8, caption, { fill: ink.muted, "font-size": 11 });
  return figure(drawn.length * stride, height, `How cost grows. ${caption}`, ...panels, note);
}

function drawPanel(area, { rows, x, y, title, xTitle, xFormat, linear = false, guide = false }) {
  const [right, bottom] = [area.left + area.width, area.top + area.height];
  const across = scaleLog(widened(rows.map(x)), [area.left, right]);
  const values = rows.map(y);
  const up = linear
    ? scaleLinear([0, Math.max(...values)], [bottom, area.top]).nice(5)
    : scaleLog([roundDown(Math.min(...values)), roundUp(Math.max(...values))], [bottom, area.top]);
  const xTicks = [...new Set(rows.map(x))].sort((a, b) => a - b);
  const yTicks = linear ? up.ticks(5) : up.ticks().filter((value) => roundDown(value) === value);
  const curves = series
    .map((one) => ({ ...one, points: pointsOf(rows, one, across, up, x, y) }))
    .filter(({ points }) => points.length > 0);
  const names = spread(curves.map(({ name, colour, points }) => ({ name, colour, y: points.at(-1)[1] })));
  return element(
    "g",
    {},
    text(area.left, area.top - 18, title),
    axes(
      area,
      { scale: across, title: xTitle, ticks: xTicks, format: xFormat },
      { scale: up, title: "", ticks: yTicks, format: (value) => grouped(value) },
    ),
    ...(guide ? guideLine(across, up, rows, x, y) : []),
    ...curves.flatMap(drawCurve),
    ...names.map(({ name, colour, y: at }) => text(right + 10, at + 4, name, { fill: colour.text })),
  );
}

function pointsOf(rows, { task, checkpointing }, across, up, x, y) {
  return rows
    .filter((row) => row.task === task && row.checkpointing === checkpointing)
    .sort((a, b) => x(a) - x(b))
    .map((row) => [across(x(row)), up(y(row))]);
}

function drawCurve({ points, colour }) {
  const path = element("path", {
    d: curve().digits(2)(points),
    fill: "none",
    stroke: colour.line,
    "stroke-width": 1.75,
    "stroke-linejoin": "round",
  });
  const dots = points.map(([cx, cy]) =>
    element("circle", { cx, cy, r: 3.5, fill: colour.line, stroke: ink.paper, "stroke-width": 1.25 }),
  );
  return [path, ...dots];
}

/** What is proportional to the pixels: dashed, half-way between the dearest and the cheapest at the right end. */
function guideLine(across, up, rows, x, y) {
  const most = across.domain()[1];
  const last = rows.filter((row) => x(row) === most).map(y);
  const end = Math.sqrt(Math.min(...last) * Math.max(...last));
  const start = Math.max(across.domain()[0], (most * up.domain()[0]) / end);
  const at = (value) => [across(value), up((end * value) / most)];
  const [[x1, y1], [x2, y2], [nameX, nameY]] = [at(start), at(most), at(start ** 0.3 * most ** 0.7)];
  const angle = (Math.atan2(y2 - y1, x2 - x1) * 180) / Math.PI;
  const name = text(0, 12, "proportional", {
    "text-anchor": "middle",
    "font-size": 11,
    fill: ink.muted,
    stroke: ink.paper,
    "stroke-width": 3,
    "paint-order": "stroke",
    transform: `translate(${nameX.toFixed(1)} ${nameY.toFixed(1)}) rotate(${angle.toFixed(1)})`,
  });
  return [line(x1, y1, x2, y2, { stroke: ink.muted, "stroke-dasharray": "2 3" }), name];
}

/** A domain with some width, also where there is one value. */
function widened(values) {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  return least === most ? [least / 2, most * 2] : [least, most];
}

/** The nearest 1, 2 or 5 times a power of ten, not above. */
function roundDown(value) {
  const power = 10 ** Math.floor(Math.log10(value) + 1e-9);
  return Number(([5, 2, 1].find((digit) => digit * power <= value * (1 + 1e-9)) * power).toPrecision(12));
}

function roundUp(value) {
  const below = roundDown(value);
  if (below >= value) return below;
  const power = 10 ** Math.floor(Math.log10(below) + 1e-9);
  const digit = Math.round(below / power);
  return Number(((digit === 1 ? 2 : digit === 2 ? 5 : 10) * power).toPrecision(12));
}

/** Labels from top to bottom, none nearer than `labelDistance` to the one above. */
function spread(labels) {
  const placed = labels.toSorted((a, b) => a.y - b.y).map((label) => ({ ...label }));
  for (let pass = 0; pass < 10; ++pass) {
    for (let i = 1; i < placed.length; ++i) {
      const short = labelDistance - (placed[i].y - placed[i - 1].y);
      if (short <= 0) continue;
      placed[i - 1].y -= short / 2;
      placed[i].y += short / 2;
    }
  }
  return placed;
}
