/** Structured reports, judged by programs that are not ours. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { ArgumentError, DataError, reports } from "../../../src/index.js";
import { name, study, studyFrames, studyImage } from "../../support/dicom-study.js";
import {
  elementsOf,
  hasDcmtk,
  hasDicom3tools,
  iodProblems,
  reportInWords,
} from "../../support/dicom-tools.js";
import { sharedData } from "../../support/shared-data.js";
import { root, write } from "../../support/temporary-folder.js";

const model = {
  classes: ["gutartig", "bösartig"],
  task: "binary",
  threshold: 0.42,
  checkpointHash: "0123456789abcdef".repeat(4),
  parameters: ["images of 224 x 224 pixels, 1 channels, by contain"],
  date: new Date("2026-03-04T05:06:07Z"),
} as const;

const prediction = {
  label: "bösartig",
  labels: ["bösartig"],
  probability: 0.8712345,
  probabilities: { gutartig: 0.1287655, bösartig: 0.8712345 },
};
const doubtful = {
  ...prediction,
  decision: "refer",
  reasons: ["two classes cannot be ruled out", { sentence: "it is unlike the training images" }],
  set: ["bösartig", "gutartig"],
  risk: 0.1,
};

const sourceOf = (number: number, others = {}) => reports.dicomSource(studyImage(number, others));

/** Writes a report and gives its path. */
async function place(file: string, { bytes }: { bytes: Uint8Array }): Promise<string> {
  return write(`${file}.dcm`, bytes);
}

let plain: string;
let full: string;
let pooled: string;

beforeAll(async () => {
  const one = await sourceOf(1);
  plain = await place("plain", reports.structuredReport([{ source: one }], prediction, model));
  full = await place("full", reports.structuredReport([{ source: one }], doubtful, model));
  const frames = await reports.dicomSource(studyFrames(2));
  const elsewhere = await sourceOf(3, { "0020000D UI": `${study}.9`, "0020000E UI": `${study}.9.1` });
  const images = [
    { source: one },
    { source: frames, frame: 2 },
    { source: frames, frame: 0 },
    { source: elsewhere },
  ];
  pooled = await place(
    "pooled",
    reports.structuredReport(images, prediction, model, { pooling: "patient:mean", unread: 1 }),
  );
});

describe.skipIf(!hasDicom3tools)("dciodvfy", () => {
  it("finds nothing wrong with reports", () => {
    for (const path of [plain, full, pooled]) expect(iodProblems(path)).toEqual([]);
  });

  const { path, missing } = sharedData("dicom");
  it.skipIf(missing)(
    "finds no error in reports on real images, and warns of what the images say alone",
    async () => {
      const names = [path, join(path, "../dicom-extra")].flatMap((folder) =>
        readdirSync(folder).map((file) => join(folder, file)),
      );
      let written = 0;
      for (const [i, file] of names.filter((file) => file.endsWith(".dcm")).entries()) {
        const source = await reports.dicomSource(file).catch(() => undefined); // three do not say their study
        if (!source) continue;
        written += 1;
        const report = await place(`real-${i}`, reports.structuredReport([{ source }], doubtful, model));
        // Names in one piece, and missing numbers, are those of the images.
        const own = iodProblems(report).filter(
          (line) => !/Retired Person Name form|needed to build DICOMDIR/.test(line),
        );
        expect(own, file).toEqual([]);
      }
      expect(written).toBeGreaterThan(15);
    },
    30_000,
  );
});

