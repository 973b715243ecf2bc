// The results of gpu.mjs as tables: medians over runs.
import { byteSize } from "../../dist/cli/console/wording.js";
import { threeDigits } from "../results-files.mjs";
import { number, over, quantile, spread, times } from "./tables.mjs";

const batchOf = (key) => Number(/:(\d+)\//.exec(key)[1]);
const median = (sides) => quantile(sides.flatMap(({ seconds }) => seconds));

function keysOf(runs, pattern) {
  return [...new Set(runs.flatMap((run) => Object.keys(run)))].filter((key) => pattern.test(key));
}

/** Ours beside PyTorch's MedMamba. */
export function networkRows(runs) {
  const heading = [
    ...["task:batch", "precision", "img/s", "+-", "eager", "compile", "by eager", "by compile", "99 % ms"],
    ...["memory", "eager", "by eager"],
  ];
  return [
    heading,
    ...keysOf(runs, /^(inference|training):/).map((key) => {
      const batch = batchOf(key);
      const mine = over(runs, key, ({ ours }) => batch / median(ours));
      const late = over(runs, key, ({ ours }) =>
        quantile(
          ours.flatMap(({ seconds }) => seconds),
          0.99,
        ),
      );
      const [eager, compiled] = ["eager", "compile"].map((mode) => peerRate(runs, key, mode));
      const memory = over(runs, key, ({ ours }) => Math.max(...ours.map(({ peakBytes }) => peakBytes)));
      const theirs = over(runs, key, ({ peers }) => peers.eager?.peakBytes ?? null);
      return [
        ...key.split("/"),
        ...[number(mine), spread(mine), number(eager), number(compiled)],
        ...[times(mine.value / eager?.value), times(mine.value / compiled?.value)],
        number(late, (value) => threeDigits(1000 * value)),
        ...[number(memory, byteSize), number(theirs, byteSize)],
        theirs ? (memory.value / theirs.value).toFixed(2) : "-",
      ];
    }),
  ];
}

/** Networks that a user would take instead, with ours of the same task and precision above them. */
export function otherRows(runs) {
  const heading = ["network", "task:batch", "precision", "eager", "compile", "memory"];
  const keys = keysOf(runs, /^\w+:(inference|training):/);
  return [
    heading,
    ...keys.map((key) => {
      const [task, precision] = key.split("/");
      const [model, kind, batch] = task.split(":");
      const rates = ["eager", "compile"].map((mode) => number(peerRate(runs, key, mode)));
      const memory = over(runs, key, ({ peers }) => peers.eager?.peakBytes ?? null);
      return [model, `${kind}:${batch}`, precision, ...rates, number(memory, byteSize)];
    }),
  ];
}

export function kernelRows(runs) {
  const heading = ["kernel", "shape", "batch", "precision", "ms", "+-", "PyTorch", "+-", "ratio"];
  return [
    heading,
    ...keysOf(runs, /^kernels:/).flatMap((key) => {
      const rows = runs.find((run) => run[key])[key].ours[0];
      return rows.flatMap((row) => {
        const same = ({ name, shape }) => name === row.name && shape === row.shape;
        const theirs = over(runs, key, ({ peers }) => peers.eager?.find(same)?.seconds ?? null);
        const mine = over(runs, key, ({ ours }) =>
          quantile(ours.map((measured) => measured.find(same).seconds)),
        );
        const milliseconds = (value) => threeDigits(1000 * value);
        return [
          [
            ...[row.name, row.shape, String(batchOf(key)), key.split("/")[1]],
            ...[number(mine, milliseconds), spread(mine), number(theirs, milliseconds), spread(theirs)],
            times(theirs?.value / mine.value),
          ],
        ];
      });
    }),
  ];
}

function peerRate(runs, key, mode) {
  const batch = batchOf(key);
  return over(runs, key, ({ peers }) => (peers[mode] ? batch / quantile(peers[mode].seconds) : null));
}
