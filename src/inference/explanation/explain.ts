/** Where a classifier looked: the map of one image and one class, with what was predicted. */

import { augmentations } from "../../data/augmentation.js";
import { type BatchImages, drawBatch, expectSample, stackSamples } from "../../data/batch.js";
import type { Sample } from "../../data/dataset.js";
import type { Pixels } from "../../data/decoding/decoder.js";
import { type SingleChoice, singleFrame } from "../../data/decoding/frame-choice.js";
import { checkedMaxPixels } from "../../data/decoding/limits.js";
import { type ImageFile, severalIn, severalOf, withImageFile } from "../../data/decoding/sample.js";
import type { Preprocessing } from "../../data/preprocessing.js";
import { ArgumentError } from "../../errors.js";
import { toInput } from "../../models/input.js";
import {
  expectCounts,
  expectFunction,
  expectNamed,
  expectSignal,
  inWords,
  type NamesOf,
  optionsOf,
} from "../../settings/given.js";
import { nearest } from "../../settings/nearest.js";
import { isUrl, type Path, pathOf } from "../../settings/paths.js";
import { isBytes } from "../../settings/realms.js";
import type { Device } from "../../tensor/device.js";
import {
  type Classifier,
  expectWhole,
  type FramedImage,
  type ImageSource,
  type Prediction,
  predictionOf,
} from "../predict.js";
import { calibratedTask, predictBatches } from "../probabilities.js";
import { type Judge, type Judgement, type JudgingOptions, judgeOf } from "../uncertainty.js";
import { gradCam, type HeatMap, hiResCam, peakOf } from "./class-activation.js";
import { atRest, defaultStage, expectStages, featuresAndGradient, hostProbabilities } from "./network.js";
import { hide, occlusionMap, windowsOver } from "./occlusion.js";
import { type Placement, pixelAt, placementOf } from "./placement.js";

/** All ways in which a map is found. */
export const explainMethods = ["grad-cam", "hirescam", "occlusion"] as const;
/** How a map is found. */
export type ExplainMethod = (typeof explainMethods)[number];

/** What is to be explained, and how. */
export interface ExplainOptions extends JudgingOptions {
  /** The class whose evidence is shown, by name; default: the one that the image is called. */
  readonly label?: string | undefined;
  /**
   * Default "occlusion", which points best (docs/explaining.md) and is the only one for networks of one's own; "grad-cam" where a
   * stage is given.
   */
  readonly method?: ExplainMethod | undefined;
  /** Whose features are weighed, from 0; default: the last with at least 7 places a side. Not of "occlusion". */
  readonly stage?: number | undefined;
  /** Side of the window that hides, in pixels of the network's input; default an eighth of it. Of "occlusion" alone. */
  readonly window?: number | undefined;
  /** Windows that are predicted at once; default 16. Of "occlusion" alone. */
  readonly batchSize?: number | undefined;
  /** Which picture of a file that has several, from 0. Not where the source names one. */
  readonly frame?: number | undefined;
  /** Which where none is named: "auto" (default), of a volume the slice in the middle and else the first, "first" or "middle". */
  readonly frames?: SingleChoice | undefined;
  /** Pixels that a picture may have; 2^26 or MEDMAMBA_MAX_PIXELS unless told. */
  readonly maxPixels?: number | undefined;
  /** Gets one sentence where the file has several pictures and none was chosen. */
  readonly onWarning?: ((message: string) => void) | undefined;
  /** Ends the work with its reason when aborted. */
  readonly signal?: AbortSignal | undefined;
}

const optionNames: NamesOf<ExplainOptions> = {
  label: true,
  method: true,
  stage: true,
  window: true,
  batchSize: true,
  frame: true,
  frames: true,
  maxPixels: true,
  onWarning: true,
  signal: true,
  refer: true,
  risk: true,
};

