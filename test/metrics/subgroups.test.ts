import { describe, expect, it } from "vitest";
import { EvaluationError } from "../../src/errors.js";
import { classificationIntervals } from "../../src/metrics/classification-intervals.js";
import { poolByUnit } from "../../src/metrics/pooling.js";
import { subgroups } from "../../src/metrics/subgroups.js";
import { drawnAlike, evidence, expectNear, partsOf } from "../support/evidence.js";

const { labels, probabilities, patients } = evidence;
const { scanner, values, byPatient } = evidence.subgroups;

describe("subgroups", () => {
  const options = { ...drawnAlike, patients };
  const groups = subgroups(labels, probabilities, 4, { scanner }, options);

  it("differ from the rest as scikit-learn says with the same draws", () => {
    const [of] = groups.filter(({ value }) => value === "old");
    const { accuracy, auc } = of!.scores;
    expectNear(partsOf(accuracy!.difference), [values[0]!, ...byPatient[0]!], 1e-13);
    expectNear(partsOf(auc!.difference), [values[1]!, ...byPatient[1]!], 1e-13);
  });

  it("are judged as if they were all there is", () => {
    const members = [...labels.keys()].filter((i) => scanner[i] === "new");
    const pick = <T>(list: readonly T[]) => members.map((i) => list[i]!);
    const alone = classificationIntervals(pick(labels), pick(probabilities), 4, {
      ...options,
      patients: pick(patients),
    });
    expect(groups.map(({ attribute, value }) => [attribute, value])).toEqual([
      ["scanner", "new"],
      ["scanner", "old"],
    ]);
    expect(groups[0]!.samples).toBe(members.length);
    expect(groups[0]!.scores.accuracy!.inside).toEqual(alone.accuracy);
    expect(groups[1]!.scores.auc!.outside).toEqual(alone.auc);
    expect(groups[0]!.warning).toBeUndefined();
  });

  it("of few samples come with a warning, and without others with a reason", () => {
    const rare = labels.map((_, i) => (i < 3 ? "rare" : i === 3 ? undefined : ""));
    const [group] = subgroups(labels, probabilities, 4, { rare }, { resamples: 50 });
    expect(group).toMatchObject({
      value: "rare",
      samples: 3,
      warning: expect.stringMatching(/only 3 samples/),
    });
    const one = labels.map((_, i) => (i < 1 ? "one" : ""));
    expect(subgroups(labels, probabilities, 4, { one }, { resamples: 50 })[0]!.warning).toMatch(
      /^only 1 sample:/,
    );
    const [all] = subgroups(labels, probabilities, 4, { all: labels.map(() => "x") }, { resamples: 50 });
    expect(all!.scores.accuracy!.difference.reason).toMatch(/outside the group, there are no such samples/);
  });

  it("are refused where they are none", () => {
    const of = (attributes: Record<string, string[]>, metrics?: string[]) => () =>
      subgroups(labels, probabilities, 4, attributes, { metrics: metrics as never });
    expect(of({ age: ["1"] })).toThrow(EvaluationError);
    expect(of({ age: labels.map((_, i) => String(i)) })).toThrow(/160 different values/);
    expect(of({ scanner }, ["luck"])).toThrow(/"luck" is not one of the metrics/);
  });
});

describe("pooling by patient", () => {
  const rows = [
    [0.8, 0.2],
    [0.3, 0.7],
    [0.6, 0.4],
  ];

  it("takes the mean, or the highest of the second class", () => {
    const units = ["p", "p", "q"];
    const mean = poolByUnit([1, 1, 0], rows, 2, units);
    expect(mean).toMatchObject({
      units: ["p", "q"],
      labels: Int32Array.of(1, 0),
      images: Int32Array.of(2, 1),
    });
    expectNear([...mean.probabilities], [0.55, 0.45, 0.6, 0.4], 1e-15);
    expectNear(
      [...poolByUnit([1, 1, 0], rows, 2, units, { by: "max" }).probabilities],
      [0.3, 0.7, 0.6, 0.4],
      1e-15,
    );
  });

  it("scales the highest of several classes to the sum 1", () => {
    const three = [
      [0.6, 0.3, 0.1],
      [0.2, 0.7, 0.1],
    ];
    expectNear(
      [...poolByUnit([0, 0], three, 3, [1, 1], { by: "max" }).probabilities],
      [0.6 / 1.4, 0.5, 0.1 / 1.4],
      1e-15,
    );
  });

  it("refuses labels that differ, unless the highest is wanted, and names no patient", () => {
    const differ = (options?: object) => poolByUnit([0, 1, 0], rows, 2, ["Smith", "Smith", "q"], options);
    expect(() => differ()).toThrow(/samples 0 and 1 are of one unit/);
    expect(() => differ()).not.toThrow(/Smith/);
    expect([...differ({ label: "highest" }).labels]).toEqual([1, 0]);
    expect(() => poolByUnit([0, 1, 0], rows, 2, ["p", "", "q"])).toThrow(/unit of sample 1 is not known/);
    expect(() => poolByUnit([0, 1, 0], rows, 2, ["p"])).toThrow(EvaluationError);
  });
});
