/** MedMNIST archives, zipped here: what is read, and which words name what is wrong. */
import { zipSync } from "fflate";
import { describe, expect, it } from "vitest";
import { openDataset } from "../../../src/data/index.js";
import { npy } from "../../support/npy.js";
import { message, write } from "../../support/temporary-folder.js";

const bytesOf = (array: ArrayBufferView): Uint8Array =>
  new Uint8Array(array.buffer, array.byteOffset, array.byteLength);

/** Six, three and three images of 4 x 4; `changes` replaces or, with undefined, removes arrays. */
function archive(changes: Record<string, Uint8Array | undefined> = {}): Uint8Array {
  const arrays: Record<string, Uint8Array | undefined> = {};
  for (const [split, count] of [
    ["train", 6],
    ["val", 3],
    ["test", 3],
  ] as const) {
    const images = Uint8Array.from({ length: count * 16 }, (_, i) => (i * 7 + count) % 256);
    arrays[`${split}_images`] = npy("|u1", [count, 4, 4], images);
    arrays[`${split}_labels`] = npy(
      "|u1",
      [count, 1],
      Uint8Array.from({ length: count }, (_, i) => i % 3),
    );
  }
  const kept = Object.entries({ ...arrays, ...changes }).filter((entry) => entry[1] !== undefined);
  return zipSync(Object.fromEntries(kept.map(([key, bytes]) => [`${key}.npy`, bytes as Uint8Array])));
}

