/**
 * Several images as the device takes them: one array of pixels, and for each image how it is sampled. The `Loader` makes
 * batches of data sets, prediction makes them of whatever images come along; both make them here.
 */
import { DataError } from "../errors.js";
import { inWords } from "../settings/given.js";
import { isBytes, typedArrayKind } from "../settings/realms.js";
import { type Augmentation, drawAugmentation } from "./augmentation.js";
import { breathe } from "./concurrency.js";
import type { Sample } from "./dataset.js";
import type { Preprocessing } from "./preprocessing.js";

/** Host arrays: the device applies affine, gain and offset, and normalises, while it takes the images in. */
export interface Batch {
  /** Counted from 0. */
  readonly epoch: number;
  /** Position of the batch in its epoch. */
  readonly position: number;
  /** (b, channels, height, width) */
  readonly shape: readonly [number, number, number, number];
  /** 0..255, or 0..1 as floats if any image of the batch is deeper than 8 bits. */
  readonly images: Uint8Array | Float32Array;
  /** (b) class numbers; of several labels an image (b, classes), 0 or 1 each. */
  readonly labels: Int32Array;
  /** (b) whom each image is of, if the data set says. */
  readonly patients?: readonly (string | undefined)[];
  /** (b) factor of each image in the loss, if the data set says. */
  readonly weights?: Float32Array;
  /** Which images of the data set these are. */
  readonly indices: Int32Array;
  /** (b, 2, 3), see augmentation.ts */
  readonly affine: Float32Array;
  /** (b) factor of the values, which run from 0 to 1. */
  readonly gain: Float32Array;
  /** (b) added after the factor. */
  readonly offset: Float32Array;
}

/** The part of a batch that a network's input is made of. */
export type BatchImages = Pick<Batch, "shape" | "images" | "affine" | "gain" | "offset">;

/**
 * The device would clamp floats outside 0..1 and let NaN pass into the weights: neither must happen unnoticed.
 *
 * @param name  of the image, for the message
 * @throws DataError if the sample is none or has another size than the working size, or floats outside 0..1
 */
export function expectSample(sample: Sample, name: string, { imageSize, channels }: Preprocessing): void {
  const { data } = Object(sample) as Partial<Sample>;
  const kind = typedArrayKind(data);
  if (data === undefined || (kind !== "Uint8Array" && kind !== "Float32Array")) {
    const reason = `values that are ${inWords(data)}, where a Uint8Array or Float32Array is expected`;
    throw new DataError(`${name} has ${reason}.`, { file: name, reason: `it has ${reason}` });
  }
  const size = channels * imageSize * imageSize;
  if (data.length !== size) {
    const reason = `${data.length} values where ${size} are expected`;
    throw new DataError(`${name} has ${reason}.`, { file: name, reason: `it has ${reason}` });
  }
  if (kind !== "Float32Array") return;
  for (const value of data) {
    if (value >= 0 && value <= 1) continue;
    const reason = `holds the value ${value}; floats must lie in 0..1`;
    throw new DataError(`${name} ${reason}.`, { file: name, reason: `it ${reason}` });
  }
}

/** The pixels of a batch. The samples have passed `expectSample`. */
export async function stackSamples(
  samples: readonly Sample[],
  { imageSize, channels }: Preprocessing,
): Promise<Pick<Batch, "shape" | "images">> {
  const size = channels * imageSize * imageSize;
  const deep = samples.some(({ data }) => typedArrayKind(data) === "Float32Array");
  const images = deep ? new Float32Array(samples.length * size) : new Uint8Array(samples.length * size);
  for (const [i, { data }] of samples.entries()) {
    images.set(data, i * size);
    if (deep && isBytes(data)) {
      const image = images.subarray(i * size, (i + 1) * size);
      for (let k = 0; k < size; ++k) image[k] = (data[k] ?? 0) / 255;
    }
    await breathe();
  }
  return { shape: [samples.length, channels, imageSize, imageSize], images };
}

/** What augmentation does to each image of a batch, drawn by (seed, epoch, index). */
export function drawBatch(
  augmentation: Augmentation,
  { seed, epoch, indices }: { seed: number; epoch: number; indices: ArrayLike<number> },
  { imageSize }: Preprocessing,
): Pick<Batch, "affine" | "gain" | "offset"> {
  const size = { height: imageSize, width: imageSize };
  const affine = new Float32Array(indices.length * 6);
  const gain = new Float32Array(indices.length);
  const offset = new Float32Array(indices.length);
  for (let i = 0; i < indices.length; ++i) {
    const drawn = drawAugmentation(augmentation, { seed, epoch, index: indices[i] ?? 0 }, size);
    affine.set(drawn.affine, i * 6);
    gain[i] = drawn.gain;
    offset[i] = drawn.offset;
  }
  return { affine, gain, offset };
}
