/**
 * Augmentation as one affine map and one gain a sample, drawn here and applied by the device in a single pass.
 *
 * Sampling runs from output to input: the map takes a point of the output to the point of the input that it shows.
 * With points in pixels (row, column), the centre of pixel (i, j) at (i + 0.5, j + 0.5), the map is
 *
 *     input = C + R ( B + flip(output / outputSize) * b + T - C )
 *
 * read from the inside out:
 *   flip   takes (u, v) to (1 - u, v), (u, 1 - v) or both, in the unit square;
 *   B, b   origin and size of the crop box, which lies inside the input;
 *   T      the translation;
 *   R      a rotation about the input's centre C, in pixels, so that it keeps right angles.
 *
 * What rotation or translation brings in from outside repeats the border.
 *
 * Brightness and contrast act on values in 0..1: `value * gain + offset`, contrast turning about middle grey.
 *
 * A sample's draw is keyed by (seed, epoch, index) and by nothing else, so it is the same whichever rank or position
 * in a batch the sample has. Every draw takes the same numbers from its stream in the same order, so switching one
 * part off leaves the others as they were.
 */
import { ArgumentError } from "../errors.js";
import { expectNamed, expectNumbers, inWords } from "../settings/given.js";
import { unknownName } from "../settings/nearest.js";
import { RandomStream } from "../tensor/random.js";
import { streams } from "./streams.js";

/**
 * How training images are changed at random. Every range may be narrowed to one value, which switches that change off.
 */
export interface Augmentation {
  /** Part of the image's area that the crop keeps, smallest and largest. */
  readonly scale: readonly [number, number];
  /** Width by height of the crop relative to the image's, smallest and largest; drawn evenly in its logarithm. */
  readonly aspect: readonly [number, number];
  /** Probability of mirroring left and right. */
  readonly horizontalFlip: number;
  /** Probability of mirroring top and bottom. */
  readonly verticalFlip: number;
  /** Largest rotation either way, in degrees; positive angles turn the picture counter-clockwise. */
  readonly rotation: number;
  /** Largest shift either way, as a part of height and width. */
  readonly translation: number;
  /** Largest value added or taken away. */
  readonly brightness: number;
  /** Largest change of the gain, which lies in 1 - contrast .. 1 + contrast. */
  readonly contrast: number;
}

/**
 * Ready-made settings: `none` leaves images as they are; `standard` is mild enough for most medical images, and changes no
 * value, so that black stays black; docs/results.md has what it was chosen by. Flips
 * are safe where left and right mean the same; set `horizontalFlip: 0` where they do not (chest radiographs with
 * the heart's side at stake).
 */
export const augmentations: Readonly<Record<"none" | "standard", Augmentation>> = {
  none: {
    scale: [1, 1],
    aspect: [1, 1],
    horizontalFlip: 0,
    verticalFlip: 0,
    rotation: 0,
    translation: 0,
    brightness: 0,
    contrast: 0,
  },
  standard: {
    scale: [0.9, 1],
    aspect: [0.95, 1 / 0.95],
    horizontalFlip: 0.5,
    verticalFlip: 0,
    rotation: 5,
    translation: 0,
    brightness: 0,
    contrast: 0,
  },
};

/** @throws ArgumentError for a setting that is missing, out of range or none, with the nearest one to its name */
export function checkAugmentation(augmentation: Augmentation): void {
  expectNamed("augmentation", "it", augmentation);
  const names = Object.keys(augmentations.none);
  for (const name of Object.keys(augmentation)) {
    if (!names.includes(name)) throw new ArgumentError(`augmentation: ${unknownName(name, names)}`);
  }
  const missing = names.filter((name) => augmentation[name as keyof Augmentation] === undefined);
  if (missing.length > 0) {
    throw new ArgumentError(
      `augmentation: ${missing.join(", ")} missing: change single settings as { ...data.augmentations.standard, rotation: 0 }.`,
    );
  }
  const { scale, aspect, horizontalFlip, verticalFlip, rotation, translation, brightness, contrast } =
    augmentation;
  for (const [name, range] of Object.entries({ scale, aspect })) {
    if (!Array.isArray(range) || range.length !== 2 || !Array.from(range).every(Number.isFinite))
      throw new ArgumentError(`augmentation: ${name} has to be two numbers, but is ${inWords(range)}.`);
  }
  expectNumbers("augmentation", {
    horizontalFlip,
    verticalFlip,
    rotation,
    translation,
    brightness,
    contrast,
  });
  const expect = (holds: boolean, setting: string, range: string): void => {
    if (!holds) throw new ArgumentError(`augmentation: ${setting} must be ${range}.`);
  };
  expect(
    scale[0] > 0 && scale[0] <= scale[1] && scale[1] <= 1,
    `scale [${scale.join(", ")}]`,
    "a range within 0..1, above 0",
  );
  expect(
    aspect[0] > 0 && aspect[0] <= aspect[1] && aspect[1] < Infinity,
    `aspect [${aspect.join(", ")}]`,
    "a range above 0",
  );
  for (const [name, value] of Object.entries({
    horizontalFlip,
    verticalFlip,
    translation,
    brightness,
    contrast,
  })) {
    expect(value >= 0 && value <= 1, `${name} ${value}`, "from 0 to 1");
  }
  expect(rotation >= 0 && rotation <= 180, `rotation ${rotation}`, "from 0 to 180 degrees");
}

