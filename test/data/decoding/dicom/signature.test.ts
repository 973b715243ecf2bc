/** What is taken for DICOM by how it begins, and what is not. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import sharp from "sharp";
import { expect, it } from "vitest";
import { isDicom, kindOfFileWithoutPicture } from "../../../../src/data/decoding/dicom/signature.js";
import { dicomFile } from "../../../support/dicom-file.js";
import { fixture } from "../../../support/repository.js";

const start = (bytes: Uint8Array): Uint8Array => bytes.subarray(0, 512);

it("every DICOM file of the tests is DICOM, by its first 512 bytes", () => {
  for (const name of readdirSync(fixture("dicom")))
    expect(isDicom(start(readFileSync(join(fixture("dicom"), name)))), name).toBe(true);
});

it("files of other kinds are not, nor is noise", async () => {
  const raw = { raw: { width: 8, height: 8, channels: 3 } } as const;
  for (const format of ["png", "jpeg", "tiff", "webp", "gif", "avif"] as const)
    expect(isDicom(await sharp(Buffer.alloc(192, 9), raw).toFormat(format).toBuffer()), format).toBe(false);
  for (const text of ["", "DICM", "path,label\na.png,x\n", "\x08\x00\x05\x00", "\x5c\x01\x00\x00n+1"])
    expect(isDicom(Buffer.from(text, "latin1")), text).toBe(false);
  let state = 1;
  const noise = Buffer.alloc(512);
  for (let round = 0; round < 5000; ++round) {
    for (let i = 0; i < noise.length; ++i) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      noise[i] = state >>> 24;
    }
    noise.writeUInt32LE(round % 2 ? 0x00050008 : 0x05000800, 0); // as DICOM begins, and no further
    expect(isDicom(noise)).toBe(false);
  }
});

it("what has no picture is known by its class, and a segmentation has one", () => {
  const kind = (sopClass: string) => kindOfFileWithoutPicture(start(dicomFile({}, { sopClass })));
  expect(kind("1.2.840.10008.1.3.10")).toBe("an index of other files (DICOMDIR)");
  expect(kind("1.2.840.10008.5.1.4.1.1.66.1")).toBe("raw data, a registration or a surface");
  expect(kind("1.2.840.10008.5.1.4.1.1.66.4")).toBeUndefined();
  expect(kind("1.2.840.10008.5.1.4.1.1.2")).toBeUndefined();
});
