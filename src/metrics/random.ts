/**
 * Random numbers for resampling: xoshiro128**, 32 bits a number and a period of 2^128 - 1, so that a seed gives the same
 * intervals on every machine.
 *
 * @see Blackman and Vigna, Scrambled linear pseudorandom number generators, ACM Trans. Math. Softw. 47 (2021) 36,
 *   https://prng.di.unimi.it/xoshiro128starstar.c
 */
import { ArgumentError } from "../errors.js";
import { inWords } from "../settings/given.js";

/** @internal */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #d: number;

  /** From four words of 32 bits, not all of them 0. */
  constructor(state: readonly [number, number, number, number]) {
    [this.#a, this.#b, this.#c, this.#d] = state;
  }

  /** @throws ArgumentError if the seed is not a whole number from 0 to 2^53 - 1 */
  static seeded(operation: string, seed: number): Random {
    if (!Number.isSafeInteger(seed) || seed < 0) {
      throw new ArgumentError(`${operation}: the seed ${inWords(seed)} is not a whole number from 0 on.`);
    }
    let word = (seed ^ Math.floor(seed / 2 ** 32)) | 0;
    const mixed = () => {
      word = (word + 0x9e3779b9) | 0;
      let bits = Math.imul(word ^ (word >>> 16), 0x21f0aaad);
      bits = Math.imul(bits ^ (bits >>> 15), 0x735a2d97);
      return bits ^ (bits >>> 15);
    };
    return new Random([mixed(), mixed(), mixed(), mixed()]);
  }

  /** A whole number from 0 to 2^32 - 1. */
  word(): number {
    const times5 = Math.imul(this.#b, 5);
    const result = Math.imul((times5 << 7) | (times5 >>> 25), 9);
    const shifted = this.#b << 9;
    this.#c ^= this.#a;
    this.#d ^= this.#b;
    this.#b ^= this.#c;
    this.#a ^= this.#d;
    this.#c ^= shifted;
    this.#d = (this.#d << 11) | (this.#d >>> 21);
    return result >>> 0;
  }

  /** A whole number from 0 to count - 1, each as likely as the others to within count / 2^32. */
  below(count: number): number {
    return Math.floor((this.word() / 2 ** 32) * count);
  }

  /** Draws as many numbers below `counts.length` as it is long, and counts how often each comes. */
  tally(counts: Uint16Array): void {
    // The generator's words stay in variables, which is twice as fast as `below` in a loop.
    let [a, b, c, d] = [this.#a, this.#b, this.#c, this.#d];
    const { length } = counts;
    counts.fill(0);
    for (let left = length; left > 0; left--) {
      const times5 = Math.imul(b, 5);
      const word = Math.imul((times5 << 7) | (times5 >>> 25), 9) >>> 0;
      const shifted = b << 9;
      c ^= a;
      d ^= b;
      b ^= c;
      a ^= d;
      c ^= shifted;
      d = (d << 11) | (d >>> 21);
      counts[Math.floor((word / 2 ** 32) * length)]! += 1;
    }
    [this.#a, this.#b, this.#c, this.#d] = [a, b, c, d];
  }

  /** A number from 0, included, to 1, excluded. */
  uniform(): number {
    return this.word() / 2 ** 32;
  }
}
