/**
 * NIfTI volumes against nibabel and NumPy: test/fixtures/make_nifti_golden.py wrote small files of every orientation and type, and
 * what their slices look like. Real files are beside the repository.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { type Frames, openFrames } from "../../../../src/data/decoding/decoder.js";
import { chosenFrames } from "../../../../src/data/decoding/frame-choice.js";
import { headerOf } from "../../../../src/data/decoding/nifti/bytes.js";
import { orientationLetters } from "../../../../src/data/decoding/nifti/orientation.js";
import { openImageFile } from "../../../../src/data/decoding/sample.js";
import { definePreprocessing, loadImage } from "../../../../src/data/index.js";
import { searchFolder } from "../../../../src/data/sources/walk.js";
import { given } from "../../../support/given-files.js";
import { fixture } from "../../../support/repository.js";
import { message, png, root, write } from "../../../support/temporary-folder.js";

type Plane = "axial" | "coronal" | "sagittal";

interface Picture {
  readonly pixels?: readonly number[];
  readonly mean?: number;
  readonly samples?: readonly (readonly [place: number, value: number])[];
}

interface PlaneGolden {
  readonly count: number;
  readonly perVolume: number;
  readonly height: number;
  readonly width: number;
  readonly spacing: readonly [rows: number, columns: number];
  readonly frames: Readonly<Record<string, Picture>>;
}

interface Golden {
  readonly bits: 8 | 16;
  readonly letters: string;
  readonly planes: Readonly<Record<Plane, PlaneGolden>> | "RAS";
}

const golden: {
  readonly small: Readonly<Record<string, Golden & { readonly file: string }>>;
  readonly further: Readonly<Record<string, Golden>>;
} = JSON.parse(readFileSync(fixture("nifti.json"), "utf8"));

const small = (name: string): Buffer => Buffer.from(golden.small[name]?.file ?? "", "base64");
const plain = (name: string): Buffer => gunzipSync(small(name));

const open = (bytes: Uint8Array, reading = {}): Promise<Frames> =>
  openFrames({ bytes, file: undefined, reading: definePreprocessing(reading) });

/** Rounding at half a grey is all that may differ: float32 slopes, and sums in another order. */
async function expectAs({ bits, letters, planes }: Golden, bytes: Uint8Array): Promise<void> {
  expect(orientationLetters(headerOf(bytes).affine)).toBe(letters);
  const expected = planes === "RAS" ? golden.small.RAS?.planes : planes;
  for (const [slices, plane] of Object.entries(expected ?? {}) as [Plane, PlaneGolden][]) {
    const frames = await open(bytes, { slices, bitDepth: bits });
    expect([frames.count, frames.perVolume], slices).toEqual([plane.count, plane.perVolume]);
    for (const [index, { pixels, mean, samples = [] }] of Object.entries(plane.frames)) {
      const { data, spacing, ...about } = await frames.frame(Number(index));
      const { height, width } = plane;
      expect(about).toEqual({ width, height, channels: 1, bitDepth: bits, photometric: "grey" });
      expect(spacing?.rows).toBeCloseTo(plane.spacing[0], 5);
      expect(spacing?.columns).toBeCloseTo(plane.spacing[1], 5);
      if (pixels) expect([...data], `${slices} ${index}`).toEqual(pixels);
      for (const [place, value] of samples)
        expect(
          Math.abs((data[place] ?? -9) - value),
          `${slices} ${index} pixel ${place}`,
        ).toBeLessThanOrEqual(1);
      if (mean !== undefined) {
        const sum = [...data].reduce((a, b) => a + b, 0);
        expect(Math.abs(sum / data.length - mean), `${slices} ${index}`).toBeLessThan(0.02);
      }
    }
  }
}

