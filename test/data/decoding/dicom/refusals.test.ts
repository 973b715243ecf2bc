/** DICOM files without a picture, of kinds that are not read, that lie about themselves, or that break off: what is said. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { openFrames } from "../../../../src/data/decoding/decoder.js";
import { DataError } from "../../../../src/errors.js";
import { type DicomElements, dicomFile, elements, smallPicture } from "../../../support/dicom-file.js";
import { fixture } from "../../../support/repository.js";

async function refusal(bytes: Uint8Array, maxPixels?: number, window = "auto"): Promise<string> {
  try {
    const reading = { window, bitDepth: 8, slices: "axial" } as const;
    const frames = await openFrames({ bytes, file: undefined, maxPixels, reading });
    await frames.frame(frames.count - 1);
  } catch (error) {
    expect(error).toBeInstanceOf(DataError);
    return (error as DataError).reason;
  }
  return "none";
}
const sopClass = "1.2.840.10008.5.1.4.1.1.";
const picture = (changes: DicomElements = {}) => dicomFile({ ...smallPicture, ...changes });

/** A file of test/fixtures with some of its bytes written over. */
function changed(name: string, find: string, replacement: string): Buffer {
  const bytes = readFileSync(fixture(`dicom/${name}.dcm`));
  const at = bytes.indexOf(find, 0, "hex");
  expect(at).toBeGreaterThan(0);
  bytes.write(replacement, at, "hex");
  return bytes;
}

it("the sound file of these tests is read", async () => {
  expect(await refusal(picture())).toBe("none");
});

describe("an object without a picture", () => {
  it.each([
    ["1.2.840.10008.1.3.10", "it has no picture: it is an index of other files (DICOMDIR)"],
    [`${sopClass}88.11`, "it has no picture: it is a structured report"],
    [`${sopClass}88.59`, "it has no picture: it is a key object selection"],
    [`${sopClass}11.1`, "it has no picture: it is a presentation state"],
    [`${sopClass}104.1`, "it has no picture: it is an encapsulated document"],
    [`${sopClass}7`, "it is a DICOM file without a picture"],
  ])("of class %s says so", async (uid, sentence) => {
    expect(await refusal(dicomFile({ "00080060 CS": "OT" }, { sopClass: uid }))).toBe(sentence);
  });
});

describe("pixels", () => {
  it.each([
    ["1.2.840.10008.1.2.4.100", "MPEG2 Main Profile / Main Level"],
    ["1.2.840.10008.1.2.4.94", "JPIP Referenced"],
    ["1.2.840.10008.1.2.4.110", "JPEG XL Lossless"],
    ["1.2.3.4.5", "of no table"],
  ])("of %s are named with it", async (syntax, name) => {
    const undefinedLength = Buffer.concat([
      dicomFile({ ...smallPicture, "7FE00010 OB": new Uint8Array(0) }, { syntax }),
    ]);
    undefinedLength.writeUInt32LE(0xffffffff, undefinedLength.length - 4);
    expect(await refusal(undefinedLength)).toBe(
      `its pixels are compressed as ${name} (${syntax}), which is not read`,
    );
  });

  it.each<[what: string, changes: DicomElements, sentence: string | RegExp]>([
    [
      "rows that are not there",
      { "00280010 US": 60000 },
      "its pixels are cut off: 4 bytes are there, and 120000 are needed",
    ],
    [
      "frames that are not there",
      { "00280008 IS": "1000000" },
      /cut off: 4 bytes are there, and 4000000 are needed/,
    ],
    ["too many frames", { "00280008 IS": "999999999" }, /number of frames is 999999999, where 1 to/],
    ["no frames", { "00280008 IS": "0" }, /number of frames is 0/],
    ["no rows", { "00280010 US": 0 }, "its number of rows is 0, where 1 to 65535 is possible"],
    [
      "colours of another kind",
      { "00280004 CS": "CMYK" },
      "its colours are CMYK with 1 values a pixel, which is not read",
    ],
    [
      "colours that are a name",
      { "00280004 CS": "DOE^JOHN" },
      "its colours are unknown with 1 values a pixel, which is not read",
    ],
    [
      "bits of another number",
      { "00280100 US": 24 },
      "its values have 24 bits, and 1, 8, 12, 16 and 32 are read",
    ],
    [
      "a palette that is missing",
      { "00280004 CS": "PALETTE COLOR" },
      "its colour palette is missing or damaged",
    ],
  ])("with %s", async (_, changes, sentence) => {
    expect(await refusal(picture(changes))).toMatch(sentence);
  });

  it("of more than may be are refused before they are looked for", async () => {
    const large = picture({ "00280010 US": 65535, "00280011 US": 65535 });
    expect(await refusal(large)).toMatch(/^it is 65535 x 65535 pixels, and at most/);
    expect(await refusal(picture(), 3)).toMatch(/^it is 2 x 2 pixels, and at most 3 are read/);
  });

  it("whose compressed size is another are refused", async () => {
    // SOF of 11 x 14; SIZ of 14 x 11
    const size =
      /^its compressed picture is \d+ x \d+ with \d values a pixel, where 14 x 11 with \d are declared$/;
    expect(await refusal(changed("jpeg-baseline-8", "08000b000e", "08fffffffe"))).toMatch(size);
    expect(await refusal(changed("jpeg-lossless-16", "10000b000e", "10fffffffe"))).toMatch(size);
    expect(await refusal(changed("jpeg-ls-12", "000b000e01", "fffffffe01"))).toMatch(size);
    expect(await refusal(changed("jpeg-2000-12", "0000000e0000000b", "7fffffff7fffffff"))).toMatch(size);
    expect(await refusal(changed("htj2k-8", "0000000e0000000b", "7fffffff7fffffff"))).toMatch(size);
  });

  it("that break off in a compressed picture are refused, and the next file is read", async () => {
    for (const name of [
      "rle-12",
      "jpeg-extended-12",
      "jpeg-lossless-16",
      "jpeg-ls-16",
      "htj2k-16",
      "jpeg-2000-16",
    ]) {
      const bytes = readFileSync(fixture(`dicom/${name}.dcm`));
      const half = bytes.subarray(0, bytes.indexOf("e07f1000", 0, "hex") + 90);
      expect(await refusal(half), name).toMatch(/damaged|cut off|segments|are there/);
      expect(await refusal(bytes), name).toBe("none");
    }
  });
});

