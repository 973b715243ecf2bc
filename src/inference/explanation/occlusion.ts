/**
 * Occlusion: what the probability of a class loses when a part of the image is hidden (https://arxiv.org/abs/1311.2901).
 *
 * A square window goes over the image in steps of half its side, and behind it everything is the mean that the
 * preprocessing takes away. A place's value is the mean loss of all windows that covered it. It takes a prediction for each
 * window and no gradient, so it works for any network, and nothing about it can be a quirk of gradients.
 */
import type { HeatMap } from "./class-activation.js";

/** What is known of a window. */
export interface Window {
  /** Of its upper left corner, in pixels. */
  readonly row: number;
  readonly column: number;
}

/** Windows over a square of `size` pixels: the last row and column of windows end at the edge. */
export function windowsOver(size: number, side: number): Window[] {
  const step = Math.max(1, Math.floor(side / 2));
  const starts: number[] = [];
  for (let start = 0; start + side < size; start += step) starts.push(start);
  starts.push(Math.max(0, size - side));
  return starts.flatMap((row) => starts.map((column) => ({ row, column })));
}

/** A copy of an image, (channels, size, size) and normalised so that 0 is the mean, with a window hidden. */
export function hide(
  image: Float32Array,
  { size, side }: { size: number; side: number },
  { row, column }: Window,
): Float32Array {
  const hidden = image.slice();
  for (let start = 0; start < image.length; start += size * size) {
    for (let r = row; r < Math.min(row + side, size); ++r) {
      const line = start + r * size;
      hidden.fill(0, line + column, line + Math.min(column + side, size));
    }
  }
  return hidden;
}

/** The mean loss of the windows that cover each pixel; what hiding improves has no evidence, and counts as 0. */
export function occlusionMap(
  { size, side }: { size: number; side: number },
  windows: readonly Window[],
  losses: ArrayLike<number>,
): HeatMap {
  const sums = new Float64Array(size * size);
  const counts = new Uint32Array(size * size);
  for (const [i, { row, column }] of windows.entries()) {
    for (let r = row; r < Math.min(row + side, size); ++r) {
      for (let c = column; c < Math.min(column + side, size); ++c) {
        sums[r * size + c]! += losses[i] as number;
        counts[r * size + c]! += 1;
      }
    }
  }
  const data = Float32Array.from(sums, (sum, place) => Math.max(0, sum / Math.max(1, counts[place]!)));
  return { height: size, width: size, data };
}
