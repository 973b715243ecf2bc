/**
 * Areas under the ROC and the precision-recall curve of samples that count several times or not at all. The samples are sorted
 * once; every set of weights then costs one walk by falling score.
 */

/** @internal The two areas; NaN where they are not defined. */
export interface WeightedAreas {
  auc: number;
  averagePrecision: number;
}

/** @internal */
export class WeightedRanking {
  readonly #order: Uint32Array;
  /** In that order: 1 for a positive. */
  readonly #positive: Uint8Array;
  /** In that order: 1 where the next sample has a lower score, so that a threshold can stand between the two. */
  readonly #last: Uint8Array;

  /**
   * @param positive  (n) 1 for a positive sample, 0 for a negative
   * @param scores    (n) finite; higher means more positive
   */
  constructor(positive: Uint8Array, scores: Float64Array) {
    this.#order = Uint32Array.from(scores, (_, sample) => sample).sort((a, b) => scores[b]! - scores[a]!);
    this.#positive = Uint8Array.from(this.#order, (sample) => positive[sample]!);
    this.#last = Uint8Array.from(this.#order, (sample, place) =>
      scores[sample] === scores[this.#order[place + 1]!] ? 0 : 1,
    );
  }

  /** By trapezoids, and by the step rule of `averagePrecision`. */
  areas(weights: Uint16Array, into: WeightedAreas): void {
    const [order, positive, last] = [this.#order, this.#positive, this.#last];
    let [positives, negatives, positivesBefore, negativesBefore] = [0, 0, 0, 0];
    let [twicePairs, precisions] = [0, 0];
    for (let place = 0; place < order.length; place++) {
      // Without branches on the class or the weight, which no processor could guess.
      const weight = weights[order[place]!]!;
      const ofPositive = weight * positive[place]!;
      positives += ofPositive;
      negatives += weight - ofPositive;
      if (!last[place]) continue;
      twicePairs += (negatives - negativesBefore) * (positives + positivesBefore);
      precisions += ((positives - positivesBefore) * positives) / (positives + negatives || 1);
      negativesBefore = negatives;
      positivesBefore = positives;
    }
    into.auc = twicePairs / (2 * positives * negatives);
    into.averagePrecision = precisions / positives;
  }
}
