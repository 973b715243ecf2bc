/**
 * The CUDA backend beside its kernels: opening devices and why they do not open, transfers, memory that runs out,
 * precision, and the same bits in whatever order threads run. On the emulator, but for the reasons a real one gives.
 */
import { existsSync } from "node:fs";
import { afterEach, describe, expect, it, vi } from "vitest";
import { openTrainingDevice } from "../../src/cli/console/options.js";
import { DeviceError, OperationError, OutOfMemoryError } from "../../src/errors.js";
import {
  crossEntropy,
  type Device,
  type DeviceOptions,
  layerNorm,
  ones,
  openDevice,
  randn,
  tensor,
  zeros,
} from "../../src/index.js";
import { cudaLibrary } from "../../src/native/cuda-library.js";
import { gpus } from "../../src/tensor/devices.js";
import { hasEmulatedCuda } from "../support/backends.js";
import { expectClose, expectSameBits } from "../support/closeness.js";
import { labels, outcome, programs } from "../support/programs.js";

const mebibyte = 2 ** 20;

const open: Device[] = [];
const settings = [
  "MEDMAMBA_EMULATOR_SEED",
  "MEDMAMBA_EMULATOR_DEVICES",
  "MEDMAMBA_EMULATOR_MEMORY",
  "MEDMAMBA_EMULATOR_CAPABILITY",
  "MEDMAMBA_EMULATOR_DRIVER",
] as const;
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

const families = programs("small");

describe("a machine whose GPU cannot be used", () => {
  const library = cudaLibrary();
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
    expect(error.message).toMatch(
      /^device "cuda:0" is not usable: .*driver.*( or newer| no GPU|kernel module).*\n.*"auto"/,
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

  it("lists every GPU, and leaves none open", () => {
    process.env.MEDMAMBA_EMULATOR_DEVICES = "3";
    const found = gpus("cuda-emulated");
    expect(found.map(({ name, usable }) => [name, usable])).toEqual(
      [0, 1, 2].map((index) => [`cuda-emulated:${index}`, true]),
    );
    expect(found[2]).toMatchObject({ model: "CUDA emulator", totalBytes: 16384 * mebibyte });
    process.env.MEDMAMBA_EMULATOR_DEVICES = "0";
    expect(gpus("cuda-emulated")).toEqual([
      {
        name: "cuda-emulated:0",
        usable: false,
        reason: "the NVIDIA driver finds no GPU; CUDA_VISIBLE_DEVICES may hide it",
      },
    ]);
  });

  it("computes on the second of two GPUs", async () => {
    const device = emulated({ MEDMAMBA_EMULATOR_DEVICES: "2" }, {}, "cuda-emulated:1");
    expect(device.name).toBe("cuda-emulated:1");
    const values = await outcome(families.linear!, device);
    for (const [i, expected] of (await outcome(families.linear!, emulated())).entries())
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

    const before = await outcome(families["matmul with a long sum"]!, device);
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
    const after = await outcome(families["matmul with a long sum"]!, device);
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
      const exact = await outcome(families[name]!, emulated());
      const rounded = await outcome(families[name]!, emulated({}, { precision }));
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
    const moments = (rows / 64) * 3 * half; // three sums for BatchNorm of each 64 rows, float32 either way
    expect(bf16.backwardWorkspace).toBe((float32.backwardWorkspace + moments) / 2);
  });

  it("gives the same bits in five orders of threads in bf16, near those of float32", async () => {
    const program = families["ssConvSsm in training"]!;
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

  it.each(Object.entries(families))(
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

describe.skipIf(!hasEmulatedCuda())("a GPU before Ampere, emulated", () => {
  const turing = { MEDMAMBA_EMULATOR_CAPABILITY: "7.5" };

  it.each([
    ["of Turing", turing],
    ["and a driver of CUDA 11.0, which has no memory pools", { ...turing, MEDMAMBA_EMULATOR_DRIVER: "11.0" }],
  ])("%s computes the CPU's results", async (_, environment) => {
    const [device, reference] = [emulated(environment), openDevice("cpu")];
    for (const [name, program] of Object.entries(families)) {
      const expected = await outcome(program, reference);
      for (const [i, values] of (await outcome(program, device)).entries())
        await expectClose(values, expected[i]!, { relative: 3e-5 }, `${name}, value ${i}`);
    }
    reference.close();
  });

  it("keeps freed memory for itself where there are no pools, and gives it back when memory runs out", async () => {
    const environment = { MEDMAMBA_EMULATOR_DRIVER: "11.0", MEDMAMBA_EMULATOR_MEMORY: "64" };
    const device = emulated(environment);
    const before = await outcome(families["matmul with a long sum"]!, device);
    const large = zeros([48, mebibyte / 4], { device });
    expect(problem(() => zeros([48, mebibyte / 4], { device }))).toBeInstanceOf(OutOfMemoryError);
    large.dispose();
    await device.synchronize();
    zeros([60, mebibyte / 4], { device }).dispose();
    const after = await outcome(families["matmul with a long sum"]!, device);
    for (const [i, values] of after.entries()) await expectSameBits(values, before[i]!);
  });

  it.each([
    [
      "7.0",
      "float32",
      "GPU 0 (CUDA emulator) has compute capability 7.0; 7.5 (Turing, such as T4) or newer is needed",
    ],
    [
      "7.5",
      "bf16",
      "GPU 0 (CUDA emulator) of compute capability 7.5 multiplies in float32 alone; tf32 and bf16 need 8.0",
    ],
    [
      "7.5",
      "tf32",
      "GPU 0 (CUDA emulator) of compute capability 7.5 multiplies in float32 alone; tf32 and bf16 need 8.0",
    ],
    [
      "10.0",
      "float32",
      "GPU 0 (CUDA emulator) of compute capability 10.0: this build has no code for it, only for 7.5, 9.0",
    ],
  ] as const)(
    "of compute capability %s in %s is refused with the reason",
    (capability, precision, reason) => {
      const environment = { MEDMAMBA_EMULATOR_CAPABILITY: capability };
      expect(problem(() => emulated(environment, { precision })).message).toContain(reason);
    },
  );

  it("trains in float32, and says so", () => {
    process.env.MEDMAMBA_EMULATOR_CAPABILITY = "7.5";
    const said = vi.spyOn(process.stderr, "write").mockReturnValue(true);
    const device = openTrainingDevice({ device: "cuda-emulated" }, undefined);
    expect(device.precision).toBe("float32");
    expect(said.mock.calls.flat().join("")).toMatch(
      /^note: computing in float32, because GPU 0 .* float32 alone; /,
    );
    said.mockRestore();
    device.close();
  });
});
