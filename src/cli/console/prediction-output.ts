/**
 * Where `predict` puts its predictions, and in which form: lines for people, one object, a line an image, or DICOM reports in a
 * folder. What may be long is written as it comes, and can be gone on with.
 */

import { once } from "node:events";
import { stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type Command, Option } from "commander";
import type { Checkpoint } from "../../checkpoints/checkpoint.js";
import type { FrameChoice } from "../../data/decoding/frame-choice.js";
import { arrayPart, launchOf } from "../../distributed/launch.js";
import { type ExplainMethod, explainMethods } from "../../inference/explanation/explain.js";
import type { Pooling } from "../../inference/pooling.js";
import type { Prediction, StreamedPrediction } from "../../inference/predict.js";
import { readLabelCodes } from "../../reports/dicom/label-codes.js";
import { checkpointHash } from "../../reports/dicom/reporting-model.js";
import { type WritableFolder, writableFolder } from "../../study/writable-folder.js";
import { replaceText } from "../../weights/atomic-file.js";
import type { AskedImage } from "./asked-images.js";
import { CommandError, UsageError } from "./failure.js";
import { OutputFiles } from "./output-names.js";
import { unitsWithImages } from "./pooled-predictions.js";
import { PredictionFile } from "./prediction-file.js";
import { type AskedSource, filePrediction } from "./prediction-lines.js";
import { drawMap, type MapDrawing } from "./prediction-maps.js";
import { modelOf, type ReportWriting, reportOfImage, reportOfUnit } from "./prediction-reports.js";
import { csv, jsonLines, type PredictionRecord, type TableFormat } from "./prediction-tables.js";
import type { Terminal } from "./terminal.js";
import { plural } from "./wording.js";

/** All forms. */
export const predictionFormats = ["text", "json", "jsonl", "csv", "dicom-sr"] as const;
export type PredictionFormat = (typeof predictionFormats)[number];

/** What the command line says of it. */
export interface OutputOptions {
  readonly format?: PredictionFormat;
  readonly json?: boolean;
  readonly out?: string;
  readonly shard?: Shard;
  readonly resume?: boolean;
  readonly overwrite?: boolean;
  readonly codes?: string;
  readonly explain?: string;
  readonly method?: ExplainMethod;
  readonly pool?: string;
  readonly maxPixels?: number;
}

/** One of `of` parts that are predicted by themselves, from 1. */
interface Shard {
  readonly part: number;
  readonly of: number;
}

/** The lines that a folder of reports has of them. */
const ledgerName = "predictions.jsonl";

/** Adds the options. */
export function withOutputOptions(command: Command): Command {
  return command
    .addOption(
      new Option("--format <name>", "how predictions are written (default: text)").choices(predictionFormats),
    )
    .option("--out <path>", "where they go: a file, or for dicom-sr a folder (default: the terminal)")
    .option("--files <list>", "a file with the path of an image in each line; - for standard input")
    .addOption(
      new Option(
        "--shard <i/n>",
        "predict the i-th of n parts of the images, from 1; auto: by the launcher's number, {shard} in --out",
      ).argParser(shardOf),
    )
    .option("--resume", "go on with an earlier output, leaving out what it has")
    .option("--overwrite", "replace an earlier output")
    .option("--codes <file>", "codes of labels for dicom-sr, such as SNOMED's: a table (.csv) or JSON")
    .option("--explain <folder>", "draw a heat map of each image too, into this folder")
    .addOption(
      new Option("--method <name>", "how its maps are found (default: occlusion)").choices(explainMethods),
    );
}

