/**
 * Convolutions of channels-last images (batch, height, width, channels), with weights as PyTorch stores them. Three
 * forms are what MedMamba is made of, and each has its own path: 1x1 is a matrix product, 3x3 an implicit one, and
 * a kernel as large as its stride a product over patches.
 */
import { ShapeError } from "../errors.js";
import { expectCounts, expectFlags, inWords, optionsOf } from "../settings/given.js";
import { tidy } from "../tensor/scope.js";
import { record } from "../tensor/tape.js";
import { Tensor } from "../tensor/tensor.js";
import { expectFloats, expectShape, extents } from "./check.js";
import { linear } from "./matmul.js";
import { gather, reshape } from "./shape.js";

const imageAxes = ["batch", "height", "width", "channels"] as const;

/**
 * 2-d convolution. The kernel is 1x1; 3x3 with stride 1 and zero padding of 1; or p x p with stride p and no padding,
 * which drops what is left at the right and bottom.
 *
 * @param x       (batch, height, width, in)
 * @param weight  (out, in, kernel, kernel)
 * @param bias    (out), optional
 * @returns       (batch, height', width', out)
 * @throws ShapeError for any other form
 */
export function conv2d(
  x: Tensor,
  weight: Tensor,
  bias?: Tensor,
  options: { stride?: number; padding?: number } = {},
): Tensor {
  const { stride = 1, padding } = optionsOf("conv2d", options, { stride: true, padding: true });
  expectCounts("conv2d", { stride });
  if (padding !== undefined) expectCounts("conv2d", { padding }, 0);
  expectFloats("conv2d", { x, weight }, { bias });
  const [, , , inputs] = extents("conv2d", "x", x, imageAxes);
  const [outputs, , kernel] = extents("conv2d", "weight", weight, ["out", "in", "kernel", "kernel"]);
  expectShape("conv2d", { weight }, [outputs, inputs, kernel, kernel]);
  expectShape("conv2d", { bias }, [outputs]);
  const pad = padding ?? (kernel === 3 && stride === 1 ? 1 : 0);
  if (kernel === 3 && stride === 1 && pad === 1) return conv3x3(x, weight, bias);
  if (kernel === stride && pad === 0) {
    return tidy(() => {
      const patches = kernel === 1 ? x : patchesOf(x, kernel, "channels-last");
      return linear(patches, reshape(weight, [outputs, inputs * kernel * kernel]), bias);
    });
  }
  throw new ShapeError(
    `conv2d: kernel ${kernel}, stride ${inWords(stride)}, padding ${inWords(pad)} is not served; use 1x1, 3x3 with padding 1, or kernel = stride.`,
  );
}

function conv3x3(x: Tensor, weight: Tensor, bias?: Tensor): Tensor {
  const [batch, height, width, inputs] = extents("conv2d", "x", x, imageAxes);
  const outputs = weight.shape[0] ?? 0;
  const sizes = { batch, height, width, in_channels: inputs, out_channels: outputs };
  const y = Tensor.empty([batch, height, width, outputs], x);
  const rows = { x_row: 0, y_row: 0, input_relu: false, relu: false };
  x.device.call("conv3x3_forward", { ...sizes, ...rows, x, weight, bias, y });
  return record("conv2d", y, { x, weight, bias }, { x, weight }, (dy, saved, into) => {
    const dx = into("x");
    if (dx)
      dy.device.call("conv3x3_backward_data", {
        ...sizes,
        dy_row: 0,
        dx_row: 0,
        dy,
        weight: saved.weight,
        dx,
      });
    let [dweight, dbias] = [into("weight"), into("bias")];
    if (dweight || dbias) {
      dweight ??= Tensor.like(saved.weight);
      const call = { ...sizes, x_row: 0, dy_row: 0, input_relu: false, x: saved.x, dy, dweight, dbias };
      dy.device.call("conv3x3_backward_weight", call);
    }
    return { x: dx, weight: dweight, bias: dbias };
  });
}

