/** Data sets whose images are in memory: MedMNIST archives, and arrays of the caller's own. */
import { ArgumentError, DataError } from "../../errors.js";
import { expectList, expectNamed, expectTexts, inWords, listInWords } from "../../settings/given.js";
import { arrayHere, isBytes, typedArrayKind } from "../../settings/realms.js";
import { expectKnown } from "../../settings/table.js";
import { hashOf } from "../contents.js";
import {
  type Dataset,
  expectDataset,
  type LabelledImages,
  type MultiLabelDataset,
  type Sample,
} from "../dataset.js";
import type { Pixels } from "../decoding/decoder.js";
import { planarSample } from "../decoding/planar-sample.js";
import { resizePixels } from "../decoding/sample.js";
import { classNumbers, type TaskName, taskNames, zerosAndOnes } from "../labels.js";
import { definePreprocessing, type Preprocessing } from "../preprocessing.js";

/** Images of one size, interleaved (n, height, width, channels), the first `imagesPerBlock` in the first block. */
export interface PixelBlocks {
  readonly count: number;
  readonly height: number;
  readonly width: number;
  readonly channels: 1 | 3;
  readonly imagesPerBlock: number;
  readonly blocks: readonly Uint8Array[];
}

/** Images that the caller holds in one array, for `fromArrays`. */
export interface ImageArrays {
  /** (n, height, width) or (n, height, width, channels): 0..255 as Uint8Array or 0..1 as Float32Array. */
  readonly images: Uint8Array | Float32Array;
  /** Of `images`: three axes if they are grey, four otherwise. */
  readonly shape: readonly number[];
  /** One class number an image; for the task "multi-label" a 0 or 1 for each class, image after image. */
  readonly labels: ArrayLike<number>;
  /** What is asked; "binary" for two classes and "multi-class" for more unless told. */
  readonly task?: TaskName | undefined;
  /** Whom each image is of, if images of one person are to be kept together. */
  readonly patients?: readonly (string | undefined)[];
  /** Factor of each image in the loss, above 0; 1 unless given. */
  readonly weights?: ArrayLike<number>;
  /** "0", "1", ... up to the largest label, or as many as labels an image, unless given. */
  readonly classes?: readonly string[];
  /** The images' own size and channels unless given. Floats that must be resized go through 16 bits. */
  readonly preprocessing?: Partial<Preprocessing>;
}

/**
 * A data set of images that the caller holds as an array. The array is not copied.
 *
 * @throws DataError if shape, images, labels, patients and weights do not fit together, or a weight is not above 0
 */
export function fromArrays(arrays: ImageArrays & { readonly task: "multi-label" }): MultiLabelDataset;
export function fromArrays(
  arrays: ImageArrays & { readonly task?: Exclude<TaskName, "multi-label"> | undefined },
): Dataset;
export function fromArrays(arrays: ImageArrays): LabelledImages {
  expectKnown("fromArrays", arrays, {}, fields);
  const { shape, patients, weights, preprocessing, task } = arrays;
  expectLists(arrays);
  const images = pixelsOf(arrays.images);
  const [count = 0, height = 0, width = 0, channels = 1] = shape;
  if (shape.length < 3 || shape.length > 4 || (channels !== 1 && channels !== 3)) {
    throw new DataError(
      `fromArrays: images have shape (${listInWords(shape)}), but (n, height, width) or (n, height, width, 3) is expected.`,
    );
  }
  if (![count, height, width].every((extent) => Number.isSafeInteger(extent) && extent > 0))
    throw new DataError(`fromArrays: (${listInWords(shape)}) is no shape of images.`);
  if (count * height * width * channels !== images.length || images.length === 0) {
    throw new DataError(
      `fromArrays: ${images.length} values do not make images of shape (${shape.join(", ")}).`,
    );
  }
  if (typedArrayKind(images) === "Float32Array")
    expectUnitRange(images as Float32Array, images.length / count);
  const { labels, classes } = labelsOf(arrays, count);
  const size = height === width ? { imageSize: height } : {};
  const complete = definePreprocessing({ ...size, channels, ...preprocessing });
  const area = height * width * channels;
  const dataset = arrayDataset(
    { count, height, width, channels, pixelsOf: (i) => images.subarray(i * area, (i + 1) * area) },
    {
      labels,
      classes,
      ...(task && { task }),
      preprocessing: complete,
      name: (i) => `images[${i}]`,
      ...(patients && { patients }),
      ...(weights && { weights: Float32Array.from(weights) }),
    },
  );
  expectDataset("fromArrays", "the data set", dataset);
  return dataset;
}

const fields = Object.keys({
  images: true,
  shape: true,
  labels: true,
  task: true,
  patients: true,
  weights: true,
  classes: true,
  preprocessing: true,
} satisfies Record<keyof ImageArrays, true>);

/** As they are or, a canvas's pixels, the same bytes. */
function pixelsOf(images: unknown): Uint8Array | Float32Array {
  const kind = typedArrayKind(images);
  if (kind === "Uint8Array" || kind === "Float32Array") return arrayHere(images as Uint8Array | Float32Array);
  if (kind === "Uint8ClampedArray") {
    const { buffer, byteOffset, length } = images as Uint8ClampedArray;
    return new Uint8Array(buffer, byteOffset, length);
  }
  throw new DataError("fromArrays: images must be a Uint8Array of 0..255 or a Float32Array of 0..1.");
}

