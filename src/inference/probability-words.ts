/** A probability as people read it. */

/** "97.3 %", in tenths of a percent; nothing is called certain or impossible by rounding: ">99.9 %", "<0.1 %". */
export function probabilityWords(probability: number): string {
  const rounded = (100 * probability).toFixed(1);
  if (rounded === "100.0" && probability < 1) return ">99.9 %";
  if (rounded === "0.0" && probability > 0) return "<0.1 %";
  return `${rounded} %`;
}
