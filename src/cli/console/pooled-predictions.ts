/** Predictions of several images as one: of the frames of a file, of a patient, of what a column names. */
import type { Checkpoint } from "../../checkpoints/checkpoint.js";
import { type Pooling, poolPredictions, unitsOf } from "../../inference/pooling.js";
import type { PredictedImage, Prediction, StreamedPrediction } from "../../inference/predict.js";
import { type AskedImage, fileOf } from "./asked-images.js";
import { CommandError } from "./failure.js";
import { expectPath } from "./paths.js";
import { type AskedSource, calledCells, type DecidedRow, decidedLines } from "./prediction-lines.js";
import { endOf, plural, shortPath } from "./wording.js";

/** A unit, as `--json` has it: patients are numbered, and known by their files. */
export interface UnitPrediction extends Prediction {
  readonly unit: string;
  readonly files: readonly string[];
  /** That could be read. */
  readonly images: number;
}

/** @throws CommandError if nothing says which images belong together, or what would have said it is not there */
export function expectUnits(images: readonly AskedImage[], { by }: Pooling): void {
  if (by === "image" || images.some((image) => nameOf(image, by) !== undefined)) return;
  for (const { source } of images) expectPath(fileOf(source), "image");
  throw new CommandError(
    `--pool ${by}: nothing says which images belong together: name a table (.csv) with the columns path and ${by} instead of the images.`,
  );
}

function nameOf({ source, patient, attributes }: AskedImage, by: string): string | undefined {
  if (by === "image") return fileOf(source);
  return by === "patient" ? patient : attributes?.get(by.toLowerCase());
}

/** What is predicted of units, of those of their images that could be read. */
export function unitPredictions(
  checkpoint: Checkpoint,
  predictions: readonly StreamedPrediction<AskedSource>[],
  images: readonly AskedImage[],
  pooling: Pooling,
): UnitPrediction[] {
  return unitsWithImages(checkpoint, predictions, images, pooling).map(({ prediction }) => prediction);
}

/** A unit with what it is made of. */
export interface UnitWithImages {
  readonly prediction: UnitPrediction;
  readonly images: readonly PredictedImage<AskedSource>[];
  /** Images of it that could not be read. */
  readonly unread: number;
}

/** The same, with the images that each is made of. */
export function unitsWithImages(
  checkpoint: Checkpoint,
  predictions: readonly StreamedPrediction<AskedSource>[],
  images: readonly AskedImage[],
  { by, how }: Pooling,
): UnitWithImages[] {
  const asked = new Map(images.map((image) => [image.source, image]));
  const nameOfSource = (source: AskedSource) => nameOf(asked.get(source) ?? { source }, by);
  const read = predictions.filter(
    (prediction): prediction is PredictedImage<AskedSource> => prediction.error === undefined,
  );
  const names = read.map(({ source }) => nameOfSource(source));
  const unread = predictions.filter(({ error }) => error).map(({ source }) => nameOfSource(source));
  return poolPredictions(checkpoint, read, unitsOf(names), how).map(({ members, ...prediction }, unit) => {
    const own = members.map((at) => read[at] as PredictedImage<AskedSource>);
    const files = [...new Set(own.map(({ source }) => fileOf(source)))];
    const name = by === "image" ? (files[0] as string) : `${by} ${unit + 1}`;
    const whose = names[members[0] as number];
    return {
      prediction: { unit: name, files, images: members.length, ...prediction },
      images: own,
      unread: whose === undefined ? 0 : unread.filter((other) => other === whose).length,
    };
  });
}

/** A line a unit, under what they are. */
export function unitLines(units: readonly UnitPrediction[], { by, how }: Pooling): string[] {
  const rule = how === "mean" ? "mean" : "largest probability";
  const rows = units.map((unit): DecidedRow => {
    const [first = ""] = unit.files;
    const more = unit.files.length > 1 ? ` and ${unit.files.length - 1} more` : "";
    const place =
      by === "image" ? endOf(shortPath(first)) : `${unit.unit}: ${endOf(shortPath(first), 26)}${more}`;
    return { place: [place, plural(unit.images, "image")], prediction: unit, called: calledCells(unit) };
  });
  return ["", `By ${by}, ${rule} of the images of each:`, ...decidedLines(rows)];
}
