/** What is predicted of files: a line each for people, an object each for programs. */
import type { Classifier, FramedImage, Prediction, StreamedPrediction } from "../../inference/predict.js";
import { fileOf } from "./asked-images.js";
import { whyReferred } from "./referrals.js";
import { columns, decimals, endOf, lineWidth, shortPath, wrapped } from "./wording.js";

/** What was asked about. */
export type AskedSource = string | FramedImage;

/** One image, as `--json` has it. */
export type FilePrediction =
  | ({ readonly file: string; readonly frame?: number } & Prediction)
  | { readonly file: string; readonly frame?: number; readonly error: string };

export function filePrediction({
  source,
  index: _,
  frame,
  ...result
}: StreamedPrediction<AskedSource>): FilePrediction {
  const place = { file: fileOf(source), ...(frame !== undefined && { frame }) };
  return result.error ? { ...place, error: result.error.message } : { ...place, ...result };
}

/**
 * A line an image: its class and probability, and the runner-up; or why it could not be read. Below one that a human should look
 * at, why.
 */
export function predictionLines(predictions: readonly StreamedPrediction<AskedSource>[]): string[] {
  const rows = predictions.map((prediction): string[] => {
    const { source, frame } = prediction;
    const place = endOf(shortPath(fileOf(source))) + (frame === undefined ? "" : ` frame ${frame}`);
    return prediction.error ? [place] : [place, ...calledCells(prediction)];
  });
  return columns(rows, { left: true, longest: Infinity }).flatMap((line, i) => {
    const prediction = predictions[i] as StreamedPrediction<AskedSource>;
    if (prediction.error) return [`${line}  could not be read: ${prediction.error.reason}.`];
    return [line, ...whyReferred(prediction)];
  });
}

/** From which probability on the second of two classes is called, where the checkpoint has one; below all predictions. */
export function thresholdLines({ threshold, classes }: Pick<Classifier, "threshold" | "classes">): string[] {
  if (threshold === undefined) return [];
  const called = `Called ${classes[1]} from a probability of ${decimals(threshold)} on, as stored in the checkpoint.`;
  return ["", ...wrapped(called, lineWidth)];
}

/** What an image is called, how probably, and what comes next. */
export function calledCells({ label, labels, probability, probabilities }: Prediction): string[] {
  const percent = (value: number) => `${decimals(100 * value, 1)} %`;
  if (Number.isNaN(probability)) {
    const called = labels.map((name) => `${name} ${percent(probabilities[name] as number)}`);
    return [called.join(", ") || "nothing called"];
  }
  const [second] = Object.entries(probabilities)
    .filter(([name]) => name !== label)
    .sort(([, a], [, b]) => b - a);
  return [label, percent(probability), ...(second ? [`then ${second[0]} ${percent(second[1])}`] : [])];
}
