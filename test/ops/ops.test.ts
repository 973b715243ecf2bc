/**
 * Operations on every backend: results against naive references in double, the numbers of the random generator, and
 * agreement to the bit between numbers of threads and between runs. gradcheck.test.ts holds the gradients.
 */
import { describe, expect, it } from "vitest";
import {
  affineSample,
  batchNorm,
  concat,
  dropout,
  generatorState,
  manualSeed,
  noGrad,
  ones,
  permute,
  rand,
  randn,
  selectiveScan,
  setGeneratorState,
  slice,
  type Tensor,
  tensor,
  zeros,
} from "../../src/index.js";
import { pathScale } from "../../src/ops/dropout.js";
import { random } from "../../src/tensor/creation.js";
import type { DType } from "../../src/tensor/dtype.js";
import { philox4x32 } from "../../src/tensor/random.js";
import { backends } from "../support/backends.js";
import { operationCases } from "../support/cases/index.js";
import { expectClose, expectSameBits } from "../support/closeness.js";
import { channelStatistics } from "../support/reference.js";
import * as scan from "../support/reference-scan.js";
import { generate, map, rowsOf, toTensor, uniform, type Values } from "../support/values.js";

describe.each(backends())("operations on %s", (_, device) => {
  const on = { device };

  it.each(operationCases.map((operation) => [operation.name, operation] as const))(
    "%s",
    async (_, operation) => {
      const tensors = Object.fromEntries(
        Object.entries(operation.inputs).map(([name, input]) => [name, toTensor(input, device)]),
      );
      const y = noGrad(() => operation.run(tensors));
      const expected = operation.reference(operation.inputs);
      expect(y.shape).toEqual(expected.shape);
      await expectClose(y, expected.data, { relative: operation.rounding.result, absolute: 1e-7 });
    },
  );

  it("returns the scan's last state", async () => {
    const sequence = [2, 6, 45];
    const inputs = {
      u: uniform(1, sequence),
      delta: uniform(2, sequence, -3, 1),
      A: uniform(3, [6, 5], -4, -0.05),
      B: uniform(4, [2, 3, 5, 45]),
      C: uniform(5, [2, 3, 5, 45]),
    };
    const expected = scan.selectiveScan(inputs, true);
    const [u, delta, A, B, C] = Object.values(inputs).map((values) => toTensor(values, device)) as Tensor[];
    const { y, lastState } = selectiveScan(
      { u: u!, delta: delta!, A: A!, B: B!, C: C! },
      { deltaSoftplus: true, returnLastState: true },
    );
    expect(lastState.shape).toEqual([2, 6, 5]);
    await expectClose(y, expected.y.data, { relative: 3e-6 }, "y");
    await expectClose(lastState, expected.lastState.data, { relative: 3e-6 }, "last state");
    const shared = {
      u: u!,
      delta: delta!,
      A: A!,
      B: slice(B!, 1, 0, 1).reshape(2, 5, 45),
      C: slice(C!, 1, 0, 1),
    };
    const one = { ...inputs, B: sliceOfGroup(inputs.B), C: sliceOfGroup(inputs.C) };
    const grouped = scan.selectiveScan(one, true).y.data;
    await expectClose(
      selectiveScan(shared, { deltaSoftplus: true }),
      grouped,
      { relative: 3e-6 },
      "(b, n, l)",
    );
  });

  it("moves running statistics towards the batch's, the variance unbiased", async () => {
    const x = uniform(1, [3, 5, 7, 19], -2, 5);
    const { rows } = rowsOf(x);
    const initial = { mean: uniform(2, [19]), variance: uniform(3, [19], 0.5, 2) };
    const batchesTracked = tensor(41, [], { dtype: "int64", device });
    const running = {
      mean: toTensor(initial.mean, device),
      variance: toTensor(initial.variance, device),
      batchesTracked,
    };
    const [weight, bias] = [ones([19], on), zeros([19], on)];
    batchNorm(toTensor(x, device), weight, bias, running, { training: true, momentum: 0.3 });
    const batch = channelStatistics(x);
    const moved = (from: Values, to: Values, factor = 1) =>
      map(from, (value, c) => 0.7 * value + 0.3 * factor * to.data[c]!).data;
    await expectClose(running.mean, moved(initial.mean, batch.mean), { relative: 1e-6 }, "mean");
    const unbiased = moved(initial.variance, batch.variance, rows / (rows - 1));
    await expectClose(running.variance, unbiased, { relative: 1e-6 }, "variance");
    expect(await batchesTracked.item()).toBe(42);
  });

  describe("dtypes", () => {
    const numbers = [0, 1, -1, 2.5, -2.5, 127.99, 255, 256.7, -0.6, 65535.4, 3e9, -3e9];

    it.each([
      ["int32", [0, 1, -1, 2, -2, 127, 255, 256, 0, 65535]],
      ["int64", [0, 1, -1, 2, -2, 127, 255, 256, 0, 65535, 3e9, -3e9]],
    ] as [DType, number[]][])("float32 to %s truncates", async (dtype, expected) => {
      const x = tensor(Float32Array.from(numbers.slice(0, expected.length)), undefined, on).to(dtype);
      expect(x.dtype).toBe(dtype);
      expect([...(await x.data<DType>())].map((value) => Number(value) + 0)).toEqual(expected);
    });

    it("float32 to uint8 truncates", async () => {
      const x = tensor([0, 1.9, 127.99, 255], undefined, on).to("uint8");
      expect(await x.data<"uint8">()).toEqual(Uint8Array.of(0, 1, 127, 255));
    });

    it("bfloat16 keeps eight bits, rounded to nearest even", async () => {
      const pairs = [
        [1, 1],
        [1 + 2 ** -8, 1], // half way: to the even neighbour
        [1 + 3 * 2 ** -8, 1 + 2 ** -6],
        [1 + 2 ** -8 + 2 ** -20, 1 + 2 ** -7],
        [-3.14159274, -3.140625],
        [3.3895e38, Number(2 ** 127 * (2 - 2 ** -7))],
        [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY],
        [Number.NaN, Number.NaN],
      ];
      const y = tensor(
        Float32Array.from(pairs, ([x]) => x!),
        undefined,
        on,
      ).to("bfloat16");
      expect(y.dtype).toBe("bfloat16");
      expect([...(await y.data<"bfloat16">())]).toEqual(pairs.map(([, want]) => want));
    });

    it.each(["int32", "int64", "uint8"] as const)("%s to float32 and back", async (dtype) => {
      const values = Array.from({ length: 101 }, (_, i) => i * 2);
      const x = tensor(values, undefined, { dtype, device });
      expect([...(await x.to("float32").data())]).toEqual(values);
      expect([...(await x.to("float32").to(dtype).data<DType>())].map(Number)).toEqual(values);
    });

    it("gradients pass through bfloat16", async () => {
      const x = tensor([1, 2, 3], undefined, { device, requiresGrad: true });
      x.to("bfloat16").to("float32").mul(3).sum().backward();
      await expectSameBits(x.grad!, [3, 3, 3]);
    });

    it.each(["bfloat16", "int32", "int64", "uint8"] as const)(
      "%s is permuted, sliced and joined",
      async (dtype) => {
        const x = tensor(
          Array.from({ length: 30 }, (_, i) => i),
          [2, 3, 5],
          { dtype, device },
        );
        const y = concat([permute(x, [2, 0, 1]), permute(slice(x, 2, 1, 3), [2, 0, 1])], 0);
        expect(y.shape).toEqual([7, 2, 3]);
        const expected = [0, 1, 2, 3, 4, 1, 2].flatMap((k) => [0, 1, 2, 3, 4, 5].map((row) => row * 5 + k));
        expect([...(await y.data<DType>())].map(Number)).toEqual(expected);
      },
    );
  });

  describe("random numbers", () => {
    const uniformOf = (word: number) => (word >>> 8) / 2 ** 24;
    const words = (seed: number, count: number, offset = 0) =>
      Array.from({ length: count }, (_, i) => philox4x32(seed, offset + (i >> 2))[i % 4]!);

    it("are Philox's published words", async () => {
      manualSeed(0);
      const published = [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]; // Random123, key 0, counter 0
      await expectSameBits(rand([4], on), published.map(uniformOf));
    });

    it.each([1, 3, 64, 1001])("%i uniforms are those of (seed, counter)", async (count) => {
      manualSeed(2 ** 40 + 12345);
      rand([5], on); // takes two counters
      await expectSameBits(rand([count], on), words(2 ** 40 + 12345, count, 2).map(uniformOf));
      expect(generatorState().offset).toBe(2 + Math.ceil(count / 4));
    });

    it("normal ones are Box and Muller's", async () => {
      manualSeed(17);
      const u = words(17, 1004).map(uniformOf);
      const expected = u.slice(0, 1001).map((_, i) => {
        const [first, second] = [u[i - (i % 2)]!, u[i - (i % 2) + 1]!];
        const turn = 2 * Math.PI * second;
        return Math.sqrt(-2 * Math.log1p(-first)) * (i % 2 ? Math.sin(turn) : Math.cos(turn));
      });
      await expectClose(randn([1001], on), expected, { relative: 1e-6 });
    });

    it("truncated normal ones stay within two and have the moments", async () => {
      manualSeed(5);
      const values = await random([20_000], "truncatedNormal", 0, 1, on).data();
      expect(values.every((value) => Math.abs(value) <= 2)).toBe(true);
      const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
      const variance = values.reduce((sum, value) => sum + value * value, 0) / values.length;
      expect(Math.abs(mean)).toBeLessThan(0.02);
      expect(Math.abs(variance - 0.7737)).toBeLessThan(0.02); // 1 - 4 phi(2) / (Phi(2) - Phi(-2))
      const narrow = await random([20_000], "truncatedNormal", 0, 0.02, on).data();
      const deviation = Math.sqrt(narrow.reduce((sum, value) => sum + value * value, 0) / narrow.length);
      expect(Math.abs(deviation - 0.02)).toBeLessThan(3e-4);
    });

    it("DropPath and dropout drop where the uniform is below the rate", async () => {
      manualSeed(9);
      const kept = words(9, 1001).map((word) => (uniformOf(word) < Math.fround(0.3) ? 0 : 1 / 0.7));
      await expectClose(pathScale(1001, 0.3, zeros([1], on)), kept, { relative: 1e-6 }, "pathScale");
      manualSeed(9);
      await expectClose(dropout(ones([7, 143], on), 0.3), kept, { relative: 1e-6 }, "dropout");
      const x = ones([3], on);
      expect(dropout(x, 0.3, { training: false })).toBe(x);
      expect(dropout(x, 0)).toBe(x);
    });

    it("continue from a saved position", async () => {
      manualSeed(1);
      rand([10], on);
      const position = generatorState();
      const first = await randn([33], on).data();
      setGeneratorState(position);
      await expectSameBits(randn([33], on), first);
    });
  });

  describe("affineSample", () => {
    const [batch, channels, height, width] = [2, 3, 7, 9] as const;
    const scale = uniform(1, [channels], 0.5, 2);
    const shift = uniform(2, [channels]);

    /** Bilinear samples of images in 0..1, as backend.h defines them. */
    function expected(
      x: Values,
      out: readonly [number, number],
      m: Values,
      gain: Values,
      offset: Values,
    ): Values {
      const clamp = (value: number, most: number) => Math.min(Math.max(value, 0), most);
      return generate([batch, channels, ...out], (index) => {
        const [j, i] = [index % out[1], Math.floor(index / out[1]) % out[0]];
        const plane = Math.floor(index / (out[0] * out[1]));
        const n = Math.floor(plane / channels);
        const place = (row: number) => {
          const [a, b, c] = m.data.subarray(n * 6 + row * 3, n * 6 + row * 3 + 3) as unknown as number[];
          return a! * (i + 0.5) + b! * (j + 0.5) + c! - 0.5;
        };
        const [row, column] = [clamp(place(0), height - 1), clamp(place(1), width - 1)];
        const [top, left] = [Math.floor(row), Math.floor(column)];
        const pixel = (r: number, c: number) =>
          x.data[(plane * height + Math.min(r, height - 1)) * width + Math.min(c, width - 1)]!;
        const [down, along] = [row - top, column - left];
        const value =
          (1 - down) * ((1 - along) * pixel(top, left) + along * pixel(top, left + 1)) +
          down * ((1 - along) * pixel(top + 1, left) + along * pixel(top + 1, left + 1));
        const lit = clamp(value * gain.data[n]! + offset.data[n]!, 1);
        return lit * scale.data[plane % channels]! + shift.data[plane % channels]!;
      });
    }

    const turned = {
      shape: [batch, 2, 3],
      data: Float64Array.of(0.8, -0.5, 1.5, 0.4, 0.9, -0.25, -1, 0, 7, 0, 1.5, -3),
    };
    const lights = { gain: uniform(3, [batch], 0.5, 1.5), offset: uniform(4, [batch], -0.3, 0.3) };

    it.each(["uint8", "float32"] as const)("samples %s images", async (dtype) => {
      const x = uniform(5, [batch, channels, height, width], 0, 1);
      const bytes = map(x, (value) => Math.floor(value * 256));
      const stored = dtype === "uint8" ? bytes : x;
      const images = tensor([...stored.data], stored.shape, { dtype, device });
      const y = affineSample(images, [5, 17], {
        matrix: toTensor(turned, device),
        gain: toTensor(lights.gain, device),
        offset: toTensor(lights.offset, device),
        channelScale: toTensor(scale, device),
        channelShift: toTensor(shift, device),
      });
      const values = dtype === "uint8" ? map(bytes, (value) => value / 255) : x;
      const want = expected(values, [5, 17], turned, lights.gain, lights.offset);
      expect(y.shape).toEqual(want.shape);
      await expectClose(y, want.data, { relative: 2e-6 });
    });

    it("reads the image itself under the identity", async () => {
      const bytes = Uint8Array.from({ length: batch * channels * height * width }, (_, i) => (i * 37) % 256);
      const identity = [1, 0, 0, 0, 1, 0];
      const y = affineSample(tensor(bytes, [batch, channels, height, width], on), [height, width], {
        matrix: tensor([...identity, ...identity], [batch, 2, 3], on),
        gain: ones([batch], on),
        offset: zeros([batch], on),
        channelScale: ones([channels], on),
        channelShift: zeros([channels], on),
      });
      await expectClose(
        y,
        Float32Array.from(bytes, (byte) => byte / 255),
        { relative: 1e-6 },
      );
    });
  });
});

/** The first group of (b, g, n, l). */
function sliceOfGroup({ shape, data }: Values): Values {
  const [batch = 0, groups = 0, states = 0, length = 0] = shape;
  const size = states * length;
  return generate(
    [batch, 1, states, length],
    (i) => data[Math.floor(i / size) * groups * size + (i % size)]!,
  );
}
