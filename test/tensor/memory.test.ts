/** Memory: scopes, disposal, and that training and inference neither leak nor grow. */
import { setImmediate } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ArgumentError } from "../../src/errors.js";
import {
  add,
  conv2d,
  crossEntropy,
  type Device,
  globalAveragePool,
  keep,
  MedMamba,
  matmul,
  mul,
  noGrad,
  ones,
  openDevice,
  optim,
  randn,
  selectiveScan,
  type Tensor,
  tensor,
  tidy,
  zeros,
} from "../../src/index.js";

let device: Device;
beforeEach(() => {
  device = openDevice("cpu", { threads: 2 });
});
afterEach(() => device.close());

const one = () => ones([4], { device });
const live = () => device.memory().tensors;

describe("dispose", () => {
  it("gives memory back at once, and views keep it", () => {
    const x = zeros([1000], { device });
    expect(device.memory()).toMatchObject({ tensors: 1, bytes: 4000 });
    const view = x.reshape(10, 100);
    x.dispose();
    x.dispose();
    expect(device.memory()).toMatchObject({ tensors: 1, bytes: 4000 });
    view.dispose();
    expect(device.memory()).toMatchObject({ tensors: 0, bytes: 0, peakBytes: 4000 });
  });

  it("disposes of a gradient with its tensor", () => {
    const x = ones([4], { device, requiresGrad: true });
    const loss = mul(x, 2).sum();
    loss.backward();
    loss.dispose();
    expect(live()).toBe(2);
    x.dispose();
    expect(live()).toBe(0);
  });

  it("lets queued work finish on what was disposed", async () => {
    const x = randn([512, 512], { device });
    const y = x.matmul(x);
    x.dispose();
    const other = zeros([512, 512], { device }); // may take the memory that x had
    expect((await y.data()).some((value) => value !== 0)).toBe(true);
    expect((await other.data()).every((value) => value === 0)).toBe(true);
  });

  it("is done by the garbage collector where nobody did", async () => {
    setFlagsFromString("--expose-gc");
    const collectGarbage = runInNewContext("gc") as () => void;
    (() => {
      for (let i = 0; i < 20; i += 1) mul(ones([100], { device, requiresGrad: true }), 2).reshape(10, 10);
    })();
    expect(live()).toBe(60);
    for (let i = 0; i < 20 && live() + device.memory().bytes > 0; i += 1) {
      collectGarbage();
      await setImmediate();
    }
    expect(device.memory()).toMatchObject({ tensors: 0, bytes: 0 });
  });

  it("follows a using declaration", () => {
    let inside: Tensor;
    {
      using x = one();
      using sum = add(x, x);
      inside = sum;
      expect(live()).toBe(2);
    }
    expect(inside.disposed).toBe(true);
    expect(live()).toBe(0);
    {
      using model = new MedMamba({ depths: [1], dims: [4], numClasses: 2, device });
      using optimizer = new optim.SGD(model.parameters(), { lr: 1, momentum: 0.9 });
      expect(optimizer.lr).toBe(1);
      expect(live()).toBeGreaterThan(20);
    }
    expect(live()).toBe(0);
  });
});

describe("tidy", () => {
  it("disposes what is made inside and not returned", () => {
    const outside = one();
    const result = tidy(() => add(mul(outside, 2), mul(outside, 3)));
    expect(result.disposed).toBe(false);
    expect(outside.disposed).toBe(false);
    expect(live()).toBe(2);
  });

  it("keeps tensors in returned arrays, objects, maps and sets", () => {
    const { list, map, set } = tidy(() => {
      one();
      return {
        list: [one(), { deep: one() }] as const,
        map: new Map([["a", one()]]),
        set: new Set([one()]),
        text: "a",
      };
    });
    expect(live()).toBe(4);
    for (const tensor of [list[0], list[1].deep, map.get("a"), ...set]) expect(tensor?.disposed).toBe(false);
  });

  it("hands results of an inner scope to the outer one", () => {
    const outer = tidy(() => {
      const inner = tidy(() => add(one(), one()));
      expect(live()).toBe(1);
      return mul(inner, 2);
    });
    expect(live()).toBe(1);
    expect(outer.disposed).toBe(false);
    expect(tidy(() => tidy(one).shape)).toEqual([4]);
    expect(live()).toBe(1);
  });

  it("disposes everything when the body throws, and the scope around goes on", () => {
    const survivor = tidy(() => {
      const made = one();
      expect(() =>
        tidy(() => {
          one();
          throw new RangeError("stopped");
        }),
      ).toThrow(RangeError);
      expect(live()).toBe(1);
      return made;
    });
    expect(survivor.disposed).toBe(false);
    expect(live()).toBe(1);
  });

  it("refuses a promise, and disposes what was made", () => {
    const run = () => tidy(async () => one());
    expect(run).toThrow(ArgumentError);
    expect(run).toThrow("promise");
    expect(live()).toBe(0);
  });

  it("spares what keep() protects", () => {
    let kept: Tensor | undefined;
    tidy(() => {
      tidy(() => {
        kept = keep(one());
      });
    });
    expect(kept?.disposed).toBe(false);
    kept?.dispose();
    expect(live()).toBe(0);
  });
});

