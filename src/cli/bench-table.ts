/** Results of `medmamba bench` as text, a row at a time: the widths are fixed, so that each is printed when known. */
import type { Limits } from "../benchmark/limits.js";
import type { StepProfile } from "../benchmark/profile.js";
import type { Row } from "../benchmark/suite.js";
import { columns } from "./wording.js";

interface Column {
  readonly heading: string;
  readonly width: number;
  readonly cell: (row: Row, earlier: Row | undefined) => string;
}

const tail: Column[] = [
  { heading: "of limit", width: 9, cell: ({ ofLimit }) => `${(100 * ofLimit).toFixed(0)} %` },
];

const head: Column[] = [
  { heading: "kernel", width: 25, cell: ({ name }) => name },
  { heading: "shape", width: 14, cell: ({ shape }) => shape },
  { heading: "time", width: 10, cell: ({ seconds }) => time(seconds) },
  { heading: "+-", width: 6, cell: ({ spread }) => `${(50 * spread).toFixed(0)} %` },
  { heading: "img/s", width: 9, cell: ({ imagesPerSecond }) => threeDigits(imagesPerSecond) },
  { heading: "GFLOP/s", width: 8, cell: ({ gigaflops }) => threeDigits(gigaflops) },
];

const rates: Column[] = [
  { heading: "GB/s", width: 6, cell: ({ gigabytesPerSecond }) => threeDigits(gigabytesPerSecond) },
  { heading: "bound", width: 8, cell: ({ bound }) => bound },
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

export function limitLines({ multiplyAdds, bytes, exponentials }: Limits): string[] {
  const rows = [
    ["products", `${threeDigits(2e-9 * multiplyAdds)} GFLOP/s`],
    ["memory", `${threeDigits(1e-9 * bytes)} GB/s`],
    ["exponentials", `${threeDigits(1e-9 * exponentials)} G/s`],
  ];
  return ["limits, measured in this run:", ...columns(rows).map((line) => `  ${line}`)];
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

/** "12.3 ms" */
function time(seconds: number): string {
  if (seconds >= 1) return `${threeDigits(seconds)} s`;
  return seconds >= 1e-3 ? `${threeDigits(1e3 * seconds)} ms` : `${threeDigits(1e6 * seconds)} us`;
}

function threeDigits(value: number | undefined): string {
  if (value === undefined) return "";
  const decimals = value === 0 ? 0 : 2 - Math.floor(Math.log10(value));
  return value.toFixed(Math.max(0, Math.min(decimals, 3)));
}
