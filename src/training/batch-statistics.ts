/**
 * BatchNorm in training takes mean and variance over the images and pixels that pass together. Of a single value the variance
 * is 0 and the output is the bias, whatever the image: the network learns nothing there, and its running statistics are void.
 */
import { ArgumentError } from "../errors.js";
import type { MedMambaConfig } from "../models/config.js";
import type { TrainingSettings } from "./settings.js";

/** What is trained on, as far as its sizes go. */
export interface PassSizes {
  /** Of the model; one of another network says nothing here. */
  readonly config: Partial<MedMambaConfig>;
  readonly settings: Pick<TrainingSettings, "batchSize" | "accumulate">;
  /** Training images. */
  readonly images: number;
  /** Side of the images, in pixels. */
  readonly imageSize: number;
}

/**
 * @throws ArgumentError if a statistic of the last stage, whose map is the smallest, would be of one value
 */
export function expectSeveralValues({ config, settings, images, imageSize }: PassSizes): void {
  const { patchSize, dims } = config;
  if (patchSize === undefined || dims === undefined) return;
  const { batchSize, accumulate } = settings;
  const side = lastSide(imageSize, { patchSize, dims });
  const batch = Math.min(batchSize, images);
  const pass = Math.floor(batch / Math.min(accumulate, batch));
  if (pass * side * side !== 1) return;
  const ways = [
    images > 1 && (accumulate === 1 || batchSize < 2 * accumulate)
      ? `a larger batchSize (--batch-size ${Math.min(2 * accumulate, images)} or more)`
      : "",
    `a larger imageSize (--image-size ${2 * patchSize * 2 ** (dims.length - 1)})`,
    accumulate > 1 ? "fewer passes (--accumulate)" : "",
  ].filter(Boolean);
  throw new ArgumentError(
    `fit: one image passes the network at once, and its map in the last stage is 1 x 1: batch normalisation would take its statistics of a single value. Use ${ways.join(", or ")}.`,
  );
}

/** Side of the map in the last stage: patches, halved from stage to stage, what is odd dropped. */
function lastSide(
  imageSize: number,
  { patchSize, dims }: Pick<MedMambaConfig, "patchSize" | "dims">,
): number {
  return dims.slice(1).reduce((side) => Math.floor(side / 2), Math.floor(imageSize / patchSize));
}