/** What an image's class was made of. */
export interface Explanation extends Prediction {
  /** The class that the map is about. */
  readonly explained: string;
  /** How the map was found. */
  readonly method: ExplainMethod;
  /** Whose features were weighed; undefined for "occlusion". */
  readonly stage: number | undefined;
  /**
   * Evidence by place, 0 or more, over the square that the network saw: in units of the logit for the gradient's methods, of
   * the probability for "occlusion".
   */
  readonly map: HeatMap;
  /** Where the map is largest. */
  readonly peak: {
    /** Of the picture's pixel, from 0 at the top. */
    readonly row: number;
    /** Of the picture's pixel, from 0 at the left. */
    readonly column: number;
    /** Of the map. */
    readonly value: number;
  };
  /**
   * Where the colors of a drawing end: the value of the peak, or where that is less, the least one that is more than noise. Then
   * nothing in the image speaks for the class.
   */
  readonly scale: number;
  /** Which picture of its file it is, from 0. */
  readonly frame: number;
  /** The picture at its own size. */
  readonly picture: Pixels;
  /** Where the picture lies in the square that the network saw. */
  readonly placement: Placement;
}

/**
 * Shows where in an image the evidence for a class lies.
 *
 * A map says where the network looked, not that it was right to, and not why. `fidelity` measures whether a map is about this
 * network at all. Whether the answer is to be believed is judged as `predictImages` does.
 *
 * @param source  a path, or the bytes of an image file
 * @throws ArgumentError for a label, method, stage, window or risk that there is not; DataError naming an image that cannot be
 *   read
 */
export async function explain(
  classifier: Classifier,
  source: ImageSource,
  given: ExplainOptions = {},
): Promise<Explanation> {
  const options = optionsOf("explain", given, optionNames);
  const { method = options.stage === undefined ? "occlusion" : "grad-cam", signal } = options;
  if (!explainMethods.includes(method)) {
    throw new ArgumentError(`explain: method ${inWords(method)} is not one of ${explainMethods.join(", ")}.`);
  }
  if (method === "occlusion" && options.stage !== undefined)
    throw new ArgumentError(`explain: occlusion has no stage: leave it out, or choose grad-cam or hirescam.`);
  expectWhole("explain", classifier);
  expectPicture("explain", source, options);
  if (options.frames !== undefined && !["auto", "first", "middle"].includes(options.frames))
    throw new ArgumentError(`explain: frames ${inWords(options.frames)} is not one of auto, first, middle.`);
  if (options.onWarning !== undefined) expectFunction("explain", options.onWarning, "onWarning");
  if (options.label !== undefined) labelNamed(options.label, classifier.classes); // before anything is read
  const judge = judgeOf("explain", classifier, calibratedTask(classifier), options);
  const { image, batch, frame, picture } = await readPicture(classifier, source, options);
  signal?.throwIfAborted();
  const judgement = judge && (await judged(classifier, batch, judge));
  return { ...(await explainInput(classifier, image, picture, { ...options, method })), ...judgement, frame };
}

/** Whether the prediction of a batch's one image is to be believed, found as for predictions. */
async function judged(classifier: Classifier, batch: BatchImages, judge: Judge): Promise<Partial<Judgement>> {
  const { model, preprocessing } = classifier;
  const task = calibratedTask(classifier);
  async function* alone() {
    yield batch;
  }
  const options = { preprocessing, task, nameOf: () => "the image", graphs: false };
  const features = judge.outliers !== undefined;
  for await (const found of predictBatches(model, alone(), { ...options, features })) {
    const whole = predictionOf(classifier, task, found.probabilities, 0, judge, found.features);
    const { label: _, labels: __, probability: ___, probabilities: ____, ...judgement } = whole;
    return judgement;
  }
  return {};
}

/**
 * The least value of a peak that is more than noise: a tenth of a percentage point of the probability; by gradients so much of the
 * logit at each place that all together could move the probability by that, which is a quarter of the logit at most.
 */
const leastPeak = (method: ExplainMethod, { data }: HeatMap): number =>
  method === "occlusion" ? 0.001 : 0.004 / data.length;

/** Whether nothing in an image speaks for the class, so that the map shows noise. */
export const showsNothing = ({ peak, scale }: Pick<Explanation, "peak" | "scale">): boolean =>
  peak.value < scale;

