/** What labels are: a class number an image or, where classes do not exclude each other, a 0 or 1 for each class. */
import type { DataError } from "../errors.js";
import { inWords } from "../settings/given.js";

/** What is asked of an image; `tasks` has an object for each. Data sets and checkpoints carry the name. */
export type TaskName = "multi-class" | "binary" | "multi-label" | "ordinal";

/** All of them. */
export const taskNames: readonly TaskName[] = ["multi-class", "binary", "multi-label", "ordinal"];

/** Integers that `labels` holds for each image. */
export function labelsPerImage(task: TaskName | undefined, classes: number): number {
  return task === "multi-label" ? classes : 1;
}

/**
 * Labels as class numbers.
 *
 * @param problem  makes the error of a sentence that goes on from the array's name
 */
export function classNumbers(
  values: ArrayLike<number>,
  classCount: number | undefined,
  problem: (message: string) => DataError,
): Int32Array {
  for (let i = 0; i < values.length; ++i) {
    const value = values[i] as number;
    const place = `holds ${inWords(value)} for image ${i}`;
    if (!Number.isInteger(value)) throw problem(`${place}; labels must be integers`);
    if (value < 0) throw problem(`${place}; labels must not be negative`);
    if (value >= 2 ** 31) throw problem(`${place}; labels are at most ${2 ** 31 - 1}`);
    if (classCount !== undefined && value >= classCount) {
      throw problem(`${place}; there are ${classCount} classes, so labels run from 0 to ${classCount - 1}`);
    }
  }
  return Int32Array.from(values);
}

/** Labels of several classes an image, 0 or 1 each. @param problem as for `classNumbers` */
export function zerosAndOnes(
  values: ArrayLike<number>,
  classCount: number,
  problem: (message: string) => DataError,
): Int32Array {
  for (let i = 0; i < values.length; ++i) {
    const value = values[i];
    if (value === 0 || value === 1) continue;
    const place = `holds ${inWords(value)} for image ${Math.floor(i / classCount)}`;
    throw problem(`${place}; each of the ${classCount} labels of an image is 0 or 1`);
  }
  return Int32Array.from(values);
}
