/** Heat maps as images of DICOM: their attributes as other programs judge them, and what is in their pixels. */
import sharp from "sharp";
import { beforeAll, describe, expect, it } from "vitest";
import { decodePixels } from "../../../src/data/decoding/sample.js";
import { definePreprocessing } from "../../../src/data/preprocessing.js";
import { DataError, type Explanation, reports } from "../../../src/index.js";
import { drawOverlay } from "../../../src/reports/heat-map.js";
import { study, studyFrames, studyImage } from "../../support/dicom-study.js";
import { elementsOf, hasDcmtk, hasDicom3tools, iodProblems } from "../../support/dicom-tools.js";
import { write } from "../../support/temporary-folder.js";

const model = {
  classes: ["gutartig", "bösartig"],
  task: "binary",
  checkpointHash: "0123456789abcdef".repeat(4),
  date: new Date("2026-03-04T05:06:07Z"),
} as const;

function explanation(width: number, height: number): Explanation {
  return {
    label: "bösartig",
    labels: ["bösartig"],
    probability: 0.8712,
    probabilities: { gutartig: 0.1288, bösartig: 0.8712 },
    explained: "bösartig",
    method: "occlusion",
    stage: undefined,
    map: { width: 2, height: 2, data: Float32Array.of(0, 0, 0, 0.5) },
    peak: { row: height - 1, column: width - 1, value: 0.5 },
    scale: 0.5,
    frame: 0,
    picture: {
      width,
      height,
      channels: 1,
      bitDepth: 8,
      photometric: "grey",
      data: Uint8Array.from({ length: width * height }, (_, at) => (at * 7) % 256),
    },
    placement: { top: 0, left: 0, width: 1, height: 1 },
  };
}

let small: string;

beforeAll(async () => {
  const source = await reports.dicomSource(studyImage(1, { "00200062 CS": "R" }));
  small = await write("small.dcm", reports.secondaryCapture({ source }, explanation(64, 32), model).bytes);
});

describe("a secondary capture", () => {
  it.skipIf(!hasDicom3tools)("has nothing wrong with it", async () => {
    expect(iodProblems(small)).toEqual([]);
    const source = await reports.dicomSource(studyFrames(2));
    const other = reports.secondaryCapture({ source, frame: 2 }, explanation(301, 3), model);
    // Whether it is left or right is not known, as the image does not say it.
    expect(iodProblems(await write("frames.dcm", other.bytes))).toEqual([
      expect.stringMatching(/^Warning - is only permitted to be empty when actually unknown;.*<Laterality>$/),
    ]);
  });

  it.skipIf(!hasDcmtk)(
    "is in the study of its image, points at that, and says that words are burned in",
    () => {
      const elements = elementsOf(small);
      const value = (tag: string) => elements[tag]?.Value?.[0];
      expect(value("0020000D")).toBe(study);
      expect(value("0020000E")).toMatch(/^2\.25\./);
      expect(value("00280301")).toBe("YES");
      expect(value("00080064")).toBe("WSD");
      expect(elements["00080008"]?.Value).toEqual(["DERIVED", "SECONDARY"]);
      expect(value("00082111")).toMatch(
        /^RESEARCH ONLY - NOT FOR DIAGNOSIS\. Map of the evidence for "bösartig"/,
      );
      for (const tag of ["00081140", "00082112"])
        expect(JSON.stringify(elements[tag])).toContain(`"${study}.2.1"`);
      expect(JSON.stringify(elements["00082112"])).toContain('"121322"');
    },
  );

  it.skipIf(!hasDcmtk)("names the picture of several that it shows", async () => {
    const source = await reports.dicomSource(studyFrames(2));
    const { bytes } = reports.secondaryCapture({ source, frame: 2 }, explanation(64, 32), model);
    expect(JSON.stringify(elementsOf(await write("third.dcm", bytes))["00082112"])).toContain('"Value":[3]');
  });

  it("has the overlay in its pixels, enlarged, between words", async () => {
    const picture = await decodePixels(small, definePreprocessing({}));
    expect([picture.width, picture.channels]).toEqual([256, 3]);
    const drawn = explanation(64, 32);
    const overlay = drawOverlay(drawn);
    const zoom = 4;
    const enlarged = await sharp(overlay.data, { raw: { width: 64, height: 32, channels: 3 } })
      .resize(64 * zoom, 32 * zoom, { kernel: "nearest" })
      .raw()
      .toBuffer();
    const row = 3 * picture.width;
    const whole = Buffer.from(picture.data);
    const above = whole.indexOf(enlarged) / row;
    expect(above).toBeGreaterThan(10);
    expect(Number.isInteger(above)).toBe(true);
    expect(whole.subarray(0, above * row)).toContain(255);
    const below = whole.subarray((above + 32 * zoom) * row);
    expect(below.filter((value) => value === 255).length).toBeGreaterThan(1000);
  });

  it.skipIf(!hasDcmtk)("says that its answer is not sure, in words and in its pixels", async () => {
    const source = await reports.dicomSource(studyImage(1));
    const sentence = "its coarse structure is unlike the training images";
    const reasons = [{ code: "unlike-training", sentence, classes: [] }] as const;
    const sure = reports.secondaryCapture({ source }, explanation(64, 32), model);
    const referred = { ...explanation(64, 32), decision: "refer", reasons } as const;
    const doubtful = reports.secondaryCapture({ source }, referred, model);
    const elements = elementsOf(await write("doubtful.dcm", doubtful.bytes));
    expect(elements["00082111"]?.Value?.[0]).toMatch(
      `RESEARCH ONLY - NOT FOR DIAGNOSIS. NOT SURE: REFER. ${sentence}. Map of the evidence`,
    );
    expect(JSON.stringify(elementsOf(await write("sure.dcm", sure.bytes))["00082111"])).not.toContain(
      "REFER",
    );
    const [with_, without] = [doubtful, sure].map(({ bytes }) =>
      decodePixels(bytes, definePreprocessing({})),
    );
    // Two more lines at least: the verdict, and the reason.
    const letters = 2 * 8;
    expect((await with_)?.height).toBeGreaterThanOrEqual(((await without)?.height ?? 0) + letters);
  });

  it("does not glow where nothing moves the answer, and rounds nothing to certainty", async () => {
    const drawn = explanation(64, 32);
    const noise = {
      ...drawn,
      map: { ...drawn.map, data: Float32Array.of(0, 0, 0, 1e-6) },
      probability: 0.99996,
    };
    const faint = { ...noise, peak: { ...drawn.peak, value: 1e-6 }, scale: 0.001 };
    const plain = drawOverlay({ ...faint, map: { ...drawn.map, data: new Float32Array(4) } });
    const over = drawOverlay(faint);
    expect(Math.max(...over.data.map((value, at) => Math.abs(value - (plain.data[at] ?? 0))))).toBeLessThan(
      2,
    );
    const source = await reports.dicomSource(studyImage(1));
    const { bytes } = reports.secondaryCapture({ source }, faint, model);
    expect(Buffer.from(bytes).toString("latin1")).toMatch(/Nothing in the image speaks for .*\..*>99\.9 %/);
  });

  it("is the same each time, and refuses a picture larger than DICOM's images", async () => {
    const source = await reports.dicomSource(studyImage(1));
    const [once, again] = [0, 1].map(() => reports.secondaryCapture({ source }, explanation(64, 32), model));
    expect(
      Buffer.compare((once as { bytes: Uint8Array }).bytes, (again as { bytes: Uint8Array }).bytes),
    ).toBe(0);
    expect(() => reports.secondaryCapture({ source }, explanation(65536, 1), model)).toThrow(DataError);
  });
});
