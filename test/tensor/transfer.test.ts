/**
 * Tensors and modules that move between devices: values, gradients, order and failures. Two CPU devices are as separate as
 * a CPU and a GPU; the emulated GPU is there where it is built.
 */
import { afterEach, describe, expect, it } from "vitest";
import { ArgumentError, OperationError, OutOfMemoryError } from "../../src/errors.js";
import {
  add,
  concat,
  conv2d,
  crossEntropy,
  type Device,
  layerNorm,
  linear,
  matmul,
  mul,
  nn,
  noGrad,
  ones,
  openDevice,
  optim,
  randn,
  type Tensor,
  tensor,
  tidy,
  zeros,
} from "../../src/index.js";
import { hasEmulatedCuda } from "../support/backends.js";
import { tinyModel } from "../support/sides.js";

const mebibyte = 2 ** 20;
const open: Device[] = [];
function device(name: string): Device {
  const opened = openDevice(name, name === "cpu" ? { threads: 1 } : {});
  open.push(opened);
  return opened;
}
afterEach(() => {
  for (const opened of open.splice(0)) opened.close();
  delete process.env.MEDMAMBA_EMULATOR_MEMORY;
});

/** Work that keeps a device busy for a while. */
function occupy(on: Device): void {
  tidy(() => {
    const x = ones([700, 700], { device: on });
    for (let i = 0; i < 12; i += 1) matmul(x, x);
  });
}

const pairs = [["cpu", "cpu"], ...(hasEmulatedCuda() ? ["cpu cuda-emulated", "cuda-emulated cpu"] : [])].map(
  (pair) => (typeof pair === "string" ? pair.split(" ") : pair) as [string, string],
);

describe.each(pairs)("to, from %s to %s", (from, to) => {
  it("brings every dtype there and back", async () => {
    const [source, target] = [device(from), device(to)];
    const arrays = [
      Float32Array.of(1.5, -2, Number.NaN, 1e-40),
      Int32Array.of(-1, 2, 3),
      BigInt64Array.of(-1n, 2n ** 60n),
      Uint8Array.of(0, 255, 7),
      new Float32Array(0),
      Float32Array.from({ length: 5 * mebibyte + 3 }, (_, i) => i),
    ];
    for (const values of arrays) {
      const moved = tensor(values, undefined, { device: source }).to(target);
      expect(moved.device).toBe(target);
      expect(Buffer.from((await moved.data()).buffer).equals(Buffer.from(values.buffer))).toBe(true);
      expect(Buffer.from((await moved.to(source).data()).buffer).equals(Buffer.from(values.buffer))).toBe(
        true,
      );
    }
    const half = tensor([1, 3.140625], [2], { device: source }).to("bfloat16").to(target);
    expect(half.dtype).toBe("bfloat16");
    expect([...(await half.data())]).toEqual([1, 3.140625]);
  });

  it("sends the gradient back to where the leaf is", async () => {
    const [source, target] = [device(from), device(to)];
    const x = tensor([1, 2, 3], [3], { device: source, requiresGrad: true });
    const weight = tensor([4, 5, 6], [3], { device: target, requiresGrad: true });
    const there = x.to(target);
    mul(there, weight).to(source).sum().add(x.sum()).backward();
    expect(x.grad?.device).toBe(source);
    expect(weight.grad?.device).toBe(target);
    expect([...(await x.grad!.data())]).toEqual([5, 6, 7]);
    expect([...(await weight.grad!.data())]).toEqual([1, 2, 3]);
  });

  it("keeps the order of both queues, whatever becomes of the source afterwards", async () => {
    const [source, target] = [device(from), device(to)];
    const x = zeros([1000], { device: source });
    const copies: Tensor[] = [];
    for (let i = 1; i <= 20; i += 1) {
      x.copyFrom(add(x, 1));
      copies.push(x.to(target).add(0.5));
    }
    x.dispose();
    randn([1000], { device: source });
    for (const [i, copy] of copies.entries())
      expect(await copy.data()).toEqual(new Float32Array(1000).fill(i + 1.5));
  });

  it("does not wait in a circle when both send to each other", async () => {
    const [source, target] = [device(from), device(to)];
    let [a, b] = [ones([500], { device: source }), zeros([500], { device: target })];
    for (let i = 0; i < 30; i += 1) {
      const [sent, returned] = [a.to(target), b.to(source)];
      [a, b] = [add(a, returned), add(b, sent)];
    }
    const [x, y] = [(await a.data())[0], (await b.data())[0]];
    expect([x, y]).toEqual([2 ** 29, 2 ** 29]);
  });

  it("tells of a failure before it where the result is read", async () => {
    const [source, target] = [device(from), device(to)];
    const logits = randn([2, 3], { device: source });
    const wrong = crossEntropy(logits, tensor([0, 9], [2], { dtype: "int64", device: source }));
    const error = await wrong
      .to(target)
      .item()
      .catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(OperationError);
    expect((error as Error).message).toContain("label 9 of row 1 is not in 0..2");
    await Promise.all([source.synchronize(), target.synchronize()]);
    expect(await ones([1], { device: source }).to(target).item()).toBe(1);
  });
});

