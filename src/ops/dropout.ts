/** Random omission, for regularisation. The generator is the one that `manualSeed` seeds. */
import { ArgumentError } from "../errors.js";
import { expectFlags, inWords, optionsOf } from "../settings/given.js";
import { random } from "../tensor/creation.js";
import { currentSeed, nextOffset } from "../tensor/generator.js";
import { record } from "../tensor/tape.js";
import { Tensor } from "../tensor/tensor.js";
import { expectFloats } from "./check.js";

/** @internal @throws ArgumentError unless 0 <= rate < 1 */
export function expectRate(operation: string, rate: number): void {
  if (typeof rate !== "number" || !(rate >= 0 && rate < 1))
    throw new ArgumentError(`${operation}: rate ${inWords(rate)} is not in [0, 1).`);
}

/**
 * Sets each element to zero with probability `rate` and divides the others by `1 - rate`. The mask is not stored:
 * backward draws it again.
 *
 * @throws ArgumentError unless 0 <= rate < 1
 * @see https://jmlr.org/papers/v15/srivastava14a.html
 */
export function dropout(x: Tensor, rate = 0.5, options: { training?: boolean } = {}): Tensor {
  const { training = true } = optionsOf("dropout", options, { training: true });
  expectFlags("dropout", { training });
  expectRate("dropout", rate);
  expectFloats("dropout", { x });
  if (!training || rate === 0) return x;
  const count = x.size;
  const y = Tensor.like(x);
  let mask = { seed: 0, offset: 0 };
  x.device.call("dropout", { count, rate, x, y }, () => {
    mask = { seed: currentSeed(), offset: nextOffset(count) };
    return mask;
  });
  return record("dropout", y, { x }, {}, (dy, _, into) => {
    const dx = into("x");
    if (dx) dy.device.call("dropout", { count, rate, x: dy, y: dx }, () => mask);
    return { x: dx };
  });
}

/**
 * DropPath's factor for each image of a batch: 0 with probability `rate`, otherwise `1 / (1 - rate)`.
 *
 * @returns (batch), on the device of `like`
 * @see https://arxiv.org/abs/1603.09382
 */
export function pathScale(batch: number, rate: number, like: Tensor): Tensor {
  expectRate("pathScale", rate);
  return random([batch], "bernoulliScale", rate, 0, { device: like.device });
}
