/**
 * Which probabilities the two classes are given: those that have the finding above the line, those that do not below it, so that
 * no color is needed to tell them apart. Heights are shares of the class, so that a rare one is seen as well as a common one.
 */
import { type Axis, axes, axis, horizontal, vertical } from "./axes.js";
import { fitText, grouped } from "./lettering.js";
import { element, figure, ink, line, type Markup, palette, text } from "./svg.js";

/** What is drawn. */
export interface ScoreHistogram {
  /** Of the two classes, the finding second. */
  readonly classes: readonly [string, string];
  /** (n) 0 or 1 */
  readonly labels: ArrayLike<number>;
  /** (n) probability of the second class */
  readonly scores: ArrayLike<number>;
  /** Probability from which it is called. */
  readonly threshold?: number | undefined;
}

const bins = 20;
const plot = { left: 54, top: 30, width: 286, height: 240 };

/** Counts of each class in 20 bins of equal width; the last holds 1 too. */
export function scoreCounts({
  labels,
  scores,
}: Pick<ScoreHistogram, "labels" | "scores">): [number[], number[]] {
  const counts: [number[], number[]] = [new Array(bins).fill(0), new Array(bins).fill(0)];
  for (let i = 0; i < labels.length; i++) {
    const bin = Math.min(bins - 1, Math.max(0, Math.floor(scores[i]! * bins + 1e-9)));
    counts[labels[i] === 1 ? 1 : 0][bin]! += 1;
  }
  return counts;
}

export function scoreHistogram(contents: ScoreHistogram): string {
  const { classes, threshold } = contents;
  const counts = scoreCounts(contents);
  const totals = counts.map((list) => list.reduce((sum, count) => sum + count, 0)) as [number, number];
  const shares = counts.map((list, kind) => list.map((count) => count / Math.max(totals[kind]!, 1)));
  const highest = Math.max(0.05, ...shares.flat()) * 1.3;
  const x = axis(horizontal(plot, [0, 1]), `Probability of ${fitText(classes[1], 12, 170)}`, 5);
  const scale = vertical(plot, [-highest, highest]);
  const percent = (value: number) => `${+(Math.abs(value) * 100).toFixed(1)}%`;
  const y: Axis = { scale, title: "Share of the class", ticks: scale.ticks(6), format: percent };
  const bars = [1, 0].flatMap((kind) =>
    shares[kind]!.flatMap((share, bin): Markup[] => {
      if (share === 0) return [];
      const top = kind === 1 ? scale(share) : scale(0);
      const color = kind === 1 ? palette[0].line : palette[4].line;
      return [
        element("rect", {
          x: x.scale(bin / bins) + 0.75,
          y: top,
          width: plot.width / bins - 1.5,
          height: Math.abs(scale(share) - scale(0)),
          fill: color,
          "fill-opacity": kind === 1 ? 0.85 : 0.55,
        }),
      ];
    }),
  );
  // On the side that the line of the threshold leaves free.
  const right = threshold === undefined || threshold < 0.5;
  const names = ([1, 0] as const).map((kind) =>
    text(
      right ? plot.left + plot.width - 4 : plot.left + 6,
      kind === 1 ? plot.top + 14 : plot.top + plot.height - 8,
      `${kind === 1 ? "above: " : "below: "}${fitText(classes[kind], 11, 110)}, ${grouped(totals[kind])} images`,
      { "text-anchor": right ? "end" : "start", "font-size": 11, ...halo },
    ),
  );
  const at = threshold === undefined ? undefined : x.scale(Math.min(Math.max(threshold, 0), 1));
  const mark =
    at === undefined
      ? []
      : [
          line(at, plot.top - 4, at, plot.top + plot.height, {
            stroke: ink.text,
            "stroke-width": 1.25,
            "stroke-dasharray": "5 3",
          }),
          text(
            Math.min(Math.max(at, plot.left + 50), plot.left + plot.width - 50),
            plot.top - 10,
            `called from ${threshold!.toFixed(3)} on`,
            {
              "text-anchor": "middle",
              "font-size": 11,
            },
          ),
        ];
  return figure(
    plot.left + plot.width + 12,
    plot.top + plot.height + 46,
    {
      title: "Probabilities that the two classes are given",
      description: `${([1, 0] as const).map((kind) => `${classes[kind]}, ${totals[kind]} images: ${rangesOf(counts[kind])}`).join(". ")}.`,
    },
    axes(plot, x, y),
    ...bars,
    line(plot.left, scale(0), plot.left + plot.width, scale(0), { stroke: ink.text, "stroke-width": 1 }),
    ...mark,
    ...names,
  );
}

const halo = { stroke: ink.paper, "stroke-width": 3, "paint-order": "stroke", "stroke-linejoin": "round" };

/** "12 up to 0.2, 30 from 0.8 on" by fifths. */
const rangesOf = (counts: readonly number[]): string =>
  Array.from({ length: 5 }, (_, fifth) => {
    const held = counts.slice(fifth * 4, fifth * 4 + 4).reduce((sum, count) => sum + count, 0);
    return `${held} from ${(fifth / 5).toFixed(1)} to ${((fifth + 1) / 5).toFixed(1)}`;
  }).join(", ");