describe.skipIf(!hasDcmtk)("dcmtk", () => {
  it("reads what is said", () => {
    const words = reportInWords(full);
    for (const line of [
      'has concept mod CODE:(,,"Language of Content Item and Descendants")=(en-US,RFC5646,"English (United States)")',
      'has obs context CODE:(,,"Observer Type")=(121007,DCM,"Device")',
      'has concept mod CODE:(,,"Procedure reported")=(363679005,SCT,"Imaging procedure")',
      'has acq context CODE:(,,"Modality")=(US,DCM,"Ultrasound")',
      `has concept mod TEXT:(,,"Algorithm Parameters")="checkpoint SHA-256 ${model.checkpointHash}"`,
      'contains NUM:(,,"Probability that the model gives the label")="0.8712345" (1,UCUM,"no units")',
      'contains NUM:(,,"Probability from which the label is called")="0.42" (1,UCUM,"no units")',
      'contains CODE:(,,"Whether the model calls the label")=(called,99MEDMAMBA,"Called")',
      'contains CODE:(,,"Whether the label is in the prediction set")=(373066001,SCT,"Yes")',
      'contains CODE:(,,"Whether the model answers")=(refer,99MEDMAMBA,"Not sure: refer to a human")',
      'contains TEXT:(,,"Reason for referring to a human")="it is unlike the training images"',
      'contains TEXT:(,,"Comment")="RESEARCH ONLY - NOT FOR DIAGNOSIS.',
    ])
      expect(words).toContain(line);
    expect(words).toMatch(/Verification Flag\s+: UNVERIFIED/);
    expect(words).toMatch(/Completion Flag\s+: COMPLETE/);
    expect(words.match(/Probability from which/g)).toHaveLength(1); // of the second of two classes alone
    expect(reportInWords(plain)).not.toMatch(/refer|prediction set/);
  });

  it("finds patient and study as in the image, in letters that every name has", () => {
    const { "00100010": patient, ...elements } = elementsOf(plain);
    const [alphabetic, ideographic] = name.split("=");
    expect(patient?.Value).toEqual([{ Alphabetic: alphabetic, Ideographic: ideographic }]);
    const values = Object.fromEntries(
      ["00080005", "00080020", "00080050", "00100020", "00100030", "00100040", "0020000D"].map((tag) => [
        tag,
        elements[tag]?.Value?.[0],
      ]),
    );
    expect(values).toEqual({
      "00080005": "ISO_IR 192",
      "00080020": "20200131",
      "00080050": "A-77",
      "00100020": "4711",
      "00100030": "19700101",
      "00100040": "F",
      "0020000D": study,
    });
    expect(elements["0020000E"]?.Value?.[0]).toMatch(/^2\.25\.\d{30,39}$/);
    expect(reportInWords(plain)).toContain('"bösartig"');
  });

  it("finds each image as evidence once, by study, and the pictures that were meant", () => {
    const elements = elementsOf(pooled) as Record<string, { Value?: Record<string, unknown>[] }>;
    const instances = (tag: string) =>
      [...JSON.stringify(elements[tag]).matchAll(/"00081155":\{"vr":"UI","Value":\["([^"]+)"\]/g)].map(
        ([, uid]) => uid,
      );
    expect(instances("0040A375")).toEqual([`${study}.2.1`, `${study}.2.2`]);
    expect(instances("0040A385")).toEqual([`${study}.2.3`]);
    expect(JSON.stringify(elements["0040A730"])).toContain('"00081160":{"vr":"IS","Value":[1,3]}');
    const words = reportInWords(pooled);
    expect(words).toContain('="images taken together by patient:mean"');
    expect(words).toMatch(/Completion Flag\s+: PARTIAL/);
  });
});

describe("a report", () => {
  it("is the same for the same images, checkpoint and answers", async () => {
    const source = await sourceOf(1);
    const again = reports.structuredReport([{ source }], prediction, model);
    const once = reports.structuredReport([{ source: await sourceOf(1) }], prediction, model);
    expect(Buffer.compare(once.bytes, again.bytes)).toBe(0);
    const later = reports.structuredReport([{ source }], prediction, { ...model, date: new Date() });
    expect(later.sopInstance).toBe(once.sopInstance);
    const others = [
      reports.structuredReport([{ source }], doubtful, model),
      reports.structuredReport([{ source }], prediction, { ...model, checkpointHash: "0".repeat(64) }),
      reports.structuredReport([{ source: await sourceOf(2) }], prediction, model),
    ];
    expect(new Set([once, ...others].map(({ sopInstance }) => sopInstance)).size).toBe(4);
  });

  it("has labels by the codes that were given", async () => {
    const codes = { bösartig: { code: "86049000", scheme: "SCT", meaning: "Malignant neoplasm, primary" } };
    const source = await sourceOf(1);
    const { bytes } = reports.structuredReport([{ source }], prediction, { ...model, codes });
    const path = await place("coded", { bytes });
    if (hasDcmtk)
      expect(reportInWords(path)).toContain('"Finding")=(86049000,SCT,"Malignant neoplasm, primary")');
    if (hasDicom3tools) expect(iodProblems(path)).toEqual([]);
  });

  it("of several labels has the threshold of each, and says where none is called", async () => {
    const none = {
      label: "",
      labels: [],
      probability: Number.NaN,
      probabilities: { gutartig: 0.1, bösartig: 0.2 },
    };
    const several = { ...model, task: "multi-label", threshold: undefined, thresholds: [0.3, 0.6] } as const;
    const path = await place(
      "none",
      reports.structuredReport([{ source: await sourceOf(1) }], none, several),
    );
    if (!hasDcmtk) return;
    const words = reportInWords(path);
    expect(words).toContain('"Probability from which the label is called")="0.3"');
    expect(words).toContain('"Probability from which the label is called")="0.6"');
    expect(words).toContain('"Label that the model calls")=(none,99MEDMAMBA,"No label")');
  });

  it("takes times in the zone that the study is told in", async () => {
    const zoned = await sourceOf(1, { "00080201 SH": "+0900" });
    const path = await place("zoned", reports.structuredReport([{ source: zoned }], prediction, model));
    if (hasDcmtk) expect(elementsOf(path)["00080033"]?.Value).toEqual(["140607"]);
  });

  it("is of one patient", async () => {
    const other = await sourceOf(2, { "00100020 LO": "4712" });
    const images = [{ source: await sourceOf(1) }, { source: other }];
    expect(() => reports.structuredReport(images, prediction, model)).toThrow(DataError);
    expect(() => reports.structuredReport([], prediction, model)).toThrow(ArgumentError);
  });
});

describe("an image that says odd things of itself", () => {
  it("has nothing of them in the report but its own identity", async () => {
    const odd = {
      "00080020 DA": "31.01.2020",
      "00100040 CS": "female",
      "00100010 PN": "A\x00^\nB",
      "00200013 IS": "first",
      "00280008 IS": "-3",
      "00280010 US": 0,
      "00081030 LO": "x".repeat(1000),
    };
    const { bytes } = reports.structuredReport([{ source: await sourceOf(1, odd) }], prediction, model);
    const path = await place("odd", { bytes });
    if (!hasDcmtk) return;
    const elements = elementsOf(path);
    const values = ["00080020", "00100040", "00100010", "00200013"].map((tag) => elements[tag]?.Value?.[0]);
    expect(values).toEqual([undefined, undefined, { Alphabetic: "A^B" }, 1]);
  });

  it("is refused with texts that are longer than any can be", async () => {
    await expect(sourceOf(1, { "00100020 LO": "1".repeat(2000) })).rejects.toThrow(
      /a text about its patient or study is longer than DICOM takes/,
    );
  });
});

describe("an image that no report can be about", () => {
  it.each([
    ["study", { "0020000D UI": "" }, /it does not say its study \(Study Instance UID\)/],
    ["own identifier", { "00080018 UI": "Müller" }, /it does not say its own identifier/],
    ["letters", { "00080005 CS": "ISO_IR 999" }, /the character set of its text is not known/],
  ])("says that its %s is missing", async (_, others, words) => {
    await expect(reports.dicomSource(studyImage(1, others))).rejects.toThrow(words);
  });

  it("is named, where it is none of DICOM's", async () => {
    const path = await write("scan.png", Buffer.from("\x89PNG"));
    const error = await reports.dicomSource(path).catch((cause: unknown) => cause);
    expect(error).toBeInstanceOf(DataError);
    expect((error as DataError).message.replace(root, "")).toBe(
      "/scan.png could not be read: it is no DICOM file, so there is no study that a DICOM object could belong to.",
    );
  });

  it("is a report", async () => {
    await expect(reports.dicomSource(plain)).rejects.toThrow(/it has no picture to report on/);
  });
});
