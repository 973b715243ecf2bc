/**
 * Gradients of every operation against finite differences, on every backend. The scalar is the sum of the result
 * times random weights. Differences are taken of the naive reference in double, where a step of 1e-5 leaves ten
 * digits, so that the float32 kernels are held to their own rounding and not to that of the differences.
 */
import { describe, expect, it } from "vitest";
import { dropout, manualSeed, mul, ones, randn, sum } from "../../src/index.js";
import { RandomStream } from "../../src/tensor/random.js";
import { backends } from "../support/backends.js";
import { type OperationCase, operationCases } from "../support/cases/index.js";
import { expectClose } from "../support/closeness.js";
import { sizeOf, toTensor, uniform, type Values } from "../support/values.js";

/** Inputs of more elements are differentiated at a random sample of them, and along a direction through all. */
const most = 48;

interface Slope {
  /** Elements that were moved, and the derivative for each. */
  readonly elements: readonly number[];
  readonly derivatives: readonly number[];
  /** One sign an element, and the derivative along that direction. */
  readonly signs: readonly number[];
  readonly along: number;
}

/** Weights of the sum; `y` need only have the shape. */
const weightsFor = (y: { shape: readonly number[] }): Values => uniform(99, y.shape);

/** Finite differences of one input. */
function slope(operation: OperationCase, name: string): Slope {
  const input = operation.inputs[name]!;
  const stream = new RandomStream(7);
  const value = (move: (data: Float64Array, step: number) => void, step: number): number => {
    const data = Float64Array.from(input.data);
    move(data, step);
    const y = operation.reference({ ...operation.inputs, [name]: { shape: input.shape, data } });
    const weights = weightsFor(y).data;
    return y.data.reduce((total, element, i) => total + element * weights[i]!, 0);
  };
  const derivative = (move: (data: Float64Array, step: number) => void) =>
    (value(move, 1e-5) - value(move, -1e-5)) / 2e-5;
  const all = Array.from(input.data.keys());
  const elements = all.length <= most ? all : stream.shuffle([...all]).slice(0, most);
  const signs = all.map(() => (stream.uniform() < 0.5 ? -1 : 1));
  return {
    elements,
    derivatives: elements.map((element) => derivative((data, step) => (data[element]! += step))),
    signs,
    along: derivative((data, step) => {
      for (const [i, sign] of signs.entries()) data[i]! += sign * step;
    }),
  };
}

const slopes = new Map<OperationCase, Readonly<Record<string, Slope>>>();

/** Finite differences of all inputs, computed once for all backends. */
function slopesOf(operation: OperationCase): Readonly<Record<string, Slope>> {
  const known = slopes.get(operation);
  if (known) return known;
  const names = Object.keys(operation.inputs);
  const found = Object.fromEntries(names.map((name) => [name, slope(operation, name)]));
  slopes.set(operation, found);
  return found;
}

describe.each(backends())("gradients on %s", (_, device) => {
  it.each(operationCases.map((operation) => [operation.name, operation] as const))(
    "%s",
    async (_, operation) => {
      const leaves = Object.fromEntries(
        Object.entries(operation.inputs).map(([name, input]) => [name, toTensor(input, device, true)]),
      );
      const y = operation.run(leaves);
      sum(mul(y, toTensor(weightsFor(y), device))).backward();
      for (const [name, { elements, derivatives, signs, along }] of Object.entries(slopesOf(operation))) {
        const gradient = await leaves[name]?.grad?.data();
        expect(gradient, `gradient of ${name}`).toHaveLength(sizeOf(operation.inputs[name]!.shape));
        const chosen = elements.map((element) => gradient![element]!);
        if (operation.flat.includes(name)) {
          await expectClose(chosen, derivatives, { absolute: 2e-5 }, `gradient of ${name}`);
          continue;
        }
        const relative = operation.rounding.gradient;
        await expectClose(chosen, derivatives, { relative, absolute: 1e-7 }, `gradient of ${name}`);
        const size = Math.hypot(...gradient!);
        const projected = gradient!.reduce((total, element, i) => total + element * signs[i]!, 0);
        const what = `gradient of ${name} along a direction`;
        await expectClose([projected], [along], { absolute: 4 * relative * size + 1e-7 }, what);
      }
    },
  );

  it("dropout passes the gradient where it passed the value", async () => {
    manualSeed(3);
    const x = randn([7, 19], { device, requiresGrad: true });
    const y = dropout(x, 0.4);
    const weights = randn([7, 19], { device });
    sum(mul(y, weights)).backward();
    manualSeed(3);
    randn([7, 19], { device }); // the numbers that x took
    const mask = dropout(ones([7, 19], { device }), 0.4);
    await expectClose(x.grad, mul(weights, mask), { absolute: 0 }, "gradient");
    const factors = new Set(await mask.data());
    expect(factors).toEqual(new Set([0, Math.fround(1 / (1 - Math.fround(0.4)))]));
  });
});