describe("a NIfTI volume", () => {
  it.each(Object.keys(golden.small))("%s is cut as nibabel and NumPy cut it", async (name) => {
    await expectAs(golden.small[name] as Golden, small(name));
    await expectAs(golden.small[name] as Golden, plain(name));
  });

  it("stands upright: right at the left, front or head at the top", async () => {
    const [right, front, head] = [1000, 100, 10]; // a value tells where it is from: x to the right, y to the front, z up
    const file = plain("RAS");
    const stored = new Int16Array(60);
    for (let z = 0; z < 5; ++z)
      for (let y = 0; y < 4; ++y)
        for (let x = 0; x < 3; ++x) stored[x + 3 * (y + 4 * z)] = x * right + y * front + z * head;
    file.set(new Uint8Array(stored.buffer), 352);
    const corner = async (slices: Plane, index: number, row: "first" | "last", column: "first" | "last") => {
      const { data, width, height } = await (
        await open(file, { slices, window: "32767.5,65535", bitDepth: 16 })
      ).frame(index);
      return data[(row === "first" ? 0 : height - 1) * width + (column === "first" ? 0 : width - 1)];
    };
    expect(await corner("axial", 0, "first", "first")).toBe(2 * right + 3 * front);
    expect(await corner("axial", 4, "last", "last")).toBe(4 * head);
    expect(await corner("coronal", 3, "first", "first")).toBe(2 * right + 3 * front + 4 * head);
    expect(await corner("sagittal", 2, "first", "first")).toBe(2 * right + 3 * front + 4 * head);
    expect(await corner("sagittal", 0, "last", "last")).toBe(0);
  });

  it("has windows in its own values, Hounsfield units among them", async () => {
    const grey = async (window: string) => {
      const frames = await open(small("scaled"), { window, bitDepth: 16 }); // values from -1024 to -876.5
      return Math.max(...(await frames.frame(2)).data, ...(await frames.frame(4)).data);
    };
    const share = (value: number, black: number, white: number) =>
      Math.round(((value - black) / (white - black)) * 65535);
    const largest = -876.5;
    expect(await grey("-950,200")).toBe(share(largest, -1050, -850));
    expect(await grey("lung")).toBe(share(largest, -1350, 150));
    expect(await grey("percentile")).toBe(65535);
    const calibrated = await open(small("calibrated"), { window: "percentile", bitDepth: 16 });
    expect((await calibrated.frame(0)).data).toEqual(
      (await (await open(small("int32"), { window: "percentile", bitDepth: 16 })).frame(0)).data,
    );
    expect(await message(loadImage(small("scaled"), { window: "name:LUNG" }))).toMatch(
      /asks for one that the file itself names, which a NIfTI file does not/,
    );
  });

  it("of RGB colours is shown as it is", async () => {
    const file = plain("uint8");
    file.writeInt16LE(128, 70);
    file.writeInt16LE(24, 72);
    const colours = Buffer.from(Array.from({ length: 180 }, (_, i) => i));
    const frames = await open(Buffer.concat([file.subarray(0, 352), colours]), { window: "lung" });
    const { data, channels, photometric } = await frames.frame(0);
    expect([channels, photometric]).toEqual([3, "rgb"]);
    expect([...data.subarray(0, 3)]).toEqual([33, 34, 35]); // x 2, y 3, z 0
  });

  it("has sizes in the unit that it names", async () => {
    const file = plain("RAS");
    for (const [code, factor] of [
      [1, 1000],
      [2, 1],
      [3, 0.001],
      [0, 1],
    ] as const) {
      file[123] = code;
      const { spacing } = await (await open(file, { slices: "coronal" })).frame(0);
      expect(spacing?.rows).toBeCloseTo(3 * factor, 6);
      expect(spacing?.columns).toBeCloseTo(0.5 * factor, 6);
    }
    file.writeFloatLE(Number.NaN, 80);
    expect((await (await open(file)).frame(0)).spacing).toBeUndefined();
  });

  it("has its middle in the first volume, however many there are", async () => {
    const preprocessing = definePreprocessing({ imageSize: 5, slices: "sagittal" });
    for (const [name, middle] of [
      ["4-D", 1], // two volumes of three slices: half of all would be the lowest of the second
      ["RAS", 1],
    ] as const) {
      const image = await openImageFile(small(name), preprocessing);
      expect(await chosenFrames(image, "middle")).toEqual([middle]);
      expect(await chosenFrames(image, "all")).toHaveLength(await image.count());
    }
  });

  it("becomes a sample like any other image, and folders have it by both of its endings", async () => {
    const file = await write("volumes/a.nii.gz", small("RAS"));
    await write("volumes/b.NII", plain("RAS"));
    await write("volumes/a_mask.nii.gz", small("nearly constant"));
    const sample = await loadImage(file, { imageSize: 4, channels: 3 });
    expect(sample).toMatchObject({ channels: 3, height: 4, width: 4 });
    expect(sample.data.subarray(0, 16)).toEqual(sample.data.subarray(32));
    const found = await searchFolder(join(root, "volumes"));
    expect(found.images.map((path) => path.slice(root.length))).toEqual([
      "/volumes/a.nii.gz",
      "/volumes/b.NII",
    ]);
    expect(found.companions).toHaveLength(1);
    const misnamed = await write("volumes/c.nii", await png(77, 8));
    expect((await loadImage(misnamed, { imageSize: 8 })).data[0]).toBe(77);
  });
});

