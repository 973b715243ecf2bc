/**
 * The CUDA backend beside its kernels: opening devices and why they do not open, transfers, memory that runs out,
 * precision, and the same bits in whatever order threads run. On the emulator, but for the reasons a real one gives.
 */
import { existsSync } from "node:fs";
import { afterEach, describe, expect, it } from "vitest";
import {
  batchNorm,
  conv2d,
  crossEntropy,
  type Device,
  DeviceError,
  type DeviceOptions,
  depthwiseConv2d,
  dropout,
  exp,
  layerNorm,
  linear,
  manualSeed,
  matmul,
  mean,
  neg,
  nn,
  OperationError,
  OutOfMemoryError,
  ones,
  openDevice,
  optim,
  permute,
  randn,
  selectiveScan,
  silu,
  softmax,
  type Tensor,
  tensor,
  zeros,
} from "../src/index.js";
import { backendLibrary } from "../src/native/load.js";
import { hasEmulatedCuda } from "./support/backends.js";
import { expectClose, expectSameBits } from "./support/closeness.js";

const mebibyte = 2 ** 20;

const open: Device[] = [];
const settings = ["MEDMAMBA_EMULATOR_SEED", "MEDMAMBA_EMULATOR_DEVICES", "MEDMAMBA_EMULATOR_MEMORY"] as const;
function emulated(
  environment: Partial<Record<(typeof settings)[number], string>> = {},
  options: DeviceOptions = {},
  name = "cuda-emulated",
): Device {
  Object.assign(process.env, environment);
  const device = openDevice(name, options);
  open.push(device);
  return device;
}
afterEach(() => {
  for (const device of open.splice(0)) device.close();
  for (const setting of settings) delete process.env[setting];
});

function problem(action: () => unknown): Error {
  try {
    action();
  } catch (error) {
    return error as Error;
  }
  throw new Error("nothing was thrown");
}

/** A computation on random leaves, which `leaf` makes; each family of kernels at sizes that leave tails. */
type Program = (leaf: (...shape: number[]) => Tensor, device: Device) => Tensor;

const labels = (rows: number, classes: number, device: Device) =>
  tensor(
    Array.from({ length: rows }, (_, row) => (row * 5) % classes),
    [rows],
    { dtype: "int64", device },
  );

const programs: Readonly<Record<string, Program>> = {
  matmul: (leaf) => matmul(leaf(2, 67, 75), leaf(2, 75, 33)),
  "matmul with a long sum": (leaf) => matmul(leaf(3, 3000), leaf(3000, 5)),
  linear: (leaf) => linear(leaf(2, 9, 48), leaf(50, 48), leaf(50)),
  "conv2d 3x3": (leaf) => conv2d(leaf(2, 9, 7, 24), leaf(20, 24, 3, 3), leaf(20)),
  depthwiseConv2d: (leaf) => depthwiseConv2d(leaf(2, 9, 7, 20), leaf(20, 1, 3, 3), leaf(20), { silu: true }),
  layerNorm: (leaf) => layerNorm(leaf(70, 36), leaf(36), leaf(36), { gate: leaf(70, 36) }),
  batchNorm: (leaf, device) => {
    const running = { mean: zeros([20], { device }), variance: ones([20], { device }) };
    return batchNorm(leaf(2, 9, 11, 20), leaf(20), leaf(20), running, { training: true });
  },
  selectiveScan: (leaf) => {
    const [u, delta, z] = [leaf(2, 12, 70), leaf(2, 12, 70), leaf(2, 12, 70)];
    const A = neg(exp(leaf(12, 16)));
    const [B, C] = [leaf(2, 2, 16, 70), leaf(2, 2, 16, 70)];
    return selectiveScan({ u, delta, A, B, C, D: leaf(12), z, deltaBias: leaf(12) }, { deltaSoftplus: true });
  },
  "ssConvSsm in training": (leaf, device) =>
    new nn.SSConvSSM(24, { dropPathRate: 0.5, device }).train().forward(leaf(2, 7, 6, 24)),
  "softmax, mean, permute": (leaf) => permute(mean(softmax(leaf(4, 30, 33)), 1), [1, 0]),
  "silu, dropout": (leaf) => dropout(silu(leaf(2, 9, 33)), 0.3),
  crossEntropy: (leaf, device) => crossEntropy(leaf(300, 9), labels(300, 9, device), { labelSmoothing: 0.1 }),
  "AdamW with clipping": (leaf, device) => {
    const [weight, x] = [leaf(30, 20), leaf(7, 20)];
    const optimizer = new optim.AdamW([weight], { lr: 1e-2 });
    linear(x, weight).backward({ gradient: ones([7, 30], { device }) });
    optimizer.clipGradNorm(1);
    optimizer.step();
    optimizer.zeroGrad();
    return linear(x, weight);
  },
};

