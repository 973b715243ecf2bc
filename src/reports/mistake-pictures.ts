/** Pictures of mistakes for a page: each small, and beside it the same with what spoke for the wrong answer in color. */
import { pictureOf } from "../audit/survey.js";
import type { LabelledImages } from "../data/dataset.js";
import { expectDataset } from "../data/dataset.js";
import type { Pixels } from "../data/decoding/decoder.js";
import { ArgumentError, DataError } from "../errors.js";
import {
  type ExplainMethod,
  explainInput,
  explainMethods,
  inputOf,
} from "../inference/explanation/explain.js";
import { type Classifier, expectWhole } from "../inference/predict.js";
import { expectFunction, expectSignal, inWords, optionsOf } from "../settings/given.js";
import { expectMistakes } from "./given-report.js";
import { drawHeatMap, eightBits } from "./heat-map.js";
import type { Mistake, Mistakes } from "./mistakes.js";

/** A mistake with its picture. */
export interface PicturedMistake extends Mistake {
  /** The picture, with its heat map on its right if there is one, as a data URI; undefined if it cannot be read again. */
  readonly picture?: string | undefined;
}

/** What a report shows of mistakes. */
export interface PicturedMistakes extends Omit<Mistakes, "surest"> {
  /** As of `Mistakes`, each with its picture. */
  readonly surest: readonly PicturedMistake[];
  /** How heat maps were made, in words; undefined where there are none. */
  readonly heatMaps?: string | undefined;
}

/** How pictures are made. */
export interface MistakePictureOptions {
  /** Whose mistakes they are, for heat maps; none unless given. */
  readonly classifier?: Classifier | undefined;
  /**
   * Default "occlusion", which points best. What it hides is an eighth of the image's side up to 96 pixels, which takes 225
   * predictions a picture, and a quarter of larger ones, which takes 49.
   */
  readonly method?: ExplainMethod | undefined;
  /** Stops with its reason when aborted. */
  readonly signal?: AbortSignal | undefined;
  /** Called after each picture. */
  readonly onProgress?: ((progress: { done: number; total: number }) => void) | undefined;
}

/** Pixels of a picture's longer side: enough to judge, few enough for a page that can be mailed. */
const longest = 200;
/** Images of more pixels a side are explained with larger windows. */
const fine = 96;

/**
 * Adds pictures to mistakes. They are made of pixels alone: nothing that a file says of a patient goes with them, but words that
 * are burned into an image stay.
 *
 * @param dataset  the images that were judged, in their order
 * @throws ArgumentError for mistakes of another data set, or a method that there is not
 */
export async function pictureMistakes(
  mistakes: Mistakes,
  dataset: LabelledImages,
  options: MistakePictureOptions = {},
): Promise<PicturedMistakes> {
  const operation = "pictureMistakes";
  const names = { classifier: true, method: true, signal: true, onProgress: true };
  const { classifier, method = "occlusion", signal, onProgress } = optionsOf(operation, options, names);
  expectMistakes(operation, mistakes);
  const { surest } = mistakes;
  expectDataset(operation, "the data set", dataset);
  if (classifier !== undefined) expectWhole(operation, classifier);
  if (!explainMethods.includes(method))
    throw new ArgumentError(
      `${operation}: method ${inWords(method)} is not one of ${explainMethods.join(", ")}.`,
    );
  expectSignal(operation, signal);
  if (onProgress !== undefined) expectFunction(operation, onProgress, "onProgress");
  const pictured: PicturedMistake[] = [];
  for (const mistake of surest) {
    signal?.throwIfAborted();
    const { image } = mistake;
    if (image >= dataset.length)
      throw new ArgumentError(
        `${operation}: image ${image} is none of the ${dataset.length} of the data set: it has to be the one that was judged.`,
      );
    const picture = await pictureFor(mistake, dataset, { classifier, method, signal });
    pictured.push({ ...mistake, picture });
    onProgress?.({ done: pictured.length, total: surest.length });
  }
  return { ...mistakes, surest: pictured, ...(classifier && { heatMaps: methodWords(method, classifier) }) };
}

type Making = Required<Pick<MistakePictureOptions, "method">> &
  Pick<MistakePictureOptions, "classifier" | "signal">;

async function pictureFor(
  { image, explained }: Mistake,
  dataset: LabelledImages,
  { classifier, method, signal }: Making,
): Promise<string | undefined> {
  try {
    const picture = await pictureOf(dataset, image);
    const small = await shrunk(picture);
    if (!classifier) return await dataUri(small.width, small.height, small.channels, small.data);
    const name = dataset.name(image);
    const { preprocessing, model } = classifier;
    const input = await inputOf(await dataset.sample(image), name, preprocessing, model.device);
    const window = method === "occlusion" ? windowOf(classifier) : undefined;
    const found = await explainInput(classifier, input, picture, {
      label: explained,
      method,
      window,
      signal,
    });
    const { map, placement, scale } = found;
    const { width, height, data } = drawHeatMap({ picture: small, map, placement, scale });
    return await dataUri(width, height, 3, data);
  } catch (error) {
    if (error instanceof DataError) return undefined; // Gone since it was judged: the table still tells of it.
    throw error;
  }
}

const windowOf = ({ preprocessing: { imageSize } }: Classifier): number =>
  Math.max(1, Math.floor(imageSize / (imageSize <= fine ? 8 : 4)));

function methodWords(method: ExplainMethod, classifier: Classifier): string {
  if (method === "grad-cam") return "Grad-CAM";
  if (method === "hirescam") return "HiResCAM";
  const side = windowOf(classifier);
  return `occlusion: what the probability loses when ${side} by ${side} of ${classifier.preprocessing.imageSize} by ${classifier.preprocessing.imageSize} pixels are hidden`;
}

/** In 8 bits, no side longer than `longest`, and smaller pictures as they are. */
async function shrunk(pixels: Pixels): Promise<Pixels> {
  const { width, height, channels, photometric } = pixels;
  const bytes = new Uint8Array(width * height * channels);
  for (let pixel = 0; pixel < width * height; pixel++)
    for (let channel = 0; channel < channels; channel++)
      bytes[pixel * channels + channel] = eightBits(pixels, pixel, channel);
  const { default: sharp } = await import("sharp"); // as decoding does, only where a picture is made
  const { data, info } = await sharp(bytes, { raw: { width, height, channels } })
    .resize(longest, longest, { fit: "inside", withoutEnlargement: true })
    .toColourspace(channels === 1 ? "b-w" : "srgb")
    .raw()
    .toBuffer({ resolveWithObject: true });
  return {
    width: info.width,
    height: info.height,
    channels,
    bitDepth: 8,
    photometric,
    data: new Uint8Array(data),
  };
}

async function dataUri(
  width: number,
  height: number,
  channels: 1 | 3,
  data: Uint8Array | Uint16Array,
): Promise<string> {
  const { default: sharp } = await import("sharp");
  const jpeg = await sharp(data, { raw: { width, height, channels } }).jpeg({ quality: 85 }).toBuffer();
  return `data:image/jpeg;base64,${jpeg.toString("base64")}`;
}
