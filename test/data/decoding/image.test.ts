/** Decoding real image files: sizes, channels, depths, orientation, and what cannot be read. */
import { join } from "node:path";
import sharp from "sharp";
import { describe, expect, it } from "vitest";
import { definePreprocessing, loadImage, type Sample } from "../../../src/data/index.js";
import { normalization } from "../../../src/data/preprocessing.js";
import { message, png, root, write } from "../../support/temporary-folder.js";

const preprocessing = { imageSize: 8, channels: 1 } as const;

describe("decoding", () => {
  const raw = (pixels: Uint8Array | Uint16Array, width: number, height: number, channels: 1 | 2 | 3 | 4) =>
    sharp(pixels, { raw: { width, height, channels } });

  it("gives a planar sample of the size and channels asked, grey repeated", async () => {
    const pixels = Uint8Array.from({ length: 64 }, (_, i) => i * 3);
    const file = await raw(pixels, 8, 8, 1).toColourspace("b-w").png().toBuffer();
    const sample = await loadImage(file, { imageSize: 8, channels: 3 });
    expect(sample).toMatchObject({ channels: 3, height: 8, width: 8 });
    expect([...sample.data]).toEqual([...pixels, ...pixels, ...pixels]);
  });

  it("separates the planes of a colour image, and takes its luminance for one channel", async () => {
    const pixels = Uint8Array.from({ length: 64 * 3 }, (_, i) => [200, 100, 0][i % 3] ?? 0);
    const file = await raw(pixels, 8, 8, 3).png().toBuffer();
    const colour = await loadImage(file, { imageSize: 8, channels: 3 });
    expect([colour.data[0], colour.data[64], colour.data[128]]).toEqual([200, 100, 0]);
    const { data } = await loadImage(file, preprocessing);
    expect(data.length).toBe(64);
    expect(data[0]).toBeGreaterThan(100);
    expect(data[0]).toBeLessThan(200);
  });

  it("keeps the precision of 16 bits, in grey and in colour, also when resizing", async () => {
    const grey = await raw(new Uint16Array(64).fill(1001), 8, 8, 1).toColourspace("grey16").png().toBuffer();
    for (const imageSize of [8, 16]) {
      const { data } = await loadImage(grey, { imageSize, channels: 1 });
      expect(data).toBeInstanceOf(Float32Array);
      expect(data[0]).toBeCloseTo(1001 / 65535, 7);
    }
    const pixels = Uint16Array.from({ length: 64 * 3 }, (_, i) => [60001, 30001, 1][i % 3] ?? 0);
    const colour = await raw(pixels, 8, 8, 3).toColourspace("rgb16").png().toBuffer();
    const { data } = await loadImage(colour, { imageSize: 8, channels: 3 });
    expect(data[64]).toBeCloseTo(30001 / 65535, 7);
  });

  it("shrinks WebP as PNG, and JPEG almost so", async () => {
    const [width, height] = [900, 700];
    const noise = (i: number) => (Math.imul(i, 2654435761) >>> 24) / 6;
    const fine = Uint8Array.from({ length: width * height }, (_, i) => {
      const [x, y] = [i % width, Math.floor(i / width)];
      return (
        100 + 50 * Math.sin(Math.hypot(x - 400, y - 300) / 9) + 30 * Math.sin(x * 0.9 + y * 0.3) + noise(i)
      );
    });
    const picture = raw(fine, width, height, 1).toColourspace("b-w");
    const [png, webp, jpeg] = await Promise.all([
      picture.clone().png().toBuffer(),
      picture.clone().webp({ lossless: true }).toBuffer(),
      picture.clone().jpeg({ quality: 95 }).toBuffer(),
    ]);
    const decodedJpeg = await sharp(jpeg).png().toBuffer();
    for (const imageSize of [16, 64, 224, 400]) {
      const pixels = async (file: Buffer) => (await loadImage(file, { imageSize, channels: 1 })).data;
      const [asPng, asWebp, asJpeg, whole] = await Promise.all([png, webp, jpeg, decodedJpeg].map(pixels));
      expect(asWebp).toEqual(asPng);
      for (const [i, value] of asJpeg!.entries()) expect(Math.abs(value - whole![i]!)).toBeLessThanOrEqual(5);
    }
  });

  it("lays transparency over black, and reads palettes, CMYK and grey JPEG", async () => {
    const alpha = Uint8Array.from({ length: 64 * 2 }, (_, i) => (i % 2 ? 0 : 200));
    const clear = await loadImage(await raw(alpha, 8, 8, 2).png().toBuffer(), preprocessing);
    expect(clear.data[0]).toBe(0);
    const red = raw(
      Uint8Array.from({ length: 192 }, (_, i) => (i % 3 ? 20 : 220)),
      8,
      8,
      3,
    );
    for (const file of [
      await red.clone().png({ palette: true }).toBuffer(),
      await red.clone().toColourspace("cmyk").jpeg().toBuffer(),
      await red.clone().webp({ lossless: true }).toBuffer(),
      await red.clone().gif().toBuffer(),
      await red.clone().tiff().toBuffer(),
    ]) {
      const { data } = await loadImage(file, { imageSize: 8, channels: 3 });
      expect(Math.abs((data[0] ?? 0) - 220)).toBeLessThan(30);
      expect(Math.abs((data[64] ?? 0) - 20)).toBeLessThan(30);
    }
    const grey = await red.clone().greyscale().jpeg().toBuffer();
    expect((await loadImage(grey, preprocessing)).data).toHaveLength(64);
  });

  it("honours EXIF orientation", async () => {
    const leftBright = Uint8Array.from({ length: 64 }, (_, i) => (i % 8 < 4 ? 255 : 0));
    const file = await raw(leftBright, 8, 8, 1)
      .jpeg({ quality: 100 })
      .withMetadata({ orientation: 6 })
      .toBuffer();
    const { data } = await loadImage(file, preprocessing); // orientation 6: turn clockwise, left becomes top
    expect(data[0 * 8 + 7]).toBeGreaterThan(200);
    expect(data[7 * 8 + 0]).toBeLessThan(50);
  });

  it("turns and mirrors all eight EXIF orientations, in every format that has them", async () => {
    // Of four quarters, where each goes: the stored picture is 1 2 / 3 4. As the EXIF standard has it.
    const upright = ["1234", "2143", "4321", "3412", "1324", "3142", "4231", "2413"];
    const quarters = Uint8Array.from({ length: 32 * 32 }, (_, i) => {
      const [bottom, right] = [Math.floor(i / 32) >= 16, i % 32 >= 16];
      return 50 * (1 + Number(right) + 2 * Number(bottom));
    });
    for (const [at, expected] of upright.entries()) {
      const image = raw(quarters, 32, 32, 1).withMetadata({ orientation: at + 1 });
      for (const file of [
        await image.clone().jpeg({ quality: 100 }).toBuffer(),
        await image.clone().png().toBuffer(),
        await image.clone().webp({ lossless: true }).toBuffer(),
        await image.clone().tiff({ compression: "lzw" }).toBuffer(),
      ]) {
        const { data } = await loadImage(file, preprocessing);
        const corners = [data[0], data[7], data[56], data[63]].map((value) => Math.round((value ?? 0) / 50));
        expect(corners.join(""), `orientation ${at + 1}`).toBe(expected);
      }
    }
  });

  it("stretches, covers or contains an image that is not square", async () => {
    const wide = await raw(
      new Uint8Array(16 * 8).map((_, i) => (i % 16 < 4 ? 0 : 255)),
      16,
      8,
      1,
    )
      .png()
      .toBuffer();
    const row = async (resize: "stretch" | "cover" | "contain"): Promise<Sample> =>
      loadImage(wide, { ...preprocessing, resize });
    expect((await row("stretch")).data[0]).toBeLessThan(50); // the dark edge is there, narrower
    expect((await row("cover")).data[4 * 8]).toBeGreaterThan(200); // it is cut off
    const contained = (await row("contain")).data;
    expect(contained[4]).toBe(0); // bars above and below
    expect(contained[4 * 8 + 6]).toBeGreaterThan(200);
  });

  it("names the file and says why it cannot be read", async () => {
    const whole = await png(100, 64);
    const cases = {
      "empty.png": ["", "the file is empty"],
      "text.png": ["this is no image", "it is not an image of a known format"],
      "cut.png": [whole.subarray(0, whole.length - 500), "the image is damaged or cut off"],
    } as const;
    for (const [file, [bytes, why]] of Object.entries(cases)) {
      expect(await message(loadImage(await write(file, bytes)))).toBe(`/${file} could not be read: ${why}.`);
    }
    expect(await message(loadImage(join(root, "none.png")))).toMatch(
      /none.png could not be read: there is no such file\./,
    );
  });

  it("refuses preprocessing that makes no sense", () => {
    expect(() => definePreprocessing({ imageSize: 0 })).toThrow(/imageSize 0/);
    expect(() => definePreprocessing({ channels: 1, mean: [0, 0, 0] })).toThrow(
      /mean \[0, 0, 0\] is not 1 numbers/,
    );
    expect(() => definePreprocessing({ channels: 1, std: [0] })).toThrow(/must be positive/);
    const { scale, shift } = normalization(definePreprocessing({ channels: 1, mean: [0.25], std: [0.5] }));
    expect((scale[0] ?? 0) * 0.25 + (shift[0] ?? 0)).toBeCloseTo(0);
    const complete = definePreprocessing();
    expect(JSON.parse(JSON.stringify(complete))).toEqual(complete);
  });
});