function shardOf(text: string): Shard {
  const [auto, total] = /^auto(?:\/([1-9]\d{0,8}))?$/.exec(text.trim()) ?? [];
  if (auto !== undefined) {
    const found = arrayPart(total === undefined ? undefined : Number(total));
    if (found) return { part: found.index + 1, of: found.of };
    throw new UsageError(
      `--shard ${text}: no launcher says which part this process has; in a Kubernetes Indexed Job say of how many, as in auto/8.`,
    );
  }
  const [, part, of] = /^([1-9]\d{0,8})\/([1-9]\d{0,8})$/.exec(text.trim()) ?? [];
  if (part === undefined || Number(part) > Number(of))
    throw new UsageError(`--shard ${text} is no part of a number of parts, such as 1/4, 2/4, 3/4 and 4/4.`);
  return { part: Number(part), of: Number(of) };
}

export const formatOf = ({ format, json }: OutputOptions): PredictionFormat =>
  format ?? (json ? "json" : "text");

/** The options with the number of the part in the output's name. @throws UsageError if several processes would write one file */
export function ofShard<T extends OutputOptions>(options: T): T {
  const { shard, out } = options;
  const launch = launchOf();
  if (!shard && launch && launch.worldSize > 1)
    throw new UsageError(
      `${launch.worldSize} processes were started, and each would predict all images: give --shard auto, and {shard} in the name of --out.`,
    );
  if (!shard || out === undefined) return options;
  return { ...options, out: out.replaceAll("{shard}", String(shard.part)) };
}

/** @throws UsageError for options that contradict each other */
export function expectOutputOptions(options: OutputOptions): void {
  const format = formatOf(options);
  const refuse = (why: string): never => {
    throw new UsageError(why);
  };
  if (options.json && format !== "json")
    refuse(`--json is --format json, which --format ${format} contradicts.`);
  if (format === "text" && options.out !== undefined)
    refuse("--out needs a --format: json, jsonl or csv for a file, dicom-sr for a folder.");
  if (format === "dicom-sr" && options.out === undefined)
    refuse("--format dicom-sr writes a file for each image: name a folder for them with --out.");
  if (options.codes !== undefined && format !== "dicom-sr")
    refuse("--codes are those of reports: it goes with --format dicom-sr.");
  if (options.method !== undefined && options.explain === undefined)
    refuse("--method is how maps are found: it goes with --explain.");
  if (options.resume && options.overwrite) refuse("--resume and --overwrite contradict each other.");
  const goesOn = ["jsonl", "csv", "dicom-sr"].includes(format) && options.out !== undefined;
  if (options.resume && !goesOn)
    refuse("--resume goes on with a file of lines: it needs --out and --format jsonl, csv or dicom-sr.");
  if (options.pool !== undefined && (options.resume || options.shard))
    refuse("--pool needs all images at once: leave out --shard and --resume.");
}

/** What the output needs to know of a run. */
export interface OutputRun {
  readonly checkpoint: Checkpoint;
  readonly terminal: Terminal;
  readonly pooling: Pooling | undefined;
  readonly frames: FrameChoice | undefined;
  readonly signal: AbortSignal;
}

/** The part of the images that is asked for. */
export const shardOfImages = (
  images: readonly AskedImage[],
  { shard }: OutputOptions,
): readonly AskedImage[] => (shard ? images.filter((_, at) => at % shard.of === shard.part - 1) : images);

/**
 * Opens the output, before anything is computed that could be lost.
 *
 * @throws CommandError if it is there already and nothing was said of that; StudyError if nothing can be written there
 */
