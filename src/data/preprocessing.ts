/**
 * How a picture becomes what the network sees. A checkpoint carries this, so that a prediction years later treats an
 * image exactly as training did; hence plain JSON and nothing else.
 */
import { ArgumentError } from "../errors.js";
import { inWords } from "../settings/given.js";
import { type Kind, number, numbers, oneOf, type Settings } from "../settings/kind.js";
import { complete, setting, type ValuesOf } from "../settings/table.js";

/**
 * What to do with an image that is not square: "stretch" ignores its proportions, "cover" fills the square and cuts
 * off what hangs over, "contain" keeps all of it between black bars.
 */
export type Resize = "stretch" | "cover" | "contain";

/** The planes in which a volume is cut. */
export type Slices = "axial" | "coronal" | "sagittal";

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

/** Hounsfield windows by name, as (center, width). */
export const namedWindows = {
  lung: [-600, 1500],
  bone: [400, 1800],
  brain: [40, 80],
  "soft-tissue": [50, 400],
} as const satisfies Readonly<Record<string, readonly [number, number]>>;

const windowPattern = /^[-+]?[0-9.]+(e[-+]?[0-9]+)?,[0-9.]+(e[-+]?[0-9]+)?$/i;

/** Whether a text says which values of a picture become black and white; see `window` below. */
function isWindow(value: unknown): boolean {
  if (typeof value !== "string") return false;
  if (value === "auto" || value === "percentile" || Object.hasOwn(namedWindows, value)) return true;
  if (value.startsWith("name:")) return value.trim().length > "name:".length;
  const [center, width] = value.split(",").map(Number);
  return windowPattern.test(value) && Number.isFinite(center) && Number.isFinite(width) && Number(width) > 0;
}

const windows: Kind<string> = {
  range: `auto, percentile, ${Object.keys(namedWindows).join(", ")}, a center and width such as -600,1500, or name: and one of the file's own`,
  holds: isWindow,
  parse: (text) => text.trim().replace(/\s*,\s*/, ","),
};

const bitDepths: Kind<8 | 16> = {
  range: "8 or 16",
  holds: (value) => value === 8 || value === 16,
  parse: (text) => (text === "8" ? 8 : text === "16" ? 16 : undefined),
};

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
  /**
   * Which values of a picture with more than 256 become black and white. "auto" (default): as the file says, or its whole
   * range, of a NIfTI volume without one its percentiles; "percentile": from the 0.5th to the 99.5th; a name of `namedWindows`, in Hounsfield units; "C,W": center and
   * width, in the file's unit; "name:LUNG": the one that the file calls so.
   */
  window: setting({
    kind: windows,
    default: "auto",
    flag: "--window <values>",
    words: "values from black to white: auto, percentile, lung, bone, brain, soft-tissue, or C,W",
    alsoKnownAs: ["windowing", "voi", "windowLevel"],
  }),
  /** Bits of a value that DICOM and NIfTI pictures are brought to, 8 (default) or 16; other files keep theirs. */
  bitDepth: setting({
    kind: bitDepths,
    default: 8,
    flag: "--bit-depth <bits>",
    words: "bits of a value of DICOM and NIfTI pictures, 8 or 16",
    alsoKnownAs: ["bits"],
  }),
  /** How a volume is cut into pictures; default "axial". */
  slices: setting({
    kind: oneOf<Slices>(["axial", "coronal", "sagittal"]),
    default: "axial",
    flag: "--slices <axis>",
    words: "how volumes are cut: axial, coronal or sagittal",
    alsoKnownAs: ["axis", "plane"],
  }),
};

/** How a picture becomes what the network sees; checkpoints carry it. */
export interface Preprocessing extends Readonly<ValuesOf<typeof preprocessingRows>> {}

/** What of the preprocessing is done while a file is decoded. */
export type Reading = Pick<Preprocessing, "window" | "bitDepth" | "slices">;

/** Lists of statistics that come from a file: a network was trained with them, whatever one would say of them today. */
const trainedWith = new WeakSet<readonly number[]>();

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
  if (std.some((value) => value <= 0)) {
    throw new ArgumentError(`preprocessing: std [${std.join(", ")}] must be positive.`);
  }
  const odd = oddStatistics({
    mean: trainedWith.has(mean) ? [] : mean,
    std: trainedWith.has(std) ? [] : std,
  });
  if (odd !== undefined) throw new ArgumentError(`preprocessing: ${odd}.`);
  const copied = (values: readonly number[]): readonly number[] => {
    const copy = [...values];
    if (trainedWith.has(values)) trainedWith.add(copy);
    return copy;
  };
  return { ...preprocessing, mean: copied(mean), std: copied(std) };
}

/**
 * As `definePreprocessing`, of what a file holds. Statistics that would be refused today are taken, as version 0.1.0 took
 * them, and go on being taken wherever these very lists are given.
 *
 * @throws ArgumentError as `definePreprocessing`, but for statistics that values from 0 to 1 cannot have
 */
export function savedPreprocessing(options: Partial<Preprocessing>): Preprocessing {
  for (const values of [options.mean, options.std]) if (Array.isArray(values)) trainedWith.add(values);
  return definePreprocessing(options);
}

/** What is wrong with statistics that no values from 0 to 1 can have, as a sentence without its end; undefined if nothing. */
export function oddStatistics({ mean, std }: Pick<Preprocessing, "mean" | "std">): string | undefined {
  for (const [name, values] of Object.entries({ mean, std })) {
    const list = `${name} [${values.join(", ")}]`;
    if (values.some((value) => value > 1))
      return `${list} is beyond 1, but values lie in 0..1: divide mean and std of 0..255 by 255`;
    if (values.some((value) => value < 0))
      return `${list} is below 0, but values lie in 0..1 and the mean is taken off them: give it without the sign`;
  }
  return undefined;
}

/** Normalisation as one multiply-add, `value * scale + shift`, which is how the device applies it. */
export function normalization({ mean, std }: Pick<Preprocessing, "mean" | "std">): {
  /** (channels) 1 / std */
  scale: Float32Array;
  /** (channels) -mean / std */
  shift: Float32Array;
} {
  for (const [name, values] of Object.entries({ mean, std })) {
    if (!Array.isArray(values) || values.length > 3 || !values.every(Number.isFinite))
      throw new ArgumentError(
        `preprocessing: ${name} has to be numbers, one a channel, but is ${inWords(values)}.`,
      );
  }
  return {
    scale: Float32Array.from(std, (value) => 1 / value),
    shift: Float32Array.from(mean, (value, channel) => -value / (std[channel] ?? 1)),
  };
}