describe("MedMNIST archives", () => {
  const open = async (bytes: Uint8Array, options = {}) =>
    openDataset(await write("set.npz", bytes), { preprocessing: { imageSize: 4, channels: 1 }, ...options });

  it("gives back the pixels and labels that went in", async () => {
    const { train, val, test, classes } = await open(archive());
    expect(classes).toEqual(["0", "1", "2"]);
    expect([train.length, val.length, test.length]).toEqual([6, 3, 3]);
    expect([...train.labels]).toEqual([0, 1, 2, 0, 1, 2]);
    const expected = Array.from({ length: 16 }, (_, i) => ((i + 16 * 2) * 7 + 6) % 256);
    expect([...(await train.sample(2)).data]).toEqual(expected);
    expect(train.name(2)).toMatch(/set\.npz train_images\[2\]$/);
  });

  it("reads colour, every integer type of labels, flat labels, and one split alone", async () => {
    const colour = Uint8Array.from({ length: 6 * 48 }, (_, i) => i % 251);
    const labels = [0, 1, 2, 2, 1, 0];
    const types = {
      "<i8": BigInt64Array.from(labels, BigInt),
      "<u4": Uint32Array.from(labels),
      ">i2": Uint8Array.from(labels.flatMap((label) => [0, label])),
      "|i1": Int8Array.from(labels),
      "<f4": Float32Array.from(labels),
    };
    for (const [dtype, values] of Object.entries(types)) {
      const bytes = archive({
        train_images: npy("|u1", [6, 4, 4, 3], colour),
        train_labels: npy(dtype, [6], bytesOf(values)),
      });
      const { train, val } = await open(bytes, {
        split: "train",
        preprocessing: { imageSize: 4, channels: 3 },
        classes: ["x", "y", "z"],
      });
      expect([...train.labels]).toEqual(labels);
      expect(val.length).toBe(0);
      const { data } = await train.sample(1);
      expect([data[0], data[16], data[32], data[1]]).toEqual([48, 49, 50, 51]);
    }
  });

  it("resizes images of another size", async () => {
    const bright = archive({ train_images: npy("|u1", [6, 4, 4], new Uint8Array(96).fill(200)) });
    const { train } = await open(bright, { preprocessing: { imageSize: 9, channels: 3 } });
    const sample = await train.sample(0);
    expect(sample.data.length).toBe(243);
    expect(sample.data.every((value) => Math.abs(value - 200) <= 1)).toBe(true);
  });

  it("opens what has test images alone, for those who ask for them, and tells others what is missing", async () => {
    const none = { train_images: undefined, train_labels: undefined };
    const testAlone = archive({ ...none, val_images: undefined, val_labels: undefined });
    const { test, train } = await open(testAlone, { split: "test" });
    expect([train.length, test.length, test.classes.length]).toEqual([0, 3, 3]);
    expect(await message(open(testAlone))).toMatch(
      /found the arrays test_images, test_labels; expected train/,
    );
    expect(await message(open(testAlone, { split: "val" }))).toBe(
      "/set.npz has no val images: choose another split.",
    );
    const named = await open(testAlone, { split: "test", classes: ["a", "b", "c", "d"] });
    expect(named.classes).toEqual(["a", "b", "c", "d"]);
  });

  it("draws what an archive has none of from its training images, as of a folder, whichever part is asked for", async () => {
    const images = Uint8Array.from({ length: 12 * 16 }, (_, i) => (i * 7) % 256);
    const labels = Uint8Array.from({ length: 12 }, (_, i) => i % 3);
    const bytes = archive({
      train_images: npy("|u1", [12, 4, 4], images),
      train_labels: npy("|u1", [12], labels),
      val_images: undefined,
      val_labels: undefined,
    });
    const warnings: string[] = [];
    const whole = await open(bytes, { onWarning: (text: string) => warnings.push(text) });
    expect([whole.train.length, whole.val.length, whole.test.length]).toEqual([9, 3, 3]);
    expect(warnings[0]).toMatch(/has no val images of its own: 3 images of train are set aside for it/);
    for (const split of ["train", "val", "test"] as const) {
      const { [split]: alone } = await open(bytes, { split });
      const names = ({ length, name }: typeof alone) => Array.from({ length }, (_, i) => name(i));
      expect(names(alone)).toEqual(names(whole[split]));
    }
  });

  it("names what is wrong with an archive", async () => {
    const labels = (...values: number[]) =>
      npy("<i8", [values.length, 1], bytesOf(BigInt64Array.from(values, BigInt)));
    const problem = async (changes: Record<string, Uint8Array | undefined>, options = {}) =>
      message(open(archive(changes), options));
    expect(await problem({ val_images: undefined, extra: npy("|u1", [1], new Uint8Array(1)) })).toBe(
      "/set.npz: found the arrays train_images, train_labels, val_labels, test_images, test_labels, extra; " +
        "expected train_images, train_labels, val_images, val_labels, test_images, test_labels, as in MedMNIST; " +
        "to judge a model, those of test alone will do.",
    );
    expect(await problem({ train_labels: labels(0, 1, 2, 0, 1) })).toMatch(
      /train_images has 6 images but train_labels has 5 labels/,
    );
    expect(await problem({ train_labels: labels(0, 1, 2, 0, 1, -1) })).toMatch(
      /train_labels holds -1 for image 5; labels must not be negative/,
    );
    expect(
      await problem({ train_labels: npy("<f8", [6], bytesOf(Float64Array.of(0, 1, 1.5, 0, 1, 2))) }),
    ).toMatch(/holds 1\.5 for image 2; labels must be integers/);
    expect(await problem({ test_labels: labels(0, 1, 3) })).toMatch(
      /test_labels is out of range: it holds 3, but train_labels holds only 0 to 2/,
    );
    expect(await problem({ train_labels: labels(0, 1, 2, 0, 1, 900) })).toMatch(
      /train_labels is out of range: it holds 900/,
    );
    expect(await problem({}, { classes: ["a", "b"] })).toMatch(
      /train_labels holds 2 for image 2; there are 2 classes, so labels run from 0 to 1/,
    );
    expect(await problem({ train_labels: npy("|u1", [6, 14], new Uint8Array(84)) })).toMatch(
      /its splits have 14, 1, 1 labels an image/,
    );
    expect(await problem({ train_labels: npy("<U5", [6], new Uint8Array(120)) })).toMatch(
      /is of type <U5; labels must be integers/,
    );
    expect(await problem({ train_images: npy("<f8", [6, 4, 4], new Uint8Array(768)) })).toMatch(
      /train_images is of type <f8; images must be of type uint8/,
    );
    expect(await problem({ train_images: npy("|u1", [6, 4, 4, 4], new Uint8Array(384)) })).toMatch(
      /has shape \(6, 4, 4, 4\)/,
    );
    expect(await problem({ train_images: npy("|u1", [6, 4, 4], new Uint8Array(96), true) })).toMatch(
      /Fortran order/,
    );
    expect(await problem({ train_images: npy("|u1", [6, 4, 4], new Uint8Array(90)) })).toMatch(
      /train_images is damaged: it ends too early/,
    );
    expect(await problem({ train_images: npy("|u1", [6, 4, 4], new Uint8Array(99)) })).toMatch(
      /damaged: it is longer than its header says/,
    );
    expect(await problem({ train_images: Buffer.from("not an array at all") })).toMatch(
      /damaged: it is not in \.npy format/,
    );
    const zeros = {
      train_labels: labels(0, 0, 0, 0, 0, 0),
      val_labels: labels(0, 0, 0),
      test_labels: labels(0, 0, 0),
    };
    expect(await problem(zeros)).toMatch(/only one class, "0"/);
  });

  it("notices an archive that is cut off, damaged or none", async () => {
    const whole = archive();
    const cutOff = /^\/set\.npz is not a whole \.npz file; it may have been cut off/;
    expect(await message(open(whole.subarray(0, whole.length - 200)))).toMatch(cutOff);
    expect(await message(open(Buffer.from("hello")))).toMatch(cutOff);
    const stored = zipSync(
      Object.fromEntries(
        ["train", "val", "test"].flatMap((split) => [
          [`${split}_images.npy`, npy("|u1", [2, 4, 4], new Uint8Array(32).fill(201))],
          [`${split}_labels.npy`, npy("|u1", [2, 1], Uint8Array.of(0, 1))],
        ]),
      ),
      { level: 0 },
    );
    stored[stored.indexOf(201) + 3] = 202;
    expect(await message(open(stored))).toMatch(/train_images is damaged: its checksum is wrong/);
  });

  it("compares what an archive declares with what is there, before memory is taken for it", async () => {
    const began = performance.now();
    const one = new Uint8Array(1);
    for (const count of [10 ** 12, 3 * 10 ** 13])
      expect(await message(open(archive({ train_images: npy("|u1", [count, 1, 1], one) })))).toMatch(
        /train_images has \d+ images, and at most 67108864 are read/,
      );
    expect(await message(open(archive({ train_images: npy("|u1", [6, 9000, 9000], one) })))).toMatch(
      /train_images is damaged: it ends too early: its header declares 486000\d+ bytes/,
    );
    const bomb = archive({ train_labels: npy("|u1", [2 ** 26], new Uint8Array(2 ** 26)) });
    const before = process.memoryUsage().rss;
    expect(await message(open(bomb))).toMatch(/has 6 images but train_labels has 67108864 labels/);
    expect(process.memoryUsage().rss - before).toBeLessThan(100e6);
    expect(performance.now() - began).toBeLessThan(10_000);
  });

  it("does not follow an archive to places beyond its end", async () => {
    const whole = Buffer.from(archive());
    const end = whole.length - 22;
    const locator = Buffer.alloc(20);
    locator.writeUInt32LE(0x07064b50, 0);
    for (const place of [2n ** 56n, 2n ** 40n, 2n ** 63n]) {
      locator.writeBigUInt64LE(place, 8);
      const bytes = Buffer.concat([whole.subarray(0, end), locator, whole.subarray(end)]);
      expect(await message(open(bytes))).toMatch(/^\/set\.npz is not a whole \.npz file/);
    }
  });
});
