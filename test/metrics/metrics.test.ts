import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { EvaluationError } from "../../src/errors.js";
import { expectedCalibrationError, reliabilityBins } from "../../src/metrics/calibration.js";
import { classificationMetrics } from "../../src/metrics/classification.js";
import { confidenceIntervals, wilsonInterval } from "../../src/metrics/intervals.js";
import { chooseThresholds } from "../../src/metrics/multi-label.js";
import { areaUnderRoc, averagePrecision, rocCurve } from "../../src/metrics/ranking.js";
import { atThreshold, chooseThreshold } from "../../src/metrics/threshold.js";
import { fixture } from "../support/repository.js";

interface Case {
  labels: number[];
  probabilities: number[][];
  expected: Record<string, unknown>;
}

const golden = JSON.parse(readFileSync(fixture("metrics.json"), "utf8")) as Record<string, Case>;
const camelCase = (name: string) => name.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());

describe.each(Object.entries(golden))(
  "the metrics of the case %s",
  (_name, { labels, probabilities, expected }) => {
    const classes = probabilities[0]!.length;
    const metrics = classificationMetrics(labels, probabilities, classes) as unknown as Record<
      string,
      unknown
    >;

    it.each(Object.entries(expected))("agree with scikit-learn in %s", (key, value) => {
      const flat = (nested: unknown) => [nested].flat(2) as number[];
      const ours = flat(metrics[camelCase(key)]);
      expect(ours).toHaveLength(flat(value).length);
      flat(value).forEach((number, index) => {
        expect(Math.abs(ours[index]! - number)).toBeLessThan(1e-9);
      });
    });

    it("are the same from flat typed arrays with int64 labels", () => {
      const typed = classificationMetrics(
        BigInt64Array.from(labels, BigInt),
        Float64Array.from(probabilities.flat()),
        classes,
      );
      expect(typed).toEqual(metrics);
    });
  },
);

describe("a class without samples", () => {
  const metrics = classificationMetrics(
    [0, 0, 1, 1],
    [
      [0.7, 0.2, 0.1],
      [0.2, 0.3, 0.5],
      [0.1, 0.8, 0.1],
      [0.6, 0.3, 0.1],
    ],
    ["a", "b", "c"],
  );

  it("has NaN for every value of its own, which JSON writes as null", () => {
    for (const list of [
      "aucPerClass",
      "averagePrecisionPerClass",
      "precision",
      "sensitivity",
      "specificity",
      "f1",
    ] as const) {
      expect(metrics[list][2]).toBeNaN();
      expect(JSON.parse(JSON.stringify(metrics))[list][2]).toBeNull();
    }
  });

  it("is left out of the means", () => {
    expect(metrics.sensitivity.slice(0, 2)).toEqual([0.5, 0.5]);
    expect(metrics.macroSensitivity).toBe(0.5);
    expect(metrics.balancedAccuracy).toBe(0.5);
    expect(metrics.macroPrecision).toBe((1 / 2 + 1) / 2);
    expect(metrics.auc).toBe((metrics.aucPerClass[0]! + metrics.aucPerClass[1]!) / 2);
    expect(metrics).toMatchObject({
      samples: 4,
      classes: ["a", "b", "c"],
      confusionMatrix: [
        [1, 0, 1],
        [1, 1, 0],
        [0, 0, 0],
      ],
    });
  });
});

