/** Sums and means over axes. */

import { ShapeError } from "../errors.js";
import { constants } from "../native/constants.js";
import { expectFlags, inWords, optionsOf } from "../settings/given.js";
import { tidy } from "../tensor/scope.js";
import { record } from "../tensor/tape.js";
import { Tensor } from "../tensor/tensor.js";
import { axisIndex, denseStrides, expectFloats, extents, padded, sameShape } from "./check.js";
import { reshape } from "./shape.js";

/** Options of `sum` and `mean`. */
export interface ReductionOptions {
  /** Keep reduced axes with extent 1; default false. */
  keepDims?: boolean;
}

/** y[outer, inner] = scale * sum over r of x[outer, r, inner] */
function reduce(x: Tensor, outer: number, reduced: number, inner: number, scale: number): Tensor {
  const y = Tensor.empty([outer * inner], x);
  x.device.call("reduce", { outer, reduced, inner, scale, x, y });
  return y;
}

/** Runs of adjacent axes to be summed, as [first, last + 1], last run first. */
function runs(axes: readonly number[]): [number, number][] {
  const sorted = [...new Set(axes)].sort((a, b) => a - b);
  const found: [number, number][] = [];
  for (const axis of sorted) {
    const run = found.at(-1);
    if (run && run[1] === axis) run[1] = axis + 1;
    else found.push([axis, axis + 1]);
  }
  return found.reverse();
}

function product(shape: readonly number[]): number {
  return shape.reduce((total, extent) => total * extent, 1);
}

/** Sum over `axes`, without a place on the tape; reduced axes keep extent 1. */
function sumOver(x: Tensor, axes: readonly number[], scale: number): Tensor {
  const shape = [...x.shape];
  let y = x.detach();
  let factor = scale;
  for (const [first, end] of runs(axes)) {
    const reduced = product(shape.slice(first, end));
    const next = reduce(y, product(shape.slice(0, first)), reduced, product(shape.slice(end)), factor);
    y.dispose();
    y = next;
    factor = 1;
    shape.fill(1, first, end);
  }
  const shaped = y.view(shape);
  y.dispose();
  return shaped;
}

function reduction(
  operation: string,
  x: Tensor,
  axes: number | readonly number[] | undefined,
  mean: boolean,
  options: ReductionOptions,
) {
  const { keepDims: keep = false } = optionsOf(operation, options, { keepDims: true });
  expectFlags(operation, { keepDims: keep });
  expectFloats(operation, { x });
  const listed =
    axes === undefined ? x.shape.map((_, axis) => axis) : typeof axes === "number" ? [axes] : axes;
  if (!Array.isArray(listed) || listed.length > 64)
    throw new ShapeError(`${operation}: axes have to be a number or an array, but are ${inWords(axes)}.`);
  const reduced = (listed as readonly number[]).map((axis) => axisIndex(operation, axis, x.shape.length));
  const scale = mean ? 1 / product(reduced.map((axis) => x.shape[axis] ?? 1)) : 1;
  const summed = sumOver(x, reduced, scale);
  const shape = keep ? summed.shape : x.shape.filter((_, axis) => !reduced.includes(axis));
  const y = summed.view(shape);
  summed.dispose();
  const before = x.shape;
  return record(operation, y, { x }, {}, (dy, _, into) => {
    const dx = into("x");
    if (dx) spread(dy, before, reduced, scale, dx);
    return { x: dx };
  });
}

/** dx = scale * dy, repeated along the reduced axes. */
function spread(
  dy: Tensor,
  shape: readonly number[],
  reduced: readonly number[],
  scale: number,
  dx: Tensor,
): void {
  const kept = shape.map((extent, axis) => (reduced.includes(axis) ? 1 : extent));
  const strides = denseStrides(kept).map((stride, axis) => (reduced.includes(axis) ? 0 : stride));
  const factor = Tensor.empty([], dy);
  dy.device.call("fill", { count: 1, value: scale, y: factor });
  dy.device.call("binary", {
    op: constants().binary.mul,
    dimensions: shape.length,
    shape: padded("sum", shape, 1),
    a_strides: padded("sum", strides, 0),
    b_strides: padded("sum", [], 0),
    a: dy,
    b: factor,
    y: dx,
  });
  factor.dispose();
}

/**
 * Sum over axes, in a fixed order.
 *
 * @param x     any shape, float32
 * @param axes  one axis or several, negative ones from the end; all unless given
 * @returns     `x`'s shape without these axes, or with extent 1 there if `keepDims`
 * @throws ShapeError if there is no such axis, DTypeError
 */
export function sum(x: Tensor, axes?: number | readonly number[], options: ReductionOptions = {}): Tensor {
  return reduction("sum", x, axes, false, options);
}

/**
 * Mean over axes.
 *
 * @param x     any shape, float32
 * @param axes  one axis or several, negative ones from the end; all unless given
 * @returns     `x`'s shape without these axes, or with extent 1 there if `keepDims`
 * @throws ShapeError if there is no such axis, DTypeError
 */
export function mean(x: Tensor, axes?: number | readonly number[], options: ReductionOptions = {}): Tensor {
  return reduction("mean", x, axes, true, options);
}

/**
 * Mean over the pixels of each image.
 *
 * @param x  (batch, height, width, channels)
 * @returns  (batch, channels)
 */
export function globalAveragePool(x: Tensor): Tensor {
  const [batch, height, width, channels] = extents("globalAveragePool", "x", x, [
    "batch",
    "height",
    "width",
    "channels",
  ]);
  return tidy(() => mean(reshape(x, [batch, height * width, channels]), 1));
}

/** @internal The gradient of a broadcast operand: `dy` summed over the axes along which it was repeated. */
export function sumTo(dy: Tensor, shape: readonly number[]): Tensor {
  if (sameShape(dy.shape, shape)) return dy;
  const missing = dy.shape.length - shape.length;
  const axes = dy.shape
    .map((_, axis) => axis)
    .filter((axis) => axis < missing || shape[axis - missing] === 1);
  return sumOver(dy, axes, 1).view(shape);
}
