/**
 * The random generator: Philox4x32-10, which maps (seed, counter) to numbers and has no other state. A tensor of
 * random numbers takes the next stretch of counters, so the same program draws the same numbers on every device
 * and for any number of threads.
 */
import { ArgumentError } from "../errors.js";

/** Where the generator stands: enough to continue it exactly. */
export interface GeneratorState {
  /** As given to `manualSeed`. */
  readonly seed: number;
  /** Counters used up so far; each gives four numbers. */
  readonly offset: number;
}

let state: GeneratorState = { seed: 0, offset: 0 };

/**
 * Restarts the generator. Two runs of the same program with the same seed give the same bits.
 *
 * @param seed  an integer from 0 to 2^53 - 1; the generator starts with seed 0
 * @throws ArgumentError for anything else
 */
export function manualSeed(seed: number): void {
  if (!Number.isSafeInteger(seed) || seed < 0) {
    throw new ArgumentError(`manualSeed: ${seed} is not an integer from 0 to 2^53 - 1.`);
  }
  state = { seed, offset: 0 };
}

/** The generator's position, to be given to `setGeneratorState` later. */
export function generatorState(): GeneratorState {
  return state;
}

/** Continues from a position that `generatorState` returned. */
export function setGeneratorState(position: GeneratorState): void {
  state = { seed: position.seed, offset: position.offset };
}

/** @internal */
export function currentSeed(): number {
  return state.seed;
}

/** @internal Reserves the counters for `count` numbers and returns the first. */
export function nextOffset(count: number): number {
  const { seed, offset } = state;
  state = { seed, offset: offset + Math.ceil(count / 4) };
  return offset;
}
