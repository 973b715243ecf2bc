/** Tensors: making and reading them, empty and scalar ones, and the errors that wrong ones raise. */
import { describe, expect, it } from "vitest";
import {
  ArgumentError,
  DeviceError,
  DisposedError,
  DTypeError,
  MedMambaError,
  OperationError,
  OutOfMemoryError,
  ShapeError,
} from "../../src/errors.js";
import {
  add,
  affineSample,
  batchNorm,
  concat,
  conv2d,
  crossEntropy,
  depthwiseConv2d,
  devices,
  dropout,
  focalLoss,
  full,
  layerNorm,
  linear,
  MedMamba,
  manualSeed,
  matmul,
  memory,
  mseLoss,
  nn,
  ones,
  openDevice,
  optim,
  permute,
  rand,
  randn,
  reshape,
  selectiveScan,
  slice,
  softmax,
  sum,
  Tensor,
  tensor,
  whyNotGpu,
  zeros,
} from "../../src/index.js";
import type { DType } from "../../src/tensor/dtype.js";

/** What is thrown, to look at its class and its message. */
function thrown(action: () => unknown): MedMambaError {
  try {
    action();
  } catch (error) {
    return error as MedMambaError;
  }
  throw new Error("nothing was thrown");
}

describe("values", () => {
  it.each([
    ["float32", Float32Array.of(1.5, -2, 3e-40, Number.NaN, Number.POSITIVE_INFINITY, -0)],
    ["int32", Int32Array.of(-(2 ** 31), 0, 2 ** 31 - 1, 5, 6, 7)],
    ["int64", BigInt64Array.of(-(2n ** 63n), 2n ** 63n - 1n, 2n ** 53n + 1n, 0n, -1n, 9n)],
    ["uint8", Uint8Array.of(0, 255, 128, 1, 2, 3)],
  ] as const)("%s come back as they went in", async (dtype, values) => {
    const x = tensor(values, [2, 3]);
    expect(x.dtype).toBe(dtype);
    expect(x.shape).toEqual([2, 3]);
    expect(x.size).toBe(6);
    const read = await x.data<DType>();
    expect(read).toEqual(values);
    expect(read).not.toBe(values);
  });

  it("are taken from nested arrays and their shape", async () => {
    const x = tensor([
      [
        [1, 2],
        [3, 4],
        [5, 6],
      ],
    ]);
    expect(x.shape).toEqual([1, 3, 2]);
    expect(x.dtype).toBe("float32");
    expect([...(await x.data())]).toEqual([1, 2, 3, 4, 5, 6]);
    expect(await tensor(7).item()).toBe(7);
    expect(tensor(7).shape).toEqual([]);
    const labels = tensor([1, 2], [2], { dtype: "int64" });
    expect(await labels.data<"int64">()).toEqual(BigInt64Array.of(1n, 2n));
    expect(await tensor([1 + 2 ** -9, 2], undefined, { dtype: "bfloat16" }).data<"bfloat16">()).toEqual(
      Float32Array.of(1, 2),
    );
  });

  it("are copied at once: the array may be overwritten", async () => {
    const values = Float32Array.of(1, 2, 3);
    const x = tensor(values);
    values.fill(9);
    expect([...(await x.data())]).toEqual([1, 2, 3]);
    x.upload(values);
    values.fill(0);
    expect([...(await x.data())]).toEqual([9, 9, 9]);
  });

  it("can be constants", async () => {
    expect([...(await full([2, 2], 2.5).data())]).toEqual([2.5, 2.5, 2.5, 2.5]);
    expect(await ones([3], { dtype: "int64" }).data<"int64">()).toEqual(BigInt64Array.of(1n, 1n, 1n));
    expect(await zeros([2], { dtype: "uint8" }).data<"uint8">()).toEqual(Uint8Array.of(0, 0));
  });

  it("of views and clones are shared and copied", async () => {
    const x = tensor([1, 2, 3, 4], [2, 2]);
    const [view, copy] = [x.reshape(4), x.clone()];
    x.copyFrom(full([2, 2], 8));
    expect([...(await view.data())]).toEqual([8, 8, 8, 8]);
    expect([...(await copy.data())]).toEqual([1, 2, 3, 4]);
    x.dispose();
    expect([...(await view.data())]).toEqual([8, 8, 8, 8]);
  });

  it("may be none", async () => {
    const x = zeros([0, 3], { requiresGrad: true });
    expect(x.size).toBe(0);
    expect(await x.data()).toEqual(new Float32Array(0));
    expect(add(x, 1).mul(x).shape).toEqual([0, 3]);
    expect(permute(x, [1, 0]).shape).toEqual([3, 0]);
    expect(concat([x.detach(), ones([2, 3])], 0).shape).toEqual([2, 3]);
    expect(matmul(x, ones([3, 2])).shape).toEqual([0, 2]);
    expect([...(await matmul(ones([2, 0]), ones([0, 3])).data())]).toEqual([0, 0, 0, 0, 0, 0]);
    expect(softmax(x).shape).toEqual([0, 3]);
    const total = sum(x.mul(2));
    expect(await total.item()).toBe(0);
    total.backward();
    expect(x.grad?.shape).toEqual([0, 3]);
    expect([...(await sum(zeros([2, 0]), 1).data())]).toEqual([0, 0]);
  });

  it("of a scalar take part in arithmetic", async () => {
    const x = tensor(3, [], { requiresGrad: true });
    const y = x.mul(x).add(x);
    expect(y.shape).toEqual([]);
    expect(await y.item()).toBe(12);
    y.backward();
    expect(await x.grad?.item()).toBe(7);
  });

  it("of random tensors follow manualSeed", async () => {
    const draw = async () => {
      const [a, b] = [randn([3, 5]), rand([7])];
      const layer = new nn.Linear(4, 4);
      return [...(await a.data()), ...(await b.data()), ...(await layer.weight.data())];
    };
    manualSeed(4);
    const [first, next] = [await draw(), await draw()];
    expect(next).not.toEqual(first);
    manualSeed(4);
    expect(await draw()).toEqual(first);
    expect(await draw()).toEqual(next);
    manualSeed(5);
    expect(await draw()).not.toEqual(first);
    for (const seed of [-1, 0.5, 2 ** 53]) expect(() => manualSeed(seed)).toThrow(ArgumentError);
  });
});