export async function openOutput(options: OutputOptions, run: OutputRun): Promise<PredictionOutput> {
  const { checkpoint, frames, signal } = run;
  const { out, codes, explain, method, resume, overwrite, maxPixels } = options;
  const format = formatOf(options);
  const isLines = format !== "text" && format !== "json";
  const hash = isLines ? await checkpointHash(checkpoint.path) : "";
  const digits = hash.slice(0, 12);
  const mayReplace = (resume || overwrite) === true;
  const given = codes === undefined ? undefined : await readLabelCodes(codes, checkpoint.classes);
  const folders: WritableFolder[] = [];
  try {
    if (explain !== undefined) folders.push(await writableFolder(explain, "--explain"));
    const maps = explain === undefined ? undefined : new OutputFiles(explain, "--explain", mayReplace);
    const drawing = maps && { checkpoint, files: maps, method, maxPixels, frames, signal };
    if (out === undefined) {
      const lines = isLines
        ? new StandardOutput(format === "csv" ? csv(checkpoint.classes) : jsonLines)
        : undefined;
      return new PredictionOutput(options, run, { lines, maps: drawing, digits, folders });
    }
    const isFolder = format === "dicom-sr";
    folders.push(await writableFolder(isFolder ? out : dirname(out), "--out"));
    if (format === "json") {
      if (!overwrite && (await stat(out).catch(() => undefined))) throw thereAlready(out);
      return new PredictionOutput(options, run, { maps: drawing, digits, folders });
    }
    const table = format === "csv" ? csv(checkpoint.classes) : jsonLines;
    const earlier = { resume, overwrite, checkpoint: digits };
    const file = await PredictionFile.open(isFolder ? join(out, ledgerName) : out, table, earlier);
    const model = { ...modelOf(checkpoint, hash), codes: given };
    const reports = { model, files: new OutputFiles(out, "--out", mayReplace), maxPixels, frames };
    const parts = { lines: file, file, maps: drawing, digits, folders };
    return new PredictionOutput(options, run, { ...parts, ...(isFolder && { reports }) });
  } catch (error) {
    for (const folder of folders) await folder.removeEmpty();
    throw error;
  }
}

const thereAlready = (path: string): CommandError =>
  new CommandError(`${path} is there already: name another with --out, or add --overwrite to replace it.`);

/** A stream of lines on standard output. */
class StandardOutput {
  readonly #format: TableFormat;
  #begun = false;

  constructor(format: TableFormat) {
    this.#format = format;
  }

  async write(record: PredictionRecord): Promise<void> {
    const titles = this.#begun ? "" : (this.#format.titles ?? "");
    this.#begun = true;
    const goesOn = process.stdout.write(titles + this.#format.line(record));
    if (goesOn || process.stdout.destroyed) return;
    // Whoever read it may go away, which is no failure.
    await Promise.race([once(process.stdout, "drain"), once(process.stdout, "close")]).catch(() => {});
  }
}

interface Parts {
  readonly lines?: Pick<PredictionFile, "write"> | undefined;
  readonly file?: PredictionFile | undefined;
  readonly reports?: ReportWriting | undefined;
  readonly maps?: MapDrawing | undefined;
  /** Of the checkpoint's hash. */
  readonly digits: string;
  /** That were made for it. */
  readonly folders: readonly WritableFolder[];
}

/** Takes predictions one after another. Those that are kept until the end are those of text, one object, and units. */
export class PredictionOutput {
  readonly #options: OutputOptions;
  readonly #run: OutputRun;
  readonly #parts: Parts;
  /** Predictions so far, where the form or the units need them. */
  readonly kept: StreamedPrediction<AskedSource>[] = [];
  /** Maps of those that are kept. */
  readonly #maps = new Map<StreamedPrediction<AskedSource>, Pick<PredictionRecord, "map">>();
  /** Predictions so far. */
  taken = 0;
  /** Images that could not be read. */
  failed = 0;
  /** Predictions, of images or of units, that a human should look at; undefined where nothing was judged. */
  referred: number | undefined;
  /** Images or units without a report, and images without a map. */
  readonly unwritten: string[] = [];
  #written = 0;
  /** Maps that show nothing. */
  #empty = 0;
  #units = 0;

  constructor(options: OutputOptions, run: OutputRun, parts: Parts) {
    this.#options = options;
    this.#run = run;
    this.#parts = parts;
  }

  /** The images that are not in an earlier output. */
  remaining(images: readonly AskedImage[]): readonly AskedImage[] {
    const { file } = this.#parts;
    if (!file || file.earlier === 0) return images;
    return images.filter(({ source }) =>
      typeof source === "string" ? !file.has(source) : !file.has(source.file, source.frame),
    );
  }

