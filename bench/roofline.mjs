// A roofline of what `medmamba bench --json` measured: every kernel a dot, the machine's limits as lines.
//
//   node bench/roofline.mjs bench.json roofline.svg
//
// First arithmetic by bytes moved: above the slope of the memory and above the product's rate nothing can be. Then the
// same of exponentials, which bind the scan. Last the memory alone, for kernels with no arithmetic to speak of. All axes
// are logarithmic, so that the memory's limit is a line of slope 1.
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { scaleLog } from "d3-scale";
import { symbol, symbolCircle, symbolSquare, symbolTriangle } from "d3-shape";
import { axes } from "../dist/reports/figures/axes.js";
import { element, figure, ink, line, palette, text } from "../dist/reports/figures/svg.js";

const families = [
  { name: "scan, four directions", begins: /^scan4/, colour: palette[1] },
  { name: "selective scan", begins: /^selective scan/, colour: palette[4] },
  { name: "3x3 convolution", begins: /^conv3x3/, colour: palette[0] },
  { name: "matrix products", begins: /_proj|^conv1x1/, colour: palette[5] },
  { name: "depthwise 3x3", begins: /^depthwise/, colour: palette[2] },
  { name: "norms", begins: /norm/, colour: palette[3] },
];
const shapes = { float32: symbolCircle, tf32: symbolTriangle, bf16: symbolSquare };
const panel = { width: 290, height: 300, left: 64, top: 44, gap: 78, legend: 96 };
const dotArea = 26;

/**
 * @param report   what `medmamba bench --json` printed: its rows and limits
 * @param caption  one line that says on what
 */
export function roofline({ rows, limits }, caption) {
  const memory = Math.max(...Object.values(limits).map(({ bytes }) => bytes));
  const bytesOf = ({ gigabytesPerSecond }) => 1e9 * gigabytesPerSecond;
  const panels = [
    {
      title: "Products and sums",
      xTitle: "FLOP a byte",
      yTitle: "FLOP/s",
      rate: ({ gigaflops }) => 1e9 * gigaflops,
      slope: memory,
      roofs: Object.entries(limits).map(([precision, { multiplyAdds, published }]) => ({
        name: `product, ${precision}${published ? " (published)" : ""}`,
        rate: 2 * multiplyAdds,
      })),
    },
    {
      title: "Exponentials",
      xTitle: "Exponentials a byte",
      yTitle: "exp/s",
      rate: ({ gigaexponentialsPerSecond }) => 1e9 * gigaexponentialsPerSecond,
      slope: memory,
      roofs: [
        {
          name: "exponentials",
          rate: Math.max(...Object.values(limits).map(({ exponentials }) => exponentials)),
        },
      ],
    },
    {
      title: "Memory",
      xTitle: "Bytes of a call",
      yTitle: "B/s",
      rate: bytesOf,
      across: (row) => bytesOf(row) * row.seconds,
      roofs: [{ name: "copy", rate: memory }],
    },
  ].map((settings) => ({ across: (row) => settings.rate(row) / bytesOf(row), ...settings }));
  const stride = panel.width + panel.gap;
  const drawn = panels.map((settings, i) => {
    const area = { left: panel.left + i * stride, top: panel.top, width: panel.width, height: panel.height };
    return drawPanel(area, dotsOf(rows, settings), settings);
  });
  const width = panel.left + panels.length * stride - panel.gap + 24;
  const height = panel.top + panel.height + panel.legend + 24;
  const used = [...new Set(rows.map(({ precision }) => precision))];
  return figure(
    width,
    height,
    `Roofline of all kernels. ${caption}`,
    ...drawn,
    legend(panel.left, panel.top + panel.height + 62, used),
    text(panel.left, height - 10, caption, { fill: ink.muted, "font-size": 11 }),
  );
}

/** Kernels with both numbers; blocks and networks have no bytes. */
function dotsOf(rows, { across, rate }) {
  return rows.flatMap((row) => {
    const family = families.find(({ begins }) => begins.test(row.name));
    const [x, y] = [across(row), rate(row)];
    return family && x > 0 && Number.isFinite(x) && y > 0 ? [{ row, family, x, y }] : [];
  });
}

function drawPanel(area, dots, { title, xTitle, yTitle, roofs, slope }) {
  const [right, bottom] = [area.left + area.width, area.top + area.height];
  const highest = Math.max(...roofs.map(({ rate }) => rate), ...dots.map(({ y }) => y));
  const corner = slope ? [highest / slope / 3, (highest / slope) * 3] : [];
  const across = decades([...dots.map(({ x }) => x), ...corner], [area.left, right]);
  const up = decades([...dots.map(({ y }) => y), highest], [bottom, area.top]);
  const axis = (scale, name) => ({ scale, title: name, ticks: wholeDecades(scale), format: shortened });
  return element(
    "g",
    {},
    text(area.left, area.top - 20, title, { "font-size": 13 }),
    axes(area, axis(across, xTitle), axis(up, yTitle)),
    ...roofs.flatMap(({ name, rate }) => roof(area, across, up, slope, name, rate)),
    ...(slope ? [memoryLine(across, up, slope, highest)] : []),
    ...dots.map((dot) => drawDot(across(dot.x), up(dot.y), dot)),
  );
}

