/**
 * The confusion matrix: rows are true classes, columns predicted ones. Colour and the large number are the share of
 * the row, so that a rare class is as visible as a frequent one; the small number is the count.
 */
import { EvaluationError } from "../../errors.js";
import { expectList, expectTexts, inWords } from "../../settings/given.js";
import { fitText, grouped, textWidth } from "./lettering.js";
import { readableOn, shade } from "./shade.js";
import { element, escapeMarkup, figure, ink, line, type Markup, text } from "./svg.js";

const emptyRow = "#f0f1f3";
const longestName = 180;
const nameSize = 11.5;

/**
 * An SVG of the confusion matrix.
 *
 * @param matrix   (classes, classes) counts; row: true class, column: predicted class
 * @param classes  names; long ones are cut, with the whole name as a tooltip
 * @throws EvaluationError if the matrix is not square in the number of classes, or holds anything but counts
 */
export function confusionMatrixFigure(
  matrix: readonly (readonly number[])[],
  classes: readonly string[],
): string {
  expectTexts("confusionMatrixFigure", "classes", classes);
  expectList("confusionMatrixFigure", "the matrix", matrix);
  for (const row of matrix) expectList("confusionMatrixFigure", "a row of the matrix", row);
  check(matrix, classes);
  const count = classes.length;
  const cell = Math.min(84, Math.max(36, Math.round(440 / count)));
  const side = cell * count;
  const rowNames = classes.map((name) => fitText(name, nameSize, longestName));
  const widest = Math.max(...rowNames.map((name) => textWidth(name, nameSize)));
  const slanted = widest > cell - 8;
  const nameHeight = slanted ? widest * Math.SQRT1_2 + 14 : 22;
  // A slanted first name reaches to the left of the matrix, below the names of the rows.
  const left = 34 + Math.max(widest + 12, slanted ? widest * Math.SQRT1_2 - cell / 2 + 10 : 0);
  const top = 26;
  const totals = matrix.map((row) => row.reduce((total, value) => total + value, 0));
  const totalsWidth = Math.max(...totals.map((total) => textWidth(grouped(total), 11)), 24) + 16;
  const barLeft = left + side + totalsWidth + 28;

  const cells = matrix.flatMap((row, y) =>
    row.map((value, x) => drawCell(left + x * cell, top + y * cell, cell, value, totals[y]!, y === x)),
  );
  const label = `Confusion matrix of ${count} classes and ${grouped(totals.reduce((a, b) => a + b, 0))} samples`;
  return figure(
    barLeft + 88,
    top + side + nameHeight + 26,
    label,
    ...cells,
    element("rect", { x: left, y: top, width: side, height: side, fill: "none", stroke: ink.axis }),
    ...classes.map((name, index) =>
      rowName(left - 8, top + (index + 0.5) * cell + 4, name, rowNames[index]!),
    ),
    ...classes.map((name, index) =>
      columnName(left + (index + 0.5) * cell, top + side, name, rowNames[index]!, slanted),
    ),
    text(left + side + totalsWidth, top - 9, "n", {
      "text-anchor": "end",
      "font-size": 11,
      "font-style": "italic",
      fill: ink.muted,
    }),
    ...totals.map((total, index) =>
      text(left + side + totalsWidth, top + (index + 0.5) * cell + 4, grouped(total), {
        "text-anchor": "end",
        "font-size": 11,
        fill: ink.muted,
      }),
    ),
    axisTitle(left + side / 2, top + side + nameHeight + 14, "Predicted class"),
    axisTitle(18, top + side / 2, "True class", -90),
    colourBar(barLeft, top, Math.min(side, 180)),
  );
}

