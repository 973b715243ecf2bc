/**
 * How training went: loss on the left, validation accuracy and AUC on the right, against the epoch. Curves carry their
 * names at their ends, so that no legend has to be matched by colour; the epoch that was kept is marked in both.
 */
import { line as curve } from "d3-shape";
import { ArgumentError, EvaluationError } from "../../errors.js";
import {
  expectCounts,
  expectList,
  expectNamed,
  expectNumbers,
  inWords,
  optionsOf,
} from "../../settings/given.js";
import type { EpochRecord, ValidationRecord } from "../../training/history.js";
import { type Axis, axes, axis, horizontal, type PlotArea, vertical } from "./axes.js";
import { textWidth } from "./lettering.js";
import { element, figure, ink, line, type Markup, palette, text } from "./svg.js";

/** The scores of a validation that are drawn. */
export interface CurveScores {
  /** Cross-entropy in nats. */
  readonly loss?: ValidationRecord["loss"] | null;
  /** 0 to 1. */
  readonly accuracy?: ValidationRecord["accuracy"] | null;
  /** 0 to 1. */
  readonly auc?: ValidationRecord["auc"] | null;
}

/**
 * An epoch of the history, or the part of it that there is. What was not measured is left out or null, and the curve passes
 * over it; NaN or infinity, a loss that diverged, breaks it.
 */
export interface CurveEpoch extends Pick<EpochRecord, "epoch"> {
  /** Mean over the epoch's steps. */
  readonly trainLoss?: EpochRecord["trainLoss"] | null;
  /** Scores on the validation split. */
  readonly validation?: CurveScores | null;
}

type Quantity = (record: CurveEpoch) => number | null | undefined;

interface Series {
  readonly quantity: Quantity;
  readonly name: string;
  readonly colour: (typeof palette)[number];
}

const quantities = {
  trainLoss: (record) => record.trainLoss,
  loss: (record) => record.validation?.loss,
  accuracy: (record) => record.validation?.accuracy,
  auc: (record) => record.validation?.auc,
} as const satisfies Record<string, Quantity>;

const losses: readonly Series[] = [
  { quantity: quantities.trainLoss, name: "training", colour: palette[0] },
  { quantity: quantities.loss, name: "validation", colour: palette[1] },
];
const scores: readonly Series[] = [
  { quantity: quantities.auc, name: "AUC", colour: palette[2] },
  { quantity: quantities.accuracy, name: "accuracy", colour: palette[3] },
];

const panel = { width: 300, height: 220, left: 56, top: 30, labels: 82, bottom: 48 };

/**
 * An SVG of the training curves.
 *
 * @param history            epochs in any order
 * @param options.bestEpoch  the epoch to mark; default the one of highest validation AUC, else accuracy, else of lowest
 *   validation loss
 * @throws EvaluationError if the history is empty, or holds nothing to draw
 */
export function trainingCurves(history: readonly CurveEpoch[], options: { bestEpoch?: number } = {}): string {
  const { bestEpoch } = optionsOf("trainingCurves", options, { bestEpoch: true });
  if (bestEpoch !== undefined) expectNumbers("trainingCurves", { bestEpoch });
  expectHistory(history);
  const epochs = history.toSorted((a, b) => a.epoch - b.epoch);
  const best = epochs.find(({ epoch }) => epoch === (bestEpoch ?? chooseBest(epochs)));
  const panels = [
    { series: measured(losses, epochs), title: "Loss", domain: lossDomain },
    { series: measured(scores, epochs), title: "Validation score", domain: scoreDomain },
  ].filter(({ series }) => series.length > 0);
  if (panels.length === 0)
    throw new EvaluationError("trainingCurves: the history has no loss and no score to draw.");
  const stride = panel.left + panel.width + panel.labels;
  const drawn = panels.map(({ series, title, domain }, index) => {
    const area = {
      left: panel.left + index * stride,
      top: panel.top,
      width: panel.width,
      height: panel.height,
    };
    return drawPanel(area, epochs, series, title, domain(valuesOf(epochs, series)), best);
  });
  const marked = best === undefined ? "" : `, best epoch ${best.epoch}`;
  const label = `Training curves over ${epochs.length} epochs${marked}`;
  return figure(panels.length * stride, panel.top + panel.height + panel.bottom, label, ...drawn);
}

/** What was not measured is left out or null. @throws ArgumentError for what is neither that nor a number */
function expectHistory(history: readonly CurveEpoch[]): void {
  expectList("trainingCurves", "the history", history);
  for (const record of history) {
    const { epoch, trainLoss, validation } = expectNamed("trainingCurves", "an epoch", record);
    expectCounts("trainingCurves", { epoch }, 0);
    const { loss, accuracy, auc } =
      validation == null ? {} : expectNamed("trainingCurves", "validation", validation);
    for (const [name, value] of Object.entries({ trainLoss, loss, accuracy, auc })) {
      if (value != null && typeof value !== "number")
        throw new ArgumentError(`trainingCurves: ${name} has to be a number, but is ${inWords(value)}.`);
    }
  }
}

/** From zero: a loss axis from 0 shows how much of the loss is gone. */
const lossDomain = (values: number[]): [number, number] => [Math.min(0, ...values), Math.max(...values) || 1];

