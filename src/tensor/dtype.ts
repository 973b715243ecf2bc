import { DTypeError } from "../errors.js";
import { constants } from "../native/constants.js";
import { inWords } from "../settings/given.js";
import { typedArrayKind } from "../settings/realms.js";

/** Element types. Arithmetic is float32; the others store labels, images and half-size copies. */
export type DType = "float32" | "bfloat16" | "int32" | "int64" | "uint8";

/** The typed array that holds a dtype on the host. bfloat16 has none of its own and is read as float32. */
export interface HostArrays {
  /** As it is. */
  float32: Float32Array;
  /** Widened to 32 bits. */
  bfloat16: Float32Array;
  /** As it is. */
  int32: Int32Array;
  /** As it is. */
  int64: BigInt64Array;
  /** As it is. */
  uint8: Uint8Array;
}

/** A typed array that some dtype is read into. */
export type HostArray = HostArrays[DType];

/** The element size in bytes. */
export const dtypes: Readonly<Record<DType, { readonly bytes: number }>> = {
  float32: { bytes: 4 },
  bfloat16: { bytes: 2 },
  int32: { bytes: 4 },
  int64: { bytes: 8 },
  uint8: { bytes: 1 },
};

/** What an operation's field `..._dtype` says of it. */
export function codeOf(dtype: DType): number {
  return constants().dtype[dtype];
}

/** A zeroed host array for `size` elements of `dtype`. */
export function hostArray(dtype: DType, size: number): HostArray {
  switch (dtype) {
    case "float32":
    case "bfloat16":
      return new Float32Array(size);
    case "int32":
      return new Int32Array(size);
    case "int64":
      return new BigInt64Array(size);
    case "uint8":
      return new Uint8Array(size);
  }
}

const dtypesByArray: Readonly<Record<string, DType>> = {
  Float32Array: "float32",
  Int32Array: "int32",
  BigInt64Array: "int64",
  Uint8Array: "uint8",
  Uint8ClampedArray: "uint8",
};

/** The dtype that a typed array holds, or undefined if none does. */
export function dtypeOf(array: unknown): DType | undefined {
  const kind = typedArrayKind(array);
  return kind === undefined || !Object.hasOwn(dtypesByArray, kind) ? undefined : dtypesByArray[kind];
}

/** @throws DTypeError unless it is one of the dtypes */
export function expectDType(operation: string, dtype: unknown): asserts dtype is DType {
  if (typeof dtype !== "string" || !Object.hasOwn(dtypes, dtype))
    throw new DTypeError(
      `${operation}: there is no dtype ${inWords(dtype)}: use ${Object.keys(dtypes).join(", ")}.`,
    );
}
