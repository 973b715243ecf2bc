/**
 * The seam between files and samples, by a decoder that is not ours: which decoder a file is for, frames, depths, and
 * what an error says. Real formats are in image.test.ts.
 */
import sharp from "sharp";
import { describe, expect, it } from "vitest";
import { type Decoder, type Frames, openFrames, type Pixels } from "../../../src/data/decoding/decoder.js";
import { decodeImage, resizePixels } from "../../../src/data/decoding/sample.js";
import { definePreprocessing } from "../../../src/data/index.js";
import { DataError, MedMambaError } from "../../../src/errors.js";
import { message, png, write } from "../../support/temporary-folder.js";

const preprocessing = definePreprocessing({ imageSize: 4, channels: 1 });

/** Files of 128 bytes of anything, "TOY", a byte of the depth, a value a frame: each frame is 2 x 2 of it. */
const toy: Decoder = {
  name: "toy",
  endings: [".toy"],
  recognizes: (start) => Buffer.from(start.subarray(128, 131)).toString() === "TOY",
  async open({ bytes }): Promise<Frames> {
    const [bitDepth = 8, ...values] = bytes.subarray(131);
    return {
      count: values.length,
      async frame(index): Promise<Pixels> {
        const value = values[index] ?? 0;
        if (value === 13) throw new Error("this frame is unlucky");
        const data = (bitDepth > 8 ? new Uint16Array(4) : new Uint8Array(4)).fill(value << (bitDepth - 8));
        const spacing = { rows: 0.5, columns: 0.5 };
        return { width: 2, height: 2, channels: 1, bitDepth, photometric: "grey", spacing, data };
      },
    };
  },
};
const toyFile = (bitDepth: number, ...values: number[]) =>
  Buffer.concat([Buffer.alloc(128, 7), Buffer.from("TOY"), Buffer.from([bitDepth, ...values])]);

describe("a decoder", () => {
  it("gets the files that begin as it knows them, whatever their names", async () => {
    const file = await write("scan.png", toyFile(8, 100, 200));
    const { data } = await decodeImage(file, preprocessing, { frame: 1, decoders: [toy] });
    expect(data).toEqual(new Uint8Array(16).fill(200));
    expect(await message(decodeImage(file, preprocessing))).toBe(
      "/scan.png could not be read: it is not an image of a known format.",
    );
    const picture = await write("picture.toy", await png(50, 4));
    expect((await decodeImage(picture, preprocessing)).data[0]).toBe(50);
    expect(await message(decodeImage(picture, preprocessing, { decoders: [toy] }))).toBe(
      "/picture.toy could not be read: it is not an image of a known format.",
    );
  });

  it("may have frames of any depth up to 16 bits, which become 0..1", async () => {
    for (const bitDepth of [12, 16]) {
      const bytes = toyFile(bitDepth, 200);
      const { data } = await decodeImage(bytes, { ...preprocessing, channels: 1 }, { decoders: [toy] });
      expect(data).toBeInstanceOf(Float32Array);
      expect(data[5]).toBeCloseTo((200 << (bitDepth - 8)) / (2 ** bitDepth - 1), 4);
    }
  });

  it("is asked for frames that there are, and its errors name the file", async () => {
    const file = await write("frames.toy", toyFile(8, 1, 13));
    const frame = (index: number) =>
      message(decodeImage(file, preprocessing, { frame: index, decoders: [toy] }));
    expect(await frame(2)).toBe("/frames.toy could not be read: there is no frame 2, frames are 0 to 1.");
    expect(await frame(1)).toBe("/frames.toy frame 1 could not be read: this frame is unlucky.");
    const absent: Decoder = {
      ...toy,
      open: () => Promise.reject(new MedMambaError("MEDMAMBA_NO_DECODER", "it is not installed")),
    };
    const opening = decodeImage(file, preprocessing, { decoders: [absent] });
    await expect(opening).rejects.toThrow("it is not installed");
    await expect(opening).rejects.not.toBeInstanceOf(DataError);
  });
});

