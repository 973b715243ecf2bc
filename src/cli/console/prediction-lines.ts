/** What is predicted of files: a line each for people, an object each for programs. */
import type { Classifier, FramedImage, Prediction, StreamedPrediction } from "../../inference/predict.js";
import { probabilityWords } from "../../inference/probability-words.js";
import type { Judgement } from "../../inference/uncertainty.js";
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
 * A line an image: its class and probability, and the runner-up; or why it could not be read. Of one that a human should look at
 * that comes first, and why below it.
 */
export function predictionLines(predictions: readonly StreamedPrediction<AskedSource>[]): string[] {
  const rows = predictions.map((prediction): DecidedRow => {
    const { source, frame } = prediction;
    const place = endOf(shortPath(fileOf(source))) + (frame === undefined ? "" : ` frame ${frame}`);
    if (prediction.error) return { place: [place], error: `could not be read: ${prediction.error.reason}.` };
    return { place: [place], prediction, called: calledCells(prediction) };
  });
  return decidedLines(rows);
}

/** What is said of an image or of a unit. */
export type DecidedRow =
  | {
      /** Which one it is, in cells. */
      readonly place: readonly string[];
      readonly error?: undefined;
      readonly prediction: Partial<Judgement>;
      /** Of `calledCells`, and what follows it. */
      readonly called: readonly string[];
      /** Lines below, of an indentation of their own. */
      readonly below?: readonly string[];
    }
  | {
      /** Where there are no cells, the error says which one it is. */
      readonly place: readonly string[];
      readonly error: string;
    };

/** Rows in columns. Referred ones say so first, in the place of what they would be called. */
export function decidedLines(rows: readonly DecidedRow[]): string[] {
  const layout = { left: true, longest: Infinity };
  const places = columns(
    rows.map(({ place }) => place),
    layout,
  );
  const widest = Math.max(0, ...places.map((place) => place.length));
  const isAnswer = (row: DecidedRow) => row.error === undefined && row.prediction.decision !== "refer";
  const answers = columns(
    rows.map((row) => (row.error === undefined && isAnswer(row) ? row.called : [])),
    layout,
  );
  return rows.flatMap((row, i) => {
    const place = places[i]?.padEnd(widest);
    if (row.error !== undefined) return hanging(row.place.length > 0 ? `${place}  ${row.error}` : row.error);
    const { below = [] } = row;
    if (isAnswer(row)) return [...hanging(`${place}  ${answers[i]}`), ...below];
    const [label, ...more] = row.called;
    const called = [[label, more[0]].filter(Boolean).join(" "), ...more.slice(1)].join(", ");
    return [...hanging(`${place}  not sure: refer   (${called})`), ...whyReferred(row.prediction), ...below];
  });
}

/** Lines of a terminal's width, the others below the first. */
const hanging = (text: string): string[] =>
  text.length <= lineWidth
    ? [text]
    : wrapped(text, lineWidth - 4).map((line, i) => (i === 0 ? line.trimEnd() : `    ${line.trim()}`));

/** From which probability on the second of two classes is called, where the checkpoint has one; below all predictions. */
export function thresholdLines({ threshold, classes }: Pick<Classifier, "threshold" | "classes">): string[] {
  if (threshold === undefined) return [];
  const called = `Called ${classes[1]} from a probability of ${decimals(threshold)} on, as stored in the checkpoint.`;
  return ["", ...wrapped(called, lineWidth)];
}

/** What an image is called, how probably, and what comes next. */
export function calledCells({ label, labels, probability, probabilities }: Prediction): string[] {
  const percent = probabilityWords;
  if (Number.isNaN(probability)) {
    const called = labels.map((name) => `${name} ${percent(probabilities[name] as number)}`);
    return [called.join(", ") || "nothing called"];
  }
  const [second] = Object.entries(probabilities)
    .filter(([name]) => name !== label)
    .sort(([, a], [, b]) => b - a);
  return [label, percent(probability), ...(second ? [`then ${second[0]} ${percent(second[1])}`] : [])];
}
