/**
 * Frames that are decoded by other threads: what comes back is what the codec makes of them here (which pictures.test.ts
 * compares with other programs), and a thread that dies or does not end costs its frame alone. Threads run the program of dist.
 */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import sharp from "sharp";
import { describe, expect, it } from "vitest";
import { openFrames } from "../../../../../src/data/decoding/decoder.js";
import { codecs } from "../../../../../src/data/decoding/dicom/codecs/codecs.js";
import type { FrameTask } from "../../../../../src/data/decoding/dicom/codecs/thread-messages.js";
import { DecodingThreads, decodingThreads } from "../../../../../src/data/decoding/dicom/codecs/threads.js";
import { readDataSet } from "../../../../../src/data/decoding/dicom/data-set.js";
import { encapsulatedFrames } from "../../../../../src/data/decoding/dicom/encapsulation.js";
import { imageAttributes } from "../../../../../src/data/decoding/dicom/image-attributes.js";
import { DataError, MedMambaError } from "../../../../../src/errors.js";
import { dicomFile, smallPicture } from "../../../../support/dicom-file.js";
import { fixture, repository } from "../../../../support/repository.js";
import { write } from "../../../../support/temporary-folder.js";

/** The first frame of a file of test/fixtures. */
function frameOf(name: string): FrameTask {
  const bytes = readFileSync(fixture(`dicom/${name}.dcm`));
  const { attributes, pixels, syntax } = readDataSet(bytes);
  const image = imageAttributes(attributes, { bigEndian: false, float: undefined, maxPixels: 1e6 });
  const [fragments = []] = encapsulatedFrames(bytes, pixels?.offset ?? 0, image.frames, attributes);
  return { codec: syntax.codec as FrameTask["codec"], bytes: Buffer.concat(fragments), image };
}

/** A grey ramp of 160 x 128 pixels as JPEG, and the DICOM file around it: large enough for a thread of its own. */
async function largePicture() {
  const ramp = Uint8Array.from({ length: 160 * 128 }, (_, at) => (at % 160) + Math.floor(at / 160) / 2);
  const jpeg = await sharp(ramp, { raw: { width: 160, height: 128, channels: 1 } })
    .toColourspace("b-w")
    .jpeg({ quality: 95 })
    .toBuffer();
  const even = jpeg.length % 2 ? Buffer.concat([jpeg, Buffer.alloc(1)]) : jpeg;
  const item = (tag: string, content: Uint8Array) => {
    const head = Buffer.from(`feff${tag}00000000`, "hex");
    head.writeUInt32LE(content.length, 4);
    return Buffer.concat([head, content]);
  };
  const size = { "00280010 US": 128, "00280011 US": 160 };
  const attributes = Object.fromEntries(
    Object.entries({ ...smallPicture, ...size }).filter(([name]) => name !== "7FE00010 OB"),
  );
  const header = dicomFile(attributes, { syntax: "1.2.840.10008.1.2.4.50" });
  const element = Buffer.from("e07f10004f420000ffffffff", "hex"); // of a length that is not told
  const empty = Buffer.alloc(0);
  const file = Buffer.concat([header, element, item("00e0", empty), item("00e0", even), item("dde0", empty)]);
  return { ramp, file };
}

describe("a thread", () => {
  const threads = new DecodingThreads({ most: 2 });

  it.each([
    "jpeg-2000-16-signed",
    "jpeg-2000-lossy-rgb",
    "htj2k-16",
    "jpeg-ls-12",
    "jpeg-ls-planes",
    "jpeg-lossless-16-signed",
    "jpeg-extended-12",
    "jpeg-baseline-rgb",
  ])("gives the values of %s as this one does", async (name) => {
    const task = frameOf(name);
    const expected = await (await codecs[task.codec]())(task.bytes.slice(), task.image);
    expect(await threads.decode(task)).toEqual(expected);
  });

  it("says of a damaged frame what this one says", async () => {
    const task = frameOf("jpeg-2000-16");
    const damaged = { ...task, bytes: task.bytes.subarray(0, 90) };
    const error = await threads.decode(damaged).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(DataError);
    expect((error as DataError).reason).toBe("its compressed picture is damaged or cut off");
    const other = { ...task, image: { ...task.image, rows: 99 } };
    await expect(threads.decode(other)).rejects.toThrow(/14 x 11 .* where 14 x 99 with 1 are declared/);
    expect((await threads.decode(task)).values.length).toBe(14 * 11);
  });

  it("is one of as many as are wanted, started when all others have a frame", async () => {
    const few = new DecodingThreads({ most: 2 });
    expect(few.count).toBe(0);
    await few.decode(frameOf("jpeg-ls-12"));
    expect(few.count).toBe(1);
    const task = frameOf("jpeg-ls-12");
    const all = await Promise.all(Array.from({ length: 7 }, () => few.decode(task)));
    expect(new Set(all.map(({ values }) => String(values))).size).toBe(1);
    expect(few.count).toBe(2);
  });

  it("decodes what an opened file asks for, from a certain size on", async () => {
    const { ramp, file } = await largePicture();
    const before = decodingThreads.count;
    const small = readFileSync(fixture("dicom/jpeg-2000-12.dcm"));
    await (await openFrames({ bytes: small, file: undefined })).frame(0);
    expect(decodingThreads.count).toBe(before);
    const own = Buffer.from(new Uint8Array(file).buffer); // not of Node's pool, which cannot be given away
    const frames = await openFrames({ bytes: own, file: undefined });
    const { data } = await frames.frame(0);
    expect(decodingThreads.count).toBe(before + 1);
    expect(await frames.frame(0)).toMatchObject({ data }); // the file's memory stays where it is
    expect(data.length).toBe(ramp.length);
    const range = ramp.reduce((most, value) => Math.max(most, value), 0); // no window: from least to most is 0 to 255
    for (const at of [0, 77, 5000, ramp.length - 1])
      expect(Math.abs((data[at] as number) - ((ramp[at] as number) * 255) / range)).toBeLessThan(4);
  });
});

