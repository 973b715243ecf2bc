/** `medmamba bench --compare`: the rows of an earlier run beside those of this one. */
import { readFileSync } from "node:fs";
import type { Limits } from "../../benchmark/limits.js";
import type { Machine } from "../../benchmark/machine.js";
import type { Row } from "../../benchmark/suite.js";
import type { Variant } from "../../models/medmamba.js";
import type { Precision } from "../../tensor/device.js";
import { CommandError } from "./failure.js";
import { expectPath } from "./paths.js";
import type { Terminal } from "./terminal.js";

/** What `--json` prints and `--compare` reads. */
export interface Report {
  readonly machine: Machine;
  readonly settings: Settings;
  /** By precision. */
  readonly limits: Partial<Record<Precision, Limits>>;
  readonly rows: readonly Row[];
  /** What did not fit into the device's memory. */
  readonly skipped: readonly Skipped[];
}

export interface Settings {
  readonly variants: readonly Variant[];
  readonly imageSize: number;
  readonly batchSizes: readonly number[];
  readonly precisions: readonly Precision[];
  readonly quick: boolean;
}

export interface Skipped extends Pick<Row, "name" | "shape" | "batch" | "precision"> {
  readonly reason: string;
}

/** @throws CommandError if there is no such file, or it is none of `--json` */
export function readReport(path: string): Report {
  expectPath(path, "file");
  let parsed: Partial<Report> | null;
  try {
    parsed = JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    parsed = null;
  }
  if (parsed?.machine && parsed.settings && Array.isArray(parsed.rows)) return parsed as Report;
  throw new CommandError(`${path} is not what \`medmamba bench --json\` printed: choose such a file.`);
}

/** The same row of an earlier report. */
export function counterpart(row: Row, earlier: Report | undefined): Row | undefined {
  const fields = ["name", "shape", "batch", "precision"] as const;
  return earlier?.rows.find((before) => fields.every((field) => before[field] === row[field]));
}

export function ratios(rows: readonly Row[], earlier: Report) {
  return rows.flatMap((row) => {
    const before = counterpart(row, earlier);
    if (!before) return [];
    const { name, shape, batch, precision, seconds } = row;
    const faster = before.seconds / seconds;
    return { name, shape, batch, precision, secondsBefore: before.seconds, faster };
  });
}

/** Numbers of another machine, or of a quick run, are no comparison. */
export function warnOfDifferences(
  earlier: Report,
  now: Pick<Report, "machine" | "settings">,
  terminal: Terminal,
): void {
  const different = (["model", "simd", "threads", "cores"] as const).filter(
    (field) => earlier.machine[field] !== now.machine[field],
  );
  if (different.length > 0) {
    terminal.warn(`the earlier run was on another machine: it differs in ${different.join(", ")}.`);
  }
  if (earlier.settings.quick || now.settings.quick) {
    terminal.warn("quick runs are too rough to be compared.");
  }
}
