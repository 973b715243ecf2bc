/** What TypeScript would not let through, and plain JavaScript does: typed errors, never garbage or a crash. */
import vm from "node:vm";
import { describe, expect, it } from "vitest";
import {
  ArgumentError,
  batchNorm,
  concat,
  DisposedError,
  type DType,
  DTypeError,
  full,
  generatorState,
  manualSeed,
  OperationError,
  ones,
  openDevice,
  optim,
  rand,
  relu,
  ShapeError,
  setGeneratorState,
  slice,
  type Tensor,
  tensor,
  zeros,
} from "../../src/index.js";
import { fromNative } from "../../src/native/from-native.js";
import { allOrNothing, keep, tidy } from "../../src/tensor/scope.js";

const any = (value: unknown) => value as never;

describe("a tensor's shape and dtype", () => {
  it("cannot be changed by whoever reads them, nor by whoever gave them", () => {
    const given = [2, 3];
    const x = zeros(given);
    given[0] = 1e8;
    expect(() => ((x.shape as number[])[0] = 1e8)).toThrow(TypeError);
    expect(() => Object.assign(x, { shape: [1e8] })).toThrow(TypeError);
    expect(() => Object.assign(x, { dtype: "int64" })).toThrow(TypeError);
    expect(relu(x).shape).toEqual([2, 3]);
  });
});

describe("views and slices", () => {
  it.each([0.25, -1, Number.NaN, "1", Number.POSITIVE_INFINITY])("do not begin at %s", (offset) => {
    expect(() => zeros([4]).view([1], any(offset))).toThrow(ShapeError);
  });
  it.each([
    [0.5, 1.5],
    [0, 1.5],
    [Number.NaN, 1],
    ["0", 1],
  ])("do not go from %s to %s", (start, end) => {
    expect(() => slice(zeros([2, 3]), 0, any(start), any(end))).toThrow(ShapeError);
  });
});

describe("what is made from values", () => {
  it("has one of the dtypes", () => {
    for (const dtype of ["float64", "toString", null, 3] as unknown[] as DType[])
      for (const make of [zeros, ones]) expect(() => make([2], { dtype })).toThrow(DTypeError);
    expect(() => tensor([1], [1], { dtype: "float64" as DType })).toThrow(DTypeError);
  });
  it("is filled with numbers", () => {
    expect(() => full([2], any("3"))).toThrow(ArgumentError);
    expect(() => tensor(any(["1"]))).toThrow(ArgumentError);
  });
  it("is not nested without end", () => {
    const itself: unknown[] = [];
    itself.push(itself);
    let deep: unknown = 1;
    for (let i = 0; i < 1e5; ++i) deep = [deep];
    let wide: unknown = [1, 2];
    for (let i = 0; i < 30; ++i) wide = [wide, wide];
    for (const values of [itself, deep, wide]) expect(() => tensor(any(values))).toThrow(ShapeError);
    expect(tidy(() => any(deep) as unknown)).toBe(deep);
  });
  it("is read from typed arrays of any realm", async () => {
    const values = vm.runInNewContext("new Float32Array([1, 2])") as Float32Array;
    expect([...(await tensor(values).data())]).toEqual([1, 2]);
    expect(() => zeros([2]).upload(any(new Int32Array(2)))).toThrow(DTypeError);
  });
});

it("joins more tensors than the stack has room for", () => {
  const one = zeros([1]);
  expect(concat(new Array<Tensor>(2e5).fill(one), 0).shape).toEqual([2e5]);
});

describe("the generator", () => {
  it.each([Number.NaN, -1, 0.5, "1", null])("does not start from %s", (seed) => {
    expect(() => manualSeed(any(seed))).toThrow(ArgumentError);
    expect(() => setGeneratorState({ seed: any(seed), offset: 0 })).toThrow(ArgumentError);
    expect(() => setGeneratorState({ seed: 0, offset: any(seed) })).toThrow(ArgumentError);
  });
  it("does not move when what it told is changed", () => {
    (generatorState() as { seed: number }).seed = Number.NaN;
    expect(rand([2]).shape).toEqual([2]);
  });
});

describe("memory that a kernel writes to", () => {
  const parameter = () => ones([4]);
  it.each([
    ["dtype", () => zeros([], { dtype: "uint8" }), DTypeError],
    ["shape", () => zeros([0], { dtype: "int64" }), ShapeError],
    ["kind", () => 7 as unknown as Tensor, ArgumentError],
  ] as const)("batchNorm's batchesTracked has its %s", (_, batchesTracked, kind) => {
    const running = { mean: parameter(), variance: parameter(), batchesTracked: batchesTracked() };
    expect(() => batchNorm(ones([2, 4]), parameter(), parameter(), running, { training: true })).toThrow(
      kind,
    );
  });
  it("a gradient that a program has set is as large as its parameter", () => {
    const x = ones([1000], { requiresGrad: true });
    const optimizer = new optim.SGD([x], { lr: 0.1 });
    x.grad = ones([1]);
    expect(() => optimizer.step()).toThrow(ShapeError);
    expect(() => relu(x).backward({ gradient: ones([1000]) })).toThrow(ShapeError);
    expect(() => relu(x).backward({ gradient: zeros([1000], { dtype: "uint8" }) })).toThrow(DTypeError);
  });
});

describe("after close()", () => {
  it("everything says that the device is closed", async () => {
    const device = openDevice("cpu", { threads: 1 });
    const x = ones([2], { device });
    device.close();
    await expect(x.data()).rejects.toThrow(DisposedError);
    await expect(device.synchronize()).rejects.toThrow(DisposedError);
    expect(() => device.describe()).toThrow(DisposedError);
    expect(() => relu(x)).toThrow(DisposedError);
    x.dispose();
  });
});

describe("what fails half-way", () => {
  it("leaves no tensors behind, kept ones neither", () => {
    const device = openDevice("cpu", { threads: 1 });
    const failing = () =>
      allOrNothing(() => {
        keep(ones([2], { device }));
        ones([2], { device });
        throw new ArgumentError("no");
      });
    expect(failing).toThrow(ArgumentError);
    expect(device.memory().tensors).toBe(0);
    device.close();
  });
});

describe("errors of another realm", () => {
  it("are known by their code", () => {
    const foreign = vm.runInNewContext(
      'Object.assign(new Error("relu: no"), { code: "MEDMAMBA_INTERNAL", operation: "relu" })',
    ) as unknown;
    expect(fromNative(foreign)).toBeInstanceOf(OperationError);
    const other = vm.runInNewContext('new TypeError("else")') as unknown;
    expect(fromNative(other)).toBe(other);
  });
});
