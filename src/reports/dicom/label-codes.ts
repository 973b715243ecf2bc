/** Codes that a hospital gives the labels of a checkpoint, such as those of SNOMED CT or RadLex: a table, or JSON. */
import { readFile, stat } from "node:fs/promises";
import { extname } from "node:path";
import { unreadable } from "../../data/decoding/sample.js";
import { DataError } from "../../errors.js";
import { expectTexts } from "../../settings/given.js";
import { nearest } from "../../settings/nearest.js";
import { type Path, pathOf } from "../../settings/paths.js";
import type { Code } from "./content.js";

/** Codes by the names of labels. */
export type LabelCodes = Readonly<Record<string, Code>>;

const titles = ["label", "code", "scheme", "meaning", "version"];
const required = ["label", "code", "scheme", "meaning"];
const largestJson = 2 ** 24; // bytes; a code of each of a thousand labels has some hundred
/** Most characters that DICOM takes of each, beside the label, which is ours. */
const longest: Readonly<Record<string, number>> = { code: 64, scheme: 16, meaning: 64, version: 16 };

/**
 * Reads codes of labels.
 *
 * @param location  a table (.csv) with the columns label, code, scheme, meaning and, if wanted, version; or JSON, an object of
 *   objects, `{ "mass": { "code": "4147007", "scheme": "SCT", "meaning": "Mass" } }`
 * @param classes  the names that labels have
 * @throws DataError naming the file, and the label or line that is wrong
 */
export async function readLabelCodes(location: Path, classes: readonly string[]): Promise<LabelCodes> {
  const path = pathOf("readLabelCodes", location);
  expectTexts("readLabelCodes", "classes", classes);
  const rowsOf = extname(path).toLowerCase() === ".json" ? jsonRows : tableRows;
  const rows = await rowsOf(path).catch((error: unknown) => {
    throw error instanceof DataError ? error : unreadable(path, error);
  });
  const codes: Record<string, Code> = Object.create(null);
  for (const { place, values } of rows) {
    const { label = "", code = "", scheme = "", meaning = "", version } = values;
    const reason =
      whatIsWrong(values, classes) ?? (label in codes ? `label "${label}" comes twice` : undefined);
    if (reason !== undefined)
      throw new DataError(`${path}${place}: ${reason}${reason.endsWith("?") ? "" : "."}`, {
        file: path,
        reason,
        label,
      });
    codes[label] = { code, scheme, meaning, ...(version && { version }) };
  }
  return codes;
}

/** Values by title, and where they stand. */
interface CodeRow {
  readonly place: string;
  readonly values: Readonly<Record<string, string | undefined>>;
}

function whatIsWrong(values: CodeRow["values"], classes: readonly string[]): string | undefined {
  const missing = required.find((title) => !values[title]);
  if (missing !== undefined) return `there is no ${missing}`;
  const { label = "" } = values;
  if (!classes.includes(label)) {
    const meant = nearest(label, classes);
    const advice = meant === undefined ? `labels are ${classes.join(", ")}` : `did you mean "${meant}"?`;
    return `the model has no label "${label}"; ${advice}`;
  }
  return codeProblem(label, values);
}

/** What DICOM does not take of a code, as a clause; undefined if it takes it. */
export function codeProblem(
  label: string,
  code: Partial<Readonly<Record<string, string>>>,
): string | undefined {
  for (const [title, most] of Object.entries(longest)) {
    const text = code[title] ?? "";
    if ([...text].length > most)
      return `the ${title} of ${label} has more than the ${most} characters that DICOM takes`;
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are meant
    if (/[\\\x00-\x1f]/.test(text)) return `the ${title} of ${label} has a backslash or a control character`;
  }
  return undefined;
}

async function tableRows(path: string): Promise<CodeRow[]> {
  const { readTable } = await import("../../data/sources/table.js"); // and with it a parser
  const rows: CodeRow[] = [];
  let columns: string[] | undefined;
  for await (const { line, cells, problem } of readTable(path)) {
    if (problem !== undefined)
      throw new DataError(`${path} line ${line}: ${problem}.`, { file: path, line, reason: problem });
    if (columns === undefined) {
      columns = cells.map((title) => title.toLowerCase());
      expectTitles(path, columns);
    } else
      rows.push({
        place: ` line ${line}`,
        values: Object.fromEntries(columns.map((title, at) => [title, cells[at]])),
      });
  }
  if (columns === undefined) expectTitles(path, []);
  return rows;
}

function expectTitles(path: string, columns: readonly string[]): void {
  const missing = required.filter((title) => !columns.includes(title));
  const others = columns.filter((title) => !titles.includes(title));
  if (missing.length === 0 && others.length === 0) return;
  const what = missing.length > 0 ? `the column ${missing[0]} is missing` : `there is a column ${others[0]}`;
  throw new DataError(
    `${path}: ${what}; codes of labels have the columns label, code, scheme, meaning and, if wanted, version.`,
    { file: path, column: missing[0] ?? others[0] },
  );
}

async function jsonRows(path: string): Promise<CodeRow[]> {
  const { size } = await stat(path);
  if (size > largestJson)
    throw new DataError(`${path} has ${size} bytes, which no list of codes has.`, { file: path });
  const wrong = (cause?: unknown) =>
    new DataError(
      `${path}: codes of labels in JSON are an object of objects, such as {"mass": {"code": "4147007", "scheme": "SCT", "meaning": "Mass"}}.`,
      { file: path, cause },
    );
  let read: unknown;
  try {
    read = JSON.parse(await readFile(path, "utf8"));
  } catch (error) {
    throw wrong(error);
  }
  if (typeof read !== "object" || read === null || Array.isArray(read)) throw wrong();
  return Object.entries(read).map(([label, given]) => {
    if (typeof given !== "object" || given === null || Array.isArray(given)) throw wrong();
    for (const [name, value] of Object.entries(given))
      if (!titles.includes(name) || name === "label" || typeof value !== "string") throw wrong();
    return { place: "", values: { ...(given as Record<string, string>), label } };
  });
}
