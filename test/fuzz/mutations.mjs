/** Damaged copies of files: what disks, transfers and people who mean harm make of them. Everything follows from a seed. */

/** Random integers by mulberry32: small, and the same on every machine. */
export class Dice {
  #state;

  constructor(seed) {
    this.#state = seed >>> 0;
  }

  /** From 0 to below `limit`. */
  below(limit) {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * limit);
  }

  one(of) {
    return of[this.below(of.length)];
  }
}

const numbers = [
  0n,
  1n,
  -1n,
  127n,
  255n,
  65535n,
  2n ** 24n,
  2n ** 31n - 1n,
  2n ** 31n,
  2n ** 32n - 1n,
  2n ** 53n,
  2n ** 63n - 1n,
];
const words = [
  "0",
  "-1",
  "1e9",
  "1e999",
  "0.5",
  "null",
  "[]",
  "{}",
  '""',
  "true",
  "9007199254740993",
  '"__proto__"',
  "\u0000",
  "\ufffd",
  "é",
  ",",
  '"',
  "\n",
];

const changes = [
  function flipBits(bytes, dice, at) {
    for (let i = 1 + dice.below(8); i > 0; --i)
      bytes[(at + dice.below(16)) % bytes.length] ^= 1 << dice.below(8);
    return bytes;
  },
  function writeNumber(bytes, dice, at) {
    const width = dice.one([1, 2, 4, 8]);
    const number = BigInt.asUintN(64, dice.one(numbers));
    for (let i = 0; i < width && at + i < bytes.length; ++i)
      bytes[at + i] = Number((number >> BigInt(8 * i)) & 255n);
    return bytes;
  },
  function cutOff(bytes, _, at) {
    return bytes.subarray(0, at);
  },
  function cutOut(bytes, dice, at) {
    return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + dice.below(64))]);
  },
  function repeat(bytes, dice, at) {
    const part = bytes.subarray(at, at + 1 + dice.below(256));
    return Buffer.concat([bytes.subarray(0, at), part, part, bytes.subarray(at)]);
  },
  function insert(bytes, dice, at) {
    return Buffer.concat([bytes.subarray(0, at), Buffer.from(dice.one(words)), bytes.subarray(at)]);
  },
  function replaceNumber(bytes, dice) {
    const text = bytes.toString("latin1");
    const found = [...text.slice(0, 1 << 16).matchAll(/-?\d+(\.\d+)?/g)];
    if (found.length === 0) return bytes;
    const { 0: number, index } = dice.one(found);
    return Buffer.from(text.slice(0, index) + dice.one(words) + text.slice(index + number.length), "latin1");
  },
];

/** One to four changes, most of them where the header of a file is. */
export function mutate(original, dice) {
  let bytes = Buffer.from(original);
  for (let i = dice.one([1, 1, 1, 2, 4]); i > 0 && bytes.length > 0; --i) {
    const reach = dice.below(3) === 0 ? bytes.length : Math.min(bytes.length, 512);
    const at = dice.below(4) === 0 ? Math.max(0, bytes.length - 1 - dice.below(128)) : dice.below(reach);
    bytes = Buffer.from(dice.one(changes)(bytes, dice, at));
  }
  return bytes;
}
