// Draws the figures of the guides: `node docs/images/draw.mjs` writes them beside this file.
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const ink = { text: "#1f2328", faint: "#59636e", line: "#818b98", paper: "#ffffff" };
const fill = { blue: "#d3e4fb", green: "#d2f0d8", orange: "#ffe3c4", violet: "#e7dcfa", grey: "#eff2f5" };
const stroke = { blue: "#2f6fc2", green: "#2f8f46", orange: "#c2701a", violet: "#7a4fc2", grey: "#818b98" };

const range = (count) => Array.from({ length: count }, (_, i) => i);
const escaped = (text) =>
  String(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

function words(x, y, text, { size = 13, anchor = "start", color = ink.text, weight = "normal", mono } = {}) {
  const family = mono ? "ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace" : "inherit";
  return `<text x="${x}" y="${y}" font-size="${size}" text-anchor="${anchor}" fill="${color}" font-weight="${weight}" font-family="${family}">${escaped(text)}</text>`;
}
const lines = (x, y, texts, options = {}) =>
  texts.map((text, i) => words(x, y + i * ((options.size ?? 13) + 5), text, options)).join("");

function box(x, y, width, height, hue = "grey", { radius = 3, dash } = {}) {
  return `<rect x="${x}" y="${y}" width="${width}" height="${height}" rx="${radius}" fill="${fill[hue]}" stroke="${stroke[hue]}"${dash ? ' stroke-dasharray="4 3"' : ""}/>`;
}
function labelled(x, y, width, height, hue, texts, options = {}) {
  const list = [texts].flat();
  const first = y + height / 2 + 4.5 - ((list.length - 1) * 17) / 2;
  return (
    box(x, y, width, height, hue, options) +
    list
      .map((text, i) =>
        words(x + width / 2, first + i * 17, text, { anchor: "middle", size: 12.5, ...options }),
      )
      .join("")
  );
}
const path = (points) => points.map(([x, y], i) => `${i ? "L" : "M"}${x} ${y}`).join(" ");
const arrow = (points, hue = "grey", { width = 1.5, dash } = {}) =>
  `<path d="${path(points)}" fill="none" stroke="${stroke[hue]}" stroke-width="${width}"${dash ? ' stroke-dasharray="4 3"' : ""} marker-end="url(#${hue})"/>`;

function drawing(width, height, title, parts) {
  const markers = Object.entries(stroke).map(
    ([name, color]) =>
      `<marker id="${name}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0 8 4 0 8z" fill="${color}"/></marker>`,
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="system-ui, 'Segoe UI', Helvetica, Arial, 'DejaVu Sans', sans-serif" role="img">
<title>${escaped(title)}</title>
<defs>${markers.join("")}</defs>
<rect width="${width}" height="${height}" fill="${ink.paper}"/>
${parts.flat().join("\n")}
</svg>
`;
}

function block() {
  const [left, right, w, h] = [50, 400, 270, 28];
  const column = (x, hue, steps) =>
    steps.flatMap((text, i) => [
      labelled(x, 92 + i * 42, w, h, hue, text),
      i
        ? arrow(
            [
              [x + w / 2, 92 + i * 42 - 14],
              [x + w / 2, 92 + i * 42 - 1],
            ],
            hue,
          )
        : "",
    ]);
  const bottom = 92 + 6 * 42;
  return drawing(720, 440, "The SS-Conv-SSM block: one half of the channels convolved, the other scanned", [
    labelled(235, 18, 240, 30, "grey", "x: rows of C channels, one a pixel"),
    arrow(
      [
        [300, 48],
        [185, 91],
      ],
      "blue",
    ),
    arrow(
      [
        [410, 48],
        [525, 91],
      ],
      "green",
    ),
    words(130, 74, "C/2 channels", { color: ink.faint, size: 12 }),
    words(500, 74, "C/2 channels", { color: ink.faint, size: 12 }),
    column(left, "blue", [
      "BatchNorm",
      "3x3 convolution",
      "BatchNorm, ReLU, 3x3 convolution",
      "BatchNorm, ReLU",
      "1x1 convolution, ReLU",
    ]),
    column(right, "green", [
      "LayerNorm",
      "in_proj: u and the gate z",
      "depthwise 3x3 convolution, SiLU on u",
      "x_proj, then the scan in four directions",
      "LayerNorm, times SiLU(z)",
      "out_proj: back to C/2 channels",
    ]),
    arrow(
      [
        [left + w / 2, 92 + 4 * 42 + h],
        [left + w / 2, bottom + 13],
        [270, bottom + 13],
      ],
      "blue",
    ),
    arrow(
      [
        [right + w / 2, 92 + 5 * 42 + h],
        [right + w / 2, bottom + 13],
        [440, bottom + 13],
      ],
      "green",
    ),
    labelled(271, bottom - 1, 168, 30, "grey", "interleave: L R L R ..."),
    arrow(
      [
        [355, bottom + 29],
        [355, bottom + 49],
      ],
      "grey",
    ),
    labelled(271, bottom + 50, 168, 30, "grey", "+ x"),
    arrow(
      [
        [235, 33],
        [24, 33],
        [24, bottom + 65],
        [270, bottom + 65],
      ],
      "grey",
      { dash: true },
    ),
    words(32, bottom + 60, "residual", { color: ink.faint, size: 12 }),
  ]);
}

function fourDirections() {
  const [n, cell, top] = [4, 30, 46];
  const visits = [
    ["0: row by row", (i) => [Math.floor(i / n), i % n]],
    ["1: column by column", (i) => [i % n, Math.floor(i / n)]],
    ["2: rows, reversed", (i) => [n - 1 - Math.floor(i / n), n - 1 - (i % n)]],
    ["3: columns, reversed", (i) => [n - 1 - (i % n), n - 1 - Math.floor(i / n)]],
  ];
  const hues = ["blue", "green", "orange", "violet"];
  const panel = ([name, visit], k) => {
    const x0 = 22 + k * 174;
    const order = range(n * n).map(visit);
    const middle = ([row, column]) => [x0 + column * cell + cell / 2, top + row * cell + cell / 2];
    const runs = range(n).map((run) => order.slice(run * n, run * n + n));
    return [
      words(x0, top - 14, name, { size: 12.5, weight: "600", color: stroke[hues[k]] }),
      order.map(([row, column]) =>
        box(x0 + column * cell, top + row * cell, cell, cell, "grey", { radius: 0 }),
      ),
      runs.map((run) => {
        const [[ax, ay], [bx, by]] = [middle(run[0]), middle(run[n - 1])];
        const [right, down] = k % 2 ? [9, 0] : [0, 9];
        return arrow(
          [
            [ax + right, ay + down],
            [bx + right, by + down],
          ],
          hues[k],
          { width: 1.3 },
        );
      }),
      order.map((at, i) => {
        const [x, y] = middle(at);
        return words(x - (k % 2 ? 4 : 0), y + (k % 2 ? 4 : 2), i, { size: 10.5, anchor: "middle" });
      }),
      arrow(
        [
          [x0 + (n * cell) / 2, top + n * cell + 6],
          [x0 + (n * cell) / 2, top + n * cell + 30],
        ],
        hues[k],
      ),
    ].flat(2);
  };
  return drawing(720, 262, "The four orders in which the pixels of an image are visited", [
    ...visits.map(panel),
    labelled(22, 198, 642, 30, "grey", "y at a pixel = the sum of what the four scans give there"),
    words(
      22,
      248,
      "The numbers say when a pixel is visited. The image is never reordered: a direction is only a way to count.",
      {
        size: 12,
        color: ink.faint,
      },
    ),
  ]);
}

function chunks() {
  const [x0, wide, steps] = [30, 208, 8];
  const chunk = (c, y, hue) =>
    range(steps).map((t) =>
      box(x0 + c * (wide + 10) + (t * wide) / steps, y, wide / steps, 24, hue, { radius: 0 }),
    );
  const start = (c) => x0 + c * (wide + 10);
  const store = (c) => [
    labelled(start(c) - 2, 118, 34, 24, "orange", "h", { weight: "600" }),
    arrow(
      [
        [start(c) + 14, 84],
        [start(c) + 14, 116],
      ],
      "orange",
    ),
  ];
  return drawing(
    720,
    372,
    "Chunks of 32 steps, one kept state each; backward recomputes the states between",
    [
      words(30, 26, "Forward", { weight: "600", size: 14 }),
      words(100, 26, "states in registers; one in 32 is written to memory", { size: 12.5, color: ink.faint }),
      range(3).map((c) =>
        words(start(c) + wide / 2, 50, `chunk ${c}: steps ${32 * c} to ${32 * c + 31}`, {
          anchor: "middle",
          size: 12,
          color: ink.faint,
        }),
      ),
      range(3).flatMap((c) => chunk(c, 58, "blue")),
      range(3).flatMap(store),
      range(3).map((c) =>
        words(start(c) + 42, 135, `state before step ${32 * c}`, { size: 12, color: ink.faint }),
      ),
      arrow(
        [
          [x0, 98],
          [x0 + 3 * wide + 20, 98],
        ],
        "blue",
        { width: 2 },
      ),
      words(30, 188, "Backward", { weight: "600", size: 14 }),
      words(114, 188, "chunk by chunk, from the last to the first", { size: 12.5, color: ink.faint }),
      range(3).flatMap((c) => chunk(c, 204, c === 2 ? "green" : "grey")),
      labelled(start(2) - 2, 238, 34, 24, "orange", "h", { weight: "600" }),
      arrow(
        [
          [start(2) + 36, 246],
          [start(2) + wide, 246],
        ],
        "blue",
        { width: 2 },
      ),
      words(start(2) + 40, 264, "1. forwards again from the kept", { size: 12 }),
      words(start(2) + 40, 279, "state: 32 states, into the cache", { size: 12 }),
      arrow(
        [
          [start(2) + wide, 296],
          [start(2) + 2, 296],
        ],
        "green",
        { width: 2 },
      ),
      words(start(2) + 2, 316, "2. backwards: gradients of u, delta,", { size: 12 }),
      words(start(2) + 2, 331, "B, C and A, and of the state itself", { size: 12 }),
      arrow(
        [
          [start(2) - 6, 296],
          [start(1) + wide / 2, 296],
          [start(1) + wide / 2, 234],
        ],
        "green",
        { dash: true },
      ),
      words(start(1) - 66, 316, "dh, the gradient of the state, goes on", { size: 12, color: ink.faint }),
      words(start(1) - 66, 331, "to the chunk before", { size: 12, color: ink.faint }),
      words(
        30,
        360,
        "Memory: one state in 32 instead of all; time: the recurrence once more. The same bits every time.",
        { size: 12.5, color: ink.faint },
      ),
    ],
  );
}

function microkernel() {
  const [rows, vectors, lane] = [9, 3, 60];
  const [cx, cy, rowHeight] = [300, 172, 22];
  const panelTop = 52;
  const vector = (x, y, hue, text) => labelled(x, y, lane * 2 - 6, rowHeight - 4, hue, text, { size: 11 });
  return drawing(720, 446, "A tile of a matrix product that stays in registers", [
    words(cx, 30, "B, packed: a row of 48 floats for each k", {
      weight: "600",
      color: stroke.green,
    }),
    range(4).flatMap((k) =>
      range(vectors).map((v) =>
        vector(
          cx + v * lane * 2,
          panelTop + k * rowHeight,
          k === 1 ? "green" : "grey",
          k === 1 ? "16 floats" : "",
        ),
      ),
    ),
    words(cx - 12, panelTop + 13, "k = 0", { anchor: "end", size: 12, color: ink.faint }),
    words(cx - 12, panelTop + rowHeight + 13, "this step", {
      anchor: "end",
      size: 12,
      color: stroke.green,
      weight: "600",
    }),
    words(30, cy - 40, "A: nine rows, where they lie", { weight: "600", color: stroke.blue }),
    range(rows).flatMap((i) => [
      range(7).map((k) =>
        box(60 + k * 22, cy + i * rowHeight, 20, rowHeight - 4, k === 1 ? "blue" : "grey", { radius: 2 }),
      ),
      words(52, cy + i * rowHeight + 13, `row ${i}`, { anchor: "end", size: 11, color: ink.faint }),
      arrow(
        [
          [232, cy + i * rowHeight + 9],
          [cx - 6, cy + i * rowHeight + 9],
        ],
        "blue",
        { width: 1 },
      ),
      range(vectors).map((v) => vector(cx + v * lane * 2, cy + i * rowHeight, "orange", `c ${i},${v}`)),
    ]),
    words(60, cy - 18, "one number of each row, to all 16 lanes", { size: 11.5, color: ink.faint }),
    range(vectors).map((v) =>
      arrow(
        [
          [cx + v * lane * 2 + 57, panelTop + 4 * rowHeight],
          [cx + v * lane * 2 + 57, cy - 4],
        ],
        "green",
        { width: 1 },
      ),
    ),
    lines(
      cx,
      cy + rows * rowHeight + 16,
      [
        "C: 27 of the 32 registers hold sums, over all of k.",
        "A step: 12 loads for 27 multiply-adds of 16 lanes.",
      ],
      { size: 12.5 },
    ),
    words(
      30,
      434,
      "With AVX-512; AVX2 has tiles of 4 x 24, portable code 4 x 8. For a convolution, rows of A are pixels, tap after tap.",
      { size: 11, color: ink.faint },
    ),
  ]);
}

function cudaScan() {
  return drawing(720, 436, "How the scan is divided on a GPU", [
    words(24, 28, "Grid", { weight: "600", size: 14 }),
    words(
      66,
      28,
      "a block for every direction of every image, block of channels, and segment of the sequence",
      { size: 12.5, color: ink.faint },
    ),
    range(4).flatMap((k) =>
      range(3).map((c) =>
        labelled(
          24 + k * 172 + c * 52,
          42,
          48,
          30,
          ["blue", "green", "orange", "violet"][k],
          k === 0 && c === 1 ? "block" : "",
          { size: 11 },
        ),
      ),
    ),
    range(4).map((k) => words(24 + k * 172, 90, `direction ${k}`, { size: 11.5, color: ink.faint })),
    arrow(
      [
        [100, 74],
        [100, 116],
      ],
      "blue",
    ),
    words(24, 134, "Block", { weight: "600", size: 14 }),
    words(74, 134, "walks its sequence in chunks of 32 steps", { size: 12.5, color: ink.faint }),
    box(24, 146, 672, 138, "grey"),
    labelled(40, 160, 300, 44, "green", [
      "shared memory: chunk c",
      "dt, B, C and u of 32 steps, for all channels",
    ]),
    labelled(380, 160, 300, 44, "grey", ["shared memory: chunk c + 1", "asynchronous copies under way"], {
      dash: true,
    }),
    arrow(
      [
        [190, 206],
        [190, 226],
      ],
      "green",
    ),
    range(6).map((w) =>
      labelled(
        40 + w * 108,
        228,
        100,
        40,
        "blue",
        w === 5 ? "..." : [`warp ${w}`, `channels ${8 * w} to ${8 * w + 7}`],
        { size: 11 },
      ),
    ),
    arrow(
      [
        [90, 270],
        [90, 312],
      ],
      "blue",
    ),
    words(24, 330, "Warp", { weight: "600", size: 14 }),
    words(
      76,
      330,
      "small batches: 8 channels, four lanes each, four states a lane, in registers throughout",
      {
        size: 12.5,
        color: ink.faint,
      },
    ),
    range(32).map((i) =>
      box(24 + i * 21, 344, 19, 24, Math.floor(i / 4) % 2 ? "violet" : "orange", { radius: 2 }),
    ),
    range(8).map((c) =>
      words(24 + c * 84 + 41, 384, `channel ${c}`, { anchor: "middle", size: 11, color: ink.faint }),
    ),
    lines(
      24,
      408,
      [
        "y: the four lanes of a channel add their parts by shuffles. dB, dC: sums over channels by shuffles, then over",
        "warps and blocks in a fixed order. No atomics, so the same bits on every run.",
      ],
      { size: 12, color: ink.faint },
    ),
  ]);
}

export const drawings = {
  "block.svg": block(),
  "four-directions.svg": fourDirections(),
  "scan-chunks.svg": chunks(),
  "microkernel.svg": microkernel(),
  "cuda-scan.svg": cudaScan(),
};

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const [name, svg] of Object.entries(drawings)) writeFileSync(new URL(name, import.meta.url), svg);
}