  /** Lines of an earlier output. */
  get earlier(): number {
    return this.#parts.file?.earlier ?? 0;
  }

  /** Of these, those that have an error. */
  get earlierErrors(): number {
    return this.#parts.file?.earlierErrors ?? 0;
  }

  async take(prediction: StreamedPrediction<AskedSource>): Promise<void> {
    const { lines, reports, maps, digits } = this.#parts;
    const { pooling } = this.#run;
    this.taken += 1;
    if (prediction.error) this.failed += 1;
    else if (!pooling) this.#noteDecision(prediction.decision);
    const drawn = maps && !prediction.error ? await drawMap(prediction, maps) : undefined;
    if (drawn instanceof Error) this.unwritten.push(drawn.message);
    const isDrawn = drawn !== undefined && !(drawn instanceof Error);
    if (isDrawn && drawn.showsNothing) this.#empty += 1;
    const map = isDrawn ? { map: drawn.path } : {};
    if (!lines || pooling) {
      this.kept.push(prediction);
      this.#maps.set(prediction, map);
    }
    // Units come when all images have; of these, those that could not be read are told as they come.
    if (!lines || (pooling && !prediction.error)) return;
    const written = reports && !prediction.error ? await reportOfImage(prediction, reports) : {};
    this.#noteReport(written);
    await lines.write({ ...filePrediction(prediction), ...map, ...written, checkpoint: digits });
  }

  #noteDecision(decision: Prediction["decision"]): void {
    if (decision === undefined) return;
    this.referred = (this.referred ?? 0) + (decision === "refer" ? 1 : 0);
  }

  #noteReport(written: { reportError?: string; report?: string }): void {
    if (written.reportError !== undefined) this.unwritten.push(written.reportError);
    if (written.report !== undefined) this.#written += 1;
  }

  /** What `--json` has of each. */
  objects(): object[] {
    return this.kept.map((prediction) => ({ ...filePrediction(prediction), ...this.#maps.get(prediction) }));
  }

  /** Writes what had to wait for the last image. */
  async finish(images: readonly AskedImage[]): Promise<void> {
    const { lines, reports, digits } = this.#parts;
    const { pooling, checkpoint } = this.#run;
    if (!lines || !pooling) return;
    for (const unit of unitsWithImages(checkpoint, this.kept, images, pooling)) {
      const written = reports ? await reportOfUnit(unit, pooling, reports) : {};
      this.#noteReport(written);
      this.#noteDecision(unit.prediction.decision);
      this.#units += 1;
      await lines.write({ ...unit.prediction, ...written, checkpoint: digits });
    }
  }

  /** The one object of `--json`, on standard output or in a file. */
  async result(value: object): Promise<void> {
    const { out } = this.#options;
    if (formatOf(this.#options) !== "json") return;
    if (out === undefined) this.#run.terminal.result(value);
    else await replaceText(out, `${JSON.stringify(value, null, 2)}\n`);
  }

  /** What was written where, for people; nothing where standard output has the predictions. */
  summary(): string[] {
    const { out, explain } = this.#options;
    const { reports, lines } = this.#parts;
    const predicted = this.taken - this.failed;
    const judged = this.#run.pooling ? plural(this.#units, "unit") : plural(predicted, "image");
    return [
      ...(reports
        ? [`${plural(this.#written, "report")} written in ${out}, listed in ${join(out ?? "", ledgerName)}`]
        : []),
      ...(out !== undefined && !reports
        ? [`${plural(predicted, "image")} predicted, written in ${out}`]
        : []),
      ...(lines && this.referred !== undefined ? [`${this.referred} of ${judged} to be referred`] : []),
      ...(explain !== undefined ? [`heat maps are in ${explain}`] : []),
      ...(this.#empty > 0
        ? [`${plural(this.#empty, "map")} without color: nothing in the image speaks for the answer`]
        : []),
    ];
  }

  async close(): Promise<void> {
    await this.#parts.file?.close();
    for (const folder of this.#parts.folders) await folder.removeEmpty();
  }
}