/** The result and the gradients of all leaves. */
async function outcome(program: Program, device: Device): Promise<Float32Array[]> {
  manualSeed(11);
  const leaves: Tensor[] = [];
  const y = program((...shape) => {
    const made = randn(shape, { device, requiresGrad: true });
    leaves.push(made);
    return made;
  }, device);
  const result = await y.data();
  y.backward({ gradient: randn(y.shape, { device }) });
  return [result, ...(await Promise.all(leaves.map((made) => made.grad!.data())))];
}

describe("a machine whose GPU cannot be used", () => {
  const library = backendLibrary("medmamba_cuda");
  const hasDriver = existsSync("/proc/driver/nvidia/version");

  it.skipIf(existsSync(library))("is told that the library is missing, and how to make it", () => {
    const error = problem(() => openDevice("cuda"));
    expect(error).toBeInstanceOf(DeviceError);
    expect(error.message).toContain('device "cuda" is not usable: there is no CUDA library at ');
    expect(error.message).toContain("npm run build:cuda");
  });

  it.skipIf(!existsSync(library) || hasDriver)("is told which driver to install", () => {
    const error = problem(() => openDevice("cuda:0"));
    expect(error).toBeInstanceOf(DeviceError);
    expect(error.message).toMatch(/^device "cuda:0" is not usable: .*driver.*580 or newer.*\n.*"auto"/);
  });

  it("has a CPU that refuses the GPU's precisions", () => {
    expect(() => openDevice("cpu", { precision: "bf16" })).toThrow(
      /the CPU has precision "float32" only, not "bf16"/,
    );
  });
});