describe("degenerate samples", () => {
  it("of one class only have no AUC, no specificity, and correlation 0", () => {
    const metrics = classificationMetrics(
      [1, 1],
      [
        [0.2, 0.8],
        [0.4, 0.6],
      ],
      2,
    );
    expect(metrics).toMatchObject({
      accuracy: 1,
      auc: Number.NaN,
      macroSpecificity: Number.NaN,
      mcc: 0,
      cohenKappa: Number.NaN,
    });
    expect(metrics.averagePrecisionPerClass[1]).toBe(1);
  });

  it("that are all certain and right are perfect", () => {
    const metrics = classificationMetrics(
      [0, 1],
      [
        [1, 0],
        [0, 1],
      ],
      2,
    );
    expect(metrics).toMatchObject({
      accuracy: 1,
      auc: 1,
      mcc: 1,
      cohenKappa: 1,
      brier: 0,
      ece: 0,
      macroF1: 1,
    });
    expect(metrics.crossEntropy).toBeLessThan(1e-15);
  });

  it("that are certain and wrong have a finite cross-entropy", () => {
    expect(
      classificationMetrics(
        [1, 0],
        [
          [1, 0],
          [0, 1],
        ],
        2,
      ).crossEntropy,
    ).toBeCloseTo(52 * Math.LN2, 9);
  });
});

describe("ranking", () => {
  it("counts ties half, as counting all pairs does", () => {
    const positive = Uint8Array.from({ length: 200 }, (_, i) => ((i * 37) % 11 < 4 ? 1 : 0));
    const scores = Float64Array.from({ length: 200 }, (_, i) => ((i * 53) % 17) / 17);
    let won = 0;
    let pairs = 0;
    for (const [i, a] of scores.entries()) {
      for (const [j, b] of scores.entries()) {
        if (!(positive[i] && !positive[j])) continue;
        pairs += 1;
        won += a > b ? 1 : a === b ? 0.5 : 0;
      }
    }
    expect(areaUnderRoc(positive, scores)).toBeCloseTo(won / pairs, 12);
  });

  it("gives chance for scores that are all the same", () => {
    const positive = Uint8Array.of(1, 0, 0, 1, 0);
    expect(areaUnderRoc(positive, new Float64Array(5))).toBe(0.5);
    expect(averagePrecision(positive, new Float64Array(5))).toBe(0.4);
  });

  it("draws the curve through one point per distinct score", () => {
    expect(rocCurve(Uint8Array.of(0, 0, 1, 1), Float64Array.of(0.1, 0.4, 0.4, 0.8))).toEqual({
      falsePositiveRate: [0, 0, 0.5, 1],
      sensitivity: [0, 0.5, 1, 1],
      thresholds: [Infinity, 0.8, 0.4, 0.1],
    });
  });
});

describe("confidence intervals", () => {
  const { labels, probabilities } = golden.binary!;

  it("of accuracy are Wilson's", () => {
    const [lower, upper] = wilsonInterval(10, 20);
    expect(lower).toBeCloseTo(0.299298, 6);
    expect(upper).toBeCloseTo(0.700702, 6);
    expect(wilsonInterval(0, 10)[0]).toBeCloseTo(0, 12);
    expect(wilsonInterval(10, 10)[1]).toBeCloseTo(1, 12);
  });

  it("of a two-class AUC follow DeLong's variance, computed from all pairs", () => {
    const scoresOf = (label: number) =>
      probabilities.filter((_, i) => labels[i] === label).map((row) => row[1]!);
    const [positives, negatives] = [scoresOf(1), scoresOf(0)];
    const psi = (a: number, b: number) => (a > b ? 1 : a === b ? 0.5 : 0);
    const mean = (values: number[]) => values.reduce((a, b) => a + b, 0) / values.length;
    const variance = (values: number[]) =>
      (mean(values.map((v) => (v - mean(values)) ** 2)) * values.length) / (values.length - 1);
    const v10 = positives.map((a) => mean(negatives.map((b) => psi(a, b))));
    const v01 = negatives.map((b) => mean(positives.map((a) => psi(a, b))));
    const auc = mean(v10);
    const error = Math.sqrt(variance(v10) / positives.length + variance(v01) / negatives.length);
    const reach = (1.959963984540054 * error) / (auc * (1 - auc));
    const { auc: interval } = confidenceIntervals(labels, probabilities, 2);
    expect(interval.map((p) => Math.log(p / (1 - p)) - Math.log(auc / (1 - auc)))).toEqual([
      expect.closeTo(-reach, 9),
      expect.closeTo(reach, 9),
    ]);
  });

  it("of the mean AUC of several classes hold it, and are wider at a higher level", () => {
    const { labels, probabilities } = golden.multiclass!;
    const { auc } = classificationMetrics(labels, probabilities, 6);
    const [low90, high90] = confidenceIntervals(labels, probabilities, 6, { level: 0.9 }).auc;
    const [low99, high99] = confidenceIntervals(labels, probabilities, 6, { level: 0.99 }).auc;
    expect([low99, low90, auc, high90, high99]).toEqual([low99, low90, auc, high90, high99].toSorted());
    expect(high99 - low99).toBeLessThan(0.12);
  });

  it("say nothing of a class with one sample, and refuse other levels", () => {
    const rows = [
      [0.9, 0.1],
      [0.8, 0.2],
      [0.3, 0.7],
    ];
    expect(confidenceIntervals([0, 0, 1], rows, 2).auc).toEqual([1, 1]);
    expect(confidenceIntervals([0, 1, 0], rows, 2).auc).toEqual([Number.NaN, Number.NaN]);
    expect(() => confidenceIntervals([0, 0, 1], rows, 2, { level: 0.5 as never })).toThrow(EvaluationError);
  });
});

