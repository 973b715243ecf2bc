/** What a file says of its size is not believed, and values that would be changed in silence are refused. */
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import sharp from "sharp";
import { afterEach, describe, expect, it } from "vitest";
import { definePreprocessing, fromArrays, loadImage, openDataset } from "../../../src/data/index.js";
import { ArgumentError } from "../../../src/errors.js";
import { message, png, root, write } from "../../support/temporary-folder.js";

const preprocessing = { imageSize: 8, channels: 1 } as const;

/** A grey PNG that declares a size and has hardly any data. */
function hollowPng(width: number, height: number): Buffer {
  const chunk = (type: string, data: Buffer): Buffer => {
    const body = Buffer.concat([Buffer.from(type, "latin1"), data]);
    const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
    length.writeUInt32BE(data.length);
    sum.writeUInt32BE(crc32(body));
    return Buffer.concat([length, body, sum]);
  };
  const head = Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0]);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  const start = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return Buffer.concat([
    start,
    chunk("IHDR", head),
    chunk("IDAT", Buffer.from([0x78, 0x9c])),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}

/** An 8 x 8 grey TIFF. @param format  1 unsigned, 2 signed, 3 floating */
function tiff(bits: number, format: number): Buffer {
  const bytes = 8 * bits;
  const tags = [
    [256, 8],
    [257, 8],
    [258, bits],
    [259, 1],
    [262, 1],
    [273, 134],
    [277, 1],
    [278, 8],
    [279, bytes],
    [339, format],
  ] as const;
  const file = Buffer.alloc(134 + bytes, 60);
  file.write("II*\0", 0, "latin1");
  file.writeUInt32LE(8, 4);
  file.writeUInt16LE(tags.length, 8);
  tags.forEach(([tag, value], i) => {
    file.writeUInt16LE(tag, 10 + i * 12);
    file.writeUInt16LE(4, 12 + i * 12);
    file.writeUInt32LE(1, 14 + i * 12);
    file.writeUInt32LE(value, 18 + i * 12);
  });
  file.writeUInt32LE(0, 130);
  return file;
}

describe("a picture's declared size", () => {
  afterEach(() => delete process.env.MEDMAMBA_MAX_PIXELS);

  it("is bounded before anything is decoded", async () => {
    const began = performance.now();
    for (const [width, height] of [
      [8_388_608, 20],
      [13_000_000, 20],
      [2_000_000, 120],
      [9000, 9000],
    ] as const) {
      expect(await message(loadImage(hollowPng(width, height), preprocessing))).toContain(
        `it is ${width} x ${height} pixels, and at most 67108864 are read: raise the option maxPixels`,
      );
    }
    expect(await message(loadImage(hollowPng(3_000_000, 20), preprocessing))).toMatch(
      /a side may have 65536/,
    );
    expect(performance.now() - began).toBeLessThan(5000);
  });

  it("may be more or less where an option or the environment says so", async () => {
    const image = await png(5, 16);
    expect(await message(loadImage(image, preprocessing, { maxPixels: 255 }))).toMatch(/at most 255/);
    await write("bounded/a.png", image);
    const path = await write("bounded/list.csv", "path,label\na.png,a\nb.png,b");
    await write("bounded/b.png", image);
    const options = { preprocessing, validationFraction: 0, testFraction: 0 };
    expect(await message(openDataset(path, { ...options, maxPixels: 100 }))).toMatch(/at most 100 are read/);
    process.env.MEDMAMBA_MAX_PIXELS = "200";
    expect(await message(openDataset(path, options))).toMatch(/at most 200 are read/);
    expect((await openDataset(path, { ...options, maxPixels: 256 })).train.length).toBe(2);
    process.env.MEDMAMBA_MAX_PIXELS = "many";
    await expect(loadImage(image, preprocessing)).rejects.toThrow(ArgumentError);
  });

  it.skipIf(process.platform === "win32")("is asked of regular files only", async () => {
    await write("special/a.png", await png(1));
    execFileSync("mkfifo", [join(root, "special/pipe.png")]);
    for (const file of [join(root, "special/pipe.png"), "/dev/zero"])
      expect(await message(loadImage(file, preprocessing))).toMatch(/not a regular file/);
    expect(await message(loadImage(join(root, "special"), preprocessing))).toMatch(/it is a directory/);
  });
});

describe("values", () => {
  it("of signed and floating TIFFs are refused by their kind, with what to do", async () => {
    for (const [bits, format, words] of [
      [16, 2, /signed integers of 16 bits.*choose the option window/],
      [8, 2, /signed integers of 8 bits/],
      [16, 3, /floating-point numbers/],
      [32, 3, /floating-point numbers/],
      [64, 3, /floating-point numbers of 64 bits.*choose the option window/],
    ] as const)
      expect(await message(loadImage(tiff(bits, format), preprocessing))).toMatch(words);
    expect((await loadImage(tiff(16, 1), preprocessing)).data[0]).toBeCloseTo(0x3c3c / 65535, 5);
  });

  it("of arrays are 0..1 or bytes, and their labels 32 bits", () => {
    const about = { shape: [2, 4, 4], labels: [0, 1] };
    const floats = new Float32Array(32).fill(100);
    for (const imageSize of [4, 8])
      expect(() => fromArrays({ ...about, images: floats, preprocessing: { imageSize } })).toThrow(
        /holds 100 in image 0; floats must lie in 0\.\.1: divide/,
      );
    expect(() => fromArrays({ ...about, images: new Float32Array(32).fill(NaN) })).toThrow(/holds NaN/);
    const clamped = new Uint8ClampedArray(32).fill(100) as unknown as Uint8Array;
    expect(fromArrays({ ...about, images: clamped }).length).toBe(2);
    const images = new Uint8Array(32);
    expect(() => fromArrays({ ...about, images, labels: [0, 2 ** 32] })).toThrow(
      /labels are at most 2147483647/,
    );
  });

  it("of mean and std are on the scale of the pixels, 0..1", () => {
    expect(() => definePreprocessing({ mean: [123.675, 116.28, 103.53] })).toThrow(
      /divide mean and std of 0\.\.255 by 255/,
    );
    expect(() => definePreprocessing({ std: [58, 57, 57] })).toThrow(/std \[58, 57, 57\] is beyond 1/);
    expect(() => definePreprocessing({ mean: [-0.5, 0.5, 0.5] })).toThrow(/mean .* is below 0/);
  });

  it("of later pages are not taken, which loadImage says", async () => {
    const pixels = Uint8Array.from({ length: 8 * 16 * 3 }, (_, i) => (i < 192 ? 9 : 200)); // equal frames become one
    const animation = await sharp(pixels, {
      raw: { width: 8, height: 16, channels: 3, pageHeight: 8 },
    })
      .webp({ lossless: true, loop: 0 })
      .toBuffer();
    const warnings: string[] = [];
    const onWarning = (text: string) => warnings.push(text);
    await loadImage(animation, preprocessing, { onWarning });
    await loadImage(await write("animated.webp", animation), preprocessing, { onWarning });
    await loadImage(await png(3), preprocessing, { onWarning });
    expect(warnings.map((text) => text.replace(root, ""))).toEqual([
      "the image has 2 pages or pictures; the first is taken.",
      "/animated.webp has 2 pages or pictures; the first is taken.",
    ]);
  });

  it("of later pages are not taken, which is said once", async () => {
    const pages = await sharp(Buffer.alloc(8 * 24, 9), {
      raw: { width: 8, height: 24, channels: 1, pageHeight: 8 },
    })
      .tiff()
      .toBuffer();
    for (const name of ["a/0.tif", "b/1.tif"]) await write(`pages/${name}`, pages);
    await write("pages/a/1.png", await png(3));
    const warnings: string[] = [];
    const onWarning = (warning: string) => warnings.push(warning);
    await openDataset(join(root, "pages"), { preprocessing, onWarning });
    expect(warnings.filter((text) => text.includes("pages or pictures"))).toEqual([
      expect.stringMatching(/2 of the images have several pages.*with 3\); the first of each is taken/),
    ]);
  });
});
