/** Operations that move elements without changing them: reshape, permute, concat, slice, conversion. */
import { ArgumentError, ShapeError } from "../errors.js";
import { inWords, listInWords } from "../settings/given.js";
import { type DeviceLike, resolveDevice } from "../tensor/devices.js";
import { type DType, dtypes } from "../tensor/dtype.js";
import { record } from "../tensor/tape.js";
import { sizeOf, Tensor } from "../tensor/tensor.js";
import { axisIndex, denseStrides, expectTensor, padded, sameShape } from "./check.js";

/** How a strided copy reads or writes: `index . strides + offset`, in elements. */
interface Layout {
  readonly strides: readonly number[];
  readonly offset?: number;
}

/** target[index] = source[index] for every index of `shape`, each through its own layout. */
function copy(source: Tensor, from: Layout, target: Tensor, to: Layout, shape: readonly number[]): void {
  source.device.call("copy", {
    dimensions: shape.length,
    element_size: dtypes[source.dtype].bytes,
    shape: padded("copy", shape, 1),
    x_strides: padded("copy", from.strides, 0),
    y_strides: padded("copy", to.strides, 0),
    x_offset: from.offset ?? 0,
    y_offset: to.offset ?? 0,
    x: source,
    y: target,
  });
}

/**
 * Reads `shape` elements of `x` through a layout into a dense tensor. Backward writes through the same layout;
 * elements that the layout does not read get a zero gradient.
 */
export function gather(operation: string, x: Tensor, layout: Layout, shape: readonly number[]): Tensor {
  const y = Tensor.empty(shape, x);
  const dense = { strides: denseStrides(shape) };
  copy(x, layout, y, dense, shape);
  return record(operation, y, { x }, {}, (dy, _, into) => {
    const dx = into("x");
    if (!dx) return {};
    if (sizeOf(shape) !== dx.size) dx.device.call("fill", { count: dx.size, value: 0, y: dx });
    copy(dy, dense, dx, layout, shape);
    return { x: dx };
  });
}

function expectList(operation: string, what: string, given: unknown, most = 64): void {
  if (!Array.isArray(given) || given.length > most)
    throw new ShapeError(`${operation}: ${what} has to be an array, but is ${inWords(given)}.`);
}

/**
 * The same elements under another shape, sharing memory. One extent may be -1: it is what the others leave.
 *
 * @throws ShapeError if the number of elements differs
 */
export function reshape(x: Tensor, shape: readonly number[]): Tensor {
  expectTensor("reshape", "x", x);
  expectList("reshape", "the shape", shape);
  if (!shape.every(Number.isInteger))
    throw new ShapeError(
      `reshape: (${listInWords(shape)}) is not a shape: extents are integers, and one may be -1.`,
    );
  const known = shape.reduce((product, extent) => (extent === -1 ? product : product * extent), 1);
  const filled = shape.map((extent) => (extent === -1 ? x.size / known : extent));
  if (
    shape.filter((extent) => extent === -1).length > 1 ||
    filled.some((extent) => !Number.isInteger(extent))
  ) {
    throw new ShapeError(`reshape: (${x.shape.join(", ")}) does not fit (${listInWords(shape)}).`);
  }
  if (sizeOf(filled) !== x.size) {
    throw new ShapeError(
      `reshape: (${x.shape.join(", ")}) has ${x.size} elements, not those of (${filled.join(", ")}).`,
    );
  }
  const before = x.shape;
  return record("reshape", x.view(filled), { x }, {}, (dy) => ({ x: dy.view(before) }));
}

/**
 * Reorders the axes: axis i of the result is axis `axes[i]` of `x`.
 *
 * @throws ShapeError unless `axes` names every axis once
 */
export function permute(x: Tensor, axes: readonly number[]): Tensor {
  expectTensor("permute", "x", x);
  expectList("permute", "axes", axes);
  const order = axes.map((axis) => axisIndex("permute", axis, x.shape.length));
  if (order.length !== x.shape.length || new Set(order).size !== order.length) {
    throw new ShapeError(
      `permute: (${listInWords(axes)}) does not name each axis of (${x.shape.join(", ")}) once.`,
    );
  }
  const strides = denseStrides(x.shape);
  const shape = order.map((axis) => x.shape[axis] ?? 0);
  return gather("permute", x, { strides: order.map((axis) => strides[axis] ?? 0) }, shape);
}

/**
 * Elements from `start` (inclusive) to `end` (exclusive; default: the end) along an axis; both may count from the end.
 *
 * @throws ShapeError if the range is empty or outside
 */
