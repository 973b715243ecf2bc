/**
 * The .npy format: a magic number, a Python literal that says type, order and shape, then the bare elements.
 *
 * @see https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
 */

export interface NpyHeader {
  /** As numpy writes it, such as "|u1" or "<i8". */
  readonly dtype: string;
  readonly fortranOrder: boolean;
  readonly shape: readonly number[];
  /** Bytes before the first element. */
  readonly length: number;
}

/** The header at the start of `bytes`; undefined if more bytes are needed to tell. Throws if it is not .npy. */
export function parseNpyHeader(bytes: Uint8Array): NpyHeader | undefined {
  if (bytes.length < 12) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(0) !== 0x934e554d || view.getUint16(4) !== 0x5059)
    throw new Error("it is not in .npy format");
  const [start, length] = bytes[6] === 1 ? [10, view.getUint16(8, true)] : [12, view.getUint32(8, true)];
  if (length > 1 << 20) throw new Error("its .npy header is damaged");
  if (bytes.length < start + length) return undefined;
  const text = new TextDecoder("latin1").decode(bytes.subarray(start, start + length));
  const dtype = /'descr':\s*'([^']*)'/.exec(text)?.[1];
  const order = /'fortran_order':\s*(True|False)/.exec(text)?.[1];
  const shape = /'shape':\s*\(([\d\s,]*)\)/.exec(text)?.[1];
  if (dtype === undefined || order === undefined || shape === undefined)
    throw new Error("its elements are not plain numbers");
  const sizes = shape
    .split(",")
    .filter((size) => size.trim() !== "")
    .map(Number);
  return { dtype, fortranOrder: order === "True", shape: sizes, length: start + length };
}

type Reader = (view: DataView, at: number, little: boolean) => number;

const readers: Readonly<Record<string, Reader>> = {
  b1: (view, at) => view.getUint8(at),
  u1: (view, at) => view.getUint8(at),
  i1: (view, at) => view.getInt8(at),
  u2: (view, at, little) => view.getUint16(at, little),
  i2: (view, at, little) => view.getInt16(at, little),
  u4: (view, at, little) => view.getUint32(at, little),
  i4: (view, at, little) => view.getInt32(at, little),
  u8: (view, at, little) => Number(view.getBigUint64(at, little)),
  i8: (view, at, little) => Number(view.getBigInt64(at, little)),
  f4: (view, at, little) => view.getFloat32(at, little),
  f8: (view, at, little) => view.getFloat64(at, little),
};

/** Bytes of one element; undefined for types that are not plain numbers. */
export function npyElementSize(dtype: string): number | undefined {
  return Object.hasOwn(readers, dtype.slice(1)) ? Number(dtype.slice(2)) : undefined;
}

/** Elements of one byte need no reading. */
const views: Readonly<Record<string, (bytes: Uint8Array) => ArrayLike<number>>> = {
  b1: (bytes) => bytes,
  u1: (bytes) => bytes,
  i1: ({ buffer, byteOffset, length }) => new Int8Array(buffer, byteOffset, length),
};

/** Elements of any numeric type as numbers. */
export function readNpyNumbers(dtype: string, bytes: Uint8Array): ArrayLike<number> {
  const kind = dtype.slice(1);
  const [read, size, asItIs] = [readers[kind], npyElementSize(dtype), views[kind]];
  if (!read || !size) throw new Error(`its elements are of type ${dtype}`);
  if (asItIs) return asItIs(bytes);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const little = !dtype.startsWith(">");
  const numbers = new Float64Array(bytes.byteLength / size);
  for (let i = 0; i < numbers.length; ++i) numbers[i] = read(view, i * size, little);
  return numbers;
}
