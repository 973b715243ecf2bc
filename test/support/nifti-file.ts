/** NIfTI files made by hand. */

/**
 * A volume of slices of one grey each, shown as they are.
 *
 * @param greys  0 to 255, from the feet to the head
 */
export function greySlices(greys: readonly number[], side = 8): Buffer {
  const header = Buffer.alloc(352);
  header.writeInt32LE(348, 0);
  for (const [i, length] of [3, side, side, greys.length, 1, 1, 1, 1].entries())
    header.writeInt16LE(length, 40 + 2 * i);
  header.writeInt16LE(2, 70); // bytes
  header.writeInt16LE(8, 72);
  for (let i = 0; i < 8; ++i) header.writeFloatLE(1, 76 + 4 * i);
  header.writeFloatLE(352, 108);
  header.writeFloatLE(1, 112);
  header.writeFloatLE(255, 124); // white
  header.write("n+1\0", 344, "latin1");
  return Buffer.concat([header, ...greys.map((grey) => Buffer.alloc(side * side, grey))]);
}
