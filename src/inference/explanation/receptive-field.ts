/**
 * How far a network looks: the effective receptive field (https://arxiv.org/abs/1701.04128), the mean size of the gradient at
 * each pixel of the input, taken from the middle place of a stage's features.
 */
import { ArgumentError } from "../../errors.js";
import { sum } from "../../ops/reduction.js";
import { slice } from "../../ops/shape.js";
import { type NamesOf, optionsOf } from "../../settings/given.js";
import { tensor } from "../../tensor/creation.js";
import { type Classifier, expectSources, expectWhole, type ImageSource } from "../predict.js";
import type { HeatMap } from "./class-activation.js";
import { type ExplainOptions, expectPicture, networkInput } from "./explain.js";
import { atRest, expectStages, gradientAt } from "./network.js";

/** How it is measured. */
export interface ReceptiveFieldOptions extends Pick<ExplainOptions, "maxPixels" | "signal"> {
  /** Whose middle place looks, from 0; default the last. */
  readonly stage?: number | undefined;
}

const optionNames: NamesOf<ReceptiveFieldOptions> = { stage: true, maxPixels: true, signal: true };

/**
 * The effective receptive field of a trained network on some images.
 *
 * @param sources  paths, or the bytes of image files, at least one; some dozens make a smooth field
 * @returns        (imageSize, imageSize) mean |d features / d input|, summed over channels; the largest value is 1
 * @throws ArgumentError for no image, a stage that there is not, and a network of one's own; DataError naming an image that
 *   cannot be read
 */
export async function receptiveField(
  classifier: Classifier,
  sources: Iterable<ImageSource> | AsyncIterable<ImageSource>,
  options: ReceptiveFieldOptions = {},
): Promise<HeatMap> {
  const { stage, maxPixels, signal } = optionsOf("receptiveField", options, optionNames);
  expectWhole("receptiveField", classifier);
  expectSources("receptiveField", sources);
  const { preprocessing } = classifier;
  const model = expectStages("receptive-field", classifier.model);
  const { imageSize: size, channels } = preprocessing;
  const total = new Float64Array(size * size);
  await atRest(model, async () => {
    for await (const source of sources) {
      signal?.throwIfAborted();
      expectPicture("receptiveField", source, { maxPixels, signal });
      const image = await networkInput(classifier, source, { maxPixels });
      const input = tensor(image, [1, channels, size, size], { device: model.device });
      try {
        const gradient = await gradientAt(input, (leaf) => {
          const features = model.features(leaf, { stage });
          const [, height = 1, width = 1] = features.shape;
          const [row, column] = [Math.floor(height / 2), Math.floor(width / 2)];
          return sum(slice(slice(features, 1, row, row + 1), 2, column, column + 1));
        });
        for (const [i, value] of gradient.entries()) total[i % total.length]! += Math.abs(value);
      } finally {
        input.dispose();
      }
    }
  });
  const largest = total.reduce((a, b) => Math.max(a, b), 0);
  if (largest === 0) throw new ArgumentError("receptiveField: there is no image to look at.");
  return { height: size, width: size, data: Float32Array.from(total, (value) => value / largest) };
}
