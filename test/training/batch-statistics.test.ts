/** No statistic of BatchNorm is of one value: such trainings are refused, and others are not. */
import { describe, expect, it } from "vitest";
import { ArgumentError, type FitOptions, fit as fitModel } from "../../src/index.js";
import { failure } from "../support/failure.js";
import { quickly, sides, tinyModel } from "../support/sides.js";

/** Images of 32 x 32: the last of four stages is 1 x 1 with patches of 4, 2 x 2 with patches of 2. */
function train(count: number, settings: Partial<FitOptions>, patchSize = 4) {
  const model = tinyModel({ patchSize });
  return fitModel(model, { ...quickly, epochs: 1, train: sides(count, 1), ...settings }).finally(() =>
    model.dispose(),
  );
}

describe("a batch whose last map is 1 x 1", () => {
  it.each([
    ["one image a batch", 8, { batchSize: 1 }, /--batch-size 2 or more.*--image-size 64/],
    [
      "as many passes as images",
      8,
      { batchSize: 4, accumulate: 4 },
      /--batch-size 8 .*fewer passes \(--accumulate\)/,
    ],
    ["some passes of one image", 8, { batchSize: 3, accumulate: 2 }, /--batch-size 4/],
    ["one image in all", 1, { batchSize: 16 }, /^fit: one image passes .*--image-size 64/],
  ] as const)("is refused: %s", async (_, count, settings, advice) => {
    expect(await failure(ArgumentError, train(count, settings))).toMatch(advice);
  });

  it("is refused before the first step, and nothing is written", async () => {
    let begun = false;
    const observers = [
      {
        begin: () => {
          begun = true;
        },
      },
    ];
    await failure(ArgumentError, train(8, { batchSize: 1, observers }));
    expect(begun).toBe(false);
  });

  it.each([
    ["two images a pass", 8, { batchSize: 4, accumulate: 2 }, 4],
    ["a larger map", 4, { batchSize: 1 }, 2],
  ] as const)("is trained with %s", async (_, count, settings, patchSize) => {
    const { history } = await train(count, settings, patchSize);
    expect(history).toHaveLength(1);
  });
});
