/** What is said of a DICOM file, and that it is nothing of the patient. */
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { describeDicom, dicomIdentity } from "../../../../src/data/decoding/dicom/describe.js";
import { type DicomElements, dicomFile, smallPicture } from "../../../support/dicom-file.js";
import { fixture } from "../../../support/repository.js";
import { message } from "../../../support/temporary-folder.js";

const scan: DicomElements = {
  ...smallPicture,
  "00080060 CS": "DX",
  "00080070 LO": "Maker ",
  "00081090 LO": "Model 7",
  "00180015 CS": "CHEST",
  "00185101 CS": "PA",
  "00200062 CS": "L",
  "00280030 DS": "0.5\\0.25",
  "00280301 CS": "YES",
  "00281050 DS": "40\\-600",
  "00281051 DS": "400\\1500",
  "00281052 DS": "-1024",
  "00281053 DS": "2",
  "00281055 LO": "SOFT\\LUNG",
};

it("a picture and the machine that made it are described", () => {
  const bytes = dicomFile(scan, { sopClass: "1.2.840.10008.5.1.4.1.1.1.1" });
  expect(describeDicom(bytes)).toEqual({
    modality: "DX",
    sopClass: "Digital X-Ray Image Storage - For Presentation",
    transferSyntax: { uid: "1.2.840.10008.1.2.1", name: "Explicit VR Little Endian" },
    photometric: "MONOCHROME2",
    rows: 2,
    columns: 2,
    frames: 1,
    samplesPerPixel: 1,
    bitsAllocated: 8,
    bitsStored: 8,
    signed: false,
    spacing: { rows: 0.5, columns: 0.25 },
    windows: [
      { center: 40, width: 400, function: "LINEAR", explanation: "SOFT" },
      { center: -600, width: 1500, function: "LINEAR", explanation: "LUNG" },
    ],
    voiTables: 0,
    rescale: { slope: 2, intercept: -1024 },
    hasModalityTable: false,
    manufacturer: "Maker",
    modelName: "Model 7",
    burnedInAnnotation: true,
    bodyPart: "CHEST",
    viewPosition: "PA",
    laterality: "L",
    hasPixels: true,
  });
});

it("an enhanced object is described by its first frame, and what is not told is left away", () => {
  const found = describeDicom(readFileSync(fixture("dicom/functional-groups.dcm")));
  expect(found).toMatchObject({
    sopClass: "Enhanced CT Image Storage",
    frames: 3,
    spacing: { rows: 0.5, columns: 0.25 },
    windows: [{ center: 500, width: 1000 }],
    rescale: { slope: 1, intercept: 0 },
    manufacturer: undefined,
    burnedInAnnotation: undefined,
  });
  expect(describeDicom(readFileSync(fixture("dicom/voi-table.dcm")))).toMatchObject({
    windows: [],
    voiTables: 1,
  });
});

it("a data set that is written otherwise than its header says is read as it is written", () => {
  expect(describeDicom(dicomFile(scan, { syntax: "1.2.840.10008.1.2" }))).toMatchObject({
    modality: "DX",
    rows: 2,
  });
});

it("who the patient is stands nowhere in it, and is there for whoever groups by it", () => {
  const planted: DicomElements = {
    ...scan,
    "00080020 DA": "20200101",
    "00080022 DA": "20191231",
    "00080080 LO": "DOE hospital",
    "00080081 ST": "DOE street",
    "00081048 PN": "DOE^DOCTOR",
    "00081155 UI": "1.2.3.DOE",
    "00100010 PN": "DOE^JOHN",
    "00100020 LO": "DOE-17",
    "00100030 DA": "19500101",
    "00180015 CS": "chest of DOE",
    "0020000D UI": "1.2.3.4",
    "0020000E UI": "1.2.3.5",
    "00200010 SH": "DOE-1",
  };
  const bytes = dicomFile(planted);
  const told = JSON.stringify(describeDicom(bytes));
  for (const secret of ["DOE", "20200101", "20191231", "19500101", "1.2.3.4", "1.2.3.5"])
    expect(told).not.toContain(secret);
  expect(dicomIdentity(bytes)).toEqual({
    patientId: "DOE-17",
    studyUid: "1.2.3.4",
    seriesUid: "1.2.3.5",
    acquisitionDate: "20191231",
  });
  expect(dicomIdentity(dicomFile(smallPicture))).toEqual({});
});

it("what is no DICOM file is refused", async () => {
  expect(
    await message(Promise.resolve().then(() => describeDicom(Buffer.from("a picture of something else")))),
  ).toMatch(/does not say how it is written/);
});

it.each([
  ["UTF-8", "ISO_IR 192", Buffer.from("東芝", "utf8"), "東芝"],
  ["Cyrillic", "ISO_IR 144", Buffer.from("Al\xe2i", "latin1"), "Alтi"],
  ["GBK, which has a backslash within a letter", "GBK", Buffer.from("\x83\x5c\x83\x5c", "latin1"), "僜僜"],
  ["a character set that is not known, as Latin-1", "ISO_IR 999", Buffer.from("M\xe4ker", "latin1"), "Mäker"],
])("the name of a maker in %s is read", (_, characterSet, name, expected) => {
  const named = { ...scan, "00080005 CS": characterSet, "00080070 LO": name };
  expect(describeDicom(dicomFile(named)).manufacturer).toBe(expected);
});

it("an item names its own character set, or has that of what it is in", () => {
  const window = { "00281050 DS": "40", "00281051 DS": "80", "00281055 LO": Buffer.from("\xe2", "latin1") };
  const frame = (own: DicomElements) => [{ "00289132 SQ": [{ ...window, ...own }] }];
  const explained = (own: DicomElements) => {
    const { "00281050 DS": _, "00281051 DS": __, "00281055 LO": ___, ...rest } = scan;
    const shared = { ...rest, "00080005 CS": "ISO_IR 144", "52009229 SQ": frame(own) };
    return describeDicom(dicomFile(shared)).windows?.[0];
  };
  expect(explained({})).toMatchObject({ explanation: "т" });
  expect(explained({ "00080005 CS": "ISO_IR 126" })).toMatchObject({ explanation: "β" });
});
