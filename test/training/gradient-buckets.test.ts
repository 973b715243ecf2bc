/** Which gradients leave when, and that what leaves is complete. */
import { afterEach, describe, expect, it } from "vitest";
import { openDevice, optim, type Tensor, tensor } from "../../src/index.js";
import { GradientBuckets } from "../../src/training/gradient-buckets.js";

const device = openDevice("cpu", { threads: 1 });
const leaf = (value: number): Tensor => {
  const made = tensor(new Float32Array(16).fill(value), [16], { device });
  made.requiresGrad = true;
  return made;
};

/** What is sent, at the moment when it is. */
async function sentOf(
  groups: readonly (readonly Tensor[])[],
  loss: () => Tensor,
  bytes: number,
): Promise<number[][]> {
  const optimizer = new optim.SGD(
    groups.map((parameters) => ({ parameters })),
    { lr: 0.1 },
  );
  const buckets = new GradientBuckets(optimizer, bytes);
  const sent: Promise<ArrayLike<number | bigint>>[] = [];
  optimizer.gradients.upload(new Float32Array(optimizer.gradients.size).fill(-1)); // of another step
  buckets.fill(
    () => loss().backward(),
    (values) => sent.push(values.data()),
  );
  const values = await Promise.all(sent);
  buckets.dispose();
  optimizer.dispose();
  // One value of each parameter: its 16 elements are alike.
  return values.map((own) => Array.from(own, Number).filter((_, i) => i % 16 === 0));
}

describe("buckets", () => {
  const [a, b, c, d] = [1, 2, 3, 4].map(leaf) as [Tensor, Tensor, Tensor, Tensor];
  const all = [a, b, c, d];
  afterEach(() => {
    for (const parameter of all) parameter.grad = null;
  });
  const one = 64; // bytes of a parameter

  it("leave from the end of each group, complete", async () => {
    const chain = () => a.mul(b).mul(c).mul(d).sum();
    expect(await sentOf([[a, b, c], [d]], chain, one)).toEqual([[8], [12], [24], [6]]);
    expect(await sentOf([[a, b, c], [d]], chain, 2 * one)).toEqual([[12, 8], [24], [6]]);
    expect(await sentOf([all], chain, 1)).toEqual([[6], [8], [12], [24]]);
    expect(await sentOf([all], chain, 1e6)).toEqual([[24, 12, 8, 6]]);
  });

  it("wait for all uses of a parameter", async () => {
    // d is used last, which backward visits first, and first.
    const twice = () => d.mul(a).mul(b).add(c).mul(d).sum();
    expect(await sentOf([all], twice, one)).toEqual([[2 * 4 * 2 + 3], [4], [16], [32]]);
  });

  it("have 0 for what no gradient reaches", async () => {
    expect(await sentOf([all], () => a.mul(c).sum(), 2 * one)).toEqual([
      [1, 0],
      [3, 0],
    ]);
  });

  it("take in gradients that lie elsewhere", async () => {
    const loss = () => {
      b.grad = tensor(new Float32Array(16).fill(100), [16], { device });
      return a.mul(b).sum();
    };
    expect(await sentOf([[a, b]], loss, one)).toEqual([[101], [2]]);
  });
});

describe("work beside the device's", () => {
  const filled = (value: number, y: Tensor) => ({ count: y.size, value, y });

  it("comes after what was called before, and before what is called after a join", async () => {
    const [x, y] = [leaf(0), leaf(0)];
    for (let round = 1; round < 20; round++) {
      device.call("fill", filled(round, x));
      device.callBeside("affine", { count: 16, scale: 2, shift: 0, x, y });
      device.join();
      device.call("fill", filled(-1, x));
      expect((await y.data())[15]).toBe(2 * round);
    }
  });

  it("tells what went wrong with it to whoever waits after the join", async () => {
    const y = leaf(0);
    device.callBeside("exchange", { bytes: 4, x: y, y, communicator: undefined });
    device.join();
    await expect(device.synchronize()).rejects.toThrow("there is no communicator to reach other ranks by");
    await device.synchronize();
  });
});
