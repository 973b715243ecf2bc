/**
 * A file of predictions that grows line by line. What was written stays if the process is killed, but for a line that breaks off, so
 * that a run over a hundred thousand images goes on where it was.
 */
import { createReadStream } from "node:fs";
import { type FileHandle, open, stat } from "node:fs/promises";
import { CommandError } from "./failure.js";
import type { PredictionRecord, TableFormat } from "./prediction-tables.js";

/** Whether, and how, an earlier file of the name is taken. */
export interface EarlierFile {
  readonly resume?: boolean | undefined;
  readonly overwrite?: boolean | undefined;
  /** Of the checkpoint that predicts now. */
  readonly checkpoint: string;
}

/** A line, and where it ends, in bytes. */
interface Line {
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

export class PredictionFile {
  readonly path: string;
  /** Lines that were there already. */
  readonly earlier: number;
  /** Of these, those that have an error in the place of a prediction or report. */
  readonly earlierErrors: number;
  readonly #file: FileHandle;
  readonly #format: TableFormat;
  readonly #done: ReadonlySet<string>;
  /** Where the next line goes, in bytes. */
  #position: number;

  private constructor(path: string, file: FileHandle, format: TableFormat, done: Done) {
    this.path = path;
    this.#file = file;
    this.#format = format;
    this.#done = done.names;
    this.#position = done.end;
    this.earlier = done.lines;
    this.earlierErrors = done.errors;
  }

  /**
   * Opens a file to write to.
   *
   * @throws CommandError if there is one and nothing was said of it, or it is of another checkpoint, of other classes, or damaged
   */
  static async open(path: string, format: TableFormat, earlier: EarlierFile): Promise<PredictionFile> {
    const found = await stat(path).catch(() => undefined);
    if (found && !found.isFile())
      throw new CommandError(`${path} is not a file: name another one with --out.`);
    if (found && !earlier.resume && !earlier.overwrite)
      throw new CommandError(
        `${path} is there already: add --resume to go on with it, --overwrite to replace it, or name another with --out.`,
      );
    const goesOn = found !== undefined && earlier.resume === true;
    const done = goesOn ? await readDone(path, format, earlier.checkpoint) : nothing;
    const file = await open(path, goesOn ? "r+" : "w");
    try {
      await file.truncate(done.end);
      const written = new PredictionFile(path, file, format, done);
      if (done.end === 0 && format.titles) await written.#append(format.titles);
      return written;
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** Whether a line of it says what was made of an image: of that picture, or where none is named, of any of the file. */
  has(file: string, frame?: number): boolean {
    return this.#done.has(nameOf(file, frame));
  }

  async write(record: PredictionRecord): Promise<void> {
    await this.#append(this.#format.line(record));
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  /** At the end, which is where the last one ended. */
  async #append(text: string): Promise<void> {
    const bytes = Buffer.from(text);
    for (let offset = 0; offset < bytes.length; ) {
      const { bytesWritten } = await this.#file.write(bytes, offset, bytes.length - offset, this.#position);
      offset += bytesWritten;
      this.#position += bytesWritten;
    }
  }
}

interface Done {
  readonly names: ReadonlySet<string>;
  readonly lines: number;
  readonly errors: number;
  /** In bytes: behind it are a line that breaks off, and those of a file of which not all pictures may have been predicted. */
  readonly end: number;
}

const nothing: Done = { names: new Set(), lines: 0, errors: 0, end: 0 };

/** "./=a.png" is how a table has "=a.png". */
const nameOf = (file: string, frame: number | undefined): string =>
  `${frame ?? ""}\0${file.replace(/^\.\//, "")}`;

/** What a file has that is whole. */
async function readDone(path: string, format: TableFormat, checkpoint: string): Promise<Done> {
  const records: {
    readonly file: string | undefined;
    readonly frame: number | undefined;
    readonly start: number;
    readonly isError: boolean;
  }[] = [];
  let [end, number] = [0, 0];
  for await (const { text, start, end: next } of linesOf(path, format.quoted)) {
    number += 1;
    if (number === 1 && format.titles !== undefined) {
      if (text !== format.titles)
        throw new CommandError(
          `${path} has other columns than this model's predictions: name another file with --out, or replace it with --overwrite.`,
        );
    } else {
      const record = format.read(text.replace(/\n$/, ""));
      if (!record)
        throw new CommandError(
          `${path} line ${number} is no prediction: mend or remove it, or replace the file with --overwrite.`,
        );
      if (record.checkpoint !== checkpoint)
        throw new CommandError(
          `${path} line ${number} is of another checkpoint (SHA-256 ${record.checkpoint.slice(0, 12)}, this one ${checkpoint}): name another file with --out, or replace it with --overwrite.`,
        );
      const isError = record.error !== undefined || record.reportError !== undefined;
      records.push({ file: record.file, frame: record.frame, start, isError });
    }
    end = next;
  }
  // Of several pictures of a file the last ones may be missing, so they are predicted anew.
  const last = records.at(-1);
  while (last?.frame !== undefined && records.length > 0 && records.at(-1)?.file === last.file)
    end = records.pop()?.start ?? end;
  const names = records.flatMap(({ file = "", frame }) => [nameOf(file, undefined), nameOf(file, frame)]);
  const errors = records.filter(({ isError }) => isError).length;
  return { names: new Set(names), lines: records.length, errors, end };
}

/** The whole lines of a file. @param quoted  whether line breaks between quotes are part of a line */
async function* linesOf(path: string, quoted: boolean): AsyncGenerator<Line, void, undefined> {
  let pieces: Buffer[] = [];
  let [start, position, inside] = [0, 0, false];
  for await (const chunk of createReadStream(path)) {
    const bytes = chunk as Buffer;
    let from = 0;
    for (let at = 0; at < bytes.length; ++at) {
      if (quoted && bytes[at] === 0x22) inside = !inside;
      if (bytes[at] !== 0x0a || inside) continue;
      const text = Buffer.concat([...pieces, bytes.subarray(from, at + 1)]).toString();
      const end = position + at + 1;
      yield { text, start, end };
      pieces = [];
      [start, from] = [end, at + 1];
    }
    pieces.push(bytes.subarray(from));
    position += bytes.length;
  }
}
