/** NumPy's file format, for those who go on with the numbers in Python: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html */

/** The header ends at a multiple of so many bytes. */
const alignment = 64;

/** Values as a .npy file: little-endian float32, rows first. */
export function encodeNpy(data: Float32Array, shape: readonly number[]): Uint8Array {
  const description = `{'descr': '<f4', 'fortran_order': False, 'shape': (${shape.join(", ")}${shape.length === 1 ? "," : ""}), }`;
  const start = 10; // magic word, version, length
  const length = Math.ceil((start + description.length + 1) / alignment) * alignment - start;
  const bytes = Buffer.alloc(start + length + 4 * data.length, " ");
  bytes.set([0x93, ...Buffer.from("NUMPY"), 1, 0]);
  bytes.writeUInt16LE(length, 8);
  bytes.write(description, start, "latin1");
  bytes[start + length - 1] = 0x0a;
  for (const [i, value] of data.entries()) bytes.writeFloatLE(value, start + length + 4 * i);
  return bytes;
}
