/**
 * How a picture becomes what the network sees. A checkpoint carries this, so that a prediction years later treats an
 * image exactly as training did; hence plain JSON and nothing else.
 */
import { ArgumentError } from "../errors.js";
import { type Kind, number, numbers, oneOf, type Settings } from "../settings/kind.js";
import { complete, setting, type ValuesOf } from "../settings/table.js";

/**
 * What to do with an image that is not square: "stretch" ignores its proportions, "cover" fills the square and cuts
 * off what hangs over, "contain" keeps all of it between black bars.
 */
export type Resize = "stretch" | "cover" | "contain";

const channelCounts: Kind<1 | 3> = {
  range: "1 (grey) or 3 (colour)",
  holds: (value) => value === 1 || value === 3,
  parse: (text) => (text === "1" ? 1 : text === "3" ? 3 : undefined),
};

const statistics = numbers(
  "numbers, one a channel",
  "numbers with commas between, such as 0.485,0.456,0.406",
  (values) => values.every(Number.isFinite),
);

const largestImage = 4096;
const half = ({ channels }: Settings): readonly number[] => (channels === 1 ? [0.5] : [0.5, 0.5, 0.5]);

/** The settings of preprocessing. */
export const preprocessingRows = {
  /** Height and width of the network's input, in pixels; default 224. */
  imageSize: setting({
    kind: number(
      `an integer from 1 to ${largestImage}`,
      (value) => Number.isInteger(value) && value >= 1 && value <= largestImage,
    ),
    default: 224,
    flag: "--image-size <pixels>",
    words: "side of the square the images are brought to",
    alsoKnownAs: ["size", "imgSize", "resolution"],
  }),
  /** 1 or 3 (default). Grey images are repeated for 3; colour images become their luminance for 1. */
  channels: setting({
    kind: channelCounts,
    default: 3,
    flag: "--channels <count>",
    words: "1 (grey) or 3 (colour)",
  }),
  /** The network sees `(value - mean) / std` of a value in 0..1, channel by channel; default 0.5 in each. */
  mean: setting({
    kind: statistics,
    default: half,
    flag: "--mean <list>",
    words: "mean of each channel, of values from 0 to 1: 0.5,0.5,0.5",
    defaultWords: "0.5 each",
  }),
  /** One a channel; see `mean`; default 0.5 in each. */
  std: setting({
    kind: statistics,
    default: half,
    flag: "--std <list>",
    words: "standard deviation of each channel",
    defaultWords: "0.5 each",
  }),
  /** What becomes of an image that is not square; default "stretch". */
  resize: setting({
    kind: oneOf<Resize>(["stretch", "cover", "contain"]),
    default: "stretch",
    flag: "--resize <how>",
    words: "how images that are not square become so",
  }),
};

/** How a picture becomes what the network sees; checkpoints carry it. */
export interface Preprocessing extends Readonly<ValuesOf<typeof preprocessingRows>> {}

/**
 * Preprocessing with its defaults filled in: 224 pixels, 3 channels, mean 0.5 and std 0.5 in each, stretched.
 *
 * @throws ArgumentError for a value out of range, also when `options` was read from a file, and for an unknown name
 */
export function definePreprocessing(options: Partial<Preprocessing> = {}): Preprocessing {
  const preprocessing = complete(
    "preprocessing",
    preprocessingRows,
    options,
    (name, value, range) => `preprocessing: ${name} ${value} is not ${range}.`,
  );
  const { channels, mean, std } = preprocessing;
  for (const [name, values] of Object.entries({ mean, std })) {
    if (values.length !== channels) {
      throw new ArgumentError(
        `preprocessing: ${name} [${values.join(", ")}] is not ${channels} numbers, one a channel.`,
      );
    }
  }
  const beyond = Object.entries({ mean, std }).find(([, values]) =>
    values.some((value) => Math.abs(value) > 1),
  );
  if (beyond) {
    throw new ArgumentError(
      `preprocessing: ${beyond[0]} [${beyond[1].join(", ")}] is beyond 1, but values lie in 0..1: divide mean and std of 0..255 by 255.`,
    );
  }
  if (std.some((value) => value <= 0)) {
    throw new ArgumentError(`preprocessing: std [${std.join(", ")}] must be positive.`);
  }
  return { ...preprocessing, mean: [...mean], std: [...std] };
}

/** Normalisation as one multiply-add, `value * scale + shift`, which is how the device applies it. */
export function normalization({ mean, std }: Preprocessing): {
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
