/**
 * TIFFs of numbers that are no greys yet, against what tifffile wrote into them (test/fixtures/make_tiff_golden.py), and windows on
 * 16-bit pictures.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import sharp from "sharp";
import { describe, expect, it } from "vitest";
import { openFrames } from "../../../../src/data/decoding/decoder.js";
import { definePreprocessing, loadImage } from "../../../../src/data/index.js";
import { given } from "../../../support/given-files.js";
import { fixture } from "../../../support/repository.js";
import { message } from "../../../support/temporary-folder.js";

const golden: Readonly<
  Record<string, { file: string; height: number; width: number; pages: (number | null)[][] }>
> = JSON.parse(readFileSync(fixture("tiff.json"), "utf8"));
const names = Object.keys(golden).filter((name) => !name.startsWith("refused"));
const fileOf = (name: string): Buffer => Buffer.from(golden[name]?.file ?? "", "base64");
const open = (bytes: Uint8Array, window: string) =>
  openFrames({ bytes, file: undefined, reading: definePreprocessing({ window }) });

const [center, width] = [100, 1800];

/** The linear window on one number. */
const grey = (value: number | null): number =>
  Math.floor(Math.min(1, Math.max(0, ((value ?? -1e9) - center) / width + 0.5)) * 65535 + 0.5);

describe("a TIFF of measurements", () => {
  it.each(names)("%s is read number by number, through a window", async (name) => {
    const { height, width: columns, pages } = golden[name] as (typeof golden)[string];
    const frames = await open(fileOf(name), `${center},${width}`);
    expect(frames.count).toBe(pages.length);
    for (const [index, numbers] of pages.entries()) {
      const { data, ...about } = await frames.frame(index);
      expect(about).toEqual({ width: columns, height, channels: 1, bitDepth: 16, photometric: "grey" });
      const white = name.includes("white is least");
      expect([...data]).toEqual(numbers.map((value) => (white ? 65535 - grey(value) : grey(value))));
    }
  });

  it("may be seen through its percentiles, and becomes a sample", async () => {
    const frames = await open(fileOf("float32"), "percentile"); // of 35 values: from the first to the last
    const { data } = await frames.frame(0);
    expect([data[0], data[17], data[34]]).toEqual([0, 32768, 65535]);
    const sample = await loadImage(fileOf("float64"), { imageSize: 4, window: "percentile", channels: 3 });
    expect(sample.data).toBeInstanceOf(Float32Array);
    expect(sample.data.slice(0, 16)).toEqual(sample.data.slice(32));
  });

  it("needs a window that its numbers can have", async () => {
    const refused = (name: string, window?: string) =>
      message(loadImage(fileOf(name), { imageSize: 4, ...(window && { window }) }));
    expect(await refused("int16")).toMatch(
      /its pixels are signed integers of 16 bits, and nothing says which of them are black and white: choose the option window/,
    );
    expect(await refused("float64")).toMatch(/floating-point numbers of 64 bits.*"percentile"/);
    expect(await refused("int16", "lung")).toMatch(
      /the window "lung" is in Hounsfield units, and a TIFF does not say that its values are: if they are, give it as "-600,1500"/,
    );
    expect(await refused("int16", "name:LUNG")).toMatch(/asks for one that the file itself names/);
    expect(await refused("refused: colours of floats", "percentile")).toMatch(
      /colours or layers of floating-point/,
    );
    expect(await refused("refused: float64 with differences", "percentile")).toMatch(/packed by differences/);
  });

  it("has pages of other kinds and sizes beside them, each judged by itself", async () => {
    const frames = await open(await joined(fileOf("uint16"), fileOf("int16")), "auto");
    expect(frames.count).toBe(2);
    expect((await frames.frame(0)).data[34]).toBe(2000);
    expect(await message(frames.frame(1))).toMatch(/signed integers of 16 bits/);
  });
});

describe("a window on 16-bit pictures", () => {
  const values = Uint16Array.from({ length: 16 }, (_, i) => 1000 + 10 * i);
  const raw = { width: 4, height: 4, channels: 1 } as const;

  it("is in the numbers of the file, and keeps 16 bits; without one they are as they were", async () => {
    const png = await sharp(values, { raw }).toColourspace("grey16").png().toBuffer();
    for (const file of [
      png,
      await sharp(values, { raw }).toColourspace("grey16").tiff({ compression: "lzw" }).toBuffer(),
    ]) {
      const { data, bitDepth } = await (await open(file, "1075,150")).frame(0);
      expect([...data]).toEqual([...values].map((value) => Math.round(((value - 1000) / 150) * 65535)));
      expect(bitDepth).toBe(16);
      expect([...(await (await open(file, "auto")).frame(0)).data]).toEqual([...values]);
      expect((await loadImage(file, { imageSize: 4, channels: 1, window: "1075,150" })).data[15]).toBe(1);
    }
    expect(await message(loadImage(png, { window: "bone" }))).toMatch(/give it as "400,1800"/);
  });

  it("leaves 8-bit pictures and colours alone", async () => {
    const bytes = Uint8Array.from(values, (value) => value / 10);
    const grey = await sharp(bytes, { raw }).toColourspace("b-w").png().toBuffer();
    expect([...(await (await open(grey, "lung")).frame(0)).data]).toEqual([...bytes]);
    const colours = Uint16Array.from({ length: 48 }, (_, i) => 100 * i);
    const rgb = await sharp(colours, { raw: { ...raw, channels: 3 } })
      .toColourspace("rgb16")
      .png()
      .toBuffer();
    expect([...(await (await open(rgb, "1075,150")).frame(0)).data]).toEqual([...colours]);
  });
});

const hounsfield = given("faults/06-signed-16-bit-tiff/hounsfield.tif");
it.skipIf(!hounsfield)("a CT as a signed TIFF keeps the order of its numbers below 0", async () => {
  const { data } = await loadImage(join(hounsfield ?? ""), { imageSize: 16, channels: 1, window: "0,2000" });
  const row = [...data.slice(0, 16)];
  expect(row.every((value, i) => i === 0 || value > (row[i - 1] ?? 1))).toBe(true);
});

/** Two little-endian TIFFs of one page in one: the second's places are moved, and the first's chain leads to it. */
async function joined(first: Buffer, second: Buffer): Promise<Buffer> {
  const moved = Buffer.from(second);
  const start = first.length + (first.length % 2);
  const directory = moved.readUInt32LE(4);
  for (let i = 0; i < moved.readUInt16LE(directory); ++i) {
    const entry = directory + 2 + 12 * i;
    const size = { 2: 1, 3: 2, 4: 4, 5: 8 }[moved.readUInt16LE(entry + 2)] ?? 4;
    const isPlace = size * moved.readUInt32LE(entry + 4) > 4 || moved.readUInt16LE(entry) === 273;
    if (isPlace) moved.writeUInt32LE(moved.readUInt32LE(entry + 8) + start, entry + 8);
  }
  const file = Buffer.concat([first, Buffer.alloc(first.length % 2), moved]);
  const own = file.readUInt32LE(4);
  file.writeUInt32LE(directory + start, own + 2 + 12 * file.readUInt16LE(own));
  return file;
}