describe("ShapeError", () => {
  const x = zeros([2, 3, 5]);
  const image = zeros([1, 4, 6, 3]);
  const scan = {
    u: zeros([2, 4, 9]),
    delta: zeros([2, 4, 9]),
    A: zeros([4, 3]),
    B: zeros([2, 3, 9]),
    C: zeros([2, 3, 9]),
  };
  const model = new MedMamba({ depths: [1, 1], dims: [4, 8], numClasses: 2 });

  it.each([
    ["add", () => add(x, zeros([2, 4])), ["add", "(2, 3, 5)", "(2, 4)"]],
    ["matmul", () => matmul(x, zeros([4, 2])), ["matmul", "(2, 3, 5)", "(4, 2)"]],
    ["linear", () => linear(x, zeros([7, 4])), ["linear", "weight", "(7, 4)", "(7, 5)"]],
    ["linear's bias", () => linear(x, zeros([7, 5]), zeros([6])), ["bias", "(6)", "(7)"]],
    ["reshape", () => reshape(x, [4, 8]), ["reshape", "(2, 3, 5)", "(4, 8)"]],
    ["reshape with -1", () => reshape(x, [7, -1]), ["reshape", "(2, 3, 5)", "(7, -1)"]],
    ["permute", () => permute(x, [0, 1, 1]), ["permute", "(0, 1, 1)", "(2, 3, 5)"]],
    ["slice", () => slice(x, 1, 2, 5), ["slice", "2..5", "3 elements"]],
    ["concat", () => concat([x, zeros([2, 4, 6])], 1), ["concat", "(2, 4, 6)", "(2, 3, 5)"]],
    ["sum", () => sum(x, 3), ["sum", "axis 3", "3 axes"]],
    ["layerNorm", () => layerNorm(x, ones([4]), zeros([5])), ["layerNorm", "weight", "(4)", "(5)"]],
    [
      "batchNorm",
      () => batchNorm(x, ones([5]), zeros([5]), { mean: zeros([5]), variance: ones([2]) }),
      ["batchNorm", "running_variance", "(2)", "(5)"],
    ],
    ["conv2d", () => conv2d(image, zeros([4, 2, 3, 3])), ["conv2d", "(4, 2, 3, 3)", "(4, 3, 3, 3)"]],
    ["conv2d's form", () => conv2d(image, zeros([4, 3, 5, 5])), ["kernel 5", "3x3"]],
    ["depthwiseConv2d", () => depthwiseConv2d(image, zeros([4, 1, 3, 3])), ["(4, 1, 3, 3)", "(3, 1, 3, 3)"]],
    [
      "crossEntropy",
      () => crossEntropy(zeros([3, 2]), zeros([4], { dtype: "int64" })),
      ["crossEntropy", "labels", "(4)", "(3)"],
    ],
    ["mseLoss", () => mseLoss(zeros([3]), zeros([1])), ["mseLoss", "(1)", "(3)"]],
    ["selectiveScan", () => selectiveScan({ ...scan, A: zeros([5, 3]) }), ["A", "(5, 3)", "(4, 3)"]],
    [
      "groups",
      () => selectiveScan({ ...scan, B: zeros([2, 3, 3, 9]), C: zeros([2, 3, 3, 9]) }),
      ["4 channels", "3 groups"],
    ],
    [
      "an odd block",
      () => new nn.SSConvSSM(4).forward(zeros([1, 2, 2, 5])),
      ["ssConvSsm", "5 channels", "even"],
    ],
    ["SS2D", () => new nn.SS2D(4).forward(zeros([1, 2, 2, 3])), ["ss2d", "inProjWeight"]],
    [
      "the model's channels",
      () => model.forward(zeros([1, 1, 8, 8])),
      ["(1, 1, 8, 8)", "(batch, 3, height, width)"],
    ],
    ["the model's size", () => model.forward(zeros([1, 3, 8, 7])), ["8 x 7", "8 x 8"]],
    ["too few values", () => tensor([1, 2, 3], [2, 2]), ["3 values", "(2, 2)"]],
    ["ragged rows", () => tensor([[1, 2], [3]]), ["length"]],
    ["a negative extent", () => zeros([2, -1]), ["(2, -1)", "non-negative"]],
    ["upload", () => x.upload(new Float32Array(3)), ["3 values", "(2, 3, 5)"]],
    ["copyFrom", () => x.copyFrom(zeros([2])), ["(2)", "(2, 3, 5)"]],
  ])("of %s names the operation and both shapes", (_, action, parts) => {
    const error = thrown(action);
    expect(error).toBeInstanceOf(ShapeError);
    expect(error.name).toBe("ShapeError");
    expect(error.code).toBe("MEDMAMBA_SHAPE");
    for (const part of parts) expect(error.message).toContain(part);
  });

  it("of item() and of nine axes", async () => {
    await expect(zeros([2]).item()).rejects.toThrow(ShapeError);
    expect(() => add(zeros([1, 1, 1, 1, 1, 1, 1, 1, 1]), 1).add(zeros([2]))).toThrow("more than 8 axes");
  });
});

