/** The summary's sentences, by the golden numbers, and its warnings, each by a sample that deserves it. */
import { describe, expect, it } from "vitest";
import { classificationMetrics } from "../../../src/metrics/classification.js";
import type { Estimate } from "../../../src/metrics/estimate.js";
import { ofHundred, ofHundredWithin } from "../../../src/reports/numbers.js";
import { rightOf } from "../../../src/reports/sections/pooled.js";
import { type SummaryOptions, summaryOf, summarySection } from "../../../src/reports/sections/summary.js";
import type { AnyEvaluation } from "../../../src/reports/several-labels.js";
import { evaluationOfEvidence } from "../../support/evaluations.js";
import { evidence, type Golden } from "../../support/evidence.js";
import { hostile, textOf } from "../../support/markup.js";

const summary = (evaluation: AnyEvaluation, options: SummaryOptions = {}) =>
  summaryOf(evaluation, rightOf(evaluation), options);
const words = (evaluation: AnyEvaluation, options: SummaryOptions = {}) =>
  textOf(summarySection(summary(evaluation, options)).body);
const hundred = (value: number) => String(Math.round(value * 100));
const within = ([value, lower, upper]: Golden) =>
  `${hundred(value)} (${hundred(lower)} to ${hundred(upper)})`;
const { sensitivity, specificity, positivePredictiveValue, threshold } = evidence.diagnostic;

/** Two classes, from how often each pair of truth and score comes. */
function binary(counts: readonly (readonly [truth: number, score: number, count: number])[]): AnyEvaluation {
  const all = counts.flatMap(([truth, score, count]) => new Array(count).fill([truth, score] as const));
  const rows = all.map(([, score]) => [1 - score, score]);
  const labels = Int32Array.from(all, ([truth]) => truth);
  const metrics = classificationMetrics(labels, rows, ["well", "ill"]);
  return { metrics, labels, probabilities: Float32Array.from(rows.flat()) };
}

describe("of two classes the summary says", () => {
  const byImage = evaluationOfEvidence("two classes", { patients: false });

  it("how many of a hundred are found and called wrongly, as statsmodels has it", () => {
    const [share, lower, upper] = specificity as Golden;
    const alarms = within([1 - share, 1 - upper, 1 - lower]);
    expect(words(byImage, { threshold })).toContain(
      `Of 100 images of class pneumonia it finds ${within(sensitivity as Golden)}; of 100 others it calls ${alarms} so.`,
    );
    expect(words(byImage, { threshold })).toContain(
      `Of 100 that it calls, ${within(positivePredictiveValue as Golden)} have it`,
    );
    expect(words(byImage, { threshold })).toContain("is called from a probability of 0.300 on");
    expect(words(byImage)).toContain("is called where it is the more probable of the two");
  });

  it("patients where each image is of another, images otherwise", () => {
    const each = Array.from(byImage.labels, (_, i) => `p${i}`);
    expect(words({ ...byImage, patients: each })).toContain("Of 100 patients of class pneumonia");
    expect(words(evaluationOfEvidence("two classes"))).toContain("Of 100 images of class pneumonia");
  });

  it("why a number cannot be said", () => {
    const well = binary([[0, 0.2, 30]]);
    expect(words(well)).toContain("How much of ill it finds cannot be said, because no sample is positive");
    expect(words(well)).toContain("What a call is worth cannot be said, because nothing is called positive");
  });
});

it("of several classes it says how many are called rightly, and what guessing would do", () => {
  const text = words(evaluationOfEvidence("several classes", { patients: false }));
  const [lower, upper] = evidence.wholeByImage.accuracy!;
  // scikit-learn resamples accuracy; Wilson's interval is within a hundredth of that.
  const [, value, from, to] = /it calls (\d+) \((\d+) to (\d+)\) rightly/.exec(text)!.map(Number);
  expect(value).toBe(Math.round(evidence.whole.accuracy! * 100));
  expect(Math.abs(from! - lower * 100)).toBeLessThan(1.5);
  expect(Math.abs(to! - upper * 100)).toBeLessThan(1.5);
  expect(text).toMatch(/Calling all of them \w would be right in \d+\./);
});

it("of several labels it says how often all are right, and each label by itself", () => {
  const text = words(evaluationOfEvidence("several labels"));
  expect(text).toContain(`gets all labels right in ${hundred(evidence.multi.values.subsetAccuracy!)} (`);
  for (const label of ["edema", "mass", "nodule"])
    expect(text).toContain(`Of 100 images with ${label} it finds`);
});