/** Down to a multiple of 0.1 that leaves room below the lowest value, up to 1. */
const scoreDomain = (values: number[]): [number, number] => [
  Math.max(0, Math.floor((Math.min(...values) - 0.02) * 10) / 10),
  1,
];

function drawPanel(
  area: PlotArea,
  epochs: readonly CurveEpoch[],
  series: readonly Series[],
  title: string,
  domain: [number, number],
  best: CurveEpoch | undefined,
): Markup {
  const [first, last] = [epochs[0]!.epoch, epochs.at(-1)!.epoch];
  const x = horizontal(area, first === last ? [first - 1, first + 1] : [first, last]);
  const y = vertical(area, domain).nice(5);
  const epochAxis: Axis = {
    scale: x,
    title: "Epoch",
    ticks: first === last ? [first] : epochTicks(first, last),
    format: String,
  };
  const curves = series.flatMap(({ quantity, colour }) => {
    const records = epochs.filter((record) => quantity(record) !== undefined && quantity(record) !== null);
    const path = curve<CurveEpoch>()
      .defined((record) => isMeasured(quantity(record)))
      .x((record) => x(record.epoch))
      .y((record) => y(quantity(record) as number))
      .digits(2)(records);
    const shown = element("path", {
      d: path ?? "",
      fill: "none",
      stroke: colour.line,
      "stroke-width": 1.75,
      "stroke-linejoin": "round",
    });
    // Dots where a line alone would hide how little was measured.
    const sparse = records.length < epochs.length || records.length === 1;
    return sparse ? [shown, ...records.flatMap((record) => point(record, quantity, colour.line))] : [shown];
  });
  return element(
    "g",
    {},
    axes(area, epochAxis, axis(y, title, 5)),
    ...markBest(),
    ...curves,
    ...bestPoints(),
    ...names(),
  );

  function markBest(): Markup[] {
    if (best === undefined) return [];
    const at = x(best.epoch);
    const name = `best epoch ${best.epoch}`;
    const reach = textWidth(name, 11) / 2;
    const middle = Math.min(Math.max(at, area.left + reach), area.left + area.width - reach);
    return [
      line(at, area.top - 6, at, area.top + area.height, { stroke: ink.muted, "stroke-dasharray": "2 3" }),
      text(middle, area.top - 12, name, { "text-anchor": "middle", "font-size": 11, fill: ink.muted }),
    ];
  }

  function bestPoints(): Markup[] {
    return best === undefined
      ? []
      : series.flatMap(({ quantity, colour }) => point(best, quantity, colour.line));
  }

  function point(record: CurveEpoch, quantity: Quantity, fill: string): Markup[] {
    const value = quantity(record);
    if (!isMeasured(value)) return [];
    return [
      element("circle", {
        cx: x(record.epoch),
        cy: y(value),
        r: 3.5,
        fill,
        stroke: ink.paper,
        "stroke-width": 1.25,
      }),
    ];
  }

  function names(): Markup[] {
    const ends = series.map(({ quantity, name, colour }) => {
      const end = epochs.findLast((record) => isMeasured(quantity(record)))!;
      return { name, colour, y: y(quantity(end) as number) };
    });
    return spread(ends, 14).map(({ name, colour, y: at }) =>
      text(area.left + area.width + 8, at + 4, name, { fill: colour.text }),
    );
  }
}

/** Moves labels of two curves apart, about their middle, until they are `distance` px from each other. */
function spread<T extends { readonly y: number }>(labels: T[], distance: number): T[] {
  const sorted = labels.toSorted((a, b) => a.y - b.y);
  const [upper, lower] = sorted;
  if (upper === undefined || lower === undefined || lower.y - upper.y >= distance) return sorted;
  const middle = (upper.y + lower.y) / 2;
  return [
    { ...upper, y: middle - distance / 2 },
    { ...lower, y: middle + distance / 2 },
  ];
}

/** The first epoch, then round numbers, with steps of 1, 2 or 5 times a power of ten. */
function epochTicks(first: number, last: number): number[] {
  const rough = Math.max((last - first) / 6, 1);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= rough)!;
  const before = Math.floor(first / step);
  const round = Array.from({ length: Math.floor(last / step) + 1 - before }, (_, i) => (before + i) * step);
  return [first, ...round.filter((epoch) => epoch - first >= Math.max(step / 2, 1))];
}

function chooseBest(epochs: readonly CurveEpoch[]): number | undefined {
  const criteria: [Quantity, number][] = [
    [quantities.auc, 1],
    [quantities.accuracy, 1],
    [quantities.loss, -1],
  ];
  for (const [quantity, sign] of criteria) {
    const candidates = epochs.filter((record) => isMeasured(quantity(record)));
    const value = (record: CurveEpoch) => sign * (quantity(record) as number);
    if (candidates.length > 0)
      return candidates.reduce((best, record) => (value(record) > value(best) ? record : best)).epoch;
  }
  return undefined;
}

const isMeasured = (value: number | null | undefined): value is number =>
  typeof value === "number" && Number.isFinite(value);

const measured = (series: readonly Series[], epochs: readonly CurveEpoch[]): Series[] =>
  series.filter(({ quantity }) => epochs.some((record) => isMeasured(quantity(record))));

const valuesOf = (epochs: readonly CurveEpoch[], series: readonly Series[]): number[] =>
  epochs.flatMap((record) => series.map(({ quantity }) => quantity(record)).filter(isMeasured));