/**
 * Depthwise 3x3 convolution, stride 1, zero padding 1, optionally with SiLU on the result.
 *
 * @param x       (batch, height, width, channels)
 * @param weight  (channels, 1, 3, 3)
 * @param bias    (channels), optional
 * @throws ShapeError
 */
export function depthwiseConv2d(
  x: Tensor,
  weight: Tensor,
  bias?: Tensor,
  options: { silu?: boolean } = {},
): Tensor {
  const { silu = false } = optionsOf("depthwiseConv2d", options, { silu: true });
  expectFlags("depthwiseConv2d", { silu });
  expectFloats("depthwiseConv2d", { x, weight }, { bias });
  const [batch, height, width, channels] = extents("depthwiseConv2d", "x", x, imageAxes);
  expectShape("depthwiseConv2d", { weight }, [channels, 1, 3, 3]);
  expectShape("depthwiseConv2d", { bias }, [channels]);
  const sizes = { batch, height, width, channels, silu };
  const y = Tensor.like(x);
  x.device.call("depthwise3x3_forward", { ...sizes, x_row: 0, y_row: 0, x, weight, bias, y });
  return record("depthwiseConv2d", y, { x, weight, bias }, { x, weight, bias }, (dy, saved, into) => {
    const [dx, dweight, dbias] = [into("x"), into("weight"), into("bias")];
    const rows = { x_row: 0, dy_row: 0, dx_row: 0 };
    dy.device.call("depthwise3x3_backward", { ...sizes, ...rows, ...saved, dy, dx, dweight, dbias });
    return { x: dx, weight: dweight, bias: dbias };
  });
}

/**
 * Non-overlapping patches, each flattened to (channel, row, column) as the weight of a convolution is.
 *
 * @param layout  of `x`: "channels-first" (batch, channels, height, width), as images come, or "channels-last"
 * @returns       (batch, height / patch, width / patch, channels * patch * patch); a remainder is dropped
 * @internal
 */
export function patchesOf(x: Tensor, patch: number, layout: "channels-first" | "channels-last"): Tensor {
  const first = layout === "channels-first";
  const [batch, a, b, c] = extents(
    "patches",
    "x",
    x,
    first ? ["batch", "channels", "height", "width"] : imageAxes,
  );
  const [channels, height, width] = first ? [a, b, c] : [c, a, b];
  const [down, across] = [Math.floor(height / patch), Math.floor(width / patch)];
  if (down === 0 || across === 0) {
    throw new ShapeError(`patches: an image of ${height} x ${width} has no patch of ${patch} x ${patch}.`);
  }
  const [channel, row, column] = first ? [height * width, width, 1] : [1, width * channels, channels];
  const strides = [channels * height * width, row * patch, column * patch, channel, row, column];
  return tidy(() => {
    const patches = gather("patches", x, { strides }, [batch, down, across, channels, patch, patch]);
    return reshape(patches, [batch, down, across, channels * patch * patch]);
  });
}

/**
 * Joins each 2x2 square of pixels into one, in PatchMerging's order (0,0), (1,0), (0,1), (1,1) of (row, column).
 *
 * @param x  (batch, height, width, channels); an odd last row or column is dropped
 * @returns  (batch, height / 2, width / 2, 4 channels)
 * @throws ShapeError if a side is shorter than two pixels
 */
export function mergePatches(x: Tensor): Tensor {
  const [batch, height, width, channels] = extents("mergePatches", "x", x, imageAxes);
  const [down, across] = [Math.floor(height / 2), Math.floor(width / 2)];
  if (down === 0 || across === 0) {
    throw new ShapeError(`mergePatches: an image of ${height} x ${width} pixels is too small to be halved.`);
  }
  const row = width * channels;
  const strides = [height * row, 2 * row, 2 * channels, channels, row, 1];
  return tidy(() => {
    const squares = gather("mergePatches", x, { strides }, [batch, down, across, 2, 2, channels]);
    return reshape(squares, [batch, down, across, 4 * channels]);
  });
}