/**
 * @internal As `explain`, of an image that was read already.
 *
 * @param image    (channels, size, size) normalised, as the network takes it
 * @param picture  what the image was made from, at its own size
 */
export async function explainInput(
  classifier: Classifier,
  image: Float32Array,
  picture: Pixels,
  options: Omit<ExplainOptions, "frame" | "frames" | "maxPixels" | "onWarning"> & {
    readonly method: ExplainMethod;
  },
): Promise<Omit<Explanation, "frame" | keyof Judgement>> {
  const { method } = options;
  const { model, classes, preprocessing } = classifier;
  const task = calibratedTask(classifier);
  const chosen = options.label === undefined ? undefined : labelNamed(options.label, classes);
  const size = preprocessing.imageSize;
  const shape = [preprocessing.channels, size] as const;
  return atRest(model, async () => {
    const probabilities = await hostProbabilities(model, image, shape, task);
    const prediction = predictionOf(classifier, task, probabilities, 0);
    const label = chosen ?? labelNamed(prediction.labels[0] ?? likeliest(probabilities, classes), classes);
    let stage: number | undefined;
    let map: HeatMap;
    if (method === "occlusion") {
      map = await occlude(classifier, image, label, {
        probability: probabilities[label] as number,
        ...options,
      });
    } else {
      const network = expectStages(method, model);
      stage = options.stage ?? defaultStage(network, size);
      const { features, gradient } = await featuresAndGradient(network, image, {
        imageSize: size,
        stage,
        label,
      });
      map = (method === "grad-cam" ? gradCam : hiResCam)(features, gradient);
    }
    const placement = placementOf(picture, preprocessing);
    const place = peakOf(map);
    const peak = { ...pixelAt(map, place, picture, placement), value: place.value };
    return {
      ...prediction,
      explained: classes[label] as string,
      method,
      stage,
      map,
      peak,
      scale: Math.max(peak.value, leastPeak(method, map)),
      picture,
      placement,
    };
  });
}

/** Which picture is read, and who is told that there are others. */
type PictureOptions = Pick<ExplainOptions, "frame" | "frames" | "maxPixels" | "onWarning">;

/** An image as the network takes it, (channels, size, size) normalised, read exactly as for a prediction. */
export function networkInput(
  classifier: Classifier,
  source: ImageSource,
  options: PictureOptions = {},
): Promise<Float32Array> {
  const { model, preprocessing } = classifier;
  return withPicture(classifier, source, options, async (file, frame) =>
    inputOf(await file.sample(frame), nameOf(source), preprocessing, model.device),
  );
}

/** The same beside what it is made from and the picture at its own size, in one reading of the file. */
function readPicture(
  classifier: Classifier,
  source: ImageSource,
  options: PictureOptions,
): Promise<{ image: Float32Array; batch: BatchImages; frame: number; picture: Pixels }> {
  const { model, preprocessing } = classifier;
  return withPicture(classifier, source, options, async (file, frame) => {
    const batch = await batchOf(await file.sample(frame), nameOf(source), preprocessing);
    const image = await normalized(batch, preprocessing, model.device);
    return { image, batch, frame, picture: await file.pixels(frame) };
  });
}

function withPicture<T>(
  { preprocessing }: Classifier,
  source: ImageSource,
  { frame: asked, frames = "auto", maxPixels, onWarning }: PictureOptions,
  work: (file: ImageFile, frame: number) => Promise<T>,
): Promise<T> {
  return withImageFile(fileOf(source), preprocessing, { maxPixels }, async (file) => {
    const named = isFramed(source) ? source.frame : asked;
    if (named !== undefined) return work(file, named);
    const several = frames === "middle" ? undefined : await severalOf(file);
    if (several) {
      const isVolume = several.isVolume && frames === "auto";
      onWarning?.(`${severalIn(nameOf(source), { ...several, isVolume })} --frame takes another.`);
    }
    return work(file, await singleFrame(file, frames));
  });
}

/** @internal A sample as the network takes it, (channels, size, size) normalised. @param name  of the image, for messages */
export async function inputOf(
  sample: Sample,
  name: string,
  preprocessing: Preprocessing,
  device: Device,
): Promise<Float32Array> {
  return normalized(await batchOf(sample, name, preprocessing), preprocessing, device);
}