/** @throws ArgumentError for what is no list where one belongs */
function expectLists({ shape, labels, patients, weights, classes, task, preprocessing }: ImageArrays): void {
  const operation = "fromArrays";
  expectList(operation, "shape", shape);
  expectList(operation, "labels", labels);
  if (patients !== undefined) expectList(operation, "patients", patients);
  if (weights !== undefined) {
    expectList(operation, "weights", weights);
    const wrong = Array.prototype.findIndex.call(weights, (weight) => typeof weight !== "number");
    if (wrong >= 0)
      throw new ArgumentError(`${operation}: weights holds ${inWords(weights[wrong])} for image ${wrong}.`);
  }
  if (classes !== undefined) expectTexts(operation, "classes", classes);
  if (preprocessing !== undefined) expectNamed(operation, "preprocessing", preprocessing);
  if (task !== undefined && !taskNames.includes(task))
    throw new ArgumentError(
      `${operation}: there is no task ${inWords(task)}: choose from ${taskNames.join(", ")}.`,
    );
}

/** Floats are 0..1: of 0..255 nearly all would be taken for white. */
function expectUnitRange(images: Float32Array, area: number): void {
  const at = images.findIndex((value) => !(value >= 0 && value <= 1));
  if (at < 0) return;
  const advice = (images[at] ?? 0) > 1 ? ": divide by the largest value, or give 0..255 as Uint8Array" : "";
  throw new DataError(
    `fromArrays: images holds ${images[at]} in image ${Math.floor(at / area)}; floats must lie in 0..1${advice}.`,
  );
}

/** Labels and the names of their classes, checked. */
function labelsOf(
  { labels: given, classes, task }: ImageArrays,
  count: number,
): { labels: Int32Array; classes: readonly string[] } {
  const problem = (message: string) => new DataError(`fromArrays: labels ${message}.`);
  const numbered = (length: number) => Array.from({ length }, (_, i) => String(i));
  const perImage = task === "multi-label" ? (classes?.length ?? given.length / count) : 1;
  if (given.length !== count * perImage || !Number.isInteger(perImage) || perImage < 1) {
    const each = task === "multi-label" ? ` for each of ${classes?.length ?? "their"} classes` : "";
    throw new DataError(`fromArrays: there are ${count} images but ${given.length} labels${each}.`);
  }
  if (task === "multi-label") {
    return { labels: zerosAndOnes(given, perImage, problem), classes: classes ?? numbered(perImage) };
  }
  const labels = classNumbers(given, classes?.length, problem);
  const largest = labels.reduce((a, b) => Math.max(a, b), 0);
  return { labels, classes: classes ?? numbered(largest + 1) };
}

/** One split of an archive as a data set. */
export function archiveDataset(
  { blocks, imagesPerBlock, ...size }: PixelBlocks,
  about: About,
): LabelledImages {
  const area = size.height * size.width * size.channels;
  const pixelsOf = (index: number): Uint8Array => {
    const start = (index % imagesPerBlock) * area;
    return (blocks[Math.floor(index / imagesPerBlock)] ?? new Uint8Array(0)).subarray(start, start + area);
  };
  return arrayDataset({ ...size, pixelsOf }, about);
}

/** Whether samples are copies of the array as it is, so that keeping them would only spend memory. */
export function needsNoDecoding(
  size: Pick<PixelBlocks, "height" | "width" | "channels">,
  wanted: Preprocessing,
): boolean {
  return (
    size.height === wanted.imageSize && size.width === wanted.imageSize && size.channels <= wanted.channels
  );
}

/** All of a data set but its pixels. */
type About = Omit<Dataset, "length" | "sample" | "task"> & { readonly task?: TaskName | undefined };

interface ArrayPixels extends Pick<PixelBlocks, "count" | "height" | "width" | "channels"> {
  pixelsOf(index: number): Uint8Array | Float32Array;
}

function arrayDataset({ pixelsOf, count, ...size }: ArrayPixels, about: About): LabelledImages {
  const { preprocessing } = about;
  const asItIs = needsNoDecoding(size, preprocessing);
  return {
    ...about,
    length: count,
    content: async (index) => pixelsOf(index),
    fingerprint: async (index) => hashOf(pixelsOf(index)),
    picture: async (index) => pictureOf(pixelsOf(index), size),
    async sample(index): Promise<Sample> {
      if (!(index >= 0 && index < count))
        throw new DataError(`${about.name(index)} is not one of ${count} images.`);
      const pixels = pixelsOf(index);
      if (asItIs) return planarSample(pixels, size, preprocessing.channels);
      return resizePixels(pictureOf(pixels, size), preprocessing);
    },
  } as LabelledImages;
}

/** What a decoder would give of it: floats are brought to 16 bits. */
function pictureOf(
  pixels: Uint8Array | Float32Array,
  size: Pick<PixelBlocks, "height" | "width" | "channels">,
): Pixels {
  const data = isBytes(pixels) ? pixels : sixteenBits(pixels);
  const photometric = size.channels === 1 ? "grey" : "rgb";
  return { ...size, bitDepth: 8 * data.BYTES_PER_ELEMENT, photometric, data };
}

function sixteenBits(values: Float32Array): Uint16Array {
  return Uint16Array.from(values, (value) => Math.round(Math.min(Math.max(value, 0), 1) * 65535));
}
