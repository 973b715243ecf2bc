import { describe, expect, it } from "vitest";
import { EvaluationError } from "../../src/errors.js";
import { reliabilityBins } from "../../src/metrics/calibration.js";
import { classificationMetrics } from "../../src/metrics/classification.js";
import { confidenceIntervals } from "../../src/metrics/intervals.js";
import { confusionMatrixFigure } from "../../src/reports/figures/confusion-matrix.js";
import { fitText, grouped, textWidth } from "../../src/reports/figures/lettering.js";
import { reliabilityDiagram } from "../../src/reports/figures/reliability-diagram.js";
import { rocCurves, rocSeries } from "../../src/reports/figures/roc-curves.js";
import { contrast, readableOn, shade } from "../../src/reports/figures/shade.js";
import { element, escapeMarkup, ink, palette, text } from "../../src/reports/figures/svg.js";
import { type CurveEpoch, trainingCurves } from "../../src/reports/figures/training-curves.js";
import { reportHtml } from "../../src/reports/page.js";
import { expectInside, hostile, parseXml } from "../support/markup.js";

const history: CurveEpoch[] = Array.from({ length: 30 }, (_, index) => ({
  epoch: index + 1,
  trainLoss: 1 / (index + 1),
  validation: {
    loss: 1 / (index + 1) + 0.01 * index,
    accuracy: 0.9 - 0.4 / (index + 1),
    auc: index === 19 ? 0.97 : 0.95 - 0.3 / (index + 1),
  },
}));

/** Labels and probabilities of `classes` classes, wrong now and then. */
function samplesOf(classes: number, count = 200) {
  const labels = Array.from({ length: count }, (_, sample) => (sample * 7) % classes);
  const probabilities = labels.map((label, sample) => {
    const row = Array.from(
      { length: classes },
      (_, index) => 1 + ((sample * 31 + index * 17) % 13) / 3 + (index === label ? 2 : 0),
    );
    const sum = row.reduce((a, b) => a + b);
    return row.map((value) => value / sum);
  });
  return { labels, probabilities, names: Array.from({ length: classes }, (_, index) => `class ${index}`) };
}

const matrixOf = (classes: number) =>
  Array.from({ length: classes }, (_, y) =>
    Array.from({ length: classes }, (_, x) => (x === y ? 12345 : (x * y) % 5)),
  );

const figures: [string, string][] = [
  ["training curves", trainingCurves(history)],
  ["training curves of one epoch", trainingCurves(history.slice(0, 1))],
  [
    "training curves of losses only",
    trainingCurves(history.map(({ epoch, trainLoss }) => ({ epoch, trainLoss: trainLoss ?? null }))),
  ],
  [
    "training curves that diverged",
    trainingCurves(
      history.map((record) => (record.epoch > 9 ? { ...record, trainLoss: Number.NaN } : record)),
    ),
  ],
  ["a constant loss of zero", trainingCurves([1, 2].map((epoch) => ({ epoch, trainLoss: 0 })))],
  ...[2, 7, 20].flatMap((classes): [string, string][] => {
    const { labels, probabilities, names } = samplesOf(classes);
    return [
      [`a confusion matrix of ${classes}`, confusionMatrixFigure(matrixOf(classes), names)],
      [
        `a confusion matrix of ${classes} with long names`,
        confusionMatrixFigure(
          matrixOf(classes),
          names.map((name) => `${name} ${hostile.repeat(9)}`),
        ),
      ],
      [
        `ROC curves of ${classes}`,
        rocCurves(
          rocSeries(
            labels,
            probabilities,
            names.map((name) => name + hostile),
          ),
        ),
      ],
      [
        `a reliability diagram of ${classes}`,
        reliabilityDiagram(reliabilityBins(labels, probabilities, names)),
      ],
    ];
  }),
];