describe("a copy whose source is closed before it was made", () => {
  it("is a failure of the target, which goes on", async () => {
    const [source, target] = [device("cpu"), device("cpu")];
    occupy(source);
    const moved = ones([3], { device: source }).to(target);
    source.close();
    await expect(moved.data()).rejects.toThrow(/own device was closed before it was copied/);
    expect(await ones([1], { device: target }).item()).toBe(1);
  });
});

describe("operands on two devices", () => {
  it("are refused, both devices named", () => {
    const [one, two] = [device("cpu"), device(hasEmulatedCuda() ? "cuda-emulated" : "cpu")];
    const here = (...shape: number[]) => zeros(shape, { device: one });
    const there = (...shape: number[]) => zeros(shape, { device: two });
    const labels = tensor([0, 1], [2], { dtype: "int64", device: two });
    const optimizer = new optim.AdamW([zeros([2], { device: one, requiresGrad: true })], { lr: 1 });
    for (const mix of [
      () => add(here(2), there(2)),
      () => matmul(here(2, 2), there(2, 2)),
      () => linear(here(2, 3), there(4, 3)),
      () => conv2d(here(1, 4, 4, 2), there(2, 2, 3, 3)),
      () => layerNorm(here(2, 4), here(4), there(4)),
      () => concat([here(2), there(2)], 0),
      () => crossEntropy(here(2, 3), labels),
      () => here(2).copyFrom(there(2)),
      () => new nn.BatchNorm2d(4, { device: two }).forward(here(1, 2, 2, 4)),
      () => tinyModel({ device: two }).forward(here(1, 1, 32, 32)),
    ]) {
      expect(mix).toThrow(ArgumentError);
      expect(mix).toThrow(
        hasEmulatedCuda() ? /on cpu.*on cuda-emulated:0|cuda-emulated:0.*cpu/ : /another device "cpu"/,
      );
    }
    optimizer.dispose();
  });
});

describe.skipIf(!hasEmulatedCuda())("a module that moves", () => {
  const images = (on: Device) => ones([2, 1, 32, 32], { device: on });

  it("stays the same tensors, computes the same, trains on, and leaves nothing behind", async () => {
    const [cpu, gpu] = [device("cpu"), device("cuda-emulated")];
    const model = tinyModel({ device: cpu }).eval();
    const before = model.stateDict();
    const expected = await noGrad(() => model.forward(images(cpu))).data();
    expect(model.to(gpu)).toBe(model);
    expect(model.device).toBe(gpu);
    const moved = model.stateDict();
    for (const [name, found] of Object.entries(moved)) {
      expect(found).toBe(before[name]);
      expect(found.device).toBe(gpu);
    }
    expect(gpu.memory().tensors).toBe(Object.keys(moved).length);
    const found = await noGrad(() => model.forward(images(gpu))).data();
    for (const [i, value] of found.entries()) expect(value).toBeCloseTo(expected[i]!, 5);

    const optimizer = new optim.AdamW(model.parameters(), { lr: 1e-2 });
    expect(() => model.to(cpu)).toThrow(ArgumentError);
    expect(() => model.to(cpu)).toThrow(/belongs to an optimiser, which stays on cuda-emulated:0/);
    const labels = tensor([0, 1], [2], { dtype: "int64", device: gpu });
    crossEntropy(model.train().forward(images(gpu)), labels).backward();
    optimizer.step();
    optimizer.dispose();
    model.to(cpu);
    const trained = await noGrad(() => model.eval().forward(images(cpu))).data();
    expect(trained).not.toEqual(expected);
    model.dispose();
  });

  it("stays as it was when the other device has no room for it", async () => {
    const [cpu, gpu] = [device("cpu"), device("cuda-emulated")];
    const model = tinyModel({ device: cpu }).eval();
    const expected = await noGrad(() => model.forward(images(cpu))).data();
    process.env.MEDMAMBA_EMULATOR_MEMORY = "1";
    const large = zeros([mebibyte / 8], { device: gpu });
    expect(() => model.to(gpu)).toThrow(OutOfMemoryError);
    expect(model.device).toBe(cpu);
    expect(gpu.memory().tensors).toBe(1);
    large.dispose();
    expect(await noGrad(() => model.forward(images(cpu))).data()).toEqual(expected);
  });
});
