/** Numbers in the words of the command line. */
import { expect, it } from "vitest";
import { decimals } from "../../../src/cli/console/wording.js";
import { estimate } from "../../../src/reports/checklists/words.js";

it("has no sign before what rounds to 0", () => {
  expect([-0.0001, -0, -0.5, Number.NaN].map((value) => decimals(value, 2))).toEqual([
    "0.00",
    "0.00",
    "-0.50",
    "-",
  ]);
  expect(estimate({ value: -0.00001, interval: [-0.1, -0.0002] })).toBe(
    "0.000 (95 % interval -0.100 to 0.000)",
  );
});
