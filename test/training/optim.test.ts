/** Optimisers, clipping and averaging on every backend, against PyTorch's formulas in double. */
import { describe, expect, it } from "vitest";
import { nn, optim, sum, type Tensor, tensor } from "../../src/index.js";
import { norm } from "../../src/ops/updates.js";
import { backends } from "../support/backends.js";
import { expectClose } from "../support/closeness.js";
import { toTensor, uniform, type Values } from "../support/values.js";

const shapes = [[3], [5, 7], [], [2, 1, 33], [300]];
const initial = shapes.map((shape, i) => uniform(i, shape));
/** The gradients of each of several steps. */
const gradients = [0, 1, 2, 3].map((step) =>
  shapes.map((shape, i) => uniform(100 * step + 10 + i, shape, -3, 3)),
);

/** Moves one parameter by one step; `state` starts empty. */
type Formula = (parameter: Float64Array, gradient: Float64Array, state: Float64Array[], step: number) => void;

function expected(formula: Formula, scaleOf: (step: readonly Values[]) => number = () => 1): Float64Array[] {
  const parameters = initial.map(({ data }) => Float64Array.from(data));
  const states = parameters.map((p) => [new Float64Array(p.length), new Float64Array(p.length)]);
  for (const [step, given] of gradients.entries()) {
    for (const [i, parameter] of parameters.entries()) {
      const gradient = given[i]!.data.map((value) => value * scaleOf(given));
      formula(parameter, gradient, states[i]!, step + 1);
    }
  }
  return parameters;
}

const sgd =
  ({ lr = 0.1, momentum = 0, dampening = 0, weightDecay = 0, nesterov = false }): Formula =>
  (parameter, gradient, [buffer], step) => {
    for (const [i, value] of parameter.entries()) {
      const slope = gradient[i]! + weightDecay * value;
      buffer![i] = step === 1 ? slope : momentum * buffer![i]! + (1 - dampening) * slope;
      const move = momentum === 0 ? slope : nesterov ? slope + momentum * buffer![i]! : buffer![i]!;
      parameter[i] = value - lr * move;
    }
  };

const adam =
  ({ lr = 1e-3, betas = [0.9, 0.999], eps = 1e-8, weightDecay = 0, decoupled = false }): Formula =>
  (parameter, gradient, [first, second], step) => {
    const [beta1 = 0, beta2 = 0] = betas;
    for (const [i, value] of parameter.entries()) {
      const slope = gradient[i]! + (decoupled ? 0 : weightDecay * value);
      first![i] = beta1 * first![i]! + (1 - beta1) * slope;
      second![i] = beta2 * second![i]! + (1 - beta2) * slope * slope;
      const size = Math.sqrt(second![i]! / (1 - beta2 ** step)) + eps;
      const decayed = decoupled ? value * (1 - lr * weightDecay) : value;
      parameter[i] = decayed - (lr * (first![i]! / (1 - beta1 ** step))) / size;
    }
  };

