/** Percentiles of more values than are sorted at once, against those of all of them sorted. */
import { expect, it } from "vitest";
import { percentiles } from "../../../src/data/decoding/percentiles.js";

/** Values in pieces, as files give them. */
const inPieces = (values: Float64Array) =>
  function* pieces() {
    for (let at = 0; at < values.length; at += 100_000) yield values.subarray(at, at + 100_000);
  };

function sorted(values: Float64Array, low: number, high: number): [number, number] {
  const finite = values.filter(Number.isFinite).sort();
  const last = finite.length - 1;
  return [finite[Math.floor(low * last)] as number, finite[Math.ceil(high * last)] as number];
}

/** Numbers that follow from a place alone. */
const noise = (i: number): number => (Math.imul(i ^ 0x5bd1e995, 0x9e3779b1) >>> 0) / 2 ** 32;

it.each<[string, (i: number) => number]>([
  ["evenly spread", noise],
  ["mostly one value", (i) => (i % 50 === 0 ? noise(i) * 1000 : 0)],
  ["with one far away", (i) => (i === 7 ? 1e300 : noise(i))],
  ["from end to end of all doubles", (i) => (noise(i) - 0.5) * 2 * Number.MAX_VALUE],
  ["of integers", (i) => Math.floor(noise(i) * 65536) - 32768],
  ["with some that are not finite", (i) => [Number.NaN, Infinity, -Infinity][i % 20] ?? noise(i)],
  ["all the same", () => -4],
])("percentiles of values %s are exact", async (_, value) => {
  const values = Float64Array.from({ length: 2 ** 20 + 99 }, (_, i) => value(i));
  for (const [low, high] of [
    [0.005, 0.995],
    [0.5, 1],
  ] as const)
    expect(await percentiles(inPieces(values), low, high)).toEqual(sorted(values, low, high));
});

it("there are none of values that are not finite", async () => {
  expect(await percentiles(inPieces(new Float64Array(9).fill(Number.NaN)), 0, 1)).toBeUndefined();
});
