/** Results of `medmamba bench` as text, a row at a time: the widths are fixed, so that each is printed when known. */
import type { Limits } from "../../benchmark/limits.js";
import type { StepProfile } from "../../benchmark/profile.js";
import type { Row } from "../../benchmark/suite.js";
import type { Precision } from "../../tensor/device.js";
import { columns } from "./wording.js";

interface Column {
  readonly heading: string;
  readonly width: number;
  readonly cell: (row: Row, earlier: Row | undefined) => string;
}

const noisy = 0.2; // of the middle half of the samples, that is 10 % to either side
const shortNames = { forward: "fwd", backward: "bwd", "training step": "training" };

const head: Column[] = [
  { heading: "kernel", width: 21, cell: ({ name }) => shortened(name) },
  { heading: "shape", width: 15, cell: ({ shape }) => shape },
  {
    heading: "time",
    width: 9,
    cell: ({ seconds, spread }) => `${time(seconds)}${spread > noisy ? "~" : " "}`,
  },
];

const rates: Column[] = [
  { heading: "img/s", width: 7, cell: ({ imagesPerSecond }) => count(imagesPerSecond) },
  { heading: "FLOP/s", width: 7, cell: ({ gigaflops }) => rate(gigaflops) },
  { heading: "B/s", width: 7, cell: ({ gigabytesPerSecond }) => rate(gigabytesPerSecond) },
  { heading: "exp/s", width: 7, cell: ({ gigaexponentialsPerSecond }) => rate(gigaexponentialsPerSecond) },
];

const tail: Column[] = [
  { heading: "limit", width: 7, cell: ({ ofLimit, bound }) => `${(100 * ofLimit).toFixed(0)}% ${bound[0]}` },
];

const comparison: Column[] = [
  { heading: "before", width: 10, cell: (_, earlier) => (earlier ? time(earlier.seconds) : "-") },
  {
    heading: "faster",
    width: 8,
    cell: ({ seconds }, earlier) => (earlier ? `${(earlier.seconds / seconds).toFixed(2)}x` : "-"),
  },
];

/** A table's heading and its rows. */
export class BenchTable {
  readonly #columns: readonly Column[];

  constructor(compared: boolean) {
    this.#columns = [...head, ...(compared ? comparison : rates), ...tail];
  }

  heading(): string {
    return this.#line(({ heading }) => heading);
  }

  row(row: Row, earlier: Row | undefined): string {
    return this.#line(({ cell }) => cell(row, earlier));
  }

  #line(text: (column: Column) => string): string {
    return this.#columns
      .map((column, i) => (i === 0 ? text(column).padEnd(column.width) : text(column).padStart(column.width)))
      .join("");
  }
}

export function limitLines(limits: Limits, precision: Precision): string[] {
  const { multiplyAdds, bytes, exponentials, published } = limits;
  const rows = [
    [`products, ${precision}`, `${rate(2e-9 * multiplyAdds)}FLOP/s`],
    ["memory", `${rate(1e-9 * bytes)}B/s`],
    ["exponentials", `${rate(1e-9 * exponentials)}exp/s`],
  ];
  const heading = `limits, measured in this run${published ? ", but for the products, whose the maker publishes" : ""}:`;
  return ["", heading, ...columns(rows).map((line) => `  ${line}`)];
}

export function profileLines({ operations, outside, secondsPerStep, steps }: StepProfile): string[] {
  const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
  const rows = [
    ["operation", "calls", "time", "share"],
    ...operations.map(({ operation, count, seconds, share }) => [
      operation,
      String(count),
      time(seconds),
      percent(share),
    ]),
    ["outside operations", "", time(outside.seconds), percent(outside.share)],
    ["training step", "", time(secondsPerStep), `mean of ${steps}`],
  ];
  return columns(rows);
}

function shortened(name: string): string {
  return Object.entries(shortNames).reduce((text, [long, short]) => text.replace(long, short), name);
}

/** "12.3 ms" */
function time(seconds: number): string {
  if (seconds >= 1) return `${threeDigits(seconds)} s`;
  return seconds >= 1e-3 ? `${threeDigits(1e3 * seconds)} ms` : `${threeDigits(1e6 * seconds)} us`;
}

/** "713 M", "620 G" or "1.20 T" for so many 10^9 a second; empty if there is nothing to count. */
function rate(billions: number | undefined): string {
  if (billions === undefined) return "";
  if (billions < 0.9995) return `${threeDigits(1e3 * billions)} M`;
  return billions < 999.5 ? `${threeDigits(billions)} G` : `${threeDigits(1e-3 * billions)} T`;
}

/** "7350", or "1.28 M" from a million on. */
function count(value: number): string {
  return value < 999_999.5 ? threeDigits(value) : `${threeDigits(1e-6 * value)} M`;
}

function threeDigits(value: number): string {
  const decimals = value === 0 ? 0 : 2 - Math.floor(Math.log10(value));
  return value.toFixed(Math.max(0, Math.min(decimals, 2)));
}