function drawCell(
  x: number,
  y: number,
  size: number,
  value: number,
  total: number,
  correct: boolean,
): Markup {
  const share = total === 0 ? 0 : value / total;
  const background = total === 0 ? emptyRow : shade(share);
  const middle = x + size / 2;
  const large = Math.min(15, Math.max(10, size / 4.6));
  const small = Math.min(11, Math.max(8.5, size / 6.5));
  const frame = element("rect", { x, y, width: size, height: size, fill: background, stroke: ink.paper });
  if (value === 0) {
    const mark = text(middle, y + size / 2 + 4, "0", {
      "text-anchor": "middle",
      "font-size": small,
      fill: ink.muted,
    });
    return element("g", {}, frame, mark);
  }
  const fill = readableOn(background);
  const percentage = text(middle, y + size / 2 - large * 0.02, percent(share, size < 48 ? 0 : 1), {
    "text-anchor": "middle",
    "font-size": large,
    "font-weight": correct ? 600 : undefined,
    fill,
  });
  const counted = fittedCount(value, small, size - 4);
  const amount = text(middle, y + size / 2 + small * 1.2, counted.content, {
    "text-anchor": "middle",
    "font-size": counted.size,
    fill,
  });
  return element("g", {}, frame, percentage, amount);
}

/** The count at the wanted size, or at the one that fits. */
function fittedCount(value: number, size: number, width: number): { content: string; size: number } {
  const content = grouped(value);
  return { content, size: Math.min(size, (size * width) / textWidth(content, size)) };
}

function rowName(x: number, y: number, name: string, shown: string): Markup {
  return element(
    "g",
    {},
    tooltip(name, shown),
    text(x, y, shown, { "text-anchor": "end", "font-size": nameSize }),
  );
}

function columnName(x: number, bottom: number, name: string, shown: string, slanted: boolean): Markup {
  const y = bottom + (slanted ? 13 : 17);
  const placed = slanted
    ? { "text-anchor": "end", transform: `rotate(-45 ${+(x + 4).toFixed(2)} ${y})` }
    : { "text-anchor": "middle" };
  return element(
    "g",
    {},
    tooltip(name, shown),
    text(slanted ? x + 4 : x, y, shown, { "font-size": nameSize, ...placed }),
  );
}

const tooltip = (name: string, shown: string): Markup =>
  name === shown ? ("" as Markup) : element("title", {}, escapeMarkup(name));

function axisTitle(x: number, y: number, title: string, angle = 0): Markup {
  const transform = angle === 0 ? undefined : `rotate(${angle} ${+x.toFixed(2)} ${+y.toFixed(2)})`;
  return text(x, y, title, { "text-anchor": "middle", "font-size": 12.5, transform });
}

function colourBar(x: number, top: number, height: number): Markup {
  const steps = 60;
  const band = height / steps;
  const bands = Array.from({ length: steps }, (_, index) =>
    // A little taller than its place, so that no seam shows between two bands.
    element("rect", {
      x,
      y: top + index * band,
      width: 12,
      height: band + (index < steps - 1 ? 0.5 : 0),
      fill: shade(1 - (index + 0.5) / steps),
    }),
  );
  const ticks = [0, 0.5, 1].flatMap((share) => {
    const y = top + (1 - share) * height;
    return [line(x + 12, y, x + 15, y, { stroke: ink.axis }), text(x + 18, y + 4, percent(share, 0))];
  });
  const title = text(x, top - 9, "share of row");
  return element(
    "g",
    { "font-size": 11, fill: ink.muted },
    ...bands,
    element("rect", { x, y: top, width: 12, height, fill: "none", stroke: ink.axis }),
    ...ticks,
    title,
  );
}

function percent(share: number, decimals: number): string {
  const least = 10 ** -decimals;
  if (share > 0 && share * 100 < least / 2) return `<${least}%`;
  // 99.96 % must not read as 100 %.
  const shown = share < 1 ? Math.min(share * 100, 100 - least) : 100;
  return `${shown === 100 ? "100" : shown.toFixed(decimals)}%`;
}

function check(matrix: readonly (readonly number[])[], classes: readonly string[]): void {
  const count = classes.length;
  if (count < 1 || matrix.length !== count || matrix.some((row) => row.length !== count)) {
    throw new EvaluationError(
      `confusionMatrixFigure: ${count} classes need a matrix of ${count} rows and columns.`,
    );
  }
  const wrong = matrix.flat().find((value) => !Number.isSafeInteger(value) || value < 0);
  if (wrong !== undefined)
    throw new EvaluationError(`confusionMatrixFigure: ${inWords(wrong)} is not a count of samples.`);
}
