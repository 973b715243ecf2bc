/** Between what a file of tensors holds and tensors on a device. */
import { ArgumentError, WeightsError } from "../errors.js";
import { expectNamed, inWords } from "../settings/given.js";
import { tensor } from "../tensor/creation.js";
import type { DeviceLike } from "../tensor/devices.js";
import type { DType } from "../tensor/dtype.js";
import { Tensor } from "../tensor/tensor.js";
import type { StoredTensor, TensorToStore } from "./safetensors.js";

/** @throws ArgumentError unless all are tensors, by name */
export function expectTensors(operation: string, tensors: Readonly<Record<string, Tensor>>): void {
  for (const [name, value] of Object.entries(expectNamed(operation, "the tensors", tensors))) {
    if (!(value instanceof Tensor))
      throw new ArgumentError(`${operation}: "${name}" has to be a tensor, but is ${inWords(value)}.`);
  }
}

/** Tensors read back to the host, as `writeTensors` takes them. All transfers are queued before the first wait. */
export async function toStored(
  tensors: Readonly<Record<string, Tensor>>,
): Promise<[string, TensorToStore][]> {
  return Promise.all(
    Object.entries(tensors).map(async ([name, tensor]): Promise<[string, TensorToStore]> => {
      const { dtype, shape } = tensor;
      const data =
        dtype === "bfloat16" ? halves(await tensor.data<"bfloat16">()) : await tensor.data<DType>();
      return [name, { dtype, shape, data }];
    }),
  );
}

/** bfloat16 is the upper half of float32, and these values came from bfloat16: nothing is rounded. */
function halves(values: Float32Array): Uint16Array {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  return Uint16Array.from(words, (word) => word >>> 16);
}

/** A stored tensor on a device; see `load` for what becomes of its dtype. */
export function toTensor(
  path: string,
  name: string,
  { dtype, shape, data }: StoredTensor,
  device?: DeviceLike,
): Tensor {
  const { buffer } = data;
  const on = device === undefined ? {} : { device };
  switch (dtype) {
    case "float32":
      return tensor(new Float32Array(buffer), shape, on);
    case "float64":
      return tensor(Float32Array.from(new Float64Array(buffer)), shape, on);
    case "float16":
      return tensor(Float32Array.from(new Uint16Array(buffer), halfToNumber), shape, on);
    case "bfloat16": {
      const words = Uint32Array.from(new Uint16Array(buffer), (half) => half << 16);
      const wide = tensor(new Float32Array(words.buffer), shape, on);
      const narrow = wide.cast("bfloat16");
      wide.dispose();
      return narrow;
    }
    case "int64":
      return tensor(new BigInt64Array(buffer), shape, on);
    case "int32":
      return tensor(new Int32Array(buffer), shape, on);
    case "uint8":
      return tensor(new Uint8Array(buffer), shape, on);
    case "bool":
      return tensor(Int32Array.from(data), shape, on);
    case "int8":
      return tensor(Int32Array.from(new Int8Array(buffer)), shape, on);
    case "int16":
      return tensor(Int32Array.from(new Int16Array(buffer)), shape, on);
    case "uint16":
      return tensor(Int32Array.from(new Uint16Array(buffer)), shape, on);
    default:
      throw new WeightsError(`${path}: tensor "${name}" is ${dtype}, which this package has no use for.`);
  }
}

/** IEEE 754 half precision: 1 sign, 5 exponent, 10 fraction bits. */
function halfToNumber(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
