/** The tape: which tensors get gradients, how they add up, and what backward keeps and frees. */
import { describe, expect, it } from "vitest";
import { ArgumentError, DisposedError } from "../../src/errors.js";
import {
  add,
  keep,
  mul,
  noGrad,
  ones,
  openDevice,
  relu,
  selectiveScan,
  sum,
  type Tensor,
  tensor,
  tidy,
  zeros,
} from "../../src/index.js";

const leaf = (...values: number[]) => tensor(values, undefined, { requiresGrad: true });
const gradientOf = async (x: Tensor) => x.grad && [...(await x.grad.data())];

describe("recording", () => {
  it("marks what depends on a leaf, and nothing else", () => {
    const [x, constant] = [leaf(1, 2), ones([2])];
    expect(mul(x, constant).requiresGrad).toBe(true);
    expect(mul(constant, constant).requiresGrad).toBe(false);
    expect(x.detach().requiresGrad).toBe(false);
    expect(mul(x, 2).clone().requiresGrad).toBe(false);
  });

  it("stops inside noGrad, also nested and after an error", () => {
    const x = leaf(1);
    expect(noGrad(() => mul(x, 2)).requiresGrad).toBe(false);
    noGrad(() => {
      noGrad(() => {});
      expect(mul(x, 2).requiresGrad).toBe(false);
    });
    expect(() =>
      noGrad(() => {
        throw new Error("stopped");
      }),
    ).toThrow("stopped");
    expect(mul(x, 2).requiresGrad).toBe(true);
  });

  it("keeps nothing for backward where there is none", () => {
    const device = openDevice("cpu", { threads: 1 });
    const sequence = () => zeros([1, 4, 64], { device });
    const x = {
      u: sequence(),
      delta: sequence(),
      A: zeros([4, 16], { device }),
      B: zeros([1, 16, 64], { device }),
    };
    const before = device.memory();
    const y = selectiveScan({ ...x, C: x.B });
    expect(device.memory().tensors).toBe(before.tensors + 1);
    y.dispose();
    expect(device.memory().bytes).toBe(before.bytes);
    device.close();
  });
});

describe("backward", () => {
  it("adds to the gradients that are there", async () => {
    const x = leaf(1, 2, 3);
    sum(mul(x, x)).backward();
    expect(await gradientOf(x)).toEqual([2, 4, 6]);
    const held = x.grad;
    sum(mul(x, 10)).backward();
    expect(await gradientOf(x)).toEqual([12, 14, 16]);
    expect(x.grad).toBe(held);
    x.grad = null;
    sum(x.neg()).backward();
    expect(await gradientOf(x)).toEqual([-1, -1, -1]);
  });

  it("sums over all uses of a tensor", async () => {
    const [x, y] = [leaf(2, -3), leaf(5, 7)];
    const product = mul(x, y);
    sum(add(mul(product, product), add(product, x))).backward(); // 2 x y^2 + y + 1
    expect(await gradientOf(x)).toEqual([2 * 2 * 25 + 5 + 1, 2 * -3 * 49 + 7 + 1]);
    expect(await gradientOf(y)).toEqual([2 * 4 * 5 + 2, 2 * 9 * 7 - 3]);
  });

  it("walks long chains", async () => {
    const x = leaf(1);
    let y: Tensor = x;
    for (let i = 0; i < 5000; i += 1) y = add(y, x);
    y.backward();
    expect(await gradientOf(x)).toEqual([5001]);
  });

  it("starts from a given gradient", async () => {
    const x = leaf(1, 2, 3);
    mul(x, 2).backward({ gradient: tensor([1, 0, -4]) });
    expect(await gradientOf(x)).toEqual([2, 0, -8]);
  });

  it("leaves leaves alone that the result does not depend on, or that are frozen", async () => {
    const [x, other] = [leaf(1), leaf(1)];
    const frozen = tensor([3]);
    sum(mul(x, frozen)).backward();
    expect(await gradientOf(x)).toEqual([3]);
    expect(other.grad).toBeNull();
    expect(frozen.grad).toBeNull();
  });

  it("frees intermediate results, and says so", async () => {
    const x = leaf(1, -2);
    const [middle, kept] = [mul(x, 3), keep(mul(x, 4))];
    const loss = sum(add(relu(middle), kept));
    loss.backward();
    expect(await loss.item()).toBe(3 - 4);
    expect(middle.disposed).toBe(true);
    await expect(middle.data()).rejects.toThrow(DisposedError);
    await expect(middle.data()).rejects.toThrow(/freed.*keep\(tensor\).*retainGraph/);
    expect([...(await kept.data())]).toEqual([4, -8]);
    expect([...(await x.data())]).toEqual([1, -2]);
  });

  it("runs again only with retainGraph", async () => {
    const x = leaf(3);
    const middle = mul(x, x);
    const y = mul(middle, 2);
    y.backward({ retainGraph: true });
    expect(await middle.item()).toBe(9);
    y.backward();
    expect(await gradientOf(x)).toEqual([24]);
    expect(() => y.backward()).toThrow(/freed by an earlier backward.*retainGraph/);
  });

  it("refuses a graph of which a part was freed", () => {
    const x = leaf(3);
    const shared = keep(mul(x, x));
    const [first, second] = [mul(shared, 2), mul(shared, 3)];
    first.backward();
    expect(() => second.backward()).toThrow(ArgumentError);
    expect(() => second.backward()).toThrow("freed");
  });

  it("refuses what has no gradient", () => {
    expect(() => ones([1]).backward()).toThrow("does not depend on any tensor with requiresGrad");
    expect(() => leaf(1).backward()).toThrow("leaf");
    const y = mul(leaf(1, 2), 2);
    expect(() => y.backward()).toThrow(/float32 \(2\) is not a scalar.*gradient/);
    expect(() => y.backward({ gradient: ones([3]) })).toThrow(/float32 \(3\).*float32 \(2\)/);
  });

  it("works when forward ran inside tidy", async () => {
    const x = leaf(1, 2);
    const y = tidy(() => sum(relu(mul(mul(x, 3), x))));
    y.backward();
    expect(await gradientOf(x)).toEqual([6, 12]);
  });

  it("inside tidy leaves the gradients alive", async () => {
    const x = leaf(1, 2);
    tidy(() => sum(mul(x, 3)).backward());
    expect(await gradientOf(x)).toEqual([3, 3]);
  });
});