describe.each(backends())("optimisers on %s", (_, device) => {
  const leaves = () => initial.map((values) => toTensor(values, device, true));

  function giveGradients(parameters: readonly Tensor[], step: readonly Values[]): void {
    for (const [i, parameter] of parameters.entries()) {
      sum(parameter.mul(toTensor(step[i]!, device))).backward();
    }
  }

  async function train(make: (parameters: Tensor[]) => optim.Optimizer<{ lr: number }>, maxNorm?: number) {
    const parameters = leaves();
    const optimizer = make(parameters);
    for (const step of gradients) {
      optimizer.zeroGrad();
      giveGradients(parameters, step);
      if (maxNorm) optimizer.clipGradNorm(maxNorm);
      optimizer.step();
    }
    return parameters;
  }

  async function expectParameters(
    parameters: readonly Tensor[],
    want: readonly Float64Array[],
  ): Promise<void> {
    for (const [i, parameter] of parameters.entries())
      await expectClose(parameter, want[i]!, { relative: 2e-6 }, `parameter ${i}`);
  }

  it.each([
    { lr: 0.1 },
    { lr: 0.1, momentum: 0.9, weightDecay: 0.1 },
    { lr: 0.05, momentum: 0.8, dampening: 0.3 },
    { lr: 0.05, momentum: 0.9, nesterov: true },
  ])("SGD %o", async (settings) => {
    const parameters = await train((given) => new optim.SGD(given, settings));
    await expectParameters(parameters, expected(sgd(settings)));
  });

  it.each([{}, { lr: 0.01, betas: [0.8, 0.95] as const, eps: 1e-3, weightDecay: 0.2 }])(
    "Adam %o",
    async (settings) => {
      const parameters = await train((given) => new optim.Adam(given, settings));
      await expectParameters(parameters, expected(adam(settings as object)));
    },
  );

  it.each([{ weightDecay: 0.05 }, { lr: 0.02, betas: [0.5, 0.9] as const, weightDecay: 0.3 }])(
    "AdamW %o",
    async (settings) => {
      const parameters = await train((given) => new optim.AdamW(given, settings));
      await expectParameters(parameters, expected(adam({ ...(settings as object), decoupled: true })));
    },
  );

  const jointNorm = (step: readonly Values[]) => Math.hypot(...step.flatMap(({ data }) => [...data]));

  it.each([5, 1e6])("clips the joint norm to %f", async (maxNorm) => {
    const scale = (step: readonly Values[]) => Math.min(1, maxNorm / (jointNorm(step) + 1e-6));
    const parameters = await train((given) => new optim.SGD(given, { lr: 0.1, momentum: 0.9 }), maxNorm);
    await expectParameters(parameters, expected(sgd({ lr: 0.1, momentum: 0.9 }), scale));
  });

  it("reports the norm before clipping", async () => {
    const parameters = leaves();
    const optimizer = new optim.SGD(parameters, { lr: 1 });
    giveGradients(parameters, gradients[0]!);
    await expectClose([await optimizer.clipGradNorm(1).item()], [jointNorm(gradients[0]!)], {
      relative: 1e-6,
    });
  });

  it("has settings for groups, and leaves parameters without gradient alone", async () => {
    const [a, b, c, d, e] = leaves() as [Tensor, Tensor, Tensor, Tensor, Tensor];
    const optimizer = new optim.SGD(
      [{ parameters: [a, b] }, { parameters: [c, d, e], settings: { lr: 1 } }],
      { lr: 0.1 },
    );
    giveGradients([a], gradients[0]!);
    sum(d.mul(toTensor(gradients[0]![3]!, device))).backward();
    optimizer.step();
    const moved = (i: number, lr: number) =>
      initial[i]!.data.map((value, j) => value - lr * gradients[0]![i]!.data[j]!);
    await expectClose(a, moved(0, 0.1), { relative: 1e-6 }, "first group");
    await expectClose(d, moved(3, 1), { relative: 1e-6 }, "second group");
    for (const [parameter, i] of [
      [b, 1],
      [c, 2],
      [e, 4],
    ] as const)
      await expectClose(parameter, initial[i]!.data, { absolute: 0 }, `parameter ${i}`);
  });

  it("has all gradients in one buffer: each parameter's is a slice of it, in order, at a multiple of 16", async () => {
    const parameters = leaves();
    const [a, b, ...others] = parameters as [Tensor, Tensor, ...Tensor[]];
    const optimizer = new optim.AdamW([{ parameters: [a, b] }, { parameters: others }]);
    const { gradients: flat } = optimizer;
    const offsets = [0, 16, 64, 80, 160]; // of 3, 35, 1, 66 and 300 elements
    expect(flat.shape).toEqual([160 + 304]);
    await expectClose(flat, new Float32Array(flat.size), { absolute: 0 }, "before the first backward");
    giveGradients(parameters, gradients[0]!);
    const together = new Float32Array(flat.size);
    for (const [i, { data }] of gradients[0]!.entries()) together.set(data, offsets[i]);
    await expectClose(flat, together, { absolute: 0 }, "after backward: zeros between the slices");

    flat.upload(Float32Array.from({ length: flat.size }, (_, element) => element));
    for (const [i, { grad, size }] of parameters.entries()) {
      const slice = Float32Array.from({ length: size }, (_, element) => offsets[i]! + element);
      await expectClose(grad!, slice, { absolute: 0 }, `parameter ${i} sees what is written to the buffer`);
    }

    optimizer.zeroGrad();
    expect(parameters.every(({ grad }) => grad === null)).toBe(true);
    expect((await flat.data()).slice(16, 16 + 35)).toEqual(
      Float32Array.from({ length: 35 }, (_, i) => 16 + i),
    );
    giveGradients([a], gradients[1]!);
    expect((await flat.data()).slice(0, 3)).toEqual(Float32Array.from(gradients[1]![0]!.data));
    optimizer.dispose();
    expect(flat.disposed).toBe(true);
  });

  it("continues from a saved state with the same bits", async () => {
    const whole = await train((given) => new optim.AdamW(given));
    const parameters = leaves();
    const first = new optim.AdamW(parameters);
    for (const step of gradients.slice(0, 2)) {
      first.zeroGrad();
      giveGradients(parameters, step);
      first.step();
    }
    const { step, tensors } = first.stateDict();
    const saved = {
      step,
      tensors: Object.fromEntries(Object.entries(tensors).map(([name, t]) => [name, t.clone()])),
    };
    first.dispose();
    const second = new optim.AdamW(parameters);
    second.loadStateDict(saved);
    for (const later of gradients.slice(2)) {
      second.zeroGrad();
      giveGradients(parameters, later);
      second.step();
    }
    for (const [i, parameter] of parameters.entries())
      await expectClose(parameter, await whole[i]!.data(), { absolute: 0 }, `parameter ${i}`);
  });

  it("joins the norms of any tensors: finite only if they all are", async () => {
    const tensors = gradients[0]!.map((values) => toTensor(values, device));
    await expectClose(norm(device, tensors), [jointNorm(gradients[0]!)], { relative: 1e-6 });
    await expectClose(norm(device, []), [0], { absolute: 0 });
    for (const wrong of [Number.NaN, Number.POSITIVE_INFINITY]) {
      const spoilt = tensor([1, wrong, 2], [3], { device });
      expect(await norm(device, [...tensors, spoilt]).item()).not.toSatisfy(Number.isFinite);
    }
  });

  it("averages weights, and lends the averages to the model", async () => {
    const model = new nn.Linear(5, 3, { device });
    const start = await model.weight.data();
    const average = new optim.MovingAverage(model, 0.5);
    const next = uniform(1, [3, 5]);
    model.weight.copyFrom(toTensor(next, device));
    average.update(0); // the decay of the first step is (1 + 0) / (10 + 0)
    const first = next.data.map((value, i) => 0.1 * start[i]! + 0.9 * value);
    await expectClose(average.stateDict().weight, first, { relative: 1e-6 });
    average.update(1000);
    const second = next.data.map((value, i) => 0.5 * first[i]! + 0.5 * value);
    await average.during(async () => expectClose(model.weight, second, { relative: 1e-6 }));
    await expectClose(model.weight, next.data, { absolute: 0 }, "trained weights after during()");
    const failed = average.during(async () => Promise.reject(new Error("stopped")));
    await expect(failed).rejects.toThrow("stopped");
    await expectClose(model.weight, next.data, { absolute: 0 }, "trained weights after a failure");
  });
});