/** What was drawn for one sample in one epoch: a map of points and a map of values. */
export interface Drawn {
  /** (2, 3) row-major: (row, column) of the input = affine . (i + 0.5, j + 0.5, 1) - 0.5 for output pixel (i, j). */
  readonly affine: Float32Array;
  /** Factor of the values, which run from 0 to 1. */
  readonly gain: number;
  /** Added after the factor. */
  readonly offset: number;
}

/** What happens to one sample in one epoch. */
export function drawAugmentation(
  augmentation: Augmentation,
  { seed, epoch, index }: { seed: number; epoch: number; index: number },
  input: { height: number; width: number },
  output: { height: number; width: number } = input,
): Drawn {
  const random = new RandomStream(seed, streams.augmentation, epoch, index);
  const between = (low: number, high: number): number => low + (high - low) * random.uniform();
  const { scale, aspect } = augmentation;
  const area = between(scale[0], scale[1]);
  const proportion = Math.exp(between(Math.log(aspect[0]), Math.log(aspect[1])));
  // A box longer than the image is cut to it, at the price of some area.
  const height = Math.min(1, Math.sqrt(area / proportion)) * input.height;
  const width = Math.min(1, Math.sqrt(area * proportion)) * input.width;
  const box = {
    row: between(0, input.height - height),
    column: between(0, input.width - width),
    height,
    width,
  };
  const flip = {
    vertical: random.uniform() < augmentation.verticalFlip,
    horizontal: random.uniform() < augmentation.horizontalFlip,
  };
  const degrees = between(-augmentation.rotation, augmentation.rotation);
  const shift = {
    rows: between(-augmentation.translation, augmentation.translation) * input.height,
    columns: between(-augmentation.translation, augmentation.translation) * input.width,
  };
  const brightness = between(-augmentation.brightness, augmentation.brightness);
  const gain = between(1 - augmentation.contrast, 1 + augmentation.contrast);
  return {
    affine: composeAffine({ box, flip, degrees, shift }, input, output),
    gain,
    offset: 0.5 * (1 - gain) + brightness,
  };
}

/** The parts that the map of points is composed of; src/data/augmentation.ts has the formula. */
export interface Placement {
  /** The crop, in pixels of the input. */
  readonly box: {
    /** Top edge. */
    row: number;
    /** Left edge. */
    column: number;
    /** From top to bottom. */
    height: number;
    /** From left to right. */
    width: number;
  };
  /** Mirroring. */
  readonly flip: {
    /** Top and bottom change places. */
    vertical: boolean;
    /** Left and right change places. */
    horizontal: boolean;
  };
  /** Rotation, positive counter-clockwise. */
  readonly degrees: number;
  /** Translation in pixels of the input. */
  readonly shift: {
    /** Downwards. */
    rows: number;
    /** To the right. */
    columns: number;
  };
}

/** The matrix of a placement: (2, 3) row-major, as `Drawn.affine`; src/data/augmentation.ts derives it. */
export function composeAffine(
  { box, flip, degrees, shift }: Placement,
  input: { height: number; width: number },
  output: { height: number; width: number },
): Float32Array {
  // Before the rotation rows and columns do not mix: row = stepDown * i + top, column = stepAcross * j + left.
  const stepDown = ((flip.vertical ? -1 : 1) * box.height) / output.height;
  const stepAcross = ((flip.horizontal ? -1 : 1) * box.width) / output.width;
  const top = box.row + (flip.vertical ? box.height : 0) + shift.rows - input.height / 2;
  const left = box.column + (flip.horizontal ? box.width : 0) + shift.columns - input.width / 2;
  // A picture turned counter-clockwise reads its input at points turned clockwise; rows run downward.
  const angle = (degrees * Math.PI) / 180;
  const [cosine, sine] = [Math.cos(angle), Math.sin(angle)];
  return Float32Array.of(
    cosine * stepDown,
    sine * stepAcross,
    cosine * top + sine * left + input.height / 2,
    -sine * stepDown,
    cosine * stepAcross,
    -sine * top + cosine * left + input.width / 2,
  );
}
