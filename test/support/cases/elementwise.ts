/** Functions of each element, arithmetic with broadcasting, softmax. */
import {
  add,
  div,
  exp,
  gelu,
  log,
  logSoftmax,
  mul,
  neg,
  relu,
  sigmoid,
  silu,
  softmax,
  sub,
} from "../../../src/index.js";
import * as reference from "../reference.js";
import { map, uniform } from "../values.js";
import { operationCase } from "./operation-case.js";

const functions = [
  { operation: relu, f: (x: number) => Math.max(x, 0) },
  { operation: silu, f: reference.silu },
  { operation: gelu, f: reference.gelu },
  { operation: sigmoid, f: reference.sigmoid },
  { operation: exp, f: Math.exp },
  { operation: log, f: Math.log },
];

/** Sizes around one vector of 4, 8 or 16 floats, and one that several tasks share. */
const unary = functions.flatMap(({ operation, f }, i) =>
  [[1], [5, 7], [3, 11, 3]].map((shape, j) =>
    operationCase({
      name: `${operation.name} of (${shape})`,
      inputs: { x: operation === log ? uniform(i, shape, 0.01, 9) : uniform(10 * i + j, shape, -4, 4) },
      run: ({ x }) => operation(x),
      reference: ({ x }) => map(x, f),
    }),
  ),
);

const binaryOperations = [
  { operation: add, f: (a: number, b: number) => a + b },
  { operation: sub, f: (a: number, b: number) => a - b },
  { operation: mul, f: (a: number, b: number) => a * b },
  { operation: div, f: (a: number, b: number) => a / b },
];
const broadcasts: [number[], number[]][] = [
  [
    [3, 5, 7],
    [3, 5, 7],
  ],
  [[3, 5, 7], [7]],
  [[5], [2, 3, 5]],
  [
    [2, 1, 7],
    [4, 1],
  ],
  [
    [4, 1, 3, 1],
    [1, 5, 1, 17],
  ],
  [[3, 5, 8], [8]],
  [[12], [2, 3, 1]],
  [
    [2, 3, 4],
    [3, 1],
  ],
  [
    [1, 16],
    [5, 16],
  ],
  [[], [2, 9]],
  [[2, 3, 19], []],
  [[], []],
];
const binary = binaryOperations.flatMap(({ operation, f }, i) =>
  broadcasts.map(([left, right], j) =>
    operationCase({
      name: `${operation.name} of (${left}) and (${right})`,
      inputs: { a: uniform(100 * i + j, left), b: uniform(500 + j, right, 0.5, 2) },
      run: ({ a, b }) => operation(a, b),
      reference: ({ a, b }) => reference.broadcast(a, b, f),
    }),
  ),
);

const scalars = [
  operationCase({
    name: "arithmetic with numbers",
    inputs: { x: uniform(20, [3, 13]) },
    run: ({ x }) => div(mul(sub(add(neg(x), 2), 0.25), 3), 7),
    reference: ({ x }) => map(x, (value) => ((-value + 2 - 0.25) * 3) / 7),
  }),
];

const usedTwice = [
  operationCase({
    name: "x * x",
    inputs: { x: uniform(21, [5, 7]) },
    run: ({ x }) => mul(x, x),
    reference: ({ x }) => map(x, (value) => value * value),
  }),
  operationCase({
    name: "x + x",
    inputs: { x: uniform(22, [9]) },
    run: ({ x }) => add(x, x),
    reference: ({ x }) => map(x, (value) => 2 * value),
  }),
  operationCase({
    name: "x - x",
    inputs: { x: uniform(23, [9]) },
    run: ({ x }) => sub(x, x),
    reference: ({ x }) => map(x, () => 0),
    flat: ["x"],
  }),
  operationCase({
    name: "a result used by three operations",
    inputs: { x: uniform(24, [4, 5]), w: uniform(25, [5]) },
    run: ({ x, w }) => {
      const y = silu(mul(x, w));
      return add(mul(y, y), sub(exp(y), mul(y, w)));
    },
    reference: ({ x, w }) => {
      const y = map(x, (value, i) => reference.silu(value * w.data[i % 5]!));
      return map(y, (value, i) => value * value + Math.exp(value) - value * w.data[i % 5]!);
    },
  }),
];

const softmaxes = [[1, 1], [3, 5], [2, 3, 17], [40]].flatMap((shape, i) => [
  operationCase({
    name: `softmax of (${shape})`,
    inputs: { x: uniform(30 + i, shape, -5, 5) },
    run: ({ x }) => softmax(x),
    reference: ({ x }) => reference.softmax(x),
    flat: shape.at(-1) === 1 ? ["x"] : [],
  }),
  operationCase({
    name: `logSoftmax of (${shape})`,
    inputs: { x: uniform(40 + i, shape, -5, 5) },
    run: ({ x }) => logSoftmax(x),
    reference: ({ x }) => reference.logSoftmax(x),
    flat: shape.at(-1) === 1 ? ["x"] : [],
  }),
]);

export const elementwiseCases = [...unary, ...binary, ...scalars, ...usedTwice, ...softmaxes];
