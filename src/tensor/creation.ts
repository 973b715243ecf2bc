/** Making tensors from host data, constants and random numbers. */
import { ArgumentError, DTypeError, ShapeError } from "../errors.js";
import type { NativeConstants } from "../native/addon.js";
import { constants } from "../native/constants.js";
import { expectFlags, inWords, listInWords, optionsOf } from "../settings/given.js";
import { typedArrayKind } from "../settings/realms.js";
import { type DType, dtypeOf, expectDType, type HostArray } from "./dtype.js";
import { currentSeed, nextOffset } from "./generator.js";
import { sizeOf, Tensor, type TensorOptions, tensorOptions } from "./tensor.js";

/** Numbers nested to any depth, all rows of one depth equally long. */
export type NestedNumbers = number | readonly NestedNumbers[];

/**
 * A tensor with the given values.
 *
 * @param values  a typed array (its element type decides the dtype), or nested arrays of numbers (float32 unless
 *                `dtype` says otherwise)
 * @param shape   default: that of the nesting, or one axis
 * @throws ShapeError if the values do not fill `shape` or rows differ in length
 * @throws DTypeError if a typed array cannot hold `dtype`
 */
export function tensor(
  values: HostArray | NestedNumbers,
  shape?: readonly number[],
  options: TensorOptions = {},
): Tensor {
  const { dtype: wanted = "float32" } = optionsOf("tensor", options, tensorOptions);
  expectDType("tensor", wanted);
  const host = ArrayBuffer.isView(values) ? values : flatten(values, wanted);
  const stored = dtypeOf(host);
  if (!stored) {
    const kind = typedArrayKind(host) ?? "a DataView";
    throw new DTypeError(`tensor: ${kind} holds no dtype of this package.`);
  }
  const dtype = options.dtype ?? stored;
  const own = ArrayBuffer.isView(values) ? [host.length] : nestedShape(values);
  const extents = shape === undefined ? own : shape;
  if (sizeOf(extents) !== host.length) {
    throw new ShapeError(`tensor: ${host.length} values do not fill (${listInWords(extents)}).`);
  }
  const uploaded = Tensor.empty(extents, { dtype: stored, device: options.device });
  uploaded.upload(host);
  if (dtype === stored) return withGrad(uploaded, options);
  const converted = uploaded.cast(dtype);
  uploaded.dispose();
  return withGrad(converted, options);
}

/** All elements `value`. @throws ShapeError if `shape` is none */
export function full(shape: readonly number[], value: number, options: TensorOptions = {}): Tensor {
  const { dtype = "float32" } = optionsOf("full", options, tensorOptions);
  expectDType("full", dtype);
  if (typeof value !== "number")
    throw new ArgumentError(`full: the value has to be a number, but is ${inWords(value)}.`);
  const y = Tensor.empty(shape, { ...options, dtype: "float32" });
  y.device.call("fill", { count: y.size, value, y });
  if (dtype === "float32") return withGrad(y, options);
  const converted = y.cast(dtype);
  y.dispose();
  return withGrad(converted, options);
}

/** All elements 0. */
export function zeros(shape: readonly number[], options: TensorOptions = {}): Tensor {
  return full(shape, 0, options);
}

/** All elements 1. */
export function ones(shape: readonly number[], options: TensorOptions = {}): Tensor {
  return full(shape, 1, options);
}

/** Uniform in [0, 1), float32, from the generator that `manualSeed` seeds. @throws ShapeError, DTypeError */
export function rand(shape: readonly number[], options: TensorOptions = {}): Tensor {
  return random(shape, "uniform", 0, 1, options, "rand");
}

/** Standard normal, float32, from the generator that `manualSeed` seeds. @throws ShapeError, DTypeError */
export function randn(shape: readonly number[], options: TensorOptions = {}): Tensor {
  return random(shape, "normal", 0, 1, options, "randn");
}

/**
 * Random float32 numbers; see `mm_distribution` in backend.h for what `low` and `high` mean to each distribution.
 * @internal
 */
export function random(
  shape: readonly number[],
  distribution: keyof NativeConstants["distribution"],
  low: number,
  high: number,
  options: TensorOptions = {},
  operation: string = distribution,
): Tensor {
  const { dtype = "float32" } = optionsOf(operation, options, tensorOptions);
  if (dtype !== "float32") {
    expectDType(operation, dtype);
    throw new DTypeError(`${operation}: random numbers are float32; convert with to("${dtype}").`);
  }
  const y = Tensor.empty(shape, { device: options.device });
  const count = y.size;
  const code = constants().distribution[distribution];
  y.device.call("random", { distribution: code, count, low, high, y }, () => ({
    seed: currentSeed(),
    offset: nextOffset(count),
  }));
  return withGrad(y, options);
}

function withGrad(made: Tensor, { requiresGrad = false }: TensorOptions): Tensor {
  expectFlags("tensor", { requiresGrad });
  if (requiresGrad && made.dtype !== "float32") {
    throw new DTypeError(`only float32 tensors can require a gradient, not ${made.dtype}.`);
  }
  made.requiresGrad = requiresGrad;
  return made;
}

/** Far more axes than any operation takes, so that an array that holds itself comes to an end. */
const deepest = 32;
/** More numbers than this would not fit an array of the engine's; a typed array holds more. */
const mostNested = 2 ** 26;

/** Extents of nested arrays, by the first row of each depth. */
function nestedShape(values: NestedNumbers): number[] {
  const shape: number[] = [];
  for (let level: NestedNumbers | undefined = values; Array.isArray(level); level = level[0]) {
    if (shape.length === deepest)
      throw new ShapeError(`tensor: arrays are nested deeper than ${deepest}, or hold themselves.`);
    shape.push(level.length);
  }
  return shape;
}

function flatten(values: NestedNumbers, dtype: DType): HostArray {
  const flat: number[] = [];
  const shape = nestedShape(values);
  if (sizeOf(shape) > mostNested)
    throw new ShapeError(
      `tensor: (${listInWords(shape)}) is too much for nested arrays; pass a typed array.`,
    );
  const walk = (value: NestedNumbers, axis: number): void => {
    if (typeof value === "number") {
      if (axis < shape.length) throw new ShapeError("tensor: rows of the nested array differ in depth.");
      flat.push(value);
      return;
    }
    if (!Array.isArray(value))
      throw new ArgumentError(
        `tensor: numbers, or nested arrays of numbers, are needed, not ${inWords(value)}.`,
      );
    if (value.length !== shape[axis])
      throw new ShapeError("tensor: rows of the nested array differ in length.");
    for (const item of value) walk(item, axis + 1);
  };
  walk(values, 0);
  switch (dtype) {
    case "int64":
      return BigInt64Array.from(flat, (value) => {
        if (!Number.isSafeInteger(value)) throw new ArgumentError(`tensor: ${value} is not an int64.`);
        return BigInt(value);
      });
    case "int32":
      return Int32Array.from(flat);
    case "uint8":
      return Uint8Array.from(flat);
    default:
      return Float32Array.from(flat);
  }
}
