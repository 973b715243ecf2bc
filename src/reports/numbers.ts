/** Numbers as they stand in a report. */
import type { Estimate } from "../metrics/estimate.js";

/** Digits with a true minus sign; a dash for what is undefined. */
export const decimal = (value: number | null | undefined, digits = 3): string =>
  typeof value === "number" && Number.isFinite(value)
    ? value
        .toFixed(digits)
        .replace(/^-(?=[0.]*$)/, "")
        .replace("-", "−")
    : "–";

/** "0.912 – 0.956" */
export const rangeBetween = (lower: number, upper: number, digits = 3): string =>
  `${decimal(lower, digits)} – ${decimal(upper, digits)}`;

/** Both ends, or a dash. */
export const rangeOf = ({ lower, upper, reason }: Estimate, digits = 3): string =>
  reason === undefined ? rangeBetween(lower, upper, digits) : "–";

/** "0.912 to 0.956", for sentences; a dash where there is no interval. */
export const rangeWords = ({ lower, upper, reason }: Estimate, digits = 3): string =>
  reason === undefined ? `${decimal(lower, digits)} to ${decimal(upper, digits)}` : "–";

/** "AUC 0.912 (0.89 – 0.93)", for figures; a dash where there is no number, the number alone where it has no interval. */
export const scored = (name: string, estimate: Estimate): string =>
  `${name} ${decimal(estimate.value)}${estimate.reason === undefined ? ` (${rangeOf(estimate)})` : ""}`;

/** A share as so many of a hundred. Never 0 or 100 unless it is: 99.7 % is "99.7". */
export function ofHundred(share: number): string {
  const hundredths = share * 100;
  const rounded = Math.round(hundredths);
  if ((rounded === 0 && share > 0) || (rounded === 100 && share < 1)) {
    if (hundredths < 0.05) return "less than 0.1";
    if (hundredths > 99.95) return "more than 99.9";
    return hundredths.toFixed(1);
  }
  return String(rounded);
}

/** "94 (89 to 97)"; "94 (no interval, because …)"; undefined where there is no number. */
export function ofHundredWithin(estimate: Estimate): string | undefined {
  const { value, lower, upper, reason } = estimate;
  if (value === undefined) return undefined;
  if (reason !== undefined) return `${ofHundred(value)} (no interval, because ${reason})`;
  return `${ofHundred(value)} (${ofHundred(lower)} to ${ofHundred(upper)})`;
}

/** "1 image", "2 images". */
export const counted = (count: number, noun: string): string =>
  `${String(count).replace(/\B(?=(\d{3})+$)/g, ",")} ${noun}${count === 1 ? "" : "s"}`;
