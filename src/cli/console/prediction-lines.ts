/** What is predicted of files: a line each for people, an object each for programs. */
import type { Prediction, StreamedPrediction } from "../../inference/predict.js";
import { columns, decimals, shortPath } from "./wording.js";

/** One image, as `--json` has it. */
export type FilePrediction =
  | ({ readonly file: string } & Prediction)
  | { readonly file: string; readonly error: string };

export function filePrediction({ source, index: _, ...result }: StreamedPrediction<string>): FilePrediction {
  return result.error ? { file: source, error: result.error.message } : { file: source, ...result };
}

/** A line an image: its class and probability, and the runner-up; or why it could not be read. */
export function predictionLines(predictions: readonly StreamedPrediction<string>[]): string[] {
  const percent = (probability: number) => `${decimals(100 * probability, 1)} %`;
  const rows = predictions.map((prediction): string[] => {
    const file = shortPath(prediction.source);
    if (prediction.error) return [file];
    const { label, labels, probability, probabilities } = prediction;
    if (Number.isNaN(probability)) {
      const called = labels.map((name) => `${name} ${percent(probabilities[name] as number)}`);
      return [file, called.join(", ") || "nothing called"];
    }
    const [second] = Object.entries(probabilities)
      .filter(([name]) => name !== label)
      .sort(([, a], [, b]) => b - a);
    return [
      file,
      label,
      percent(probability),
      ...(second ? [`then ${second[0]} ${percent(second[1])}`] : []),
    ];
  });
  return columns(rows, { left: true, longest: 44 }).map((line, i) => {
    const error = predictions[i]?.error;
    return error ? `${line}  could not be read: ${error.reason}.` : line;
  });
}