describe("the decoder of raster images", () => {
  it("has the pixels of a picture at its own size and depth", async () => {
    const grey = Uint16Array.from({ length: 15 }, (_, i) => 4000 * i);
    const raw = { width: 5, height: 3 } as const;
    const deep = await sharp(grey, { raw: { ...raw, channels: 1 } })
      .toColourspace("grey16")
      .png()
      .toBuffer();
    const frames = await openFrames({ bytes: deep, file: undefined });
    expect(frames.count).toBe(1);
    const about = { width: 5, height: 3, channels: 1, bitDepth: 16, photometric: "grey" };
    expect(await frames.frame(0)).toEqual({ ...about, data: grey });
    const colour = Uint8Array.from({ length: 45 }, (_, i) => 5 * i);
    const bytes = await sharp(colour, { raw: { ...raw, channels: 3 } })
      .png()
      .toBuffer();
    const { data, ...rest } = await (await openFrames({ bytes, file: undefined })).frame(0);
    expect(rest).toEqual({ ...about, channels: 3, bitDepth: 8, photometric: "rgb" });
    expect([...data]).toEqual([...colour]);
  });

  it("gives the same sample in one go as by way of its frame", async () => {
    const pixels = Uint8Array.from({ length: 40 * 30 }, (_, i) => (i * i) % 251);
    const raw = { width: 40, height: 30, channels: 1 } as const;
    const bytes = await sharp(pixels, { raw }).toColourspace("b-w").png().toBuffer();
    const whole = await openFrames({ bytes, file: undefined });
    const slow: Decoder = {
      ...toy,
      recognizes: () => true,
      open: async () => ({ count: 1, frame: whole.frame }),
    };
    for (const imageSize of [16, 64]) {
      const size = { ...preprocessing, imageSize };
      const { data } = await decodeImage(bytes, size, { decoders: [slow] });
      expect(data).toEqual((await decodeImage(bytes, size)).data);
    }
  });

  it("takes the pages of a TIFF for frames", async () => {
    const pages = [30, 60, 90].map((value) => Buffer.alloc(16, value));
    const raw = { width: 4, height: 12, channels: 1, pageHeight: 4 } as const;
    const bytes = await sharp(Buffer.concat(pages), { raw })
      .toColourspace("b-w")
      .tiff({ compression: "none" })
      .toBuffer();
    expect((await openFrames({ bytes, file: undefined })).count).toBe(3);
    for (const [frame, value] of [30, 60, 90].entries())
      expect((await decodeImage(bytes, preprocessing, { frame })).data[0]).toBe(value);
  });
});

describe("pixels that are not square", () => {
  /** 8 x 8 pixels, each twice as wide as high: 16 x 8 of the patient, of which the left half is white. */
  const wide: Pixels = {
    width: 8,
    height: 8,
    channels: 1,
    bitDepth: 8,
    photometric: "grey",
    spacing: { rows: 0.5, columns: 1 },
    data: Uint8Array.from({ length: 64 }, (_, i) => (i % 8 < 4 ? 255 : 0)),
  };
  const rows = async (resize: "stretch" | "cover" | "contain") => {
    const { data } = await resizePixels(wide, definePreprocessing({ imageSize: 8, channels: 1, resize }));
    return Array.from({ length: 8 }, (_, y) => Array.from(data.subarray(8 * y, 8 * y + 8), Math.round));
  };

  it("keep their proportions between bars", async () => {
    const found = await rows("contain");
    for (const y of [0, 1, 6, 7]) expect(found[y]).toEqual(new Array(8).fill(0));
    for (const y of [2, 3, 4, 5]) expect(found[y]).toEqual([255, 255, 255, 255, 0, 0, 0, 0]);
  });

  it("keep them where the sides are cut off", async () => {
    const [row = []] = await rows("cover"); // the middle 4 of 8 columns, each twice
    expect(row[0]).toBe(255);
    expect(row[7]).toBe(0);
    expect((row[3] ?? 0) - (row[4] ?? 0)).toBeGreaterThan(100);
  });

  it("are pixels like others where proportions are given up", async () => {
    expect((await rows("stretch"))[0]).toEqual([255, 255, 255, 255, 0, 0, 0, 0]);
  });
});
