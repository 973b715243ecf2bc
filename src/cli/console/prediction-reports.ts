/** Predictions as DICOM reports in a folder, one of each image or unit. */
import type { Checkpoint } from "../../checkpoints/checkpoint.js";
import type { FrameChoice } from "../../data/decoding/frame-choice.js";
import { frameName } from "../../data/decoding/sample.js";
import { DataError } from "../../errors.js";
import type { Pooling } from "../../inference/pooling.js";
import type { PredictedImage } from "../../inference/predict.js";
import type { ReportingModel } from "../../reports/dicom/reporting-model.js";
import { dicomSource } from "../../reports/dicom/source.js";
import { type ReportedImage, structuredReport } from "../../reports/dicom/structured-report.js";
import { fileOf } from "./asked-images.js";
import { type OutputFiles, outputName } from "./output-names.js";
import type { UnitWithImages } from "./pooled-predictions.js";
import type { AskedSource } from "./prediction-lines.js";

/** Where a report went, or why there is none. */
export type Reported = { readonly report: string } | { readonly reportError: string };

/** How reports are made and placed. */
export interface ReportWriting {
  readonly model: ReportingModel;
  readonly files: OutputFiles;
  readonly maxPixels?: number | undefined;
  /** Which pictures of a file were taken, where a prediction does not say. */
  readonly frames: FrameChoice | undefined;
}

/** What a report says of a model beside its hash. */
export function modelOf(checkpoint: Checkpoint, checkpointHash: string): ReportingModel {
  const { classes, task, threshold, thresholds, preprocessing } = checkpoint;
  return { classes, task, threshold, thresholds, preprocessing, checkpointHash };
}

/** Of one image. */
export async function reportOfImage(
  prediction: PredictedImage<AskedSource>,
  writing: ReportWriting,
): Promise<Reported> {
  return orWhyNot(frameName(fileOf(prediction.source), prediction.frame), async () => {
    const image = await reportedImage(prediction, writing);
    const { bytes } = structuredReport([image], prediction, writing.model);
    const name = outputName(fileOf(prediction.source), prediction.frame);
    return writing.files.place(`${name}.sr.dcm`, bytes);
  });
}

/** Of a unit. */
export async function reportOfUnit(
  { prediction, images, unread }: UnitWithImages,
  { by, how }: Pooling,
  writing: ReportWriting,
): Promise<Reported> {
  return orWhyNot(prediction.unit, async () => {
    const reported: ReportedImage[] = [];
    for (const image of images) reported.push(await reportedImage(image, writing));
    const { bytes } = structuredReport(reported, prediction, writing.model, {
      pooling: `${by}:${how}`,
      unread,
    });
    const name =
      by === "image" ? outputName(prediction.files[0] as string) : unitName(prediction.unit, images);
    return writing.files.place(`${name}.sr.dcm`, bytes);
  });
}

/** "patient-3-3fa2b1c0": numbers are those of one run, the digits those of the first image. */
function unitName(unit: string, [first]: readonly PredictedImage<AskedSource>[]): string {
  const name = outputName(first ? fileOf(first.source) : unit, first?.frame);
  return `${unit.replace(/[^\p{L}\p{N}]+/gu, "-")}-${/-([0-9a-f]{8})(-frame-\d+)?$/.exec(name)?.[1]}`;
}

async function reportedImage(
  { source, frame }: PredictedImage<AskedSource>,
  { maxPixels, frames }: ReportWriting,
): Promise<ReportedImage> {
  const found = await dicomSource(fileOf(source), { maxPixels });
  return { source: found, frame: frame ?? (frames === "middle" ? Math.floor(found.frames / 2) : 0) };
}

/** @param ofWhat  the image or unit, for the reason */
async function orWhyNot(ofWhat: string, write: () => Promise<string>): Promise<Reported> {
  try {
    return { report: await write() };
  } catch (error) {
    if (error instanceof DataError) return { reportError: `${ofWhat}: no report: ${error.reason}.` };
    throw error;
  }
}
