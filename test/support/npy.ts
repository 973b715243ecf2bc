/** Arrays as numpy writes them. */

/** A .npy file. @param dtype  such as "|u1" */
export function npy(dtype: string, shape: number[], elements: Uint8Array, fortran = false): Uint8Array {
  const tuple = `(${shape.join(", ")}${shape.length === 1 ? "," : ""})`;
  const literal = `{'descr': '${dtype}', 'fortran_order': ${fortran ? "True" : "False"}, 'shape': ${tuple}, }`;
  const text = `${literal.padEnd(Math.ceil((literal.length + 11) / 64) * 64 - 11)}\n`;
  const head = Buffer.from(`\x93NUMPY\x01\x00\x00\x00${text}`, "latin1");
  head.writeUInt16LE(text.length, 8);
  return Buffer.concat([head, elements]);
}
