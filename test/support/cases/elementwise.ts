/** Functions of each element, arithmetic with broadcasting, softmax. */
import * as medmamba from "../../../src/index.js";
import { add, div, logSoftmax, mul, neg, softmax, sub } from "../../../src/index.js";
import * as reference from "../reference.js";
import { map, uniform } from "../values.js";
import { operationCase } from "./operation-case.js";

const functions = {
  relu: (x: number) => Math.max(x, 0),
  silu: reference.silu,
  gelu: reference.gelu,
  sigmoid: reference.sigmoid,
  exp: Math.exp,
  log: Math.log,
};

/** Sizes around one vector of 4, 8 or 16 floats, and one that several tasks share. */
const unary = Object.entries(functions).flatMap(([name, f], i) =>
  [[1], [5, 7], [3, 11, 3]].map((shape, j) =>
    operationCase({
      name: `${name} of (${shape})`,
      inputs: { x: name === "log" ? uniform(i, shape, 0.01, 9) : uniform(10 * i + j, shape, -4, 4) },
      run: ({ x }) => medmamba[name as keyof typeof functions](x),
      reference: ({ x }) => map(x, f),
    }),
  ),
);

const binaryOperations = {
  add: (a: number, b: number) => a + b,
  sub: (a: number, b: number) => a - b,
  mul: (a: number, b: number) => a * b,
  div: (a: number, b: number) => a / b,
};
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
  [[], [2, 9]],
  [[2, 3, 19], []],
  [[], []],
];
const binary = Object.entries(binaryOperations).flatMap(([name, f], i) =>
  broadcasts.map(([left, right], j) =>
    operationCase({
      name: `${name} of (${left}) and (${right})`,
      inputs: { a: uniform(100 * i + j, left), b: uniform(500 + j, right, 0.5, 2) },
      run: ({ a, b }) => medmamba[name as keyof typeof binaryOperations](a, b),
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
      const y = medmamba.silu(mul(x, w));
      return add(mul(y, y), sub(medmamba.exp(y), mul(y, w)));
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
