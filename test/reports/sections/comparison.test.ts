/** The part of a report about a second checkpoint: it claims a difference only where the interval does not hold 0. */
import { describe, expect, it } from "vitest";
import { compareAreas } from "../../../src/metrics/delong.js";
import { comparisonSection } from "../../../src/reports/sections/comparison.js";
import { evidence } from "../../support/evidence.js";

const checkpoint = "other/best.safetensors";
const { labels, probabilities, other } = evidence;

describe("the comparison", () => {
  const found = compareAreas(labels, probabilities, other, ["a", "b", "c", "d"]);

  it("has all three areas with their intervals", () => {
    const { id, body } = comparisonSection({ checkpoint, ...found });
    expect(id).toBe("comparison");
    for (const { value } of [found.first, found.second, found.difference])
      expect(body).toContain(Math.abs(value ?? Number.NaN).toFixed(3));
    expect(body).toContain((found.first.lower ?? Number.NaN).toFixed(3));
  });

  it("says which is better, or that it cannot be told", () => {
    const words = (difference: object, pValue?: number) =>
      comparisonSection({ ...found, checkpoint, pValue, difference } as never).body;
    expect(words({ value: 0.05, lower: 0.01, upper: 0.09 }, 0.01)).toMatch(
      /ranks these images better than other\/best.*with a probability of 0.010/,
    );
    expect(words({ value: -0.05, lower: -0.09, upper: -0.01 }, 0.0001)).toMatch(
      /ranks these images worse than.*less often than once in 1,000/,
    );
    expect(words({ value: 0.05, lower: -0.01, upper: 0.11 })).toMatch(/do not tell whether.*holds 0/);
    expect(words({ value: 0, reason: "both rank these samples alike" })).toMatch(
      /cannot be told: both rank these samples alike/,
    );
  });

  it("escapes the name of the file", () => {
    expect(comparisonSection({ ...found, checkpoint: "<b>" }).body).not.toContain("<b>");
  });
});
