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

/** A map that was drawn. */
export interface DrawnMap {
  readonly path: string;
  /** Whether nothing in the image speaks for the answer. */
  readonly showsNothing: boolean;
}

/** Draws what the model found in an image; or the error where it cannot be decoded a second time. */
export async function drawMap(
  { source, frame }: PredictedImage<AskedSource>,
  { checkpoint, files, method, maxPixels, frames, signal }: MapDrawing,
): Promise<DrawnMap | DataError> {
  const [{ explain, showsNothing }, { heatMapPng }] = await Promise.all([
    import("../../inference/explanation/explain.js"),
    import("../../reports/heat-map.js"),
  ]);
  try {
    const file = fileOf(source);
    const one = frames !== undefined && isSingle(frames) ? frames : undefined;
    // What is predicted was judged already.
    const options = { frame, frames: one, method, maxPixels, signal, refer: false };
    const explanation = await explain(checkpoint, file, options);
    const path = await files.place(`${outputName(file, frame)}.png`, await heatMapPng(explanation));
    return { path, showsNothing: showsNothing(explanation) };
  } catch (error) {
    if (error instanceof DataError) return error;
    throw error;
  }
}
