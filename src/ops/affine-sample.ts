/** From stored images to the network's input in one pass: augmentation's geometry and light, and normalisation. */
import { DTypeError, ShapeError } from "../errors.js";
import { expectNamed, inWords } from "../settings/given.js";
import { codeOf } from "../tensor/dtype.js";
import { Tensor } from "../tensor/tensor.js";
import { expectFloats, expectShape, extents } from "./check.js";

/** Where each image is read, and what becomes of its values. */
export interface AffineSampleInputs {
  /** (b, 2, 3) maps (row, column) of an output pixel's centre to those of the input */
  matrix: Tensor;
  /** (b) factor of the values, which run from 0 to 1 */
  gain: Tensor;
  /** (b) added after the factor */
  offset: Tensor;
  /** (c) factor and summand of the normalisation that comes last */
  channelScale: Tensor;
  /** (c) see `channelScale` */
  channelShift: Tensor;
}

/**
 * Samples images bilinearly under an affine map, see `mm_affine_sample_params` in backend.h for the exact formula.
 * Without gradient.
 *
 * @param x     (b, c, h, w) uint8, or float32 in 0..1
 * @param size  height and width of the result
 * @returns     (b, c, height, width) float32
 * @throws ShapeError, DTypeError
 */
export function affineSample(x: Tensor, size: readonly [number, number], inputs: AffineSampleInputs): Tensor {
  const [batch, channels, inHeight, inWidth] = extents("affineSample", "x", x, ["b", "c", "h", "w"]);
  if (x.dtype !== "uint8" && x.dtype !== "float32")
    throw new DTypeError(`affineSample: x is ${x.dtype}, not uint8 or float32.`);
  if (!Array.isArray(size) || size.length !== 2)
    throw new ShapeError(`affineSample: the size has to be [height, width], but is ${inWords(size)}.`);
  const [height, width] = size;
  const { matrix, gain, offset, channelScale, channelShift } = expectNamed("affineSample", "inputs", inputs, {
    matrix: true,
    gain: true,
    offset: true,
    channelScale: true,
    channelShift: true,
  });
  expectFloats("affineSample", { matrix, gain, offset, channelScale, channelShift });
  expectShape("affineSample", { matrix }, [batch, 2, 3]);
  expectShape("affineSample", { gain, offset }, [batch]);
  expectShape("affineSample", { channelScale, channelShift }, [channels]);
  const y = Tensor.empty([batch, channels, height, width], { device: x.device });
  x.device.call("affine_sample", {
    batch,
    channels,
    in_height: inHeight,
    in_width: inWidth,
    out_height: height,
    out_width: width,
    x_dtype: codeOf(x.dtype),
    x,
    matrix,
    gain,
    offset,
    channel_scale: channelScale,
    channel_shift: channelShift,
    y,
  });
  return y;
}
