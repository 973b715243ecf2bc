/** Argument checks shared by the operations: messages name the operation, the argument, and both shapes. */
import { ArgumentError, DTypeError, ShapeError } from "../errors.js";
import { constants } from "../native/constants.js";
import { inWords } from "../settings/given.js";
import { apart } from "../tensor/device.js";
import { Tensor } from "../tensor/tensor.js";

type Named = Readonly<Record<string, Tensor | undefined>>;

/** @throws ArgumentError for anything but a tensor */
export function expectTensor(operation: string, name: string, value: unknown): asserts value is Tensor {
  if (!(value instanceof Tensor))
    throw new ArgumentError(`${operation}: ${name} has to be a tensor, but is ${inWords(value)}.`);
}

/**
 * All are tensors, float32, and live on one device; of the optional ones, those that are undefined are passed over.
 *
 * @throws DTypeError, ArgumentError
 */
export function expectFloats(operation: string, tensors: Named, optional?: Named): void {
  let first: [name: string, tensor: Tensor] | undefined;
  const all = optional ? { ...tensors, ...optional } : tensors;
  for (const name in all) {
    const tensor = all[name];
    if (tensor === undefined && optional && name in optional) continue;
    expectTensor(operation, name, tensor);
    if (tensor.dtype !== "float32") {
      throw new DTypeError(
        `${operation}: ${name} is ${tensor.dtype}, float32 is needed; convert with to("float32").`,
      );
    }
    first ??= [name, tensor];
    if (tensor.device !== first[1].device) {
      throw new ArgumentError(`${operation}: ${apart(first[0], first[1].device, name, tensor.device)}`);
    }
  }
}

/**
 * Each tensor has exactly this shape; absent ones are passed over.
 *
 * @throws ShapeError
 */
export function expectShape(operation: string, tensors: Named, shape: readonly number[]): void {
  for (const name in tensors) {
    const tensor = tensors[name];
    if (tensor && !sameShape(tensor.shape, shape)) {
      throw new ShapeError(
        `${operation}: ${name} is (${tensor.shape.join(", ")}), but (${shape.join(", ")}) is needed.`,
      );
    }
  }
}

/**
 * The extents of a tensor that must have as many axes as `names`.
 *
 * @throws ShapeError
 */
export function extents<const Names extends readonly string[]>(
  operation: string,
  argument: string,
  tensor: Tensor,
  names: Names,
): { [I in keyof Names]: number } {
  expectTensor(operation, argument, tensor);
  if (tensor.shape.length !== names.length) {
    throw new ShapeError(
      `${operation}: ${argument} is (${tensor.shape.join(", ")}), but (${names.join(", ")}) is needed.`,
    );
  }
  return [...tensor.shape] as { [I in keyof Names]: number };
}

/** The last extent; a scalar has none. */
export function lastExtent(operation: string, tensor: Tensor): number {
  const extent = tensor.shape.at(-1);
  if (!extent)
    throw new ShapeError(`${operation}: (${tensor.shape.join(", ")}) has no elements along its last axis.`);
  return extent;
}

export function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((extent, axis) => extent === b[axis]);
}

/**
 * An axis counted from the end if negative, as a number from 0 on.
 *
 * @throws ShapeError
 */
export function axisIndex(operation: string, axis: number, axes: number): number {
  const index = Number.isInteger(axis) && axis < 0 ? axis + axes : axis;
  if (!Number.isInteger(axis) || index < 0 || index >= axes) {
    throw new ShapeError(`${operation}: there is no axis ${inWords(axis)} in a tensor of ${axes} axes.`);
  }
  return index;
}

/** Elements to step over to advance one along each axis of a dense tensor. */
export function denseStrides(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length).fill(1);
  for (let axis = shape.length - 2; axis >= 0; axis -= 1) {
    strides[axis] = (strides[axis + 1] ?? 1) * (shape[axis + 1] ?? 1);
  }
  return strides;
}

/**
 * Extents or strides as backend.h takes them: filled up to its `MM_MAX_DIMENSIONS` axes.
 *
 * @throws ShapeError if there are more
 */
export function padded(operation: string, values: readonly number[], filler: number): number[] {
  const mostAxes = constants().maxDimensions;
  if (values.length > mostAxes)
    throw new ShapeError(`${operation}: (${values.join(", ")}) has more than ${mostAxes} axes.`);
  return [...values, ...Array<number>(mostAxes - values.length).fill(filler)];
}
