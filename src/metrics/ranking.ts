/**
 * How well a score ranks positives above negatives. Everything here walks the samples once by falling score and takes
 * samples of equal score as one group, because no threshold can separate them; the cost is that of the sort.
 */

/** Samples whose score is the same, met by falling score. */
interface TieGroup {
  readonly score: number;
  /** Positives and negatives of the group, and of it and all groups of higher score. */
  readonly positives: number;
  readonly negatives: number;
  readonly positivesSoFar: number;
  readonly negativesSoFar: number;
  /** The samples of the group. */
  readonly members: Uint32Array;
}

/**
 * @param positive  (n) 1 for a positive sample, 0 for a negative
 * @param scores    (n) finite; higher means more positive
 */
export function* tieGroups(positive: Uint8Array, scores: Float64Array): Generator<TieGroup> {
  const order = Uint32Array.from(scores, (_, sample) => sample).sort((a, b) => scores[b]! - scores[a]!);
  let positivesSoFar = 0;
  let negativesSoFar = 0;
  for (let start = 0; start < order.length; ) {
    const score = scores[order[start]!]!;
    let end = start;
    let positives = 0;
    for (; end < order.length && scores[order[end]!] === score; end++) positives += positive[order[end]!]!;
    const negatives = end - start - positives;
    positivesSoFar += positives;
    negativesSoFar += negatives;
    yield {
      score,
      positives,
      negatives,
      positivesSoFar,
      negativesSoFar,
      members: order.subarray(start, end),
    };
    start = end;
  }
}

/**
 * Area under the ROC curve: the probability that a positive scores above a negative, ties counted half
 * (Mann-Whitney). NaN if there are no positives or no negatives.
 */
export function areaUnderRoc(positive: Uint8Array, scores: Float64Array): number {
  let pairsWon = 0;
  let positives = 0;
  let negatives = 0;
  for (const group of tieGroups(positive, scores)) {
    pairsWon += group.negatives * (group.positivesSoFar - group.positives / 2);
    positives = group.positivesSoFar;
    negatives = group.negativesSoFar;
  }
  return pairsWon / (positives * negatives);
}

/**
 * Average precision: the sum over thresholds of precision times the gain in recall, without interpolation, as in
 * scikit-learn. NaN if there are no positives.
 */
export function averagePrecision(positive: Uint8Array, scores: Float64Array): number {
  let sum = 0;
  let positives = 0;
  for (const group of tieGroups(positive, scores)) {
    sum += (group.positives * group.positivesSoFar) / (group.positivesSoFar + group.negativesSoFar);
    positives = group.positivesSoFar;
  }
  return sum / positives;
}

/** A receiver operating characteristic: lists of equal length, from the strictest threshold to the laxest. */
export interface RocCurve {
  /** 1 - specificity at each point, rising from 0 to 1. */
  readonly falsePositiveRate: readonly number[];
  /** Sensitivity at each point, rising from 0 to 1. */
  readonly sensitivity: readonly number[];
  /** A sample counts as positive when its score is at least this; Infinity at the first point. */
  readonly thresholds: readonly number[];
}

/** One point for each distinct score. Rates are NaN if there are no positives or no negatives. */
export function rocCurve(positive: Uint8Array, scores: Float64Array): RocCurve {
  const groups = [...tieGroups(positive, scores)];
  const { positivesSoFar: positives, negativesSoFar: negatives } = groups.at(-1)!;
  return {
    falsePositiveRate: [0, ...groups.map((group) => group.negativesSoFar / negatives)],
    sensitivity: [0, ...groups.map((group) => group.positivesSoFar / positives)],
    thresholds: [Number.POSITIVE_INFINITY, ...groups.map((group) => group.score)],
  };
}

/**
 * For each sample the fraction of the other kind that it is ranked rightly against, ties counted half: its own share
 * in the area under the curve. The mean over positives, and that over negatives, is the area.
 *
 * @see DeLong, DeLong, Clarke-Pearson, Biometrics 44 (1988) 837, where these are V10 and V01
 */
export function placements(positive: Uint8Array, scores: Float64Array): Float64Array {
  const result = new Float64Array(scores.length);
  const groups = [...tieGroups(positive, scores)];
  const { positivesSoFar: positives, negativesSoFar: negatives } = groups.at(-1)!;
  for (const group of groups) {
    const ofPositive = (negatives - group.negativesSoFar + group.negatives / 2) / negatives;
    const ofNegative = (group.positivesSoFar - group.positives / 2) / positives;
    for (const sample of group.members) result[sample] = positive[sample] ? ofPositive : ofNegative;
  }
  return result;
}
