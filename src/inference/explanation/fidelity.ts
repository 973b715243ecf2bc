/**
 * Whether a map is about the network: pixels are taken away, or brought back, in the order of the map, and the
 * probability of the explained class is watched (https://arxiv.org/abs/1806.07421).
 *
 *   deletion   the image loses its pixels to the mean, the most important first: the faster the probability falls, the
 *              smaller its mean over the way, and the better the map
 *   insertion  the mean gains the image's pixels, the most important first: the larger, the better
 *
 * The same with pixels in random order is what a map has to beat.
 */
import { ArgumentError } from "../../errors.js";
import { expectCounts, expectNamed, inWords, type NamesOf, optionsOf } from "../../settings/given.js";
import { RandomStream } from "../../tensor/random.js";
import { type Classifier, expectWhole, type ImageSource } from "../predict.js";
import { calibratedTask } from "../probabilities.js";
import { expectMap } from "./class-activation.js";
import { type ExplainOptions, type Explanation, expectPicture, networkInput } from "./explain.js";
import { atRest, hostProbabilities } from "./network.js";
import { mapAtPicture } from "./placement.js";

/** Means of the explained class's probability over the way, 0 to 1. */
export interface Curves {
  /** While pixels are taken away; smaller is better. */
  readonly deletion: number;
  /** While pixels come back; larger is better. */
  readonly insertion: number;
}

/** How well a map tells which pixels matter. */
export interface Fidelity extends Curves {
  /** The same of blocks of pixels in random order, the mean of some orders. */
  readonly random: Curves;
}

/** How it is measured. */
export interface FidelityOptions extends Pick<ExplainOptions, "frame" | "maxPixels" | "signal"> {
  /** Points of a curve; default 16. */
  readonly steps?: number | undefined;
  /** Random orders; default 4. */
  readonly orders?: number | undefined;
  /** Of the random orders; default 0. */
  readonly seed?: number | undefined;
}

const optionNames: NamesOf<FidelityOptions> = {
  steps: true,
  orders: true,
  seed: true,
  frame: true,
  maxPixels: true,
  signal: true,
};

/** Side of the blocks that are drawn in random order: single pixels would be noise, which no map resembles. */
const blocksASide = 16;
const wholeSquare = { top: 0, left: 0, height: 1, width: 1 };

/**
 * Deletion and insertion of a map, beside those of chance.
 *
 * @param source  the image that the explanation is of
 * @throws as `explain`
 */
export async function fidelity(
  classifier: Classifier,
  source: ImageSource,
  explanation: Pick<Explanation, "map" | "explained">,
  options: FidelityOptions = {},
): Promise<Fidelity> {
  const { steps = 16, orders = 4, seed = 0, ...picture } = optionsOf("fidelity", options, optionNames);
  expectCounts("fidelity", { steps, orders }, 1);
  expectCounts("fidelity", { seed }, 0);
  expectWhole("fidelity", classifier);
  expectPicture("fidelity", source, picture);
  const { map, explained } = expectNamed("fidelity", "the explanation", explanation);
  expectMap("fidelity", map);
  const { signal } = picture;
  const { model, classes, preprocessing } = classifier;
  const label = classes.indexOf(explained);
  if (label < 0)
    throw new ArgumentError(`fidelity: ${inWords(explained)} is none of the classifier's classes.`);
  const size = preprocessing.imageSize;
  const image = await networkInput(classifier, source, picture);
  const along = async (order: Uint32Array): Promise<Curves> => {
    signal?.throwIfAborted();
    const images = degraded(image, order, steps);
    const shape = [preprocessing.channels, size] as const;
    const probabilities = await hostProbabilities(model, images, shape, calibratedTask(classifier));
    const own = (i: number): number => probabilities[i * classes.length + label] as number;
    return { deletion: mean(steps + 1, own), insertion: mean(steps + 1, (i) => own(steps + 1 + i)) };
  };
  return atRest(model, async () => {
    const byMap = await along(descending(mapAtPicture(map, { width: size, height: size }, wholeSquare)));
    const chance: Curves[] = [];
    for (let i = 0; i < orders; ++i) chance.push(await along(descending(randomBlocks(size, seed, i))));
    const random = {
      deletion: mean(orders, (i) => chance[i]?.deletion ?? 0),
      insertion: mean(orders, (i) => chance[i]?.insertion ?? 0),
    };
    return { ...byMap, random };
  });
}

/**
 * The images along both ways: (2, steps + 1, channels, size, size), from all pixels to none, and from none to all.
 *
 * @param image  (channels, size, size), normalised so that 0 is the mean
 * @param order  pixels, the most important first
 */
function degraded(image: Float32Array, order: Uint32Array, steps: number): Float32Array {
  const pixels = order.length;
  const images = new Float32Array(2 * (steps + 1) * image.length);
  for (let step = 0; step <= steps; ++step) {
    const changed = Math.round((step * pixels) / steps);
    const without = images.subarray(step * image.length, (step + 1) * image.length);
    const among = images.subarray((steps + 1 + step) * image.length, (steps + 2 + step) * image.length);
    without.set(image);
    for (let start = 0; start < image.length; start += pixels) {
      for (let i = 0; i < changed; ++i) {
        const at = start + (order[i] as number);
        among[at] = image[at] as number;
        without[at] = 0;
      }
    }
  }
  return images;
}

/** Places by falling value; equal ones in their order. */
const descending = (values: Float32Array): Uint32Array =>
  Uint32Array.from(values.keys()).sort((a, b) => values[b]! - values[a]! || a - b);

/** One random value a block, as coarse as maps are. */
function randomBlocks(size: number, seed: number, order: number): Float32Array {
  const random = new RandomStream(seed, order);
  const values = Float32Array.from({ length: blocksASide ** 2 }, () => random.uniform());
  const block = (at: number): number => Math.floor((at * blocksASide) / size);
  return Float32Array.from(
    { length: size * size },
    (_, i) => values[block(Math.floor(i / size)) * blocksASide + block(i % size)] as number,
  );
}

const mean = (count: number, value: (i: number) => number): number =>
  Array.from({ length: count }, (_, i) => value(i)).reduce((a, b) => a + b, 0) / count;
