/**
 * The random generator: Philox4x32-10, which maps (seed, counter) to numbers and has no other state. A tensor of
 * random numbers takes the next stretch of counters, so the same program draws the same numbers on every device
 * and for any number of threads.
 */
import { ArgumentError } from "../errors.js";
import { expectNamed, inWords } from "../settings/given.js";
import { RandomStream } from "./random.js";

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
  expectCounters("manualSeed", { seed });
  state = { seed, offset: 0 };
}

/** The generator's position, to be given to `setGeneratorState` later. */
export function generatorState(): GeneratorState {
  return { ...state };
}

/**
 * Continues from a position that `generatorState` returned.
 *
 * @throws ArgumentError for anything else
 */
export function setGeneratorState(position: GeneratorState): void {
  const { seed, offset } = expectNamed("setGeneratorState", "the position", position, {
    seed: true,
    offset: true,
  });
  expectCounters("setGeneratorState", { seed, offset });
  state = { seed, offset };
}

function expectCounters(operation: string, counters: Readonly<Record<string, number>>): void {
  for (const [name, value] of Object.entries(counters)) {
    if (!Number.isSafeInteger(value) || value < 0)
      throw new ArgumentError(
        `${operation}: ${name} ${inWords(value)} is not an integer from 0 to 2^53 - 1.`,
      );
  }
}

/**
 * Counters between one step of training and the next: 2^26 numbers, far more than a step draws, and room for 2^29 steps.
 */
const countersPerStep = 2 ** 24;

/** What training's random numbers are keyed by. */
export interface StepKeys {
  /** Of the run: an integer from 0 to 2^53 - 1. */
  readonly seed: number;
  /** Counted from 0, below 2^29. */
  readonly step: number;
  /** Number of this process among those that train together; default 0, also for one that trains alone. */
  readonly rank?: number;
}

/**
 * Where the generator stands at the start of a step of training, to be given to `setGeneratorState`: a function of its
 * arguments alone, so that a run that was resumed draws as if it had not been interrupted.
 *
 * Steps draw from stretches of counters that lie apart. Ranks have keys of their own, derived from the seed, so that no two
 * of them draw the same numbers however much they draw; rank 0 has the seed itself.
 *
 * @throws ArgumentError if one of them is no such integer
 */
export function generatorAt({ seed, step, rank = 0 }: StepKeys): GeneratorState {
  expectCounters("generatorAt", { seed, step, rank });
  const offset = step * countersPerStep;
  if (!Number.isSafeInteger(offset))
    throw new ArgumentError(`generatorAt: step ${step} is more than the 2^29 steps that there is room for.`);
  return { seed: rank === 0 ? seed : keyOfRank(seed, rank), offset };
}

/** 53 bits of Philox's output for (seed, rank). */
function keyOfRank(seed: number, rank: number): number {
  const stream = new RandomStream(seed, rank);
  return stream.integer(2 ** 21) * 2 ** 32 + stream.integer(2 ** 32);
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
