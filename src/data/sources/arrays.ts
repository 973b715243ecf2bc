/** Data sets whose images are in memory: MedMNIST archives, and arrays of the caller's own. */
import { DataError } from "../../errors.js";
import { type Dataset, expectPerImage, type Sample } from "../dataset.js";
import { planarSample } from "../decoding/planar-sample.js";
import { resizePixels } from "../decoding/sample.js";
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
  /** One class number an image. */
  readonly labels: ArrayLike<number>;
  /** Whom each image is of, if images of one person are to be kept together. */
  readonly patients?: readonly (string | undefined)[];
  /** Factor of each image in the loss, above 0; 1 unless given. */
  readonly weights?: ArrayLike<number>;
  /** "0", "1", ... up to the largest label unless given. */
  readonly classes?: readonly string[];
  /** The images' own size and channels unless given. Floats that must be resized go through 16 bits. */
  readonly preprocessing?: Partial<Preprocessing>;
}

/**
 * A data set of images that the caller holds as an array. The array is not copied.
 *
 * @throws DataError if shape, images, labels, patients and weights do not fit together, or a weight is not above 0
 */
export function fromArrays(arrays: ImageArrays): Dataset {
  const { images, shape, labels, classes, patients, weights, preprocessing } = arrays;
  const [count = 0, height = 0, width = 0, channels = 1] = shape;
  if (shape.length < 3 || shape.length > 4 || (channels !== 1 && channels !== 3)) {
    throw new DataError(
      `fromArrays: images have shape (${shape.join(", ")}), but (n, height, width) or (n, height, width, 3) is expected.`,
    );
  }
  if (count * height * width * channels !== images.length || images.length === 0) {
    throw new DataError(
      `fromArrays: ${images.length} values do not make images of shape (${shape.join(", ")}).`,
    );
  }
  if (labels.length !== count) {
    throw new DataError(`fromArrays: there are ${count} images but ${labels.length} labels.`);
  }
  const checked = classNumbers(
    labels,
    classes?.length,
    (message) => new DataError(`fromArrays: labels ${message}.`),
  );
  const known =
    classes ?? Array.from({ length: checked.reduce((a, b) => Math.max(a, b), 0) + 1 }, (_, i) => String(i));
  const size = height === width ? { imageSize: height } : {};
  const complete = definePreprocessing({ ...size, channels, ...preprocessing });
  const area = height * width * channels;
  const dataset = arrayDataset(
    { count, height, width, channels, pixelsOf: (i) => images.subarray(i * area, (i + 1) * area) },
    {
      labels: checked,
      classes: known,
      preprocessing: complete,
      name: (i) => `images[${i}]`,
      ...(patients && { patients }),
      ...(weights && { weights: Float32Array.from(weights) }),
    },
  );
  expectPerImage("fromArrays", dataset);
  return dataset;
}

/** One split of an archive as a data set. */
export function archiveDataset({ blocks, imagesPerBlock, ...size }: PixelBlocks, about: About): Dataset {
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
type About = Omit<Dataset, "length" | "sample">;

interface ArrayPixels extends Pick<PixelBlocks, "count" | "height" | "width" | "channels"> {
  pixelsOf(index: number): Uint8Array | Float32Array;
}

function arrayDataset({ pixelsOf, count, ...size }: ArrayPixels, about: About): Dataset {
  const { preprocessing } = about;
  const asItIs = needsNoDecoding(size, preprocessing);
  return {
    ...about,
    length: count,
    async sample(index): Promise<Sample> {
      if (!(index >= 0 && index < count))
        throw new DataError(`${about.name(index)} is not one of ${count} images.`);
      const pixels = pixelsOf(index);
      if (asItIs) return planarSample(pixels, size, preprocessing.channels);
      const data = pixels instanceof Uint8Array ? pixels : sixteenBits(pixels);
      const bitDepth = 8 * data.BYTES_PER_ELEMENT;
      const photometric = size.channels === 1 ? "grey" : "rgb";
      return resizePixels({ ...size, bitDepth, photometric, data }, preprocessing);
    },
  };
}

function sixteenBits(values: Float32Array): Uint16Array {
  return Uint16Array.from(values, (value) => Math.round(Math.min(Math.max(value, 0), 1) * 65535));
}

/** Labels as class numbers. `problem` makes the error of a sentence that goes on from the array's name. */
export function classNumbers(
  values: ArrayLike<number>,
  classCount: number | undefined,
  problem: (message: string) => DataError,
): Int32Array {
  const labels = new Int32Array(values.length);
  for (let i = 0; i < values.length; ++i) {
    const value = values[i] ?? NaN;
    const place = `holds ${value} for image ${i}`;
    if (!Number.isInteger(value)) throw problem(`${place}; labels must be integers`);
    if (value < 0) throw problem(`${place}; labels must not be negative`);
    if (classCount !== undefined && value >= classCount) {
      throw problem(`${place}; there are ${classCount} classes, so labels run from 0 to ${classCount - 1}`);
    }
    labels[i] = value;
  }
  return labels;
}
