/**
 * Percentiles of as many values as a volume has, exactly and without sorting them all: where there are many, a histogram tells
 * in which narrow range a rank lies, and the values in there are sorted, or divided again if they are still many.
 */
import { breathe } from "../concurrency.js";

/** Values a piece at a time, from the first again at every call. */
export type Pieces = () => Iterable<ArrayLike<number>>;

/** Values that are sorted at once; 8 MB of them. */
const fewEnough = 2 ** 20;
const bins = 2 ** 12;

/**
 * The values below which the fractions lie, of finite values alone: the value of rank floor(low * (n - 1)) and that of rank
 * ceil(high * (n - 1)), as NumPy's percentile with the methods "lower" and "higher".
 *
 * @param low   from 0 to 1
 * @param high  from 0 to 1
 * @returns     undefined if no value is finite
 */
export async function percentiles(
  pieces: Pieces,
  low: number,
  high: number,
): Promise<readonly [low: number, high: number] | undefined> {
  let [count, least, largest] = [0, Infinity, -Infinity];
  for await (const value of calmly(pieces)) {
    for (let i = 0; i < value.length; ++i) {
      const x = value[i] as number;
      if (!Number.isFinite(x)) continue;
      count += 1;
      if (x < least) least = x;
      if (x > largest) largest = x;
    }
  }
  if (count === 0) return undefined;
  const all = { least, largest, count, below: 0 };
  const ranks = [Math.floor(low * (count - 1)), Math.ceil(high * (count - 1))] as const;
  return [await valueOfRank(pieces, ranks[0], all), await valueOfRank(pieces, ranks[1], all)];
}

/** Values from `least` to `largest`, both included: how many they are, and how many are less. */
interface Range {
  readonly least: number;
  readonly largest: number;
  readonly count: number;
  readonly below: number;
}

async function valueOfRank(pieces: Pieces, rank: number, range: Range): Promise<number> {
  const { least, largest, count, below } = range;
  if (least === largest) return least;
  if (count <= fewEnough) {
    const values = new Float64Array(count);
    let filled = 0;
    for await (const piece of calmly(pieces)) {
      for (let i = 0; i < piece.length; ++i) {
        const x = piece[i] as number;
        if (x >= least && x <= largest) values[filled++] = x;
      }
    }
    return values.sort()[rank - below] as number;
  }
  return valueOfRank(pieces, rank, await narrowed(pieces, rank, range));
}

/** The part of a range that a rank is in, by its share of `bins` equal parts: its own least and largest value are its ends. */
async function narrowed(pieces: Pieces, rank: number, { least, largest, below }: Range): Promise<Range> {
  const counts = new Float64Array(bins);
  const lows = new Float64Array(bins).fill(Infinity);
  const highs = new Float64Array(bins).fill(-Infinity);
  // Halves, as the whole of a range of doubles may be beyond the largest double.
  const scale = bins / 2 / (largest / 2 - least / 2);
  for await (const piece of calmly(pieces)) {
    for (let i = 0; i < piece.length; ++i) {
      const x = piece[i] as number;
      if (!(x >= least && x <= largest)) continue;
      const bin = Math.min(bins - 1, Math.floor((x / 2 - least / 2) * 2 * scale));
      counts[bin]! += 1;
      if (x < lows[bin]!) lows[bin] = x;
      if (x > highs[bin]!) highs[bin] = x;
    }
  }
  let lower = below;
  let bin = 0;
  while (lower + counts[bin]! <= rank) lower += counts[bin++]!;
  return { least: lows[bin]!, largest: highs[bin]!, count: counts[bin]!, below: lower };
}

async function* calmly(pieces: Pieces): AsyncGenerator<ArrayLike<number>, void, undefined> {
  for (const piece of pieces()) {
    yield piece;
    await breathe();
  }
}
