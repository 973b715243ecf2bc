/** From a batch of stored images to what the network takes: sampling, augmentation and normalisation in one pass. */
import type { BatchImages } from "../data/batch.js";
import { normalization, type Preprocessing } from "../data/preprocessing.js";
import { affineSample } from "../ops/affine-sample.js";
import { expectList, expectNamed, expectTypedArray } from "../settings/given.js";
import { tensor } from "../tensor/creation.js";
import { type DeviceLike, resolveDevice } from "../tensor/devices.js";
import { tidy } from "../tensor/scope.js";
import type { Tensor } from "../tensor/tensor.js";

/**
 * The images of a batch of a `Loader` as a network takes them: augmented as the batch says, normalised, on a device.
 *
 * @param batch          from a `data.Loader`
 * @param preprocessing  of the loader's data set
 * @param device         default "cpu"
 * @returns              (batch, channels, imageSize, imageSize) float32
 */
export function toInput(
  batch: BatchImages,
  preprocessing: Pick<Preprocessing, "mean" | "std">,
  device?: DeviceLike,
): Tensor {
  const { shape, images, affine, gain, offset } = expectNamed("toInput", "the batch", batch);
  expectList("toInput", "the batch's shape", shape);
  expectNamed("toInput", "the preprocessing", preprocessing);
  for (const [name, values] of Object.entries({ images, affine, gain, offset }))
    expectTypedArray("toInput", `the batch's ${name}`, values);
  return tidy(() => {
    const [count, , height, width] = shape;
    const { scale, shift } = normalization(preprocessing);
    const on = { device: resolveDevice(device) };
    return affineSample(tensor(images, shape, on), [height, width], {
      matrix: tensor(affine, [count, 2, 3], on),
      gain: tensor(gain, [count], on),
      offset: tensor(offset, [count], on),
      channelScale: tensor(scale, [scale.length], on),
      channelShift: tensor(shift, [shift.length], on),
    });
  });
}
