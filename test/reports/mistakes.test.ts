/** Which mistakes are shown, and that their pictures are those of the images, with nothing else of a patient. */
import sharp from "sharp";
import { afterAll, describe, expect, it } from "vitest";
import { ArgumentError, DataError } from "../../src/errors.js";
import { evaluate } from "../../src/inference/evaluate.js";
import { classificationMetrics } from "../../src/metrics/classification.js";
import { multiLabelMetrics } from "../../src/metrics/multi-label.js";
import { pictureMistakes } from "../../src/reports/mistake-pictures.js";
import { mistakesOf } from "../../src/reports/mistakes.js";
import { mistakesSection } from "../../src/reports/sections/mistakes.js";
import type { AnyEvaluation } from "../../src/reports/several-labels.js";
import { rowOf, tableOf } from "../support/markup.js";
import { side, sides, tinyModel } from "../support/sides.js";

function evaluationOf(labels: readonly number[], rows: readonly (readonly number[])[]): AnyEvaluation {
  const metrics = classificationMetrics(
    labels,
    rows,
    rows[0]!.length === 2 ? ["well", "ill"] : ["a", "b", "c"],
  );
  return { metrics, labels: Int32Array.from(labels), probabilities: Float32Array.from(rows.flat()) };
}

describe("the surest mistakes", () => {
  const evaluation = evaluationOf(
    [0, 0, 0, 1, 1, 2, 0],
    [
      [0.1, 0.9, 0],
      [0.2, 0.8, 0],
      [0.05, 0, 0.95],
      [0.6, 0.4, 0],
      [0.1, 0.9, 0],
      [0.5, 0.1, 0.4],
      [0.9, 0.1, 0],
    ],
  );

  it("are of each true class in turn, the surest first", () => {
    const { surest, wrong, answers } = mistakesOf(evaluation, { count: 4 });
    expect({ wrong, answers }).toEqual({ wrong: 5, answers: 7 });
    expect(surest.map(({ image, truth, called }) => [image, truth, called])).toEqual([
      [2, "a", "c"],
      [0, "a", "b"],
      [3, "b", "a"],
      [5, "c", "a"],
    ]);
  });

  it("of two classes are those on the wrong side of the threshold, by how far they are", () => {
    const binary = evaluationOf(
      [0, 0, 1, 1],
      [
        [0.7, 0.3],
        [0.1, 0.9],
        [0.9, 0.1],
        [0.6, 0.4],
      ],
    );
    const { surest } = mistakesOf(binary, { threshold: 0.2 });
    expect(surest.map(({ image, called }) => [image, called])).toEqual([
      [1, "ill"],
      [2, "well"],
      [0, "ill"],
    ]);
    expect(surest[0]!.confidence).toBeCloseTo(0.875, 6); // 0.9, of the 0.8 above 0.2
    expect(surest[1]!.confidence).toBeCloseTo(0.5, 6);
    expect(surest[1]!.probability).toBeCloseTo(0.9, 6);
    expect(mistakesOf(binary).surest.map(({ image }) => image)).toEqual([1, 2, 3]);
  });

  it("of several labels are told label by label", () => {
    const labels = [1, 0, 0, 1];
    const probabilities = [0.1, 0.2, 0.9, 0.3];
    const metrics = multiLabelMetrics(labels, probabilities, ["edema", "mass"], [0.5, 0.5]);
    const { surest, wrong, answers } = mistakesOf({
      metrics,
      labels: Int32Array.from(labels),
      probabilities: Float32Array.from(probabilities),
    });
    expect({ wrong, answers }).toEqual({ wrong: 3, answers: 4 });
    expect(surest.map(({ image, truth, called, explained }) => [image, truth, called, explained])).toEqual([
      [0, "with edema", "without edema", "edema"],
      [1, "without edema", "with edema", "edema"],
      [1, "with mass", "without mass", "mass"],
    ]);
  });

  it("are refused of what is no evaluation", () => {
    expect(() => mistakesOf({} as never)).toThrow(ArgumentError);
    expect(() => mistakesOf(evaluation, { count: 0 })).toThrow(/count/);
  });
});