describe.each(figures)("%s", (_name, svg) => {
  it("is well-formed, with everything inside and nothing executable or external", () => {
    const document = parseXml(svg);
    expectInside(document);
    const names = new Set(document.elements.map(({ name }) => name));
    for (const name of names)
      expect(["svg", "title", "desc", "g", "rect", "line", "path", "circle", "text"]).toContain(name);
    expect(svg).not.toMatch(/<script|href|url\(/);
  });

  it("has a size, a white ground and a description", () => {
    const { elements } = parseXml(svg);
    const [root, , ground] = elements;
    expect(root!.attributes).toMatchObject({ xmlns: "http://www.w3.org/2000/svg", role: "img" });
    expect(root!.attributes.viewBox).toBe(`0 0 ${root!.attributes.width} ${root!.attributes.height}`);
    expect(root!.attributes["font-family"]).toMatch(/sans-serif$/);
    const named = elements.find(({ attributes }) => attributes.id === root!.attributes["aria-labelledby"]);
    expect(named?.name).toBe("title");
    expect(ground).toMatchObject({
      name: "rect",
      attributes: { fill: "#ffffff", width: root!.attributes.width },
    });
  });
});

describe("training curves", () => {
  it("mark the epoch of the highest AUC unless told otherwise, once in each panel", () => {
    const { texts } = parseXml(trainingCurves(history));
    expect(texts.filter((content) => content === "best epoch 20")).toHaveLength(2);
    expect(parseXml(trainingCurves(history, { bestEpoch: 7 })).texts).toContain("best epoch 7");
    const losses = history.map(({ epoch, validation }) => ({
      epoch,
      validation: { loss: validation?.loss ?? null },
    }));
    expect(parseXml(trainingCurves(losses)).texts).toContain("best epoch 10");
  });

  it("name their axes and curves, and count epochs in whole numbers", () => {
    const { texts } = parseXml(trainingCurves(history.slice(0, 3)));
    expect(texts).toEqual(
      expect.arrayContaining([
        "Epoch",
        "Loss",
        "Validation score",
        "training",
        "validation",
        "accuracy",
        "AUC",
      ]),
    );
    expect(texts.filter((content) => ["1", "2", "3"].includes(content))).toHaveLength(6);
    const long = Array.from({ length: 300 }, (_, index) => ({ epoch: index, trainLoss: 1 }));
    expect(parseXml(trainingCurves(long)).texts).toEqual(
      expect.arrayContaining(["0", "50", "100", "150", "200", "250"]),
    );
  });

  it("break at a loss that is not a number, and pass over what was not measured", () => {
    const losses = (values: (number | null)[]) => values.map((trainLoss, epoch) => ({ epoch, trainLoss }));
    const pathOf = (svg: string) => parseXml(svg).elements.find(({ name }) => name === "path")!.attributes.d!;
    expect(pathOf(trainingCurves(losses([3, 2, Number.NaN, 1, 1]))).match(/M/g)).toHaveLength(2);
    expect(pathOf(trainingCurves(losses([3, 2, null, 1, 1]))).match(/M/g)).toHaveLength(1);
  });

  it("need something to draw", () => {
    expect(() => trainingCurves([])).toThrow(EvaluationError);
    expect(() => trainingCurves([{ epoch: 1, trainLoss: Number.NaN }])).toThrow(/no loss and no score/);
  });
});

describe("a confusion matrix", () => {
  it("shows counts, and shares of the row that never round up to all or down to none", () => {
    const { texts } = parseXml(
      confusionMatrixFigure(
        [
          [9999, 1],
          [0, 0],
        ],
        ["a", "b"],
      ),
    );
    expect(texts).toEqual(
      expect.arrayContaining(
        ["99.9%", "9999", "&lt;0.1%", "1", grouped(10000)].filter((entry) => entry !== "9999"),
      ),
    );
    expect(texts).toContain(grouped(9999));
    expect(texts).not.toContain("100.0%");
  });

  it("keeps a name that is cut as a tooltip", () => {
    const name = "actinic keratoses and intraepithelial carcinoma";
    const { texts } = parseXml(
      confusionMatrixFigure(
        [
          [1, 0],
          [0, 1],
        ],
        [name, "b"],
      ),
    );
    expect(texts.filter((content) => content === name)).toHaveLength(2);
    expect(texts.some((content) => content.startsWith("actinic") && content.endsWith("…"))).toBe(true);
  });

  it("can be read on every shade", () => {
    for (let share = 0; share <= 1; share += 0.01)
      expect(contrast(readableOn(shade(share)), shade(share))).toBeGreaterThan(4.5);
    expect(contrast("#000000", "#ffffff")).toBeCloseTo(21, 9);
  });

  it("refuses what is not a square of counts", () => {
    expect(() => confusionMatrixFigure([[1, 2]], ["a", "b"])).toThrow(EvaluationError);
    expect(() =>
      confusionMatrixFigure(
        [
          [1, 0.5],
          [0, 1],
        ],
        ["a", "b"],
      ),
    ).toThrow(/0.5 is not a count/);
  });
});

describe("ROC curves", () => {
  const { labels, probabilities, names } = samplesOf(3);

  it("list the areas, and only name a class without samples", () => {
    const only = labels.map((label) => label % 2);
    const series = rocSeries(only, probabilities, names);
    const { texts, elements } = parseXml(rocCurves(series));
    expect(texts).toEqual(
      expect.arrayContaining(["1 − specificity", "Sensitivity", "class 2", "–", series[0]!.auc.toFixed(3)]),
    );
    expect(elements.filter(({ name }) => name === "path")).toHaveLength(2);
  });

  it("are one for two classes, that of the positive class, with the threshold in use", () => {
    const two = samplesOf(2);
    const series = rocSeries(two.labels, two.probabilities, ["benign", "malignant"]);
    expect(series.map(({ name }) => name)).toEqual(["malignant"]);
    const svg = rocCurves(series, { operatingPoint: { threshold: 0.4, sensitivity: 0.9, specificity: 0.7 } });
    expect(parseXml(svg).texts).toEqual(
      expect.arrayContaining(["threshold 0.400", "sensitivity 0.900", "specificity 0.700"]),
    );
  });

  it("stay small for many samples", () => {
    const many = samplesOf(2, 50_000);
    const noisy = many.probabilities.map((row, sample) => {
      const shift = ((sample * 7919) % 10007) / 10007;
      return [(row[0]! + shift) / 2, 1 - (row[0]! + shift) / 2];
    });
    expect(rocCurves(rocSeries(many.labels, noisy, 2)).length).toBeLessThan(40_000);
  });

  it("need a curve", () => {
    expect(() => rocCurves([])).toThrow(EvaluationError);
  });
});

describe("a reliability diagram", () => {
  it("says its error, its samples and its axes", () => {
    const { texts, elements } = parseXml(
      reliabilityDiagram(
        reliabilityBins(
          [0, 0, 1],
          [
            [0.9, 0.1],
            [0.7, 0.3],
            [0.6, 0.4],
          ],
          2,
        ),
      ),
    );
    expect(texts).toEqual(
      expect.arrayContaining(["ECE = 0.333", "3 samples", "Confidence", "Accuracy", "Samples"]),
    );
    expect(elements.filter(({ name }) => name === "circle")).toHaveLength(3);
  });

  it("needs a sample", () => {
    expect(() => reliabilityDiagram([])).toThrow(EvaluationError);
  });
});

describe("lettering", () => {
  it("cuts text to what fits, and leaves what does", () => {
    expect(fitText("melanoma", 12, 100)).toBe("melanoma");
    const cut = fitText("benign keratosis-like lesions", 12, 100);
    expect(cut).toMatch(/^benign.*…$/);
    expect(textWidth(cut, 12)).toBeLessThanOrEqual(100);
    expect(textWidth("肺炎", 10)).toBe(20);
    expect(fitText("👩‍⚕️".repeat(50), 12, 60)).not.toMatch(/[\ud800-\udbff]…/);
  });

  it("groups thousands", () => {
    expect([5, 1234, 1234567].map(grouped)).toEqual(["5", "1\u2009234", "1\u2009234\u2009567"]);
  });

  it("has text colours that can be read on white", () => {
    for (const { text: colour } of palette) expect(contrast(colour, ink.paper)).toBeGreaterThan(4.5);
    expect(contrast(ink.muted, ink.paper)).toBeGreaterThan(4.5);
  });
});

describe("markup", () => {
  it("escapes text and attributes, and replaces what XML cannot hold", () => {
    expect(escapeMarkup(hostile)).toBe(
      "&lt;/svg&gt;&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt; &amp; &#39;x&#39;\ufffd\ufffd",
    );
    expect(element("a", { b: '"<&', c: 1 / 3, d: undefined })).toBe('<a b="&quot;&lt;&amp;" c="0.33"/>');
    expect(text(1, 2, "a<b")).toBe('<text x="1" y="2">a&lt;b</text>');
    expect(escapeMarkup("😀")).toBe("😀");
  });
});

describe("the report", () => {
  const { labels, probabilities, names } = samplesOf(3);
  const metrics = classificationMetrics(labels, probabilities, [hostile, ...names.slice(1)]);
  const intervals = confidenceIntervals(labels, probabilities, 3);
  const svg = confusionMatrixFigure(metrics.confusionMatrix, metrics.classes);
  const page = reportHtml({
    title: hostile,
    description: hostile,
    facts: { [hostile]: hostile },
    metrics,
    intervals,
    figures: [{ svg, caption: hostile }],
  });

  it("holds metrics, intervals, classes and figures", () => {
    expect(page).toContain(metrics.accuracy.toFixed(3));
    expect(page).toContain(`${intervals.auc[0].toFixed(3)} – ${intervals.auc[1].toFixed(3)}`);
    expect(page).toContain(svg);
    for (const value of metrics.sensitivity) expect(page).toContain(value.toFixed(3));
  });

  it("loads nothing, runs nothing, and escapes what it is given", () => {
    expect(page).toMatch(/^<!doctype html>/);
    expect(page).not.toMatch(/<script|<link|<img|src=|href=(?!"#)|@import|url\(|\son\w+=/);
    expect(page).toContain("default-src 'none'");
    const body = page.slice(page.indexOf("<main>"), page.indexOf("</body>")).trim();
    expect(() => parseXml(body)).not.toThrow();
  });

  it("writes a dash for what is undefined", () => {
    const single = classificationMetrics(
      [1, 1],
      [
        [0.2, 0.8],
        [0.4, 0.6],
      ],
      ["a", "b"],
    );
    expect(reportHtml({ title: "t", metrics: single })).toContain('<td class="number">–</td>');
  });
});