/** From where the memory allows the rate, to the right end. */
function roof(area, across, up, slope, name, rate) {
  const right = area.left + area.width;
  const from = slope ? Math.max(area.left, across(rate / slope)) : area.left;
  const y = up(rate);
  return [
    line(from, y, right, y, { stroke: ink.text, "stroke-width": 1.25 }),
    text(right, y - 4, name, { "text-anchor": "end", "font-size": 11, fill: ink.muted }),
  ];
}

/** The rate that the memory's speed allows, up to the highest roof. */
function memoryLine(across, up, slope, highest) {
  const [x0] = across.domain();
  const [y0] = up.domain();
  const start = Math.max(x0, y0 / slope);
  const end = Math.min(across.domain()[1], highest / slope);
  const at = (x) => [across(x), up(x * slope)];
  const [[x1, y1], [x2, y2]] = [at(start), at(end)];
  const angle = (Math.atan2(y2 - y1, x2 - x1) * 180) / Math.PI;
  const [nameX, nameY] = at(Math.sqrt(start * end));
  return element(
    "g",
    {},
    line(x1, y1, x2, y2, { stroke: ink.text, "stroke-width": 1.25 }),
    text(0, -5, "memory", {
      "text-anchor": "middle",
      "font-size": 11,
      fill: ink.muted,
      transform: `translate(${nameX.toFixed(1)} ${nameY.toFixed(1)}) rotate(${angle.toFixed(1)})`,
    }),
  );
}

/** The title is what a browser shows on pointing. */
function drawDot(x, y, { row, family }) {
  const { name, shape, batch, precision } = row;
  const label = `${name}, ${shape}, batch ${batch}, ${precision}: ${Math.round(100 * row.ofLimit)} % of the limit`;
  return element(
    "path",
    {
      d: symbol(shapes[precision], dotArea).digits(2)(),
      transform: `translate(${x.toFixed(1)} ${y.toFixed(1)})`,
      fill: family.colour.line,
      "fill-opacity": 0.75,
      stroke: ink.paper,
      "stroke-width": 0.5,
    },
    text(0, 0, label)
      .replace(/^<text[^>]*>/, "<title>")
      .replace(/<\/text>$/, "</title>"),
  );
}

function legend(left, top, precisions) {
  const column = 150;
  const entries = [
    ...families.map(({ name, colour }) => ({ name, shape: symbolCircle, fill: colour.line })),
    ...precisions.map((precision) => ({ name: precision, shape: shapes[precision], fill: ink.muted })),
  ];
  return element(
    "g",
    {},
    ...entries.flatMap(({ name, shape, fill }, i) => {
      const [x, y] = [left + column * (i % 6), top + 20 * Math.floor(i / 6)];
      const mark = symbol(shape, 50).digits(2)();
      return [
        element("path", { d: mark, transform: `translate(${x + 5} ${y - 4})`, fill }),
        text(x + 15, y, name, { fill: ink.text }),
      ];
    }),
  );
}

/** From the power of ten below the least value to the one above the most. */
function decades(values, range) {
  const exponents = values.map(Math.log10);
  return scaleLog([10 ** Math.floor(Math.min(...exponents)), 10 ** Math.ceil(Math.max(...exponents))], range);
}

function wholeDecades(scale) {
  const [first, last] = scale.domain().map((value) => Math.round(Math.log10(value)));
  return Array.from({ length: last - first + 1 }, (_, i) => 10 ** (first + i));
}

/** "10 G", "0.1". */
function shortened(value) {
  const units = ["", " k", " M", " G", " T", " P"];
  const thousands = Math.max(0, Math.min(units.length - 1, Math.floor(Math.log10(value) / 3 + 1e-9)));
  return `${Number((value / 1000 ** thousands).toPrecision(3))}${units[thousands]}`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [input, output] = process.argv.slice(2);
  if (!output) {
    console.error("usage: node bench/roofline.mjs BENCH.json ROOFLINE.svg");
    process.exit(2);
  }
  const report = JSON.parse(readFileSync(input, "utf8"));
  const { model, medmamba, date } = report.machine;
  writeFileSync(output, roofline(report, `${model}, medmamba ${medmamba}, ${date.slice(0, 10)}`));
}