export function slice(x: Tensor, axis: number, start: number, end?: number): Tensor {
  expectTensor("slice", "x", x);
  const index = axisIndex("slice", axis, x.shape.length);
  const extent = x.shape[index] ?? 0;
  const whole = Number.isInteger(start) && (end === undefined || Number.isInteger(end));
  const [from, to] = whole ? [fromStart(start, extent), fromStart(end ?? extent, extent)] : [0, 0];
  if (!(from >= 0 && from < to && to <= extent)) {
    throw new ShapeError(
      `slice: ${inWords(start)}..${end === undefined ? "" : inWords(end)} is not a range within the ${extent} elements of axis ${axis}.`,
    );
  }
  const strides = denseStrides(x.shape);
  const shape = x.shape.map((length, i) => (i === index ? to - from : length));
  return gather("slice", x, { strides, offset: from * (strides[index] ?? 0) }, shape);
}

function fromStart(position: number, extent: number): number {
  return position < 0 ? position + extent : position;
}

/**
 * Joins tensors along an axis; all other extents are equal.
 *
 * @throws ShapeError
 */
export function concat(tensors: readonly Tensor[], axis: number): Tensor {
  expectList("concat", "tensors", tensors, Number.POSITIVE_INFINITY);
  for (const [i, tensor] of tensors.entries()) expectTensor("concat", `tensor ${i}`, tensor);
  const first = tensors[0];
  if (!first) throw new ArgumentError("concat: no tensors were given.");
  const index = axisIndex("concat", axis, first.shape.length);
  const withoutAxis = (tensor: Tensor) => tensor.shape.map((extent, i) => (i === index ? 0 : extent));
  for (const tensor of tensors) {
    if (!sameShape(withoutAxis(tensor), withoutAxis(first)) || tensor.dtype !== first.dtype) {
      throw new ShapeError(
        `concat: ${tensor.describe()} does not fit ${first.describe()} along axis ${axis}.`,
      );
    }
  }
  const length = tensors.reduce((sum, tensor) => sum + (tensor.shape[index] ?? 0), 0);
  const shape = first.shape.map((extent, i) => (i === index ? length : extent));
  const y = Tensor.empty(shape, first);
  const strides = denseStrides(shape);

  const inputs: Record<string, Tensor> = {};
  const parts: { name: string; shape: readonly number[]; layout: Layout }[] = [];
  let position = 0;
  for (const [i, tensor] of tensors.entries()) {
    const layout = { strides, offset: position * (strides[index] ?? 0) };
    copy(tensor, { strides: denseStrides(tensor.shape) }, y, layout, tensor.shape);
    parts.push({ name: String(i), shape: tensor.shape, layout });
    inputs[String(i)] = tensor;
    position += tensor.shape[index] ?? 0;
  }
  return record("concat", y, inputs, {}, (dy, _, into) => {
    const gradients: Record<string, Tensor> = {};
    for (const part of parts) {
      const dx = into(part.name);
      if (!dx) continue;
      copy(dy, part.layout, dx, { strides: denseStrides(part.shape) }, part.shape);
      gradients[part.name] = dx;
    }
    return gradients;
  });
}

/**
 * `x` with two axes exchanged: the transpose of a matrix.
 *
 * @param first   default: the last but one
 * @param second  default: the last
 * @throws ShapeError if there is no such axis
 */
export function transpose(x: Tensor, first = -2, second = -1): Tensor {
  expectTensor("transpose", "x", x);
  const axes = x.shape.map((_, axis) => axis);
  const a = axisIndex("transpose", first, axes.length);
  const b = axisIndex("transpose", second, axes.length);
  axes[a] = b;
  axes[b] = a;
  return permute(x, axes);
}

/**
 * `x` in another dtype, or on another device; shares memory if it is there already. Differentiable between devices, and
 * between float32 and bfloat16: the gradient goes back to where `x` is.
 *
 * Between devices the copy is queued like any operation, and the call returns at once: the source brings the bytes to
 * the host behind what it has to do before, the target waits for them in its own order. So `x` may be disposed or
 * overwritten, and the result be used, right after the call. If earlier work on the source has failed, the next wait on
 * the target tells.
 *
 * @param target  a dtype, a device by name (with precision "float32"), or an opened device
 * @throws DeviceError if there is no such device
 */
export function to(x: Tensor, target: DType | DeviceLike): Tensor {
  expectTensor("to", "x", x);
  if (typeof target === "string" && Object.hasOwn(dtypes, target)) {
    const dtype = target as DType;
    if (dtype === x.dtype) return reshape(x, x.shape);
    const y = x.cast(dtype);
    const differentiable = dtype === "bfloat16" || dtype === "float32";
    return differentiable ? record("to", y, { x }, {}, (dy) => ({ x: dy })) : y;
  }
  const device = resolveDevice(target as DeviceLike);
  const source = x.device;
  if (device === source) return reshape(x, x.shape);
  return record("to", x.copyTo(device), { x }, {}, (dy) => ({ x: dy.copyTo(source) }));
}
