/**
 * Random numbers by Philox4x32-10, the counter-based generator of the native kernels (native/cpu/kernels/random.cpp).
 *
 * A (seed, counter) pair always gives the same four words, whatever was drawn before and on whatever device. Host
 * code that is keyed by what it works on — (seed, epoch), (seed, step, sample) — is therefore reproducible without
 * passing a generator around, and independent of the order in which workers get to it.
 *
 * @see Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011
 */

const MULTIPLIER_0 = 0xd2511f53;
const MULTIPLIER_1 = 0xcd9e8d57;
const WEYL_0 = 0x9e3779b9;
const WEYL_1 = 0xbb67ae85;
const ROUNDS = 10;

/** An unsigned 64-bit number as two words. */
interface Pair {
  readonly low: number;
  readonly high: number;
}

/** The 64 bits of an integer, negative ones in two's complement as C++ casts them. */
function pairOf(value: number | bigint, name: string): Pair {
  if (typeof value === "number" && !Number.isSafeInteger(value)) {
    throw new RangeError(
      `${name} ${value} is not a safe integer: use a whole number below 2^53, or a bigint.`,
    );
  }
  const bits = BigInt.asUintN(64, BigInt(value));
  return { low: Number(bits & 0xffffffffn), high: Number(bits >> 32n) };
}

/** The upper 32 bits of the product of two 32-bit words, by halves of 16 bits so that every sum is exact. */
function upperProduct(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16);
  const carried = aLow * bHigh + (middle & 0xffff);
  return (aHigh * bHigh + (middle >>> 16) + (carried >>> 16)) | 0;
}

/** Replaces the four words of a counter by Philox's output for it. */
function permute(words: Uint32Array, key: Pair): void {
  // Signed words: V8 keeps them in integer registers, and the same bits come out.
  let x0 = (words[0] ?? 0) | 0;
  let x1 = (words[1] ?? 0) | 0;
  let x2 = (words[2] ?? 0) | 0;
  let x3 = (words[3] ?? 0) | 0;
  let key0 = key.low | 0;
  let key1 = key.high | 0;
  for (let round = 0; round < ROUNDS; ++round) {
    const upper0 = upperProduct(MULTIPLIER_0, x0);
    const upper1 = upperProduct(MULTIPLIER_1, x2);
    const lower0 = Math.imul(MULTIPLIER_0, x0);
    const lower1 = Math.imul(MULTIPLIER_1, x2);
    x0 = upper1 ^ x1 ^ key0;
    x1 = lower1;
    x2 = upper0 ^ x3 ^ key1;
    x3 = lower0;
    key0 = (key0 + WEYL_0) | 0;
    key1 = (key1 + WEYL_1) | 0;
  }
  words[0] = x0;
  words[1] = x1;
  words[2] = x2;
  words[3] = x3;
}

/**
 * Four random 32-bit words. Element `i` of a tensor that a kernel fills with `seed` and `offset` is made of word
 * `i % 4` of counter `offset + floor(i / 4)`; as a uniform it is `(word >>> 8) * 2 ** -24`.
 *
 * @param seed     the key: a safe integer or a bigint, of which the lowest 64 bits count
 * @param counter  likewise, in the two lower words of Philox's counter; the upper two are zero
 * @throws RangeError if a number is not a safe integer
 */
export function philox4x32(seed: number | bigint, counter: number | bigint): Uint32Array {
  const { low, high } = pairOf(counter, "counter");
  const words = Uint32Array.of(low, high, 0, 0);
  permute(words, pairOf(seed, "seed"));
  return words;
}

/** What `shuffle` can reorder: arrays and typed arrays. */
export interface Shuffleable<T> {
  readonly length: number;
  [index: number]: T;
}

/**
 * A sequence of random numbers that depends on nothing but (seed, ...keys).
 *
 * @example
 * const order = new RandomStream(seed, epoch).shuffle(Array.from({ length: samples }, (_, i) => i));
 * const flip = new RandomStream(seed, epoch, sample).uniform() < 0.5;
 */
export class RandomStream {
  private readonly key: Pair;
  private readonly words = new Uint32Array(4);
  private counterLow = 0;
  private counterHigh = 0;
  private used = 4;

  /**
   * Streams of different keys are independent, and so are those of different numbers of keys. A stream without keys
   * gives the uniforms that a kernel gives for the seed at offset 0.
   *
   * @param seed  a safe integer or a bigint, of which the lowest 64 bits count
   * @param keys  likewise, in order of importance: (epoch), (step, sample), ...
   * @throws RangeError if a number is not a safe integer
   */
  constructor(seed: number | bigint, ...keys: readonly (number | bigint)[]) {
    let key = pairOf(seed, "seed");
    for (const next of keys) {
      // A key of its own for each: the last word tells these counters from those that numbers are drawn from.
      const { low, high } = pairOf(next, "key");
      const words = Uint32Array.of(low, high, 0, 1);
      permute(words, key);
      key = { low: words[0] ?? 0, high: words[1] ?? 0 };
    }
    this.key = key;
  }

  /** A float in [0, 1): a multiple of 2^-24, exact in float32, the same as the kernels make. */
  uniform(): number {
    return (this.word() >>> 8) * 2 ** -24;
  }

  /**
   * A whole number in 0..n-1, all equally likely.
   *
   * @param n  1..2^32
   * @throws RangeError if `n` is not such a whole number
   */
  integer(n: number): number {
    if (!Number.isInteger(n) || n < 1 || n > 2 ** 32) {
      throw new RangeError(`integer(${n}): the number of choices must be a whole number in 1..2^32.`);
    }
    // Words from the last incomplete round of n values would favour the smaller ones: they are drawn again.
    const limit = 2 ** 32 - (2 ** 32 % n);
    for (;;) {
      const word = this.word();
      if (word < limit) return word % n;
    }
  }

  /** Reorders `values` in place, every order equally likely (Fisher and Yates), and returns it. */
  shuffle<A extends Shuffleable<unknown>>(values: A): A {
    for (let last = values.length - 1; last > 0; --last) {
      const other = this.integer(last + 1);
      const value = values[last];
      values[last] = values[other];
      values[other] = value;
    }
    return values;
  }

  private word(): number {
    if (this.used === 4) {
      this.words[0] = this.counterLow;
      this.words[1] = this.counterHigh;
      this.words[2] = 0;
      this.words[3] = 0;
      permute(this.words, this.key);
      this.used = 0;
      this.counterLow = (this.counterLow + 1) >>> 0;
      if (this.counterLow === 0) this.counterHigh = (this.counterHigh + 1) >>> 0;
    }
    return this.words[this.used++] ?? 0;
  }
}
