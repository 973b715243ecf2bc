/**
 * Every kind of DICOM picture against pydicom, numpy, DCMTK and GDCM: small files of all encodings from test/fixtures, which
 * make_dicom_golden.py writes, and files of scanners from ../shared where that is there.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { openFrames, type Pixels } from "../../../../src/data/decoding/decoder.js";
import type { Reading } from "../../../../src/data/preprocessing.js";
import { fixture, repository } from "../../../support/repository.js";

interface Expected {
  readonly file: string;
  /** frames, rows, columns, channels */
  readonly shape: readonly [number, number, number, number];
  readonly tolerance: number;
  readonly window: string;
  readonly bitDepth: 8 | 16;
  readonly spacing?: readonly [number, number];
  readonly pixels: string;
}

const golden = JSON.parse(readFileSync(fixture("dicom.json"), "utf8")) as { files: Record<string, Expected> };

const open = (path: string, reading: Partial<Reading> = {}) =>
  openFrames({
    bytes: readFileSync(path),
    file: undefined,
    reading: { window: "auto", bitDepth: 8, slices: "axial", ...reading },
  });

function farthest(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let most = 0;
  for (let i = 0; i < a.length; ++i) most = Math.max(most, Math.abs((a[i] ?? 0) - (b[i] ?? 0)));
  return most;
}

describe("a DICOM picture is what pydicom and numpy make of it", () => {
  it.each(Object.entries(golden.files))("%s", async (_, expected) => {
    const [count, height, width, channels] = expected.shape;
    const bytes = Buffer.from(expected.pixels, "base64");
    const pixels = expected.bitDepth === 8 ? bytes : new Uint16Array(new Uint8Array(bytes).buffer);
    const frames = await open(fixture(`dicom/${expected.file}`), expected);
    expect(frames.count).toBe(count);
    const area = height * width * channels;
    for (let i = 0; i < count; ++i) {
      const { data, ...rest } = await frames.frame(i);
      expect(rest).toMatchObject({ height, width, channels, bitDepth: expected.bitDepth });
      expect(data.length).toBe(area);
      expect(farthest(data, pixels.subarray(i * area, (i + 1) * area))).toBeLessThanOrEqual(
        expected.tolerance,
      );
      const [rows, columns] = expected.spacing ?? [];
      if (expected.spacing) expect(rest.spacing).toEqual({ rows, columns });
    }
  });
});

const shared = join(repository, "../shared");
const isThere = existsSync(join(shared, "golden/dicom.json"));
if (!isThere) console.warn("../shared is not there: no DICOM file of a scanner is compared.");

interface SharedExpected {
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  readonly mean: number | readonly number[];
  readonly samples: readonly {
    readonly row: number;
    readonly column: number;
    readonly value: number | readonly number[];
  }[];
}

const meanOf = ({ data, channels }: Pixels, channel: number): number => {
  let sum = 0;
  for (let i = channel; i < data.length; i += channels) sum += data[i] as number;
  return (sum * channels) / data.length;
};

describe.skipIf(!isThere)("a DICOM file of a scanner", () => {
  const expected: Record<string, SharedExpected> = isThere
    ? JSON.parse(readFileSync(join(shared, "golden/dicom.json"), "utf8"))
    : {};

  it.each(Object.keys(expected))("%s is what it should be", async (name) => {
    const { height, width, channels, mean, samples } = expected[name] as SharedExpected;
    const pixels = await (await open(join(shared, "data/dicom", name))).frame(0);
    expect(pixels).toMatchObject({ height, width, channels });
    for (const [channel, value] of [mean].flat().entries())
      expect(Math.abs(meanOf(pixels, channel) - value)).toBeLessThanOrEqual(0.5);
    for (const { row, column, value } of samples) {
      const at = (row * width + column) * channels;
      const found = pixels.data.subarray(at, at + channels);
      expect(farthest(found, [value].flat()), `row ${row}, column ${column}`).toBeLessThanOrEqual(1.5);
    }
  });

  /**
   * Means of the first channel of first frames: those of DCMTK's pictures (dcmj2pnm 3.6.7) or of what it, GDCM, OpenJPH or
   * pydicom decodes and numpy windows, with half a grey level for their rounding.
   */
  const means: Readonly<Record<string, number>> = {
    "acrnema-12bit-allocated.dcm": 51.147,
    "ct-2frames-fragmented-nobot.dcm": 96.058,
    "dx-fujifilm-monochrome1.dcm": 89.165,
    "mr-siemens-j2k-lossy.dcm": 22.006,
    "mr-uih-dti.dcm": 46.272,
    "op-heidelberg-jpegll-8bit.dcm": 89.463,
    "pmap-float32.dcm": 149.68,
    "rgb-htj2k.dcm": 166.293,
    "rtdose-32bit-15frames.dcm": 121.544,
    "us-acuson-jpegext-ybr.dcm": 30.958,
    "us-ge-rgb-bigendian.dcm": 250.959,
    "vl-j2k-ybrict.dcm": 85.717,
    "xc-jpeg-icon-ybr422.dcm": 217.701,
  };
  const folder = join(shared, "data/dicom-extra");
  it.each(isThere ? readdirSync(folder).filter((name) => name.endsWith(".dcm")) : [])(
    "%s is what others make of it",
    async (name) => {
      const frames = await open(join(folder, name));
      const { data, width, height, channels } = await frames.frame(frames.count - 1);
      expect(data.length).toBe(width * height * channels);
      const difference = meanOf(await frames.frame(0), 0) - (means[name] ?? Number.NaN);
      expect(Math.abs(difference)).toBeLessThanOrEqual(0.6);
    },
  );
});