/** A batch of one. */
async function batchOf(sample: Sample, name: string, preprocessing: Preprocessing): Promise<BatchImages> {
  expectSample(sample, name, preprocessing);
  return {
    ...(await stackSamples([sample], preprocessing)),
    ...drawBatch(augmentations.none, { seed: 0, epoch: 0, indices: [0] }, preprocessing),
  };
}

function normalized(batch: BatchImages, preprocessing: Preprocessing, device: Device): Promise<Float32Array> {
  const input = toInput(batch, preprocessing, device);
  return input.data().finally(() => input.dispose());
}

/** @throws ArgumentError for what is no image, no number of a picture, or no signal */
export function expectPicture(
  operation: string,
  source: ImageSource,
  { frame, maxPixels, signal }: Pick<ExplainOptions, "frame" | "maxPixels" | "signal">,
): void {
  if (typeof source !== "string" && !isBytes(source) && !isUrl(source)) {
    const framed = expectNamed(operation, "the image", source, { file: true, frame: true });
    expectCounts(operation, { frame: framed.frame }, 0);
    pathOf(operation, framed.file, "the file of the image");
  }
  if (frame !== undefined) expectCounts(operation, { frame }, 0);
  if (maxPixels !== undefined) checkedMaxPixels(`${operation}: maxPixels`, maxPixels);
  expectSignal(operation, signal);
}

const isFramed = (source: ImageSource): source is FramedImage =>
  typeof source !== "string" && !isBytes(source) && !isUrl(source);

const fileOf = (source: ImageSource): Path | Uint8Array => (isFramed(source) ? source.file : source);

/** What an image is called in messages. */
function nameOf(source: ImageSource): string {
  const file = fileOf(source);
  return isBytes(file) ? "the image" : String(file);
}

/** The loss of probability behind each window. */
async function occlude(
  classifier: Classifier,
  image: Float32Array,
  label: number,
  { probability, window, batchSize = 16, signal }: ExplainOptions & { probability: number },
): Promise<HeatMap> {
  const { model, classes, preprocessing } = classifier;
  const { imageSize: size, channels } = preprocessing;
  const side = window === undefined ? Math.max(1, Math.floor(size / 8)) : window;
  if (!Number.isInteger(side) || side < 1 || side > size)
    throw new ArgumentError(`explain: window ${inWords(side)} is not an integer from 1 to ${size} pixels.`);
  if (!Number.isInteger(batchSize) || batchSize < 1)
    throw new ArgumentError(`explain: batchSize ${inWords(batchSize)} is not an integer of 1 or more.`);
  const windows = windowsOver(size, side);
  const losses: number[] = [];
  for (let start = 0; start < windows.length; start += batchSize) {
    signal?.throwIfAborted();
    const group = windows.slice(start, start + batchSize);
    const hidden = new Float32Array(group.length * image.length);
    for (const [i, place] of group.entries())
      hidden.set(hide(image, { size, side }, place), i * image.length);
    const without = await hostProbabilities(model, hidden, [channels, size], calibratedTask(classifier));
    for (const i of group.keys()) losses.push(probability - (without[i * classes.length + label] as number));
  }
  return occlusionMap({ size, side }, windows, losses);
}

function labelNamed(name: string, classes: readonly string[]): number {
  const label = classes.indexOf(name);
  if (label >= 0) return label;
  if (typeof name !== "string")
    throw new ArgumentError(`explain: label ${inWords(name)} is not the name of a class.`);
  const meant = nearest(name, classes);
  const advice = meant === undefined ? `classes are ${classes.join(", ")}.` : `did you mean "${meant}"?`;
  throw new ArgumentError(`explain: label "${name}" is none of the classifier's; ${advice}`);
}

/** Of several labels an image, none may have been called: then the nearest to it. */
const likeliest = (probabilities: Float32Array, classes: readonly string[]): string =>
  classes[probabilities.indexOf(Math.max(...probabilities))] as string;