describe("calibration", () => {
  it("bins by the top probability, with 1 in the last bin", () => {
    const bins = reliabilityBins(
      [0, 0, 1],
      [
        [1, 0],
        [0.55, 0.45],
        [0.52, 0.48],
      ],
      2,
      { bins: 10 },
    );
    expect(bins).toHaveLength(10);
    expect(bins[5]).toMatchObject({
      lower: 0.5,
      upper: 0.6,
      count: 2,
      accuracy: 0.5,
      confidence: expect.closeTo(0.535, 12),
    });
    expect(bins[9]).toMatchObject({ count: 1, accuracy: 1, confidence: 1 });
    expect(bins[0]).toMatchObject({ count: 0, accuracy: Number.NaN });
    expect(expectedCalibrationError(bins)).toBeCloseTo((2 * 0.035) / 3, 12);
    expect(() => reliabilityBins([0], [[1, 0]], 2, { bins: 0 })).toThrow(EvaluationError);
  });
});

describe("a decision threshold", () => {
  const labels = [0, 0, 0, 0, 1, 1, 1, 1];
  const scores = [0.1, 0.2, 0.3, 0.7, 0.25, 0.6, 0.8, 0.9];

  it("maximises Youden's index, the highest of equals", () => {
    expect(chooseThreshold(labels, scores)).toBe(0.8);
    expect(atThreshold(labels, scores, 0.6)).toEqual({
      threshold: 0.6,
      truePositives: 3,
      falsePositives: 1,
      trueNegatives: 3,
      falseNegatives: 1,
      accuracy: 0.75,
      sensitivity: 0.75,
      specificity: 0.75,
      positivePredictiveValue: 0.75,
      negativePredictiveValue: 0.75,
      f1: 0.75,
      youden: 0.5,
    });
    expect(chooseThreshold([1, 0, 1, 0], [0.9, 0.1, 0.7, 0.8])).toBe(0.9);
  });

  it("is the middle of the gap where the classes do not overlap, whatever is wished", () => {
    const [truth, apart] = [
      [1, 0, 1, 1, 0],
      [0.875, 0.125, 0.75, 0.625, 0.25],
    ];
    for (const criterion of [
      { criterion: "youden" },
      { criterion: "sensitivity", atLeast: 0.9 },
      { criterion: "specificity", atLeast: 0.9 },
      { criterion: "cost", falsePositive: 1, falseNegative: 5 },
    ] as const)
      expect(chooseThreshold(truth, apart, criterion)).toBe(0.4375);
    const next = 0.5 + 2 ** -53; // no number lies between: the negative stays one
    expect(chooseThreshold([0, 1], [0.5, next])).toBe(next);
    expect(chooseThreshold([0, 1], [0, 1])).toBe(0.5);
    expect(chooseThresholds([1, 0, 0, 1], [0.75, 0.25, 0.5, 0.5], 2)).toEqual([0.625, 0.375]);
  });

  it("keeps a wanted sensitivity at the greatest specificity", () => {
    expect(chooseThreshold(labels, scores, { criterion: "sensitivity", atLeast: 0.9 })).toBe(0.25);
    expect(chooseThreshold(labels, scores, { criterion: "sensitivity", atLeast: 0 })).toBe(0.8);
    expect(() => chooseThreshold(labels, scores, { criterion: "sensitivity", atLeast: 2 })).toThrow(
      EvaluationError,
    );
  });

  it("needs both classes to be chosen, and leaves undefined rates NaN", () => {
    expect(() => chooseThreshold([1, 1], [0.2, 0.3])).toThrow(/samples of both classes/);
    expect(atThreshold([1, 1], [0.2, 0.3], 0.5)).toMatchObject({
      sensitivity: 0,
      specificity: Number.NaN,
      positivePredictiveValue: Number.NaN,
    });
  });
});

