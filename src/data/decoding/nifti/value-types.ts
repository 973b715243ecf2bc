/** The types of NIfTI's values, by their codes. */

/** A type that is read. */
export interface ValueType {
  /** In the plural, for sentences. */
  readonly name: string;
  /** Of one voxel. */
  readonly bytes: number;
  /** Red, green and blue of 8 bits each, which are no measurement and are shown as they are. */
  readonly isColor?: boolean;
  /** The value at a byte. */
  readonly read: (view: DataView, at: number, littleEndian: boolean) => number;
}

/** By code: those that are read, and the names of those that are not. */
export const valueTypes: Readonly<
  Record<number, ValueType | { readonly name: string; readonly bytes?: never }>
> = {
  0: { name: "of a type that is not said" },
  1: { name: "single bits" },
  2: { name: "8-bit integers from 0 up", bytes: 1, read: (view, at) => view.getUint8(at) },
  4: { name: "16-bit integers", bytes: 2, read: (view, at, little) => view.getInt16(at, little) },
  8: { name: "32-bit integers", bytes: 4, read: (view, at, little) => view.getInt32(at, little) },
  16: { name: "32-bit floats", bytes: 4, read: (view, at, little) => view.getFloat32(at, little) },
  32: { name: "complex numbers" },
  64: { name: "64-bit floats", bytes: 8, read: (view, at, little) => view.getFloat64(at, little) },
  128: { name: "RGB colours", bytes: 3, isColor: true, read: (view, at) => view.getUint8(at) },
  256: { name: "8-bit signed integers", bytes: 1, read: (view, at) => view.getInt8(at) },
  512: {
    name: "16-bit integers from 0 up",
    bytes: 2,
    read: (view, at, little) => view.getUint16(at, little),
  },
  768: {
    name: "32-bit integers from 0 up",
    bytes: 4,
    read: (view, at, little) => view.getUint32(at, little),
  },
  1024: {
    name: "64-bit integers",
    bytes: 8,
    read: (view, at, little) => Number(view.getBigInt64(at, little)),
  },
  1280: {
    name: "64-bit integers from 0 up",
    bytes: 8,
    read: (view, at, little) => Number(view.getBigUint64(at, little)),
  },
  1536: { name: "128-bit floats" },
  1792: { name: "complex numbers of 128 bits" },
  2048: { name: "complex numbers of 256 bits" },
  2304: { name: "RGBA colours" },
};
