/**
 * How a picture becomes what the network sees. A checkpoint carries this, so that a prediction years later treats an
 * image exactly as training did; hence plain JSON and nothing else.
 */
import { ArgumentError } from "../errors.js";

/**
 * What to do with an image that is not square: "stretch" ignores its proportions, "cover" fills the square and cuts
 * off what hangs over, "contain" keeps all of it between black bars.
 */
export type Resize = "stretch" | "cover" | "contain";

/** How a picture becomes what the network sees; checkpoints carry it. */
export interface Preprocessing {
  /** Height and width of the network's input, in pixels. */
  readonly imageSize: number;
  /** 1 or 3. Grey images are repeated for 3; colour images become their luminance for 1. */
  readonly channels: 1 | 3;
  /** The network sees `(value - mean) / std` of a value in 0..1, channel by channel. */
  readonly mean: readonly number[];
  /** One a channel; see `mean`. */
  readonly std: readonly number[];
  /** What becomes of an image that is not square. */
  readonly resize: Resize;
}

const resizes: readonly Resize[] = ["stretch", "cover", "contain"];
const largestImage = 4096;

/**
 * Preprocessing with its defaults filled in: 224 pixels, 3 channels, mean 0.5 and std 0.5 in each, stretched.
 *
 * @throws ArgumentError for a value out of range, also when `options` was read from a file
 */
export function definePreprocessing(options: Partial<Preprocessing> = {}): Preprocessing {
  const { imageSize = 224, channels = 3, resize = "stretch" } = options;
  if (!Number.isInteger(imageSize) || imageSize < 1 || imageSize > largestImage) {
    throw new ArgumentError(
      `preprocessing: imageSize ${imageSize} is not an integer from 1 to ${largestImage}.`,
    );
  }
  if (channels !== 1 && channels !== 3) {
    throw new ArgumentError(`preprocessing: channels is ${String(channels)}; use 1 (grey) or 3 (colour).`);
  }
  if (!resizes.includes(resize)) {
    throw new ArgumentError(`preprocessing: resize "${String(resize)}" is not one of ${resizes.join(", ")}.`);
  }
  const half = new Array<number>(channels).fill(0.5);
  const { mean = half, std = half } = options;
  for (const [name, values] of Object.entries({ mean, std })) {
    if (values.length !== channels || !values.every(Number.isFinite)) {
      throw new ArgumentError(
        `preprocessing: ${name} [${values.join(", ")}] is not ${channels} numbers, one a channel.`,
      );
    }
  }
  if (std.some((value) => value <= 0)) {
    throw new ArgumentError(`preprocessing: std [${std.join(", ")}] must be positive.`);
  }
  return { imageSize, channels, mean: [...mean], std: [...std], resize };
}

/** Normalisation as one multiply-add, `value * scale + shift`, which is how the device applies it. */
export function normalisation({ mean, std }: Preprocessing): {
  /** (channels) 1 / std */
  scale: Float32Array;
  /** (channels) -mean / std */
  shift: Float32Array;
} {
  return {
    scale: Float32Array.from(std, (value) => 1 / value),
    shift: Float32Array.from(mean, (value, channel) => -value / (std[channel] ?? 1)),
  };
}
