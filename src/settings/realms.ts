/**
 * Objects of any realm. Test runners as Jest and contexts of `node:vm` have globals of their own, so that `instanceof` does
 * not know an array, an error or a promise that comes from there: these ask what a value is instead of who made it.
 */
import { types } from "node:util";

const kindOf = Object.getOwnPropertyDescriptor(
  Object.getPrototypeOf(Uint8Array.prototype),
  Symbol.toStringTag,
)!.get!;

/** "Float32Array" for one, whatever class extends it; undefined if `value` is no typed array. */
export function typedArrayKind(value: unknown): string | undefined {
  return kindOf.call(value) as string | undefined;
}

/** Bytes. */
export function isBytes(value: unknown): value is Uint8Array {
  return typedArrayKind(value) === "Uint8Array";
}

/** An error. */
export function isError(value: unknown): value is Error {
  return value instanceof Error || types.isNativeError(value);
}

/** What an error says, or anything else that was thrown in its place. */
export function messageOf(error: unknown): string {
  return isError(error) ? error.message : String(error);
}

/** Something to wait for. */
export function isPromise(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === "function";
}

/** An object as `{}` writes it, or without prototype. */
export function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

/** The same memory as an array of this realm, which libraries want: sharp for one knows an array by its class. */
export function arrayHere<A extends Uint8Array | Uint16Array | Float32Array>(array: A): A {
  const kinds = { Uint8Array, Uint8ClampedArray, Uint16Array, Float32Array };
  const Kind = kinds[typedArrayKind(array) as keyof typeof kinds];
  return array instanceof Kind
    ? array
    : (new Kind(array.buffer as ArrayBuffer, array.byteOffset, array.length) as A);
}
