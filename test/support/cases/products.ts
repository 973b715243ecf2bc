/** Matrix products and convolutions. */
import { conv2d, depthwiseConv2d, linear, matmul, transpose } from "../../../src/index.js";
import * as reference from "../reference.js";
import { map, uniform } from "../values.js";
import { operationCase } from "./operation-case.js";

const shapes: [number[], number[]][] = [
  [
    [1, 1],
    [1, 1],
  ],
  [
    [3, 5],
    [5, 7],
  ],
  [
    [1, 33],
    [33, 17],
  ],
  [
    [37, 2],
    [2, 1],
  ],
  [
    [2, 3, 4, 5],
    [2, 3, 5, 6],
  ],
  [
    [4, 3, 9],
    [9, 5],
  ],
  [
    [65, 70],
    [70, 49],
  ],
];
const products = [
  ...shapes.map(([left, right], i) =>
    operationCase({
      name: `matmul of (${left}) and (${right})`,
      inputs: { a: uniform(i, left), b: uniform(50 + i, right) },
      run: ({ a, b }) => matmul(a, b),
      reference: ({ a, b }) => reference.matmul(a, b),
    }),
  ),
  operationCase({
    name: "matmul of a matrix with its transpose",
    inputs: { x: uniform(20, [4, 6]) },
    run: ({ x }) => matmul(x, transpose(x)),
    reference: ({ x }) => reference.matmul(x, reference.permute(x, [1, 0])),
  }),
  ...(
    [
      [[5], 3],
      [[7, 9], 4],
      [[2, 3, 5, 19], 33],
    ] as [number[], number][]
  ).flatMap(([shape, outputs], i) => [
    operationCase({
      name: `linear of (${shape}) to ${outputs}`,
      inputs: {
        x: uniform(30 + i, shape),
        weight: uniform(40 + i, [outputs, shape.at(-1)!]),
        bias: uniform(50 + i, [outputs]),
      },
      run: ({ x, weight, bias }) => linear(x, weight, bias),
      reference: ({ x, weight, bias }) => reference.linear(x, weight, bias),
    }),
    operationCase({
      name: `linear of (${shape}) to ${outputs}, no bias`,
      inputs: { x: uniform(60 + i, shape), weight: uniform(70 + i, [outputs, shape.at(-1)!]) },
      run: ({ x, weight }) => linear(x, weight),
      reference: ({ x, weight }) => reference.linear(x, weight),
    }),
  ]),
];

interface Form {
  image: number[];
  outputs: number;
  kernel: number;
  stride?: number;
  bias?: boolean;
}
const forms: Form[] = [
  { image: [2, 3, 5, 7], outputs: 4, kernel: 1, bias: true },
  { image: [1, 1, 1, 1], outputs: 1, kernel: 1 },
  { image: [1, 1, 1, 3], outputs: 2, kernel: 3, bias: true },
  { image: [2, 1, 9, 5], outputs: 3, kernel: 3 },
  { image: [2, 7, 1, 4], outputs: 17, kernel: 3, bias: true },
  { image: [1, 5, 11, 19], outputs: 21, kernel: 3, bias: true },
  { image: [3, 4, 6, 16], outputs: 16, kernel: 3 },
  { image: [2, 5, 7, 3], outputs: 5, kernel: 2, stride: 2, bias: true },
  { image: [1, 8, 12, 3], outputs: 6, kernel: 4, stride: 4, bias: true },
  { image: [1, 9, 10, 1], outputs: 3, kernel: 3, stride: 3 },
];
const convolutions = forms.map(({ image, outputs, kernel, stride = 1, bias = false }, i) => {
  const weight = uniform(200 + i, [outputs, image.at(-1)!, kernel, kernel]);
  const padding = kernel === 3 && stride === 1 ? 1 : 0;
  const inputs = { x: uniform(100 + i, image), weight, bias: uniform(300 + i, [outputs]) };
  const name = `conv2d ${kernel}x${kernel}, stride ${stride}, of (${image}) to ${outputs}${bias ? "" : ", no bias"}`;
  return bias
    ? operationCase({
        name,
        inputs,
        run: (t) => conv2d(t.x, t.weight, t.bias, { stride }),
        reference: (v) => reference.conv2d(v.x, v.weight, v.bias, { stride, padding }),
      })
    : operationCase({
        name,
        inputs: { x: inputs.x, weight },
        run: (t) => conv2d(t.x, t.weight, undefined, { stride }),
        reference: (v) => reference.conv2d(v.x, v.weight, undefined, { stride, padding }),
      });
});

const depthwise = [
  [1, 1, 1, 1],
  [2, 3, 5, 7],
  [1, 6, 4, 19],
  [2, 1, 8, 32],
].flatMap((image, i) => {
  const channels = image.at(-1)!;
  const [x, weight] = [uniform(400 + i, image), uniform(500 + i, [channels, 1, 3, 3])];
  return [
    operationCase({
      name: `depthwiseConv2d with SiLU of (${image})`,
      inputs: { x, weight, bias: uniform(600 + i, [channels]) },
      run: (t) => depthwiseConv2d(t.x, t.weight, t.bias, { silu: true }),
      reference: (v) => map(reference.depthwise3x3(v.x, v.weight, v.bias), reference.silu),
    }),
    operationCase({
      name: `depthwiseConv2d of (${image}), no bias`,
      inputs: { x, weight },
      run: (t) => depthwiseConv2d(t.x, t.weight),
      reference: (v) => reference.depthwise3x3(v.x, v.weight),
    }),
  ];
});

export const productCases = [...products, ...convolutions, ...depthwise];
