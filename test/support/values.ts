/**
 * Arrays of doubles on the host: what the naive references compute with. Plain loops over plain arrays, so that each
 * reference can be read beside the formula that it stands for.
 */
import { type Device, type Tensor, tensor } from "../../src/index.js";
import { RandomStream } from "../../src/tensor/random.js";

/** A dense row-major array. */
export interface Values {
  readonly shape: readonly number[];
  readonly data: Float64Array;
}

export type NamedValues = Readonly<Record<string, Values>>;

export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, extent) => product * extent, 1);
}

/** Values by position in the flat array. */
export function generate(shape: readonly number[], value: (index: number) => number): Values {
  return { shape, data: Float64Array.from({ length: sizeOf(shape) }, (_, index) => value(index)) };
}

export function map(x: Values, value: (element: number, index: number) => number): Values {
  return { shape: x.shape, data: x.data.map(value) };
}

/** Reproducible random values between `low` and `high`, exact in float32. */
export function uniform(seed: number, shape: readonly number[], low = -1, high = 1): Values {
  const stream = new RandomStream(seed, 1);
  return generate(shape, () => Math.fround(low + (high - low) * stream.uniform()));
}

/** The last extent, and the number of rows before it. */
export function rowsOf(x: Values): { rows: number; channels: number } {
  const channels = x.shape.at(-1) ?? 1;
  return { rows: x.data.length / channels, channels };
}

/** Values by multi-index, for whatever is easier said so than by position. */
export function tabulate(shape: readonly number[], value: (index: readonly number[]) => number): Values {
  const index = new Array<number>(shape.length).fill(0);
  return generate(shape, () => {
    const result = value(index);
    for (let axis = shape.length - 1; axis >= 0; axis -= 1) {
      index[axis]! += 1;
      if (index[axis]! < shape[axis]!) break;
      index[axis] = 0;
    }
    return result;
  });
}

/** The element at a multi-index. */
export function at({ shape, data }: Values, ...index: readonly number[]): number {
  let position = 0;
  for (let axis = 0; axis < shape.length; axis += 1) position = position * shape[axis]! + index[axis]!;
  return data[position]!;
}

/** As at(), but 0 outside of the image: (batch, height, width, channels) with zero padding. */
export function padded(x: Values, image: number, row: number, column: number, channel: number): number {
  const [, height = 0, width = 0] = x.shape;
  const inside = row >= 0 && row < height && column >= 0 && column < width;
  return inside ? at(x, image, row, column, channel) : 0;
}

export function toTensor({ shape, data }: Values, device: Device, requiresGrad = false): Tensor {
  return tensor(Float32Array.from(data), shape, { device, requiresGrad });
}
