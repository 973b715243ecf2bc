/** Products in bfloat16 on the CPU: how far results are from float32's, that bits stay the same, and who says no. */
import { afterAll, afterEach, describe, expect, it } from "vitest";
import { crossEntropy, type Device, noGrad, openDevice, type Tensor } from "../../src/index.js";
import { expectClose, expectSameBits } from "../support/closeness.js";
import { goldenModel, loadGolden } from "../support/golden.js";

/** All values of some tensors as one vector. */
async function together(tensors: readonly Tensor[]): Promise<number[]> {
  return (await Promise.all(tensors.map((tensor) => tensor.data()))).flatMap((values) => [...values]);
}

/** A device that multiplies in bfloat16, or why this machine has none. */
function openBf16(threads: number): Device | string {
  try {
    return openDevice("cpu", { precision: "bf16", simd: "avx512", threads });
  } catch (error) {
    return String(error);
  }
}

const [one, two] = [openBf16(1), openBf16(2)];

describe("precisions of the CPU", () => {
  it("says why a device cannot have bf16", () => {
    expect(() => openDevice("cpu", { precision: "bf16", simd: "portable" })).toThrow(
      /precision "bf16" needs (SIMD level "avx512", not "portable"|a processor with AVX512-BF16)/,
    );
    if (typeof one === "string") expect(one).toMatch(/avx512|AVX512-BF16/);
  });

  it("has no tf32", () => {
    expect(() => openDevice("cpu", { precision: "tf32" })).toThrow(
      /the CPU has precisions "float32" and.*"bf16", not "tf32"/,
    );
  });
});

describe.skipIf(typeof one === "string")("MedMamba with products in bfloat16", () => {
  const [single, double] = [one, two] as [Device, Device];
  const opened: { dispose(): void }[] = [];
  afterEach(() => {
    for (const item of opened.splice(0)) item.dispose();
  });
  afterAll(() => {
    single.close();
    double.close();
  });

  /** Logits in evaluation, then loss and gradients of a training step, and what a float64 implementation gives. */
  async function results(device: Device) {
    const golden = await loadGolden("model_64", device);
    const network = goldenModel(golden, device);
    opened.push(golden, network);
    const names = Object.keys(network.stateDict());
    network.loadStateDict(Object.fromEntries(names.map((name) => [name, golden.get(name)])));
    const logits = await noGrad(() => network.eval().forward(golden.get("images"))).data();
    const loss = crossEntropy(network.train().forward(golden.get("images")), golden.get("labels"));
    loss.backward();
    const gradients = [...network.namedParameters()].map(([name, { grad }]) => [name, grad!] as const);
    return { golden, logits, loss: await loss.data(), gradients };
  }

  it("keeps logits, loss and gradients near float32's", async () => {
    const { golden, logits, loss, gradients } = await results(double);
    await expectClose(logits, golden.get("out.logits"), { relative: 1e-2 }, "logits");
    await expectClose(loss, golden.get("out.train_loss"), { relative: 1e-2 }, "loss");
    const wanted = gradients.map(([name]) => golden.get(`grad.${name}`));
    await expectClose(
      await together(gradients.map(([, gradient]) => gradient)),
      await together(wanted),
      { relative: 0.15 }, // small batches in BatchNorm magnify rounding: PyTorch's autocast is 0.105 off here
      "gradient of all parameters",
    );
  });

  it("gives the same bits with one thread and two", async () => {
    const [first, other] = [await results(single), await results(double)];
    await expectSameBits(other.logits, first.logits, "logits");
    await expectSameBits(other.loss, first.loss, "loss");
    for (const [i, [name, gradient]] of first.gradients.entries())
      await expectSameBits(other.gradients[i]![1], gradient, name);
  });
});
