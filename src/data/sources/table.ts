/**
 * Tables as programs write them: separated by commas, semicolons, tabs or bars, in UTF-8 or UTF-16, with or without the
 * empty lines and columns that spreadsheets leave behind. What comes out are the cells of each line, by titles.
 */
import { isUtf8 } from "node:buffer";
import { readFile, stat } from "node:fs/promises";
import { CsvError, parse } from "csv-parse";
import { DataError } from "../../errors.js";
import { lineError } from "./problems.js";

/** The cells of one line, as many as there are titles. */
export interface TableRow {
  readonly line: number;
  readonly cells: readonly string[];
  /** Why they cannot be told apart, if they cannot. */
  readonly problem?: string;
}

/** A million lines have a tenth of it. */
const largestTable = 2 ** 28; // bytes

const separators = [",", ";", "\t", "|"];

/**
 * The lines of a table, its titles first.
 *
 * @throws DataError naming the file, and the line where it has one
 */
export async function* readTable(path: string): AsyncGenerator<TableRow, void, undefined> {
  const { size } = await stat(path);
  if (size > largestTable)
    throw new DataError(
      `${path} has ${size} bytes, and a table of images at most ${largestTable}: divide it.`,
    );
  const text = decode(path, await readFile(path));
  const { delimiter, firstLine } = separatorOf(text);
  const parser = parse(text, {
    delimiter,
    record_delimiter: ["\r\n", "\n", "\r"], // all of them, as tables that were put together have
    from_line: firstLine,
    bom: true,
    trim: true,
    skip_empty_lines: true,
    skip_records_with_empty_values: true,
    relax_column_count: true, // judged below, where trailing empty cells are known to mean nothing
    info: true,
  });
  let width: number | undefined;
  try {
    for await (const item of parser) {
      const { record, info } = item as { record: string[]; info: { lines: number } };
      const end = record.findLastIndex((cell) => cell !== "") + 1;
      width ??= end;
      if (record.length < width || end > width) {
        const reason = "it has more or fewer columns than the first line";
        const problem = `${reason}; a separator within a value needs quotes around it`;
        yield { line: info.lines, cells: record, problem };
      } else yield { line: info.lines, cells: record.slice(0, width).map((cell) => cell.trim()) };
    }
  } catch (error) {
    if (error instanceof CsvError) throw new DataError(`${path}: ${error.message}.`, { cause: error });
    throw error;
  }
}

function decode(path: string, bytes: Uint8Array): string {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return new TextDecoder("utf-16le").decode(bytes);
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return new TextDecoder("utf-16be").decode(bytes);
  if (isUtf8(bytes)) return new TextDecoder("utf-8").decode(bytes);
  let line = 1;
  for (let start = 0; start < bytes.length; ++line) {
    const found = bytes.indexOf(10, start);
    const end = found < 0 ? bytes.length : found;
    if (!isUtf8(bytes.subarray(start, end))) break;
    start = end + 1;
  }
  throw lineError(
    path,
    line,
    'its letters are not in UTF-8, perhaps in Windows-1252 or Latin-1: save the table as "CSV UTF-8", or convert it with iconv -f WINDOWS-1252 -t UTF-8',
  );
}

/** By the line of titles, which has none of them within a title. Excel may say it in a line of its own, "sep=;". */
function separatorOf(text: string): { delimiter: string; firstLine: number } {
  const announced = /^\ufeff?sep=(.)\r?(?:\n|$)/i.exec(text)?.[1];
  if (announced) return { delimiter: announced, firstLine: 2 };
  const titles = /\S[^\r\n]*/.exec(text)?.[0] ?? "";
  const columns = (separator: string): number => titles.split(separator).length;
  return { delimiter: separators.reduce((a, b) => (columns(b) > columns(a) ? b : a)), firstLine: 1 };
}