describe("other errors", () => {
  it.each([
    [
      "arithmetic of integers",
      () => add(zeros([2], { dtype: "int32" }), zeros([2])),
      ["add", "int32", "float32"],
    ],
    ["float labels", () => crossEntropy(zeros([2, 3]), zeros([2])), ["crossEntropy", "float32", "int64"]],
    ["a gradient of integers", () => tensor([1], [1], { dtype: "int64", requiresGrad: true }), ["int64"]],
    ["random integers", () => rand([2], { dtype: "int32" }), ["int32"]],
    ["a Float64Array", () => tensor(new Float64Array(2) as never), ["Float64Array"]],
    ["upload", () => zeros([2]).upload(new Uint8Array(2)), ["Uint8Array", "float32"]],
    [
      "affineSample",
      () => affineSample(zeros([1, 1, 2, 2], { dtype: "int32" }), [2, 2], {} as never),
      ["affineSample", "int32", "uint8"],
    ],
  ])("DTypeError of %s", (_, action, parts) => {
    const error = thrown(action);
    expect(error).toBeInstanceOf(DTypeError);
    expect(error.code).toBe("MEDMAMBA_DTYPE");
    for (const part of parts) expect(error.message).toContain(part);
  });

  it.each([
    [
      "two devices",
      () => add(zeros([2]), zeros([2], { device: openDevice("cpu", { threads: 1 }) })),
      ["cpu"],
    ],
    ["dropout", () => dropout(zeros([2]), 1), ["rate 1", "[0, 1)"]],
    [
      "labelSmoothing",
      () => crossEntropy(zeros([1, 2]), zeros([1], { dtype: "int64" }), { labelSmoothing: 1 }),
      ["1"],
    ],
    ["gamma", () => focalLoss(zeros([1, 2]), zeros([1], { dtype: "int64" }), { gamma: -1 }), ["gamma -1"]],
    ["dims", () => new MedMamba({ dims: [96, 100, 384, 768] }), ["96,100", "twice"]],
    ["depths", () => new MedMamba({ depths: [1, 1] }), ["depths", "dims"]],
    ["dropPathRate", () => new MedMamba({ dropPathRate: 1 }), ["dropPathRate 1"]],
    ["an optimiser without parameters", () => new optim.SGD([], { lr: 1 }), ["no parameters"]],
    ["an optimiser of a constant", () => new optim.SGD([zeros([2])], { lr: 1 }), ["trainable leaf"]],
    ["concat of nothing", () => concat([], 0), ["concat"]],
  ])("ArgumentError of %s", (_, action, parts) => {
    const error = thrown(action);
    expect(error).toBeInstanceOf(ArgumentError);
    expect(error.code).toBe("MEDMAMBA_ARGUMENT");
    for (const part of parts) expect(error.message).toContain(part);
  });

  it("DisposedError names the tensor, whoever uses it", async () => {
    const x = zeros([2, 3]);
    x.dispose();
    expect(x.disposed).toBe(true);
    expect(() => add(x, 1)).toThrow(DisposedError);
    expect(() => x.reshape(6)).toThrow("float32 (2, 3)");
    expect(() => x.clone()).toThrow(DisposedError);
    await expect(x.data()).rejects.toThrow(DisposedError);
    x.dispose(); // idempotent
  });

  it("DeviceError says what there is", () => {
    for (const name of ["tpu", "cpu:1", "cuda:x", ""]) {
      const error = thrown(() => zeros([1], { device: name }));
      expect(error).toBeInstanceOf(DeviceError);
      expect(error.message).toContain('"cuda:0"');
    }
    const cuda = devices().find(({ name }) => name === "cuda:0");
    const auto = zeros([1], { device: "auto" });
    if (!cuda?.usable) {
      expect(() => zeros([1], { device: "cuda" })).toThrow(/device "cuda".* is not usable: .*\n.*"auto"/);
      expect(auto.device.name).toBe("cpu");
      expect(whyNotGpu()).toBe(cuda?.reason);
    }
    expect(devices()[0]).toMatchObject({ name: "cpu", usable: true });
  });

  it.each([
    ["crossEntropy", crossEntropy, "cross_entropy_forward"],
    ["focalLoss", focalLoss, "focal_loss_forward"],
  ] as const)(
    "a label out of range rejects the next wait of %s, and the device goes on",
    async (_, loss, operation) => {
      const device = openDevice("cpu", { threads: 2 });
      const logits = randn([3, 4], { device, requiresGrad: true });
      for (const bad of [4, -1]) {
        const failed = loss(logits, tensor([0, bad, 1], [3], { dtype: "int64", device }));
        failed.backward();
        const error = await failed.item().catch((reason: unknown) => reason);
        expect(error).toBeInstanceOf(OperationError);
        expect(error).toMatchObject({ operation, message: expect.stringContaining(`label ${bad} of row 1`) });
        await device.synchronize();
      }
      const fine = loss(logits, tensor([0, 3, 1], [3], { dtype: "int32", device }));
      expect(await fine.item()).toBeGreaterThan(0);
      device.close();
    },
  );

  it("OutOfMemoryError names the bytes, and the device goes on", async () => {
    const before = memory();
    const error = thrown(() => zeros([2 ** 22, 2 ** 20]));
    expect(error).toBeInstanceOf(OutOfMemoryError);
    expect(error.code).toBe("MEDMAMBA_OUT_OF_MEMORY");
    expect(error.message).toMatch(/17592186044416/);
    expect(memory().tensors).toBe(before.tensors);
    expect(memory().bytes).toBe(before.bytes);
    expect(await ones([3]).sum().item()).toBe(3);
  });

  it("are all MedMambaErrors", () => {
    for (const action of [
      () => zeros([-1]),
      () => rand([1], { dtype: "int32" }),
      () => dropout(zeros([1]), 2),
    ]) {
      expect(thrown(action)).toBeInstanceOf(MedMambaError);
    }
    expect(Tensor.prototype.toString.call(zeros([2, 3]))).toBe("Tensor float32 (2, 3) on cpu");
  });
});