it("of many classes it tells of those that are found least", () => {
  const classes = Array.from({ length: 12 }, (_, i) => `class ${i}`);
  const labels = Int32Array.from({ length: 240 }, (_, i) => i % 12);
  // Class k is found in all but k of its 20 images.
  const rows = Array.from(labels, (label, i) => {
    const called = Math.floor(i / 12) < label ? (label + 1) % 12 : label;
    return classes.map((_, at) => (at === called ? 0.89 : 0.01));
  });
  const metrics = classificationMetrics(labels, rows, classes);
  const { body } = summarySection(
    summary({ metrics, labels, probabilities: Float32Array.from(rows.flat()) }),
  );
  expect(body.split("What to be careful about")[0]!.match(/of class <b>class \d+<\/b>/g)).toEqual(
    [11, 10, 9, 8, 7].map((k) => `of class <b>class ${k}</b>`),
  );
  expect(body).toContain("Of 12 classes, the 5 that it finds least");
});

describe("it warns", () => {
  const good = binary([
    [1, 0.9, 180],
    [1, 0.1, 20],
    [0, 0.1, 180],
    [0, 0.9, 20],
  ]);
  const cautions = (evaluation: AnyEvaluation, options: SummaryOptions = {}) =>
    summary(evaluation, options).cautions;

  it("of nothing that there is no reason for", () => {
    expect(cautions(good)).toEqual([
      expect.stringMatching(/one set of images/),
      expect.stringMatching(/not known of all images whom they are of/),
    ]);
  });

  it.each([
    ["training", /remembers them, and nothing of others/],
    ["validation", /chosen on these very images/],
    ["internal test", /same collection/],
    ["external test", /need not hold in a third place/],
  ] as const)("of what %s images cannot tell", (judged, sentence) => {
    expect(cautions(good, { judged })[0]).toMatch(sentence);
  });

  it("of few images, and of few of a kind", () => {
    const few = binary([
      [1, 0.9, 10],
      [0, 0.1, 50],
    ]);
    expect(cautions(few).join("\n")).toMatch(/60 images in all[\s\S]*only 10 images of class ill/);
  });

  it("of wide intervals", () => {
    const wide = binary([
      [1, 0.9, 15],
      [1, 0.1, 10],
      [0, 0.1, 200],
    ]);
    expect(cautions(wide).join("\n")).toMatch(
      /The interval is wide: of 100 of class ill it may find anything between 41 and 77/,
    );
  });

  it("once of all classes with wide intervals", () => {
    const labels = Int32Array.from({ length: 60 }, (_, i) => i % 3);
    const rows = Array.from(labels, (label, i) =>
      [0, 1, 2].map((k) => (k === (i % 2 ? label : (label + 1) % 3) ? 0.8 : 0.1)),
    );
    const metrics = classificationMetrics(labels, rows, ["a", "b", "c"]);
    const evaluation = { metrics, labels, probabilities: Float32Array.from(rows.flat()) };
    const wide = cautions(evaluation).filter((sentence) => sentence.includes("wide"));
    expect(wide).toHaveLength(1);
    expect(wide[0]).toMatch(
      /^Intervals are wide: of 100 of class a it may find anything between \d+ and \d+; of class b between \d+ and \d+; of class c between/,
    );
  });

  it("of an AUC that may be a coin's, and of no more than the commonest class", () => {
    const coin = binary([
      [1, 0.6, 30],
      [1, 0.4, 30],
      [0, 0.6, 30],
      [0, 0.4, 30],
    ]);
    const said = cautions(coin).join("\n");
    expect(said).toMatch(
      /not been shown that it tells ill from the rest better than a coin: .* includes 0\.5/,
    );
    expect(said).toMatch(/Calling all of them well would be right in 50 of 100/);
  });

  it("of probabilities that do not come true", () => {
    const extreme = binary([
      [1, 0.99, 160],
      [1, 0.01, 40],
      [0, 0.01, 160],
      [0, 0.99, 40],
    ]);
    expect(cautions(extreme).join("\n")).toMatch(
      /too extreme \(calibration slope 0\.30, 0\.\d\d to 0\.\d\d; 1 is right\)/,
    );
    const high = binary([
      [1, 0.9, 100],
      [0, 0.9, 60],
      [0, 0.5, 100],
      [1, 0.5, 30],
    ]);
    expect(cautions(high).join("\n")).toMatch(/gives ill too high probabilities/);
  });

  it("of what it is told, and all of it is escaped", () => {
    const { body } = summarySection(summary(good, { cautions: [hostile] }));
    expect(body).not.toContain("<script");
    expect(body).toContain("&lt;script&gt;");
  });
});

describe("so many of a hundred", () => {
  it.each([
    [0, "0"],
    [1, "100"],
    [0.944, "94"],
    [0.997, "99.7"],
    [0.9999, "more than 99.9"],
    [0.002, "0.2"],
    [0.0001, "less than 0.1"],
  ])("%d is %s", (share, text) => {
    expect(ofHundred(share)).toBe(text);
  });

  it("has its interval, or the reason why it has none", () => {
    const all: Estimate[] = [
      { value: 0.9, lower: 0.8, upper: 0.95, method: "wilson" },
      { value: 0.9, reason: "r" },
      { reason: "r" },
    ];
    expect(all.map(ofHundredWithin)).toEqual(["90 (80 to 95)", "90 (no interval, because r)", undefined]);
  });
});
