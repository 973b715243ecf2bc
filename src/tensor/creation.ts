/** Making tensors from host data, constants and random numbers. */
import { ArgumentError, DTypeError, ShapeError } from "../errors.js";
import type { NativeConstants } from "../native/addon.js";
import { constants } from "../native/constants.js";
import { type DType, dtypeOf, type HostArray } from "./dtype.js";
import { currentSeed, nextOffset } from "./generator.js";
import { sizeOf, Tensor, type TensorOptions } from "./tensor.js";

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
  const host = ArrayBuffer.isView(values) ? values : flatten(values, options.dtype ?? "float32");
  const stored = dtypeOf(host);
  if (!stored) throw new DTypeError(`tensor: ${host.constructor.name} holds no dtype of this package.`);
  const dtype = options.dtype ?? stored;
  const extents = shape ?? (ArrayBuffer.isView(values) ? [host.length] : nestedShape(values));
  if (sizeOf(extents) !== host.length) {
    throw new ShapeError(`tensor: ${host.length} values do not fill (${extents.join(", ")}).`);
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
  const y = Tensor.empty(shape, { ...options, dtype: "float32" });
  y.device.call("fill", { count: y.size, value, y });
  if (!options.dtype || options.dtype === "float32") return withGrad(y, options);
  const converted = y.cast(options.dtype);
  y.dispose();
  return converted;
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
  return random(shape, "uniform", 0, 1, options);
}

/** Standard normal, float32, from the generator that `manualSeed` seeds. @throws ShapeError, DTypeError */
export function randn(shape: readonly number[], options: TensorOptions = {}): Tensor {
  return random(shape, "normal", 0, 1, options);
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
): Tensor {
  if (options.dtype && options.dtype !== "float32") {
    throw new DTypeError(`random numbers are float32; convert with to("${options.dtype}").`);
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
  if (requiresGrad && made.dtype !== "float32") {
    throw new DTypeError(`only float32 tensors can require a gradient, not ${made.dtype}.`);
  }
  made.requiresGrad = requiresGrad;
  return made;
}

function nestedShape(values: NestedNumbers): number[] {
  return typeof values === "number"
    ? []
    : [values.length, ...(values.length ? nestedShape(values[0] ?? 0) : [])];
}

function flatten(values: NestedNumbers, dtype: DType): HostArray {
  const flat: number[] = [];
  const walk = (value: NestedNumbers, extents: readonly number[]): void => {
    if (typeof value === "number") {
      if (extents.length) throw new ShapeError("tensor: rows of the nested array differ in depth.");
      flat.push(value);
      return;
    }
    if (value.length !== extents[0])
      throw new ShapeError("tensor: rows of the nested array differ in length.");
    for (const item of value) walk(item, extents.slice(1));
  };
  walk(values, nestedShape(values));
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
