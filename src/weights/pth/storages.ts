/**
 * PyTorch's storages and the tensors that lie in them: a storage is a run of elements, a tensor a window of it with a step for
 * each axis. Several tensors may share a storage, and a transposed one walks it in another order.
 */
import { dtypeBytes, type StoredDtype } from "../dtypes.js";

/** A run of elements in a record of the file. */
export class Storage {
  constructor(
    /** Name of the record. */
    readonly key: string,
    /** Of the elements; undefined where the tensors say it. */
    readonly dtype: StoredDtype | undefined,
    /** As the program says; compared with the record before anything is read. */
    readonly byteLength: number,
  ) {}
}

/** A window of a storage. */
export class StoredView {
  constructor(
    readonly storage: Storage,
    readonly dtype: StoredDtype,
    readonly shape: readonly number[],
    /** Elements between neighbours, axis by axis. */
    readonly strides: readonly number[],
    /** First element. */
    readonly offset: number,
  ) {}

  get byteLength(): number {
    return this.shape.reduce((product, extent) => product * extent, dtypeBytes(this.dtype));
  }
}

const mostAxes = 64; // As PyTorch has.

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
const isCounts = (value: unknown, length?: number): value is number[] =>
  Array.isArray(value) && (length === undefined || value.length === length) && value.every(isCount);

/**
 * A tensor as its parts describe it, checked against the size of its storage.
 *
 * @throws Error saying what cannot be, in a sentence without its end
 */
export function viewOf(
  storage: unknown,
  {
    offset,
    shape,
    strides,
    dtype,
  }: { offset: unknown; shape: unknown; strides: unknown; dtype?: StoredDtype },
): StoredView {
  if (!(storage instanceof Storage)) throw new Error("it has a tensor without a storage");
  const elements = dtype ?? storage.dtype;
  if (elements === undefined) throw new Error("it has a tensor without a type of elements");
  if (Array.isArray(shape) && shape.length > mostAxes)
    throw new Error(`it has a tensor of ${shape.length} axes`);
  if (!isCount(offset) || !isCounts(shape) || !isCounts(strides, shape.length))
    throw new Error("it has a tensor whose shape, strides or offset are not whole numbers from 0 on");
  const last = shape.reduce((at, extent, axis) => at + (extent - 1) * (strides[axis] ?? 0), offset);
  const end = shape.includes(0) ? 0 : (last + 1) * dtypeBytes(elements);
  if (!(end <= storage.byteLength)) {
    throw new Error(
      `it has a tensor (${shape.join(", ")}) that ends at byte ${end} of its storage, which has ${storage.byteLength}`,
    );
  }
  return new StoredView(storage, elements, [...shape], [...strides], offset);
}

/** Parts of an element that have a byte order of their own: of a complex number, its two halves. */
const wordBytes = (dtype: StoredDtype): number =>
  dtype.startsWith("complex") ? dtypeBytes(dtype) / 2 : dtypeBytes(dtype);

/**
 * The elements of a view row after row, little-endian, in memory of their own.
 *
 * @param record     the bytes of its storage, which begin at a multiple of 8 of their buffer
 * @param bigEndian  whether the record is, as machines such as s390x write it
 */
export function elementsOf(
  { dtype, shape, strides, offset, byteLength }: StoredView,
  record: Uint8Array<ArrayBuffer>,
  bigEndian: boolean,
): Uint8Array<ArrayBuffer> {
  const size = dtypeBytes(dtype);
  let result: Uint8Array<ArrayBuffer>;
  if (isContiguous(shape, strides)) {
    result = record.slice(offset * size, offset * size + byteLength);
  } else {
    const words = wordsOf(size);
    const target = new words(byteLength / size);
    const source = new words(record.buffer, record.byteOffset, Math.floor(record.byteLength / size));
    copyStrided(source, target, { shape, strides, offset });
    result = new Uint8Array(target.buffer);
  }
  const word = wordBytes(dtype);
  if (bigEndian && word > 1) {
    const swapped = Buffer.from(result.buffer);
    if (word === 2) swapped.swap16();
    else if (word === 4) swapped.swap32();
    else swapped.swap64();
  }
  return result;
}

function isContiguous(shape: readonly number[], strides: readonly number[]): boolean {
  let expected = 1;
  for (let axis = shape.length - 1; axis >= 0; --axis) {
    const extent = shape[axis] ?? 1;
    if (extent > 1 && strides[axis] !== expected) return false;
    expected *= extent;
  }
  return true;
}

/** Elements of one size, which are moved and never read as numbers. */
type Words = Uint8Array | Uint16Array | Uint32Array | BigUint64Array;

function wordsOf(
  size: number,
): new (
  source: ArrayBuffer | number,
  offset?: number,
  length?: number,
) => Words & { readonly buffer: ArrayBuffer } {
  const kinds = { 1: Uint8Array, 2: Uint16Array, 4: Uint32Array, 8: BigUint64Array };
  return kinds[size as keyof typeof kinds] as never;
}

/** The last axis in the inner loop; the others are counted like the digits of a number. */
function copyStrided(
  source: Words,
  target: Words,
  { shape, strides, offset }: Pick<StoredView, "shape" | "strides" | "offset">,
): void {
  const inner = shape.length - 1;
  const [extent, stride] = [shape[inner] ?? 1, strides[inner] ?? 0];
  const digits = new Array<number>(Math.max(inner, 0)).fill(0);
  let row = offset;
  for (let at = 0; at < target.length; ) {
    for (let i = 0; i < extent; ++i) target[at++] = source[row + i * stride] as never;
    for (let axis = inner - 1; axis >= 0; --axis) {
      row += strides[axis] ?? 0;
      digits[axis] = (digits[axis] ?? 0) + 1;
      if ((digits[axis] ?? 0) < (shape[axis] ?? 0)) break;
      row -= (digits[axis] ?? 0) * (strides[axis] ?? 0);
      digits[axis] = 0;
    }
  }
}