describe("a NIfTI file that is not read", () => {
  const refused = async (bytes: Uint8Array): Promise<string> =>
    (await message(loadImage(bytes))).replace("The image could not be read: ", "");
  const changed = (change: (file: Buffer) => void): Buffer => {
    const file = plain("RAS");
    change(file);
    return file;
  };

  it("is told what is wrong with it", async () => {
    expect(await refused(plain("RAS").subarray(0, 400))).toMatch(
      /cut off: its header declares 472 bytes, but 400 are there/,
    );
    const declared = changed((file) => file.writeInt16LE(32767, 42));
    expect(await refused(declared)).toMatch(/cut off: its header declares/);
    expect(await refused(gzipSync(declared))).toMatch(/so many cannot be packed/);
    const huge = changed((file) => {
      for (const at of [42, 44, 46]) file.writeInt16LE(32767, at);
    });
    expect(await refused(gzipSync(huge))).toMatch(/at most 1073741824 are read: raise the option maxPixels/);
    expect(await refused(changed((file) => file.writeInt16LE(9, 40)))).toMatch(/it declares 9 axes/);
    expect(await refused(changed((file) => file.writeInt16LE(-3, 42)))).toMatch(
      /it declares -3 x 4 x 5 voxels/,
    );
    expect(await refused(changed((file) => file.writeInt16LE(32, 70)))).toMatch(
      /its values are complex numbers/,
    );
    expect(await refused(changed((file) => file.writeInt16LE(77, 70)))).toMatch(/does not have, 77/);
    expect(await refused(changed((file) => file.write("ni1", 344)))).toMatch(/header of a pair of files/);
    const analyze = changed((file) => file.fill(0, 344, 348).write("r", 38));
    expect(await refused(analyze)).toMatch(/Analyze image, which does not say where left and right are/);
    const gz = small("RAS");
    expect(await refused(gz.subarray(0, gz.length - 40))).toMatch(/compressed data are damaged|cut off/);
    const frame = loadImage(await write("one.nii", plain("RAS")), {});
    await expect(frame).resolves.toBeDefined();
  });

  it("takes no more memory than its bytes can hold, whatever it would swell to", async () => {
    const bomb = gzipSync(Buffer.concat([plain("RAS"), Buffer.alloc(2 ** 28)]), { level: 1 });
    const before = process.memoryUsage().rss;
    expect((await open(bomb)).count).toBe(5); // 60 values are declared, and no more is unpacked
    expect(process.memoryUsage().rss - before).toBeLessThan(2 ** 27);
  });
});

const folder = given("data/nifti");
describe.skipIf(!folder)("a real file", () => {
  it.each(Object.keys(golden.further))("%s is cut as nibabel and NumPy cut it", async (name) => {
    await expectAs(golden.further[name] as Golden, readFileSync(join(folder ?? "", name)));
  });

  it("that is none, or none of pictures, says what it is", async () => {
    const refused = (name: string) => message(loadImage(join(folder ?? "", name)));
    expect(await refused("not-nifti.nii")).toMatch(/named like a NIfTI file, but does not begin like one/);
    expect(await refused("row_major.dconn.nii")).toMatch(/a CIFTI file, which holds surfaces/);
    for (const pair of ["nifti1.hdr", "air.hdr.gz"])
      expect(await refused(pair)).toMatch(/make one \.nii of the two/);
  });
});
