/** What `fit` finds out about a model in the end: from which images, with which numbers, and when it gives a reason instead. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  type Assurance,
  data,
  evaluate,
  explain,
  type FitResult,
  fit as fitModel,
  globalAveragePool,
  type ImageClassifier,
  loadCheckpoint,
  metrics,
  nn,
  permute,
  predictImages,
  type Tensor,
  tasks,
  tensor,
} from "../../src/index.js";
import { assess } from "../../src/training/assess.js";
import { quickly, side, sidePixels, sides, tinyModel } from "../support/sides.js";
import { root } from "../support/temporary-folder.js";

const [train, validation, other] = [sides(96, 1), sides(60, 2), sides(60, 3)];
const assessed = async (options: Partial<Parameters<typeof assess>[1]> = {}, model = tinyModel()) =>
  (await assess(model, { train, validation, task: tasks.binary, batchSize: 16, ...options })).assurance;
const reasonOf = (part: object) => (part as { reason?: string }).reason;

/** A data set of which nothing may be looked at. */
const sealed = (): data.Dataset =>
  new Proxy(other, {
    get: (_, name) => {
      throw new Error(`the test images were asked for their ${String(name)}`);
    },
  });

describe("fit", () => {
  const directory = join(root, "assured");
  const opened = { train, val: validation, test: sealed() };
  const trained: Promise<FitResult> = fitModel(tinyModel(), {
    ...quickly,
    train: opened.train,
    validation: opened.val,
    directory,
  });

  it("assesses its best weights by training and validation images, and looks at no test image", async () => {
    expect(() => opened.test.labels).toThrow("the test images were asked for their labels");
    const { assurance } = await trained;
    expect(assurance?.images).toEqual({ train: 96, validation: 60 });
    expect(reasonOf(assurance?.sets as object)).toBeUndefined();
    expect(reasonOf(assurance?.outliers as object)).toBeUndefined();
  });

  it("keeps it in the checkpoint, with thresholds of calibrated probabilities", async () => {
    const { assurance, thresholds } = await trained;
    const checkpoint = await loadCheckpoint(join(directory, "best.safetensors"));
    expect(checkpoint.assurance).toEqual(assurance);
    expect(checkpoint.threshold).toBe(thresholds?.[0]);
    const { probabilities, labels, outlierScores } = await evaluate(checkpoint.model, validation, {
      assurance,
    });
    expect(tasks.binary.chooseThresholds(labels, probabilities, 2)).toEqual(thresholds);
    const { limit } = (assurance as Assurance).outliers as metrics.OutlierPanel;
    // 61 x 0.95 = 57.95: the 58th of 60 scores is the limit, and two are above.
    expect(outlierScores?.filter((score) => score > limit)).toHaveLength(2);
    checkpoint.model.dispose();
  });

  it("calibrates as temperature scaling of what the network gives", async () => {
    const assurance = (await trained).assurance as Assurance;
    const made: Assurance = { ...assurance, calibration: { temperature: 2.5, before: 1, after: 1 } };
    const model = tinyModel();
    const plain = await evaluate(model, validation);
    const scaled = await evaluate(model, validation, { assurance: made });
    const expected = metrics.withTemperature(plain.probabilities, 2, 2.5);
    for (const [at, probability] of scaled.probabilities.entries())
      expect(probability).toBeCloseTo(expected[at] as number, 5);
    model.dispose();
  });

  it("writes the same bytes when it is resumed after its end", async () => {
    await trained;
    const path = join(directory, "best.safetensors");
    const before = await readFile(path);
    await fitModel(tinyModel(), { ...quickly, train, validation, directory, resume: true });
    expect((await readFile(path)).equals(before)).toBe(true);
  });

  it("leaves it out where it is told to", async () => {
    const result = await fitModel(tinyModel(), { ...quickly, epochs: 1, train, validation, assess: false });
    expect(result.assurance).toBeUndefined();
  });

  it("leaves it to the resumed run when it is aborted meanwhile", async () => {
    const stopped = join(root, "stopped");
    const controller = new AbortController();
    const onProgress = ({ type }: { type: string }) => type === "assessment" && controller.abort();
    const options = { ...quickly, train, validation, directory: stopped };
    const result = await fitModel(tinyModel(), { ...options, signal: controller.signal, onProgress });
    expect(result.stopped).toBe("aborted");
    expect(result.assurance).toBeUndefined();
    const again = await fitModel(tinyModel(), { ...options, resume: true });
    expect(again.assurance).toEqual((await trained).assurance);
  });

  it("predicts of its own kind, and refers what is none of it", async () => {
    await trained;
    const checkpoint = await loadCheckpoint(join(directory, "best.safetensors"));
    const sharp = (await import("sharp")).default;
    const png = (pixels: Uint8Array) =>
      sharp(pixels, { raw: { width: side, height: side, channels: 1 } })
        .png()
        .toBuffer();
    const own = await png(sidePixels(1, 9));
    const inverted = await png(sidePixels(1, 9).map((value) => 255 - value));
    const [answer, refer] = await predictImages(checkpoint, [own, inverted]);
    expect(answer?.outlier?.score).toBeLessThan(answer?.outlier?.limit as number);
    expect(refer?.decision).toBe("refer");
    expect(refer?.reasons?.[0]?.code).toBe("unlike-training");
    expect(refer?.reasons?.[0]?.sentence).toMatch(
      /^its .* is unlike the training images \((stage \d|picture): score /,
    );
    const [unjudged] = await predictImages(checkpoint, [inverted], { refer: false });
    expect(unjudged?.decision).toBeUndefined();
    expect(unjudged?.probabilities).toEqual(refer?.probabilities);
    for (const [image, predicted] of [
      [own, answer],
      [inverted, refer],
    ] as const) {
      const { decision, reasons, set, risk } = await explain(checkpoint, image);
      expect({ decision, reasons, set, risk }).toEqual({
        decision: predicted?.decision,
        reasons: predicted?.reasons,
        set: predicted?.set,
        risk: predicted?.risk,
      });
    }
    const unasked = await explain(checkpoint, inverted, { refer: false });
    expect(unasked).not.toHaveProperty("decision");
    checkpoint.model.dispose();
  });
});

describe("a reason stands where there is too little to go by", () => {
  it("of three validation images", async () => {
    const { calibration, sets, outliers } = await assessed({ validation: sides(3, 2) });
    expect(reasonOf(calibration)).toBe("validation has 3 images; 20 are needed");
    expect(reasonOf(sets)).toBe("too few validation images of right (1); 3 are needed for a risk of 30 %");
    expect(reasonOf(outliers)).toBe("3 validation images are too few for 0.05 false alarms; use at least 19");
  });

  it("of a class that validation lacks", async () => {
    const left = data.subset(
      validation,
      Array.from({ length: 30 }, (_, i) => 2 * i),
    );
    const { sets, outliers } = await assessed({ validation: left });
    expect(reasonOf(sets)).toBe("too few validation images of right (0); 3 are needed for a risk of 30 %");
    expect(reasonOf(outliers)).toBeUndefined();
  });

  it("of risks for which a class has too few images, and of those alone", async () => {
    const few = data.subset(validation, [...Array.from({ length: 30 }, (_, i) => 2 * i), 1, 3, 5, 7, 9]);
    const { sets } = (await assessed({ validation: few })) as {
      sets: Extract<Assurance["sets"], { risks: unknown }>;
    };
    const attainable = sets.risks.filter((_, at) => sets.least[at]?.every((least) => least !== null));
    expect(attainable).toEqual([0.2, 0.3]);
    expect(sets.images).toEqual([30, 5]);
  });

  it("of features that are not finite", async () => {
    const model = tinyModel();
    const predict = model.predict.bind(model);
    model.predict = (images, options) => {
      const output = predict(images, options);
      // 0 / 0 in the first feature, behind the two logits.
      const factors = tensor(
        Float32Array.from({ length: output.shape[1] as number }, (_, i) => Number(i !== 2)),
      );
      return options?.stages ? output.mul(factors).div(factors) : output;
    };
    const { outliers, sets } = await assessed({}, model);
    expect(reasonOf(outliers)).toBe("feature 0 of sample 0 is NaN");
    expect(reasonOf(sets)).toBeUndefined();
  });

  it("of a network that does not show its stages", async () => {
    class Own extends nn.Module implements ImageClassifier {
      readonly config = { numClasses: 2 };
      readonly #head = this.child("head", new nn.Linear(1, 2));
      get device() {
        return this.#head.weight.device;
      }
      override forward(images: Tensor): Tensor {
        return this.#head.forward(globalAveragePool(permute(images, [0, 2, 3, 1])));
      }
    }
    const task = tasks.binary;
    const { assurance } = await assess(new Own(), { train, validation, task, batchSize: 16 });
    expect(reasonOf(assurance.outliers)).toBe("this network does not show its stages");
    expect(reasonOf(assurance.sets)).toBeUndefined();
  });

  it("of a task that makes probabilities in its own way", async () => {
    const own = { ...tasks.binary, activation: (logits: Tensor) => tasks.binary.activation(logits) };
    const { calibration } = await assessed({ task: own });
    expect(reasonOf(calibration)).toBe("the task makes probabilities in a way of its own");
  });
});

it("gives each label of several sets of its own", async () => {
  const several = (count: number, seed: number) =>
    data.fromArrays({
      images: sidePixels(count, seed),
      shape: [count, side, side],
      task: "multi-label",
      labels: Array.from({ length: count }, (_, i) => [i % 2, Number(i % 20 === 0)]).flat(),
      classes: ["often", "rare"],
    });
  const model = tinyModel();
  const options = { train: several(60, 1), validation: several(80, 2), batchSize: 16 };
  const { assurance, thresholds } = await assess(model, { ...options, task: tasks.multiLabel });
  const sets = assurance.sets as Extract<Assurance["sets"], { risks: unknown }>;
  expect(sets.images).toEqual([40, 40, 4, 76]);
  expect(sets.least[sets.risks.indexOf(0.1)]?.map((least) => least !== null)).toEqual([
    true,
    true,
    false,
    true,
  ]);
  expect(thresholds).toHaveLength(2);
  const classifier = {
    model,
    classes: ["often", "rare"],
    preprocessing: train.preprocessing,
    task: "multi-label" as const,
    thresholds,
    assurance,
  };
  const sharp = (await import("sharp")).default;
  const image = await sharp(sidePixels(1, 9), { raw: { width: side, height: side, channels: 1 } })
    .png()
    .toBuffer();
  const [prediction] = await predictImages(classifier, [image]);
  expect(prediction?.risk).toBe(0.1);
  expect(prediction?.set).toContain("rare"); // Nothing is known of it, so nothing is ruled out.
  const undecided = prediction?.reasons?.flatMap(({ code, classes }) =>
    code === "labels-undecided" ? classes : [],
  );
  expect(undecided).not.toContain("rare");
});
