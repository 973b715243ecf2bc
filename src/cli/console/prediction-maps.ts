/** A heat map beside each prediction, drawn when that comes, so that no more than one image is at hand for it. */
import type { Checkpoint } from "../../checkpoints/checkpoint.js";
import { type FrameChoice, isSingle } from "../../data/decoding/frame-choice.js";
import { DataError } from "../../errors.js";
import type { ExplainMethod } from "../../inference/explanation/explain.js";
import type { PredictedImage } from "../../inference/predict.js";
import { fileOf } from "./asked-images.js";
import { type OutputFiles, outputName } from "./output-names.js";
import type { AskedSource } from "./prediction-lines.js";

/** How maps are found and placed. */
export interface MapDrawing {
  readonly checkpoint: Checkpoint;
  readonly files: OutputFiles;
  readonly method?: ExplainMethod | undefined;
  readonly maxPixels?: number | undefined;
  readonly frames: FrameChoice | undefined;
  readonly signal: AbortSignal;
}

/** Draws what the model found in an image; the path of the picture, or the error where it cannot be decoded a second time. */
export async function drawMap(
  { source, frame }: PredictedImage<AskedSource>,
  { checkpoint, files, method, maxPixels, frames, signal }: MapDrawing,
): Promise<string | DataError> {
  const [{ explain }, { heatMapPng }] = await Promise.all([
    import("../../inference/explanation/explain.js"),
    import("../../reports/heat-map.js"),
  ]);
  try {
    const file = fileOf(source);
    const one = frames !== undefined && isSingle(frames) ? frames : undefined;
    const explanation = await explain(checkpoint, file, { frame, frames: one, method, maxPixels, signal });
    return await files.place(`${outputName(file, frame)}.png`, await heatMapPng(explanation));
  } catch (error) {
    if (error instanceof DataError) return error;
    throw error;
  }
}