describe("a window of Hounsfield units", () => {
  it("is refused of a modality that has none", async () => {
    const sentence =
      "the window lung is of Hounsfield units, which MR does not have: choose auto, percentile, or a center and width";
    expect(await refusal(picture({ "00080060 CS": "MR" }), undefined, "lung")).toBe(sentence);
    expect(await refusal(picture({ "00080060 CS": "MR" }), undefined, "-600,1500")).toBe("none");
    for (const modality of ["CT", "OT", "SC"])
      expect(await refusal(picture({ "00080060 CS": modality }), undefined, "lung")).toBe("none");
  });
});

describe("a data set", () => {
  it("that is damaged", async () => {
    expect(await refusal(picture().subarray(0, 190))).toMatch(/damaged|how it is written/);
    // A sequence in a sequence in a sequence, all of unknown length, for as long as there is memory for what calls what.
    const nested = Buffer.from("0800061153510000fffffffffeff00e0ffffffff".repeat(20000), "hex");
    expect(await refusal(Buffer.concat([dicomFile({}), nested]))).toMatch(
      /too deep|damaged|without a picture/,
    );
  });

  it("that inflates without end", async () => {
    const { deflateRawSync } = await import("node:zlib");
    const head = dicomFile({}, { syntax: "1.2.840.10008.1.2.1.99" });
    const start = head.indexOf("08001600", 0, "hex");
    const bomb = Buffer.concat([head.subarray(0, start), deflateRawSync(Buffer.alloc(2 ** 26))]);
    expect(await refusal(bomb)).toMatch(/^what is deflated in it is more than \d+ bytes$/);
  });

  it("keeps to itself who the patient is, whatever is wrong", async () => {
    const name = "DOE^JOHN";
    const planted: DicomElements = { "00100010 PN": name, "00100020 LO": name, "00281055 LO": name };
    const broken: DicomElements[] = [
      { "00280004 CS": name },
      { "00280008 IS": name },
      { "00280010 US": 9999 },
      { "00281050 DS": name, "00281051 DS": name },
    ];
    for (const changes of broken) {
      const file = picture({ ...planted, ...changes });
      expect(await refusal(file, undefined, "name:lung")).not.toContain("DOE");
    }
    expect(await refusal(dicomFile(planted, { syntax: name }))).not.toContain("DOE");
    expect(await refusal(picture(planted), undefined, "name:lung")).toBe(
      "it has no window that it calls lung",
    );
    expect(elements(planted).length).toBeGreaterThan(0);
  });
});
