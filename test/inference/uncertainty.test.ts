/** Answer or refer: by what that is decided, and how often sets hold the truth on data of which everything is known. */
import { describe, expect, it } from "vitest";
import {
  ArgumentError,
  type Assurance,
  metrics,
  type Prediction,
  poolPredictions,
  tasks,
} from "../../src/index.js";
import { judgeOf } from "../../src/inference/uncertainty.js";
import { Random } from "../../src/metrics/random.js";
import { failure } from "../support/failure.js";

const classes = ["cyst", "mass", "normal"];
const absent = { reason: "there are none" };
const assurance: Assurance = {
  images: { train: 100, validation: 60 },
  calibration: absent,
  sets: {
    risks: [0.05, 0.1],
    least: [
      [0.1, null, 0.1],
      [0.3, 0.4, 0.5],
    ],
    images: [30, 12, 30],
  },
  outliers: {
    ...metrics.fitOutlierPanel([
      {
        name: "stage 1",
        width: 2,
        train: Array.from({ length: 80 }, (_, i) => Math.sin(i * i)),
        validation: Array.from({ length: 80 }, (_, i) => Math.sin(i * i + 1)),
      },
    ]),
  },
};
const judge = judgeOf("test", { classes, assurance }, tasks.multiClass);
const judged = (probabilities: number[], called: number, score = 0) =>
  judge?.judge({ probabilities, called: [called], outlier: { score, limit: 1.5, view: "stage 1" } });

describe("a prediction", () => {
  it("is an answer where one class is possible, and it is called so", () => {
    expect(judged([0.8, 0.1, 0.1], 0)).toEqual({
      decision: "answer",
      reasons: [],
      set: ["cyst"],
      risk: 0.1,
      outlier: { score: 0, limit: 1.5, view: "stage 1" },
    });
  });

  it.each([
    [
      [0.45, 0.5, 0.05],
      1,
      0,
      "several-possible",
      "mass or cyst are possible at a risk of 10 %",
      ["mass", "cyst"],
    ],
    [[0.25, 0.35, 0.4], 2, 0, "none-possible", "none of the classes is possible at a risk of 10 %", []],
    [
      [0.31, 0.34, 0.35],
      2,
      0,
      "called-ruled-out",
      "called normal, but only cyst is possible at a risk of 10 %",
      ["normal"],
    ],
    [
      [0.8, 0.1, 0.1],
      0,
      2.25,
      "unlike-training",
      "its fine structure is unlike the training images (stage 1: score 2.25, limit 1.50)",
      [],
    ],
  ] as const)("is referred: %j", (probabilities, called, score, code, sentence, about) => {
    const { decision, reasons } = judged([...probabilities], called, score) ?? {};
    expect(decision).toBe("refer");
    expect(reasons).toEqual([{ code, sentence, classes: about }]);
  });

  it("is not judged where nobody wants it, or there is nothing to judge by", () => {
    expect(judgeOf("test", { classes, assurance }, tasks.multiClass, { refer: false })).toBeUndefined();
    expect(judgeOf("test", { classes }, tasks.multiClass)).toBeUndefined();
    const nothing = { ...assurance, sets: absent, outliers: absent };
    expect(judgeOf("test", { classes, assurance: nothing }, tasks.multiClass)).toBeUndefined();
    const alone = judgeOf("test", { classes, assurance: { ...assurance, sets: absent } }, tasks.multiClass);
    expect(alone?.judge({ probabilities: [1, 0, 0], called: [0] })).toEqual({
      decision: "answer",
      reasons: [],
    });
  });

  it("has no sets for a risk that validation has too few images for", async () => {
    const message = (risk: number, told: object = { classes, assurance }) =>
      failure(
        ArgumentError,
        (async () => judgeOf("predictStream", told as never, tasks.multiClass, { risk }))(),
      );
    const none = "predictStream: the checkpoint has no sets for a risk of 0.05: ";
    expect(await message(0.05)).toBe(`${none}it has them for 0.1.`);
    expect(await message(0.05, { classes, assurance: { ...assurance, sets: absent } })).toBe(
      `${none}there are none.`,
    );
    expect(await message(0.05, { classes })).toBe(
      `${none}it was trained without validation images, or by a version before this.`,
    );
    expect(await message(1)).toBe("predictStream: 1 is not a risk above 0 and below 1.");
  });
});