describe("pictures of mistakes", async () => {
  const dataset = { ...sides(6, 1), name: () => "/home/smith/Smith-1970.png" };
  const model = tinyModel();
  afterAll(() => model.dispose());
  const evaluation = await evaluate(model, dataset);
  const upsideDown = { ...evaluation, labels: evaluation.labels.map((_, i) => 1 - called(i)) };
  function called(image: number): number {
    return Number(evaluation.probabilities[2 * image + 1]! > evaluation.probabilities[2 * image]!);
  }
  const mistakes = mistakesOf(upsideDown, { count: 2 });
  const classifier = { model, classes: dataset.classes, preprocessing: dataset.preprocessing };
  const jpeg = (uri: string) => sharp(Buffer.from(uri.replace("data:image/jpeg;base64,", ""), "base64"));

  it("are the images, and nothing that a file says is with them", async () => {
    const { surest, heatMaps } = await pictureMistakes(mistakes, dataset);
    expect(heatMaps).toBeUndefined();
    for (const { picture, image } of surest) {
      const metadata = await jpeg(picture!).metadata();
      expect(metadata).toMatchObject({ format: "jpeg", width: side, height: side });
      expect([metadata.exif, metadata.icc, metadata.xmp, metadata.iptc]).toEqual(
        new Array(4).fill(undefined),
      );
      const shown = await jpeg(picture!).greyscale().raw().toBuffer();
      const { data } = await dataset.sample(image);
      const apart = shown.reduce((sum, value, at) => sum + Math.abs(value - data[at]!), 0) / shown.length;
      expect(apart).toBeLessThan(12); // noise is what JPEG keeps worst; two images are 27 apart
    }
  });

  it("have what spoke for the wrong answer beside them", async () => {
    const progress: number[] = [];
    const pictured = await pictureMistakes(mistakes, dataset, {
      classifier,
      onProgress: ({ done, total }) => progress.push(done / total),
    });
    expect(pictured.heatMaps).toBe(
      "occlusion: what the probability loses when 4 by 4 of 32 by 32 pixels are hidden",
    );
    expect(progress).toEqual([0.5, 1]);
    expect(await jpeg(pictured.surest[0]!.picture!).metadata()).toMatchObject({
      width: 2 * side + 8,
      height: side,
    });
    const { body } = mistakesSection(pictured);
    expect(body).not.toMatch(/smith/i);
    expect(body).toMatch(/burned into an image cannot be ruled out/);
    expect(
      body.match(/<img src="data:image\/jpeg;base64,[^"]+" alt="Image \d, which is \w+ and called \w+;/g),
    ).toHaveLength(2);
    const [first] = pictured.surest;
    expect(rowOf(tableOf(body, /surest/), String(first!.image)).slice(0, 2)).toEqual([
      first!.truth,
      first!.called,
    ]);
  });

  it("by gradients say so, and one that is gone is told of without", async () => {
    const gone = {
      ...dataset,
      sample: () => Promise.reject(new DataError("gone", { reason: "gone" })),
    };
    expect((await pictureMistakes(mistakes, dataset, { classifier, method: "grad-cam" })).heatMaps).toBe(
      "Grad-CAM",
    );
    const pictured = await pictureMistakes(mistakes, gone, { classifier });
    expect(pictured.surest.map(({ picture }) => picture)).toEqual([undefined, undefined]);
    expect(mistakesSection(pictured).body).not.toContain("<img");
  });

  it("are refused of another data set, and stop when they are told to", async () => {
    await expect(pictureMistakes(mistakes, sides(1, 1))).rejects.toThrow(/none of the 1 of the data set/);
    await expect(pictureMistakes(mistakes, dataset, { method: "guess" as never })).rejects.toThrow(
      ArgumentError,
    );
    await expect(
      pictureMistakes(mistakes, dataset, { signal: AbortSignal.abort(new Error("enough")) }),
    ).rejects.toThrow("enough");
  });
});

it("of none is said so", () => {
  expect(mistakesSection({ surest: [], wrong: 0, answers: 1200 }).body).toBe(
    "<p>None of 1,200 answers is wrong.</p>",
  );
});