describe.skipIf(!hasEmulatedCuda())("the CUDA backend, emulated", () => {
  it("tells what it is", () => {
    const device = emulated({ MEDMAMBA_EMULATOR_MEMORY: "2048" });
    expect(device.name).toBe("cuda-emulated:0");
    expect(device.describe()).toMatchObject({ model: "CUDA emulator", totalBytes: 2048 * mebibyte });
  });

  it("says why a device cannot be opened", () => {
    expect(() => emulated({ MEDMAMBA_EMULATOR_DEVICES: "0" })).toThrow(
      /not usable: the NVIDIA driver finds no GPU.*\n.*"auto"/,
    );
    delete process.env.MEDMAMBA_EMULATOR_DEVICES;
    expect(() => emulated({}, {}, "cuda-emulated:1")).toThrow(/there is one GPU, index 0, not 1/);
    expect(() => emulated({}, { precision: "fp8" as "bf16" })).toThrow(
      /no precision "fp8".*"tf32" or "bf16"/,
    );
  });

  it("computes on the second of two GPUs", async () => {
    const device = emulated({ MEDMAMBA_EMULATOR_DEVICES: "2" }, {}, "cuda-emulated:1");
    expect(device.name).toBe("cuda-emulated:1");
    const values = await outcome(programs.linear!, device);
    for (const [i, expected] of (await outcome(programs.linear!, emulated())).entries())
      await expectSameBits(values[i]!, expected);
  });

  it.each([0, 1, 4 * mebibyte - 4, 4 * mebibyte, 4 * mebibyte + 4, 35 * mebibyte + 12])(
    "brings %i bytes there and back",
    async (bytes) => {
      const device = emulated();
      const there = Float32Array.from({ length: Math.floor(bytes / 4) }, (_, i) => i);
      const [first, second] = [tensor(there, [there.length], { device }), zeros([1], { device })];
      const back = await first.data();
      expect(Buffer.from(back.buffer).equals(Buffer.from(there.buffer))).toBe(true);
      expect(await second.data()).toEqual(new Float32Array(1));
    },
  );

  it("survives that memory runs out, where it is asked for and within an operation", async () => {
    const device = emulated({ MEDMAMBA_EMULATOR_MEMORY: "64" });
    const error = problem(() => zeros([100, mebibyte / 4], { device }));
    expect(error).toBeInstanceOf(OutOfMemoryError);
    expect(error.message).toMatch(/104857600 bytes .* the device has 64\.0 MiB of 64\.0 MiB free/);

    const before = await outcome(programs["matmul with a long sum"]!, device);
    const x = randn([4000, 60], { device, requiresGrad: true });
    const [weight, bias] = [ones([60], { device, requiresGrad: true }), zeros([60], { device })];
    const y = layerNorm(x, weight, bias);
    await y.data(); // the gradient's memory is at hand now, but for the partial sums that the operation needs itself
    for (let once = 0; once < 2; once += 1) y.backward({ gradient: x, retainGraph: true });
    await device.synchronize();
    process.env.MEDMAMBA_EMULATOR_MEMORY = "0";
    y.backward({ gradient: x });
    const failed = await device.synchronize().catch((reason: unknown) => reason);
    expect(failed).toBeInstanceOf(OutOfMemoryError);
    expect((failed as Error).message).toMatch(/^layer_norm_backward: .*needs .* MiB/);
    process.env.MEDMAMBA_EMULATOR_MEMORY = "64";
    const after = await outcome(programs["matmul with a long sum"]!, device);
    for (const [i, values] of after.entries()) await expectSameBits(values, before[i]!);
  });

  it("tells of a label out of range when waited for, and goes on", async () => {
    const device = emulated();
    const logits = randn([3, 4], { device, requiresGrad: true });
    const failed = crossEntropy(logits, tensor([0, 7, 1], [3], { dtype: "int64", device }));
    const error = await failed.item().catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(OperationError);
    expect((error as Error).message).toContain("label 7 of row 1 is not in 0..3");
    await device.synchronize();
    expect(await crossEntropy(logits, labels(3, 4, device)).item()).toBeGreaterThan(0);
  });

  it.each([
    ["tf32", 1e-3],
    ["bf16", 1e-2],
  ] as const)("multiplies in %s when asked", async (precision, relative) => {
    for (const name of ["matmul", "linear", "conv2d 3x3"]) {
      const exact = await outcome(programs[name]!, emulated());
      const rounded = await outcome(programs[name]!, emulated({}, { precision }));
      expect(rounded[0]).not.toEqual(exact[0]);
      for (const [i, values] of rounded.entries()) await expectClose(values, exact[i]!, { relative }, name);
    }
  });

  it("keeps what a block saves for backward in half the memory when asked for bf16", async () => {
    const sizes = { batch: 2, height: 16, width: 8, channels: 32, states: 16, rank: 1 };
    const [rows, half, inner] = [2 * 16 * 8, 16, 32];
    const activations = rows * (2 * inner + 4 * (1 + 2 * 16) + inner + 3 * half); // xz, projected, scanned, branch
    const float32 = emulated().plan("ss_conv_ssm", sizes);
    const bf16 = emulated({}, { precision: "bf16" }).plan("ss_conv_ssm", sizes);
    expect(4 * (float32.saved - bf16.saved)).toBe(2 * activations);
    expect(bf16.backwardWorkspace).toBe(float32.backwardWorkspace / 2);
  });

  it("gives the same bits in five orders of threads in bf16, near those of float32", async () => {
    const program = programs["ssConvSsm in training"]!;
    const first = await outcome(program, emulated({}, { precision: "bf16" }));
    for (const seed of ["2", "3", "4", "5"]) {
      const again = await outcome(program, emulated({ MEDMAMBA_EMULATOR_SEED: seed }, { precision: "bf16" }));
      for (const [i, values] of again.entries())
        await expectSameBits(values, first[i]!, `value ${i}, seed ${seed}`);
    }
    delete process.env.MEDMAMBA_EMULATOR_SEED;
    const [exact] = await outcome(program, emulated());
    expect(first[0]).not.toEqual(exact);
    await expectClose(first[0], exact!, { relative: 2e-2 });
  });

  it.each(Object.entries(programs))(
    "%s: the same bits in five orders of threads, and the CPU's result",
    async (_, program) => {
      const first = await outcome(program, emulated());
      for (const seed of ["2", "3", "4", "5"]) {
        const again = await outcome(program, emulated({ MEDMAMBA_EMULATOR_SEED: seed }));
        for (const [i, values] of again.entries())
          await expectSameBits(values, first[i]!, `value ${i}, seed ${seed}`);
      }
      const reference = openDevice("cpu");
      for (const [i, values] of (await outcome(program, reference)).entries())
        await expectClose(first[i]!, values, { relative: 3e-5 }, `value ${i}`);
      reference.close();
    },
  );
});