describe("a thread that fails", () => {
  /** Of a frame's first byte: 1 ends the thread, 2 throws where nobody catches, 3 fills its memory, 4 never comes to an end. */
  const program = `
    const { parentPort } = require("node:worker_threads");
    parentPort.on("message", ({ bytes: [what] }) => {
      if (what === 1) process.exit(7);
      if (what === 2) setImmediate(() => { throw new Error("the codec fell over"); });
      if (what === 3) for (const all = [];;) all.push(new Array(1e5).fill(all.length + 0.5));
      if (what === 4) for (;;);
      if (what === 5) parentPort.postMessage({ fault: "installation", message: "no codec", code: "MEDMAMBA_NO_DECODER" });
      if (what === 0) parentPort.postMessage({ kind: "Uint8Array", buffer: new Uint8Array([9]).buffer, isRgb: false });
    });
    parentPort.postMessage("ready");`;
  const task = frameOf("jpeg-ls-12");
  const frame = (what: number): FrameTask => ({ ...task, bytes: Uint8Array.of(what) });

  it.each([
    [1, "it ended by itself"],
    [2, "the codec fell over"],
    [3, "there was not enough memory"],
    [4, "it took more than 1 seconds"],
  ])("in way %i costs its frame, and is replaced", async (what, reason) => {
    const file = await write("failing.cjs", program);
    const threads = new DecodingThreads({ most: 1, patience: 1, program: file, megabytes: 24 });
    expect((await threads.decode(frame(0))).values).toEqual(Uint8Array.of(9));
    const failing = threads.decode(frame(what)).catch((error: unknown) => error);
    const waiting = threads.decode(frame(0)); // in line behind it
    const error = await failing;
    expect(error).toBeInstanceOf(DataError);
    expect((error as DataError).reason).toBe(`its compressed picture cannot be decoded: ${reason}`);
    expect((await waiting).values).toEqual(Uint8Array.of(9));
    expect(threads.count).toBe(1);
  });

  it("to load a codec is no fault of the picture", async () => {
    const threads = new DecodingThreads({ most: 1, program: await write("failing.cjs", program) });
    const error = await threads.decode(frame(5)).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(MedMambaError);
    expect(error).not.toBeInstanceOf(DataError);
    expect(error).toMatchObject({ code: "MEDMAMBA_NO_DECODER", message: "no codec" });
  });

  it.each([
    ["is not there", "/nowhere/thread.js"],
    ["cannot start", undefined],
  ])("because its program %s leaves frames to this one", async (_, nowhere) => {
    const file = nowhere ?? (await write("broken.cjs", "throw new Error('not here');"));
    const threads = new DecodingThreads({ most: 2, program: file });
    const all = await Promise.all([threads.decode(task), threads.decode(task), threads.decode(task)]);
    for (const { values } of all) expect(values.length).toBe(14 * 11);
    expect(threads.count).toBe(0);
  });
});

it.each(["index.js", "cjs/index.js"])("a program that used threads ends (dist/%s)", async (entry) => {
  const path = await write("large.dcm", (await largePicture()).file);
  const main = JSON.stringify(join(repository, "dist", entry));
  const load = entry.startsWith("cjs") ? `require(${main})` : `await import(${main})`;
  const source = `(async () => {
      const { data } = ${load};
      const sample = await data.loadImage(${JSON.stringify(path)}, { imageSize: 8, channels: 1 });
      const threads = process.report.getReport().workers.length;
      console.log(sample.width, threads);
    })();`;
  const { stdout, stderr, signal } = spawnSync(
    process.execPath,
    [`--input-type=${entry.startsWith("cjs") ? "commonjs" : "module"}`, "--eval", source],
    { encoding: "utf8", timeout: 60_000 },
  );
  expect({ stdout, stderr, signal }).toEqual({ stdout: "8 1\n", stderr: "", signal: null });
});