describe("malformed samples", () => {
  const rows = [
    [0.5, 0.5],
    [0.25, 0.75],
  ];
  it.each<[string, () => unknown, RegExp]>([
    ["no samples", () => classificationMetrics([], [], 2), /at least one sample/],
    ["one class", () => classificationMetrics([0], [[1]], 1), /at least 2 classes, got 1/],
    ["half a class", () => classificationMetrics([0], [[1]], 2.5), /2.5 is not a number of classes/],
    [
      "a negative label",
      () => classificationMetrics([0, -1], rows, 2),
      /label -1 of sample 1 is not a class/,
    ],
    [
      "a label past the end",
      () => classificationMetrics([0, 2], rows, 2),
      /label 2 of sample 1 .* 2 classes are 0 to 1/,
    ],
    ["a fractional label", () => classificationMetrics([0, 0.5], rows, 2), /label 0.5/],
    [
      "too few rows",
      () => classificationMetrics([0, 1, 1], rows, 2),
      /3 labels of 2 classes need 6 probabilities, got 4/,
    ],
    [
      "a short row",
      () => classificationMetrics([0, 1], [[0.5, 0.5], [1]], 2),
      /sample 1 has 1 probabilities for 2 classes/,
    ],
    [
      "NaN",
      () =>
        classificationMetrics(
          [0, 1],
          [
            [0.5, 0.5],
            [Number.NaN, 1],
          ],
          2,
        ),
      /sample 1 has NaN for class 0/,
    ],
    [
      "a negative probability",
      () =>
        classificationMetrics(
          [0, 1],
          [
            [-0.5, 1.5],
            [0, 1],
          ],
          2,
        ),
      /sample 0 has -0.5/,
    ],
    [
      "rows that do not sum to 1",
      () =>
        classificationMetrics(
          [0, 1],
          [
            [0.5, 0.6],
            [0, 1],
          ],
          2,
        ),
      /sample 0 sum to 1.1, not to 1/,
    ],
    ["a threshold's NaN", () => atThreshold([0, 1], [0.5, Number.NaN], 0.5), /sample 1 has NaN/],
    ["a threshold's lengths", () => chooseThreshold([0, 1], [0.5]), /2 labels, but 1 probabilities/],
  ])("are refused: %s", (_what, call, message) => {
    expect(call).toThrow(EvaluationError);
    expect(call).toThrow(message);
  });
});

it("metrics of many samples are quick", () => {
  const count = 100_000;
  const labels = Int32Array.from({ length: count }, (_, i) => (i * 7919) % 3);
  const first = Float64Array.from({ length: count }, (_, i) => ((i * 104729) % 65537) / 65537);
  const flat = Float32Array.from({ length: 3 * count }, (_, i) =>
    i % 3 === 0 ? first[i / 3]! : (1 - first[Math.floor(i / 3)]!) / 2,
  );
  expect(classificationMetrics(labels, flat, 3).samples).toBe(count);
});
