/** Operations that move elements, and sums. */
import {
  concat,
  globalAveragePool,
  mean,
  permute,
  reshape,
  slice,
  sum,
  transpose,
} from "../../../src/index.js";
import { mergePatches, patchesOf } from "../../../src/ops/convolution.js";
import * as reference from "../reference.js";
import { at, tabulate, uniform } from "../values.js";
import { operationCase } from "./operation-case.js";

const permutations: [number[], number[]][] = [
  [
    [3, 5],
    [1, 0],
  ],
  [
    [2, 3, 5],
    [2, 0, 1],
  ],
  [
    [2, 3, 5],
    [0, -1, 1],
  ],
  [
    [2, 7, 3, 17],
    [0, 3, 1, 2],
  ],
  [
    [1, 2, 1, 3, 1, 2],
    [5, 3, 1, 0, 2, 4],
  ],
];

const movements = [
  ...permutations.map(([shape, axes], i) =>
    operationCase({
      name: `permute (${shape}) by (${axes})`,
      inputs: { x: uniform(i, shape) },
      run: ({ x }) => permute(x, axes),
      reference: ({ x }) =>
        reference.permute(
          x,
          axes.map((axis) => (axis < 0 ? axis + shape.length : axis)),
        ),
    }),
  ),
  operationCase({
    name: "transpose of two inner axes",
    inputs: { x: uniform(10, [2, 3, 5, 2]) },
    run: ({ x }) => transpose(x, 1, 2),
    reference: ({ x }) => reference.permute(x, [0, 2, 1, 3]),
  }),
  operationCase({
    name: "reshape with an open extent",
    inputs: { x: uniform(11, [4, 3, 5]) },
    run: ({ x }) => reshape(x, [6, -1]),
    reference: ({ x }) => ({ shape: [6, 10], data: x.data }),
  }),
  ...(
    [
      [0, 1, 2],
      [1, 0, 3],
      [1, -4, -1],
      [2, 3, undefined],
    ] as [number, number, number?][]
  ).map(([axis, start, end], i) =>
    operationCase({
      name: `slice axis ${axis} from ${start} to ${end}`,
      inputs: { x: uniform(20 + i, [2, 5, 7]) },
      run: ({ x }) => slice(x, axis, start, end),
      reference: ({ x }) => {
        const extent = x.shape[axis]!;
        const position = (place: number) => (place < 0 ? place + extent : place);
        return reference.slice(x, axis, position(start), position(end ?? extent));
      },
    }),
  ),
  ...[0, 1, -1].map((axis) =>
    operationCase({
      name: `concat along axis ${axis}`,
      inputs: {
        a: uniform(30, axis === 0 ? [1, 3, 5] : axis === 1 ? [2, 1, 5] : [2, 3, 2]),
        b: uniform(31, axis === 0 ? [4, 3, 5] : axis === 1 ? [2, 6, 5] : [2, 3, 1]),
        c: uniform(32, [2, 3, 5]),
      },
      run: ({ a, b, c }) => concat([a, b, c], axis),
      reference: ({ a, b, c }) => reference.concat([a, b, c], axis < 0 ? 2 : axis),
    }),
  ),
  operationCase({
    name: "concat of a tensor with itself",
    inputs: { x: uniform(33, [2, 3]) },
    run: ({ x }) => concat([x, x], 1),
    reference: ({ x }) => reference.concat([x, x], 1),
  }),
  ...[2, 4].map((patch) =>
    operationCase({
      name: `patches of ${patch} from channels-first images`,
      inputs: { x: uniform(40 + patch, [2, 3, 9, 13]) },
      run: ({ x }) => patchesOf(x, patch, "channels-first"),
      reference: ({ x }) => {
        const [down, across] = [Math.floor(9 / patch), Math.floor(13 / patch)];
        return tabulate([2, down, across, 3 * patch * patch], ([image, row, column, position]) => {
          const [channel, i] = [
            Math.floor(position! / (patch * patch)),
            Math.floor(position! / patch) % patch,
          ];
          return at(x, image!, channel, row! * patch + i, column! * patch + (position! % patch));
        });
      },
    }),
  ),
  ...[
    [4, 6],
    [5, 7],
    [2, 3],
  ].map(([height, width]) =>
    operationCase({
      name: `mergePatches of ${height} x ${width}`,
      inputs: { x: uniform(50, [2, height!, width!, 5]) },
      run: ({ x }) => mergePatches(x),
      reference: ({ x }) =>
        tabulate([2, height! >> 1, width! >> 1, 20], ([image, row, column, position]) => {
          const square = Math.floor(position! / 5); // (0,0), (1,0), (0,1), (1,1) of (row, column)
          return at(x, image!, 2 * row! + (square % 2), 2 * column! + (square >> 1), position! % 5);
        }),
    }),
  ),
];

const axesOf: (number[] | number | undefined)[] = [undefined, 0, -1, [1], [0, 2], [1, 2], [2, 0, 1], [0, 3]];
const reductions = axesOf.flatMap((axes, i) => {
  const shape = i === 7 ? [3, 2, 4, 5] : [3, 5, 19];
  const listed = axes === undefined ? [0, 1, 2] : [axes].flat();
  const positive = listed.map((axis) => (axis < 0 ? axis + shape.length : axis));
  const keepDims = i % 2 === 1;
  const kept = shape.map((extent, axis) => (positive.includes(axis) ? 1 : extent));
  const shaped = (y: ReturnType<typeof reference.sumOver>) => (keepDims ? { shape: kept, data: y.data } : y);
  const suffix = `of (${shape}) over ${axes === undefined ? "all" : `(${axes})`}${keepDims ? ", kept" : ""}`;
  return [
    operationCase({
      name: `sum ${suffix}`,
      inputs: { x: uniform(60 + i, shape, 0, 1) },
      run: ({ x }) => sum(x, axes, { keepDims }),
      reference: ({ x }) => shaped(reference.sumOver(x, positive)),
    }),
    operationCase({
      name: `mean ${suffix}`,
      inputs: { x: uniform(70 + i, shape, 0, 1) },
      run: ({ x }) => mean(x, axes, { keepDims }),
      reference: ({ x }) => shaped(reference.meanOver(x, positive)),
    }),
  ];
});

const pools = [
  [1, 1, 1, 3],
  [2, 5, 7, 33],
].map((shape) =>
  operationCase({
    name: `globalAveragePool of (${shape})`,
    inputs: { x: uniform(80, shape) },
    run: ({ x }) => globalAveragePool(x),
    reference: ({ x }) => reference.meanOver(x, [1, 2]),
  }),
);

export const shapeCases = [...movements, ...reductions, ...pools];
