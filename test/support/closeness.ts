/** How near a result is to what it should be. Errors are measured over a whole tensor, not element by element. */
import { expect } from "vitest";
import { Tensor } from "../../src/index.js";
import type { DType } from "../../src/tensor/dtype.js";

/** Numbers on the host, whatever holds them. */
export type Numbers = ArrayLike<number | bigint>;

export interface Tolerance {
  /** Bound of |actual - expected| / |expected| in the Euclidean norm. */
  relative?: number;
  /** Bound of the largest |actual - expected|; either bound suffices. */
  absolute?: number;
}

export async function numbersOf(values: Tensor | Numbers): Promise<Numbers> {
  return values instanceof Tensor ? values.data<DType>() : values;
}

/** Euclidean norms and the largest difference; NaN anywhere makes all of them NaN. */
function distance(actual: Numbers, expected: Numbers): { relative: number; absolute: number } {
  let [difference, size, absolute] = [0, 0, 0];
  for (let i = 0; i < expected.length; i += 1) {
    const want = Number(expected[i]);
    const off = Math.abs(Number(actual[i]) - want);
    difference += off * off;
    size += want * want;
    absolute = Math.max(absolute, off);
  }
  return { relative: difference === 0 ? 0 : Math.sqrt(difference / size), absolute };
}

/** Fails with both errors in the message unless `actual` has the size of `expected` and lies within the tolerance. */
export async function expectClose(
  actual: Tensor | Numbers | null | undefined,
  expected: Tensor | Numbers,
  { relative = 0, absolute = 0 }: Tolerance,
  what = "result",
): Promise<void> {
  expect(actual, `${what} is missing`).toBeTruthy();
  const [got, want] = [await numbersOf(actual as Tensor | Numbers), await numbersOf(expected)];
  expect(got.length, `elements of ${what}`).toBe(want.length);
  const error = distance(got, want);
  const near = error.relative <= relative || error.absolute <= absolute;
  const errors = `relative error ${error.relative.toExponential(2)}, absolute ${error.absolute.toExponential(2)}`;
  expect(near, `${what}: ${errors}`).toBe(true);
}

/** The same bits, in the same number of elements. */
export async function expectSameBits(
  actual: Tensor | Numbers,
  expected: Tensor | Numbers,
  what = "result",
): Promise<void> {
  const [got, want] = [await numbersOf(actual), await numbersOf(expected)];
  expect(got.length, `elements of ${what}`).toBe(want.length);
  let differing = 0;
  for (let i = 0; i < want.length; i += 1) if (!Object.is(got[i], want[i])) differing += 1;
  expect(differing, `elements of ${what} that differ`).toBe(0);
}
