/** Predictions as lines that other programs read: JSON a line, or CSV. */
import { type ReportedPrediction, sentencesOf } from "../../reports/dicom/structured-report.js";

/** What is kept of an image, or with `--pool` of a unit. */
export type PredictionRecord = Partial<ReportedPrediction> & WrittenAbout;

/** Which image it is, and what was written about it. */
interface WrittenAbout {
  /** The image; of a unit undefined. */
  readonly file?: string;
  readonly frame?: number;
  /** What the images of a unit have in common. */
  readonly unit?: string;
  readonly files?: readonly string[];
  readonly images?: number;
  readonly error?: string;
  /** The DICOM report that was written of it. */
  readonly report?: string;
  /** Why there is none. */
  readonly reportError?: string;
  /** The heat map that was drawn of it. */
  readonly map?: string;
  /** The beginning of the SHA-256 of the checkpoint: lines of two models are not mixed. */
  readonly checkpoint: string;
}

/** How records become lines. */
export interface TableFormat {
  /** The first line, if there is one. */
  readonly titles: string | undefined;
  /** Whether a line may have line breaks, between quotes. */
  readonly quoted: boolean;
  line(record: PredictionRecord): string;
  /** Of a line, what tells whether it is done; undefined if it is damaged. */
  read(
    line: string,
  ): Pick<PredictionRecord, "file" | "frame" | "checkpoint" | "error" | "reportError"> | undefined;
}

export const jsonLines: TableFormat = {
  titles: undefined,
  quoted: false,
  line: (record) => `${JSON.stringify(record)}\n`,
  read(line) {
    try {
      const record = JSON.parse(line);
      return typeof record?.checkpoint === "string" ? record : undefined;
    } catch {
      return undefined;
    }
  },
};

/** A table with a column for each class. */
export function csv(classes: readonly string[]): TableFormat {
  const titles = csvLine([
    ..."file decision frame label probability".split(" "),
    ...classes.map((name) => `probability of ${name}`),
    ..."reasons set error report map checkpoint".split(" "),
  ]);
  return {
    titles,
    quoted: true,
    line: ({ file, unit, frame, label, probability, probabilities = {}, ...more }) =>
      csvLine([
        file === undefined ? (unit ?? "") : pathCell(file),
        more.decision ?? "",
        number(frame),
        label ?? "",
        number(probability),
        ...classes.map((name) => number(probabilities[name])),
        sentencesOf(more).join("; "),
        (more.set ?? []).join("; "),
        more.error ?? more.reportError ?? "",
        more.report === undefined ? "" : pathCell(more.report),
        more.map === undefined ? "" : pathCell(more.map),
        more.checkpoint,
      ]),
    read(line) {
      const cells = cellsOf(line);
      const [file, , frame] = cells;
      const error = cells.at(-4); // before report, map and checkpoint
      const checkpoint = cells.at(-1);
      if (cells.length !== classes.length + 11 || file === undefined || !checkpoint) return undefined;
      return { file, checkpoint, ...(frame && { frame: Number(frame) }), ...(error && { error }) };
    },
  };
}

const number = (value: number | undefined): string =>
  value === undefined || !Number.isFinite(value) ? "" : String(value);

/** What a spreadsheet would compute, whose programs open such tables by a click. */
const formula = /^[=+\-@\t\r]/;

/** A path that begins like a formula means the same file behind "./". */
const pathCell = (path: string): string => (formula.test(path) ? `./${path}` : path);

/** Quoted where that is needed; text that begins like a formula gets an apostrophe, as spreadsheets themselves write it. */
function csvLine(cells: readonly string[]): string {
  const quoted = cells.map((cell) => {
    const isNumber = cell !== "" && Number.isFinite(Number(cell));
    const safe = formula.test(cell) && !isNumber ? `'${cell}` : cell;
    return /[",;\t\r\n]|^\s|\s$/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  });
  return `${quoted.join(",")}\n`;
}

/** The cells of a line that `csvLine` made. */
function cellsOf(line: string): string[] {
  const cells = line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,\n]*))/g);
  return [...cells].map(([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain ?? "");
}
