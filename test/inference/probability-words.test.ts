/** Probabilities in words. */
import { expect, it } from "vitest";
import { probabilityWords } from "../../src/inference/probability-words.js";

it.each([
  [0.973, "97.3 %"],
  [0.99996, ">99.9 %"],
  [1, "100.0 %"],
  [0.0001, "<0.1 %"],
  [0, "0.0 %"],
])("%d is never rounded to certainty", (probability, words) => {
  expect(probabilityWords(probability)).toBe(words);
});