describe("several labels", () => {
  const sets = { risks: [0.1], least: [[0.3, 0.4, 0.2, 0.95, null, 0.5]], images: [20, 20, 20, 20, 1, 39] };
  const told = { classes, assurance: { ...assurance, sets, outliers: absent } };
  const labels = judgeOf("test", told, tasks.multiLabel);

  it("are each told, undecided, or not known of", () => {
    const { decision, reasons, set } =
      labels?.judge({ probabilities: [0.5, 0.1, 0.9], called: [0, 2] }) ?? {};
    expect(decision).toBe("refer");
    // cyst may be there and may not; mass neither: 0.1 is below 0.2, and 0.9 below 0.95.
    expect(reasons).toEqual([
      {
        code: "labels-undecided",
        sentence: "cyst and mass cannot be told at a risk of 10 %",
        classes: ["cyst", "mass"],
      },
    ]);
    expect(set).toEqual(["cyst", "normal"]);
  });

  it("are answered where all that are known of are told", () => {
    expect(labels?.judge({ probabilities: [0.7, 0.01, 0.4], called: [0] }).decision).toBe("answer");
    const against = labels?.judge({ probabilities: [0.7, 0.01, 0.4], called: [] });
    expect(against?.reasons.map(({ code }) => code)).toEqual(["called-ruled-out"]);
  });
});

describe("a unit", () => {
  const preprocessing = {} as never;
  const classifier = { model: {} as never, classes, preprocessing, assurance };
  const image = (set: string[], strange: boolean): Prediction => ({
    label: "cyst",
    probability: 0.6,
    labels: ["cyst"],
    probabilities: { cyst: 0.6, mass: 0.3, normal: 0.1 },
    decision: strange || set.length !== 1 ? "refer" : "answer",
    reasons: strange ? [{ code: "unlike-training", sentence: "", classes: [] }] : [],
    set,
    risk: 0.1,
  });
  const pooled = (images: Prediction[]) =>
    poolPredictions(classifier, images, { of: new Int32Array(images.length), count: 1 }, "mean")[0];

  it("has the classes that most of its images have, at twice the risk", () => {
    const unit = pooled([
      image(["cyst"], false),
      image(["cyst", "mass"], true),
      image(["cyst", "mass"], false),
    ]);
    expect(unit).toMatchObject({ decision: "refer", set: ["cyst", "mass"], risk: 0.2 });
    expect(unit?.reasons?.[0]?.sentence).toBe("cyst or mass are possible at a risk of 20 %");
    expect(pooled([image(["cyst"], false), image(["cyst"], false), image([], false)])).toMatchObject({
      decision: "answer",
      set: ["cyst"],
    });
  });

  it("is referred where half of its images are not like the training images", () => {
    const unit = pooled([image(["cyst"], true), image(["cyst"], false)]);
    expect(unit?.reasons).toEqual([
      { code: "unlike-training", sentence: "1 of 2 images are not like the training images", classes: [] },
    ]);
    expect(pooled([image(["cyst"], true), image(["cyst"], false), image(["cyst"], false)])?.decision).toBe(
      "answer",
    );
  });

  it("of one image has that image's risk, and of images that were not judged no judgement", () => {
    expect(pooled([image(["cyst"], false)])?.risk).toBe(0.1);
    const { decision: _, reasons: __, set: ___, ...plain } = image([], false);
    expect(pooled([plain])?.decision).toBeUndefined();
  });
});

describe("200 divisions of data whose truth is known", () => {
  const random = Random.seeded("test", 3);
  const normal = () =>
    Math.sqrt(-2 * Math.log(1 - random.uniform())) * Math.cos(2 * Math.PI * random.uniform());
  /** Logits that are far too certain: what a temperature is for. */
  const draw = (count: number) => {
    const labels: number[] = [];
    const logits: number[] = [];
    for (let image = 0; image < count; image++) {
      const label = image % 10 < 6 ? 0 : image % 10 < 9 ? 1 : 2;
      labels.push(label);
      for (let index = 0; index < 3; index++) logits.push(3 * (normal() + (index === label ? 1.3 : 0)));
    }
    return { labels, logits };
  };
  const softmax = (logits: number[], temperature: number) => {
    const all = Float64Array.from(logits, (logit) => Math.exp(logit / temperature));
    return all.map((power, at) => {
      const row = at - (at % 3);
      return power / (all[row]! + all[row + 1]! + all[row + 2]!);
    });
  };

  it.each([0.05, 0.1, 0.2])(
    "keep a risk of %f within 2 in 100 in all and in each class, with a temperature from the same images",
    (risk) => {
      const held = [0, 0, 0];
      const seen = [0, 0, 0];
      for (let division = 0; division < 200; division++) {
        const [validation, test] = [draw(400), draw(400)];
        const { temperature } = metrics.fitTemperature(validation.labels, validation.logits, 3);
        const sets = metrics.fitConformalSets(validation.labels, softmax(validation.logits, temperature), 3, {
          risk,
        });
        const probabilities = softmax(test.logits, temperature);
        for (const [image, label] of test.labels.entries()) {
          const set = metrics.conformalSet(probabilities.subarray(3 * image, 3 * image + 3), sets);
          seen[label]! += 1;
          held[label]! += Number(set.includes(label));
        }
      }
      const coverage = held.reduce((a, b) => a + b) / seen.reduce((a, b) => a + b);
      expect(Math.abs(coverage - (1 - risk))).toBeLessThan(0.02);
      for (const label of [0, 1, 2])
        expect(Math.abs(held[label]! / seen[label]! - (1 - risk))).toBeLessThan(0.02);
    },
  );
});
