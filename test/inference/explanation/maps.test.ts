/** Maps and receptive fields are those of PyTorch's autograd; explaining leaves the network as it was. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { MedMamba, sum, tensor } from "../../../src/index.js";
import type { HeatMap } from "../../../src/inference/explanation/class-activation.js";
import { gradCam, hiResCam, peakOf } from "../../../src/inference/explanation/class-activation.js";
import {
  atRest,
  defaultStage,
  featuresAndGradient,
  gradientAt,
} from "../../../src/inference/explanation/network.js";
import { hide, occlusionMap, windowsOver } from "../../../src/inference/explanation/occlusion.js";
import { mapAtPicture, pixelAt, placementOf } from "../../../src/inference/explanation/placement.js";
import { slice } from "../../../src/ops/shape.js";
import { encodeNpy } from "../../../src/reports/npy.js";
import { backends } from "../../support/backends.js";
import { expectClose } from "../../support/closeness.js";
import { goldenModel, loadGolden } from "../../support/golden.js";
import { fixture } from "../../support/repository.js";

interface Explained {
  readonly label: number;
  readonly stages: readonly { size: [number, number]; gradCam: number[]; hiResCam: number[] }[];
  readonly receptiveFields: Readonly<Record<string, number[]>>;
}
const oracle: Explained = JSON.parse(readFileSync(fixture("explanation.json"), "utf8"));
const imageSize = 64;

describe.each(backends())("maps on %s", async (_, device) => {
  const golden = await loadGolden("model_64", device);
  const model = goldenModel(golden, device);
  model.loadStateDict(golden.tensors, { strict: false });
  const images = await golden.get("images").data();
  const image = images.slice(0, images.length / 4);

  it.each([0, 1, 2, 3])("Grad-CAM and HiResCAM after stage %i", async (stage) => {
    const { label, stages } = oracle;
    const { features, gradient } = await atRest(model, () =>
      featuresAndGradient(model, image, { imageSize, stage, label }),
    );
    const expected = stages[stage] as Explained["stages"][number];
    expect([features.height, features.width]).toEqual(expected.size);
    await expectClose(gradCam(features, gradient).data, expected.gradCam, { relative: 1e-4 });
    await expectClose(hiResCam(features, gradient).data, expected.hiResCam, { relative: 1e-4 });
  });

  it.each([1, 3])("the receptive field of stage %i", async (stage) => {
    const input = tensor(image, [1, 3, imageSize, imageSize], { device });
    const gradient = await atRest(model, () =>
      gradientAt(input, (leaf) => {
        const features = model.features(leaf, { stage });
        const [, height = 0, width = 0] = features.shape;
        const middle = slice(features, 1, height >> 1, (height >> 1) + 1);
        return sum(slice(middle, 2, width >> 1, (width >> 1) + 1));
      }),
    );
    const field = new Float64Array(imageSize ** 2);
    for (const [i, value] of gradient.entries()) field[i % field.length]! += Math.abs(value);
    const largest = Math.max(...field);
    const blocks = new Float32Array(64);
    for (const [i, value] of field.entries())
      blocks[8 * Math.floor(i / imageSize / 8) + Math.floor((i % imageSize) / 8)]! += value / largest;
    await expectClose(blocks, oracle.receptiveFields[stage] as number[], { relative: 1e-3 });
  });

  it("leaves mode, gradients and what is trained as they were", async () => {
    model.train();
    const before = [...model.parameters()].map(({ grad, requiresGrad }) => [grad, requiresGrad]);
    await atRest(model, () => featuresAndGradient(model, image, { imageSize, stage: 1, label: 0 }));
    expect(model.training).toBe(true);
    expect([...model.parameters()].map(({ grad, requiresGrad }) => [grad, requiresGrad])).toEqual(before);
    await expect(atRest(model, () => Promise.reject(new Error("no")))).rejects.toThrow("no");
    expect([...model.parameters()].every(({ requiresGrad }) => requiresGrad)).toBe(true);
  });
});

it("the default stage is the last with seven places a side", () => {
  const model = new MedMamba({ depths: [1, 1, 1, 1], dims: [16, 32, 64, 128] });
  expect([512, 224, 128, 64, 28].map((size) => defaultStage(model, size))).toEqual([3, 3, 2, 1, 0]);
});

describe("occlusion", () => {
  it("goes over the whole image in steps of half a window, to the edge", () => {
    expect(windowsOver(10, 4).filter(({ row }) => row === 0)).toEqual(
      [0, 2, 4, 6].map((column) => ({ row: 0, column })),
    );
    expect(windowsOver(4, 4)).toEqual([{ row: 0, column: 0 }]);
    expect(windowsOver(5, 1)).toHaveLength(25);
  });

  it("hides a window in every channel, and nothing else", () => {
    const hidden = hide(new Float32Array(2 * 16).fill(1), { size: 4, side: 2 }, { row: 1, column: 2 });
    const plane = [1, 1, 1, 1, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1, 1, 1];
    expect([...hidden]).toEqual([...plane, ...plane]);
  });

  it("gives a pixel the mean loss of the windows that covered it, 0 where hiding helped", async () => {
    const windows = [
      { row: 0, column: 0 },
      { row: 0, column: 1 },
    ];
    const { data } = occlusionMap({ size: 3, side: 2 }, windows, [0.5, -0.1]);
    await expectClose(data, [0.5, 0.2, 0, 0.5, 0.2, 0, 0, 0, 0], { relative: 1e-6 });
  });
});

describe("from the map to the picture", () => {
  const map: HeatMap = { height: 2, width: 2, data: Float32Array.of(0, 1, 2, 4) };
  const wide = { width: 8, height: 4 };

  it("stretch: corners are corners, and values are linear between the middles of places", () => {
    const placement = placementOf(wide, { resize: "stretch" });
    expect(pixelAt(map, { row: 1, column: 1 }, wide, placement)).toEqual({ row: 3, column: 6 });
    const over = mapAtPicture(map, wide, placement);
    expect([over[0], over[7], over[24], over[31]]).toEqual([0, 1, 2, 4]);
    expect(over[3]! + over[4]!).toBeCloseTo(1, 6);
  });

  it("cover: nothing where the network did not see", () => {
    const placement = placementOf(wide, { resize: "cover" });
    const over = mapAtPicture({ ...map, data: map.data.map(() => 1) }, wide, placement);
    expect([...over.slice(0, 8)]).toEqual([0, 0, 1, 1, 1, 1, 0, 0]);
    expect(pixelAt(map, { row: 0, column: 0 }, wide, placement)).toEqual({ row: 1, column: 3 });
  });

  it("contain: bars are no part of the picture", () => {
    const placement = placementOf(wide, { resize: "contain" });
    const four = {
      height: 4,
      width: 4,
      data: Float32Array.from({ length: 16 }, (_, i) => Math.floor(i / 4)),
    };
    const over = mapAtPicture(four, wide, placement);
    expect(over[0]).toBeGreaterThan(0.5); // the upper bar, whose value is 0, is not the picture's edge
    expect(over[31]).toBeLessThan(2.5);
    expect(pixelAt(four, { row: 0, column: 0 }, wide, placement)).toEqual({ row: 0, column: 1 });
  });

  it("spacing: a picture of tall pixels is as tall as it lies", () => {
    const square = placementOf({ ...wide, spacing: { rows: 2, columns: 1 } }, { resize: "contain" });
    expect(square).toEqual({ top: 0, left: 0, height: 1, width: 1 });
  });

  it("the peak is the first of the largest", () => {
    expect(peakOf({ height: 2, width: 2, data: Float32Array.of(1, 3, 3, 0) })).toEqual({
      row: 0,
      column: 1,
      value: 3,
    });
  });
});

it("a .npy file has NumPy's header", () => {
  const bytes = encodeNpy(Float32Array.of(1, -2.5), [1, 2]);
  expect(Buffer.from(bytes.subarray(1, 6)).toString()).toBe("NUMPY");
  expect(bytes.length).toBe(128 + 8);
  expect(Buffer.from(bytes.subarray(10, 128)).toString()).toMatch(
    /^\{'descr': '<f4', 'fortran_order': False, 'shape': \(1, 2\), \} +\n$/,
  );
  expect(new DataView(bytes.buffer, bytes.byteOffset + 128).getFloat32(4, true)).toBe(-2.5);
});
