/**
 * Letters for words that are burned into pictures: the 5 x 7 dots of displays, because a machine in a cellar may have no fonts,
 * and what such a picture says must not depend on it.
 */
import type { Drawing } from "../heat-map.js";

/** From space to "~": five columns of a character, a byte each, whose lowest bit is at the top. */
const columns = Buffer.from(
  "000000000000005f00000007000700147f147f14242a7f2a12231308646236495620500008070300001c2241000041221c00" +
    "2a1c7f1c2a08083e080800807030000808080808000060600020100804023e5149453e00427f400072494949462141494d33" +
    "1814127f1027454545393c4a49493141211109073649494936464949291e0000140000004034000000081422411414141414" +
    "004122140802015909063e415d594e7c1211127c7f494949363e414141227f4141413e7f494949417f090909013e41415173" +
    "7f0808087f00417f41002040413f017f081422417f404040407f021c027f7f0408107f3e4141413e7f090909063e4151215e" +
    "7f09192946264949493203017f01033f4040403f1f2040201f3f4038403f631408146303047804036159494d43007f414100" +
    "0204081020004141417f04020102044040404040000307080020545478407f284444383844444428384444287f3854545418" +
    "00087e090218a4a49c787f0804047800447d40002040403d007f1028440000417f40007c047804787c080404783844444438" +
    "fc1824241818242418fc7c08040408485454542404043f44243c4040207c1c2040201c3c4030403c44281028444c9090907c" +
    "4464544c440008364100000077000000413608000201020402",
  "hex",
);
const [first, last] = [0x20, 0x7e];
const missing = Buffer.of(0x7f, 0x41, 0x41, 0x41, 0x7f); // a box

/** Dots from one character to the next, and from one line to the next. */
export const letterSize = { width: 6, height: 10 } as const;

/** Letters with the signs over them left off, and a box for those of other scripts. */
function dotsOf(character: string): Uint8Array {
  const code = character.codePointAt(0) as number;
  if (code < first || code > last) return missing;
  return columns.subarray(5 * (code - first), 5 * (code - first + 1));
}

/** The characters that a text is drawn with: of "\u00fc" the "u". */
export const lettersOf = (text: string): string[] => [
  ...text.normalize("NFKD").replace(/\p{M}/gu, "").replaceAll("\u00df", "ss"),
];

/**
 * Draws a line of text in white.
 *
 * @param scale  pixels of a dot
 */
export function drawText(
  { width, height, data }: Drawing,
  text: string,
  { left, top, scale }: { left: number; top: number; scale: number },
): void {
  for (const [place, letter] of lettersOf(text).entries()) {
    for (const [column, dots] of dotsOf(letter).entries()) {
      for (let row = 0; row < 8; ++row) {
        if (((dots >> row) & 1) === 0) continue;
        const x = left + (place * letterSize.width + column) * scale;
        const y = top + row * scale;
        for (let down = y; down < Math.min(y + scale, height); ++down)
          data.fill(
            255,
            3 * (down * width + Math.min(x, width)),
            3 * (down * width + Math.min(x + scale, width)),
          );
      }
    }
  }
}
