/** Feature vectors of images, as a network's inner stage gives them, checked once. */

import { EvaluationError } from "../errors.js";
import { expectList, inWords } from "../settings/given.js";

/** @internal (n, width) row-major, all finite. */
export interface Features {
  readonly count: number;
  readonly width: number;
  readonly values: ArrayLike<number>;
}

/**
 * @internal
 * @throws EvaluationError if there are none, they are not a whole number of vectors, or one has a value that is not finite
 */
export function checkFeatures(operation: string, values: ArrayLike<number>, width: number): Features {
  if (!Number.isSafeInteger(width) || width < 1) {
    throw new EvaluationError(
      `${operation}: ${inWords(width)} is not a number of features; use a positive integer.`,
    );
  }
  expectList(operation, "features", values);
  if (values.length === 0 || values.length % width !== 0) {
    throw new EvaluationError(`${operation}: ${values.length} values are no vectors of ${width} features.`);
  }
  for (let place = 0; place < values.length; place++) {
    if (!Number.isFinite(values[place])) {
      throw new EvaluationError(
        `${operation}: feature ${place % width} of sample ${Math.floor(place / width)} is ${inWords(values[place])}.`,
      );
    }
  }
  return { count: values.length / width, width, values };
}
