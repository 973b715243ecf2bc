/** Divisions by patient: nobody in two parts, shares as near as scikit-learn's, the same whatever the order of the files. */
import { describe, expect, it } from "vitest";
import { type Divisible, groupedFolds, groupedSplit } from "../../../src/data/splitting/grouped.js";
import { ArgumentError } from "../../../src/errors.js";
import { RandomStream } from "../../../src/tensor/random.js";
import { golden } from "../../support/audit-golden.js";

const item = (key: string, labels: readonly number[], group?: string): Divisible => ({ key, labels, group });

/** Images of each class in each part. */
function counts(items: readonly Divisible[], parts: Int32Array, classes: number, count: number): number[][] {
  const found = Array.from({ length: count }, () => new Array<number>(classes).fill(0));
  for (const [at, part] of parts.entries()) for (const label of items[at]!.labels) found[part]![label]! += 1;
  return found;
}

/** Sum over parts and classes of the squared deviation from equal shares, over the share. */
function distance(found: readonly (readonly number[])[]): number {
  const totals = found[0]!.map((_, label) => found.reduce((sum, part) => sum + part[label]!, 0));
  const off = (count: number, label: number) =>
    (count - totals[label]! / found.length) ** 2 / (totals[label]! / found.length);
  return found.flatMap((part) => part.map(off)).reduce((sum, value) => sum + value, 0);
}

const patients = golden.folds.labels.map((label, at) =>
  item(`image ${at}`, [label], `p${golden.folds.groups[at]}`),
);

function expectWhole(items: readonly Divisible[], parts: Int32Array): void {
  const partOf = new Map<string, number>();
  for (const [at, { group }] of items.entries()) {
    if (group === undefined) continue;
    expect(partOf.get(group) ?? parts[at]).toBe(parts[at]);
    partOf.set(group, parts[at]!);
  }
}

describe("folds by patient", () => {
  const parts = groupedFolds(patients, { folds: 5, seed: 0 });

  it("leave every patient in one fold", () => expectWhole(patients, parts));

  it("are balanced at least as well as scikit-learn's StratifiedGroupKFold", () => {
    const own = counts(patients, parts, 4, 5);
    expect(distance(own)).toBeLessThan(distance(golden.folds.counts));
    expect(distance(own)).toBeLessThan(0.5);
  });

  it("do not depend on the order of the images, and do on the seed", () => {
    const order = new RandomStream(3).shuffle(Array.from(patients.keys()));
    const shuffled = groupedFolds(
      order.map((at) => patients[at]!),
      { folds: 5, seed: 0 },
    );
    expect(order.map((at) => parts[at])).toEqual([...shuffled]);
    expect([...groupedFolds(patients, { folds: 5, seed: 1 })]).not.toEqual([...parts]);
  });

  it("do not depend on what patients are called", () => {
    const renamed = patients.map(({ group, ...rest }) => ({
      ...rest,
      group: `${group}`.split("").reverse().join(""),
    }));
    expect([...groupedFolds(renamed, { folds: 5, seed: 0 })]).toEqual([...parts]);
  });
});

describe("a split", () => {
  const shares = [0.7, 0.15, 0.15];

  it("has exact shares of every class where every image is by itself", () => {
    const items = Array.from({ length: 300 }, (_, at) => item(`${at}`, [at % 3 === 0 ? 1 : 0]));
    expect(counts(items, groupedSplit(items, { shares, seed: 5 }), 2, 3)).toEqual([
      [140, 70],
      [30, 15],
      [30, 15],
    ]);
  });

  it("keeps images of one key together, across patients too", () => {
    const items = [
      item("a", [0], "p1"),
      item("a", [0], "p2"),
      item("b", [0], "p2"),
      item("c", [1]),
      item("d", [1]),
    ];
    const parts = groupedSplit(items, { shares: [1, 1], seed: 0 });
    expect(new Set(parts.subarray(0, 3)).size).toBe(1);
  });

  it("has a rare class in every part, where three patients have it", () => {
    const items = Array.from({ length: 103 }, (_, at) => item(`${at}`, [at < 3 ? 1 : 0], `p${at}`));
    const found = counts(items, groupedSplit(items, { shares, seed: 0 }), 2, 3);
    expect(found.map(([, rare]) => rare)).toEqual([1, 1, 1]);
  });

  it("stratifies by each of several labels", () => {
    const random = new RandomStream(1);
    const items = Array.from({ length: 400 }, (_, at) => {
      const labels = [0.5, 0.2, 0.05].flatMap((share, label) => (random.uniform() < share ? [label] : []));
      return item(`${at}`, labels, `p${Math.floor(at / 2)}`);
    });
    const parts = groupedSplit(items, { shares, seed: 0 });
    expectWhole(items, parts);
    const found = counts(items, parts, 3, 3);
    for (let label = 0; label < 3; ++label) {
      const total = found.reduce((sum, part) => sum + part[label]!, 0);
      for (const [part, share] of shares.entries())
        expect(Math.abs(found[part]![label]! - share * total)).toBeLessThanOrEqual(1.01);
    }
    const none = items.filter(({ labels }) => labels.length === 0).length;
    const test = [...parts].filter((part, at) => part === 2 && items[at]!.labels.length === 0).length;
    expect(Math.abs(test - 0.15 * none)).toBeLessThanOrEqual(1.5);
  });

  it("leaves a part of no share empty, and refuses shares that are none", () => {
    const items = Array.from({ length: 10 }, (_, at) => item(`${at}`, [0]));
    expect([...groupedSplit(items, { shares: [1, 0], seed: 0 })]).toEqual(new Array(10).fill(0));
    expect(() => groupedSplit(items, { shares: [1, -1], seed: 0 })).toThrow(ArgumentError);
    expect(() => groupedSplit(items, { shares: [0, 0], seed: 0 })).toThrow(ArgumentError);
  });
});