describe("operations made of several", () => {
  const of = (...shape: number[]) => randn(shape, { device });
  const image = () => of(2, 5, 7, 3);
  const scan = () => ({ u: of(1, 4, 9), delta: of(1, 4, 9), A: of(4, 3), B: of(1, 3, 9), C: of(1, 3, 9) });

  it.each([
    ["a shared matmul", () => [of(2, 3, 4), of(4, 5)], ([a, b]) => matmul(a!, b!)],
    ["conv2d 1x1", () => [image(), of(4, 3, 1, 1)], ([x, weight]) => conv2d(x!, weight!)],
    [
      "conv2d of patches",
      () => [image(), of(4, 3, 2, 2)],
      ([x, weight]) => conv2d(x!, weight!, undefined, { stride: 2 }),
    ],
    ["globalAveragePool", () => [image()], ([x]) => globalAveragePool(x!)],
    ["sum over two runs of axes", () => [image()], ([x]) => x!.sum([0, 2])],
    [
      "selectiveScan",
      () => Object.values(scan()),
      ([u, delta, A, B, C]) => selectiveScan({ u: u!, delta: delta!, A: A!, B: B!, C: C! }),
    ],
  ] as [string, () => Tensor[], (inputs: Tensor[]) => Tensor][])(
    "%s leaves only its result",
    (_, make, run) => {
      const inputs = make();
      const y = run(inputs);
      expect(live()).toBe(inputs.length + 1);
      for (const tensor of [...inputs, y]) tensor.dispose();
      expect(device.memory()).toMatchObject({ tensors: 0, bytes: 0 });
    },
  );
});

describe("a small MedMamba", () => {
  const make = () => {
    const model = new MedMamba({ depths: [1, 1], dims: [8, 16], numClasses: 3, dropPathRate: 0.2, device });
    return {
      model,
      x: randn([2, 3, 12, 12], { device }),
      y: tensor([0, 2], [2], { dtype: "int64", device }),
    };
  };

  it("trains 300 steps in the same memory", async () => {
    const { model, x, y } = make();
    const opt = new optim.AdamW(model.parameters(), { lr: 1e-3 });
    const seen: string[] = [];
    let last = Number.POSITIVE_INFINITY;
    for (let step = 0; step < 300; step += 1) {
      opt.zeroGrad();
      const loss = crossEntropy(model.forward(x), y);
      loss.backward();
      opt.step();
      last = await loss.item();
      loss.dispose();
      const { tensors, bytes, peakBytes, reservedBytes } = device.memory();
      if (step >= 10)
        seen.push(`${tensors} tensors, ${bytes} bytes, peak ${peakBytes}, reserved ${reservedBytes}`);
    }
    expect(new Set(seen).size, [...new Set(seen)].join("\n")).toBe(1);
    expect(last).toBeLessThan(0.1);
    opt.dispose();
    model.dispose();
    x.dispose();
    y.dispose();
    expect(device.memory()).toMatchObject({ tensors: 0, bytes: 0 });
  });

  it("predicts without leaving anything but the logits", async () => {
    const { model, x } = make();
    model.eval();
    const before = device.memory();
    for (let i = 0; i < 20; i += 1) {
      const logits = noGrad(() => model.forward(x));
      expect(live()).toBe(before.tensors + 1);
      await logits.data();
      logits.dispose();
    }
    expect(device.memory().bytes).toBe(before.bytes);
  });

  it("needs far less memory for inference than for training", async () => {
    const { model, x } = make();
    const rest = device.memory().bytes;
    noGrad(() => model.eval().forward(x)).dispose();
    await device.synchronize();
    const inference = device.memory().peakBytes - rest;
    model.train().forward(x).sum().backward();
    await device.synchronize();
    expect(device.memory().peakBytes - rest).toBeGreaterThan(1.5 * inference);
  });
});
