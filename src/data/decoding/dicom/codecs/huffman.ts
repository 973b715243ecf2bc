/** Huffman-coded bits of a JPEG scan (ITU-T T.81, annexes C and F.2.2), read to the end of the scan and no further. */
import { frameDamaged } from "./codec.js";

/** A table of codes: of each length the first code, the first beyond, and where the values of the length begin. */
export interface HuffmanTable {
  readonly firstCode: Int32Array;
  readonly beyond: Int32Array;
  readonly firstValue: Int32Array;
  readonly values: Uint8Array;
}

const longestCode = 16;

/**
 * @param counts  how many codes have 1 to 16 bits
 * @param values  what they stand for, shortest first
 */
export function huffmanTable(counts: Uint8Array, values: Uint8Array): HuffmanTable {
  const firstCode = new Int32Array(longestCode + 1);
  const beyond = new Int32Array(longestCode + 1);
  const firstValue = new Int32Array(longestCode + 1);
  let code = 0;
  let value = 0;
  for (let length = 1; length <= longestCode; ++length) {
    const count = counts[length - 1] ?? 0;
    firstCode[length] = code;
    firstValue[length] = value;
    code += count;
    value += count;
    beyond[length] = code;
    code <<= 1;
  }
  return { firstCode, beyond, firstValue, values };
}

/** Reads bits, most significant first; a byte FF is followed by a 00 that is none. */
export class BitReader {
  #held = 0;
  #bits = 0;
  position: number;

  constructor(
    private readonly bytes: Uint8Array,
    start: number,
  ) {
    this.position = start;
  }

  /** @throws DataError at the end of the scan */
  bit(): number {
    if (this.#bits === 0) {
      if (this.position >= this.bytes.length) throw frameDamaged();
      this.#held = this.bytes[this.position++] as number;
      if (this.#held === 0xff) {
        if (this.bytes[this.position] !== 0) throw frameDamaged(); // a marker
        this.position += 1;
      }
      this.#bits = 8;
    }
    this.#bits -= 1;
    return (this.#held >>> this.#bits) & 1;
  }

  /** A number of so many bits as JPEG writes differences: those without the top bit are below 0. */
  difference(bits: number): number {
    let value = 0;
    for (let i = 0; i < bits; ++i) value = (value << 1) | this.bit();
    return bits > 0 && value < 2 ** (bits - 1) ? value - 2 ** bits + 1 : value;
  }

  /** The value of the code that comes next. */
  code({ firstCode, beyond, firstValue, values }: HuffmanTable): number {
    let code = 0;
    for (let length = 1; length <= longestCode; ++length) {
      code = (code << 1) | this.bit();
      const first = firstCode[length] as number;
      if (code >= first && code < (beyond[length] as number)) {
        const value = values[(firstValue[length] as number) + code - first];
        if (value === undefined) break;
        return value;
      }
    }
    throw frameDamaged();
  }

  /** Goes on behind the restart marker that has to be next. */
  restart(): void {
    this.#bits = 0;
    const marker = this.bytes[this.position + 1] ?? 0;
    if (this.bytes[this.position] !== 0xff || marker < 0xd0 || marker > 0xd7) throw frameDamaged();
    this.position += 2;
  }
}
