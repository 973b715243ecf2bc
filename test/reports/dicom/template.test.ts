/** Whether reports follow TID 1500, as PixelMed's validator knows it. It takes long: it compiles its rules each time. */
import { describe, expect, it } from "vitest";
import { reports } from "../../../src/index.js";
import { studyImage } from "../../support/dicom-study.js";
import { hasPixelmed, templateProblems } from "../../support/dicom-tools.js";
import { write } from "../../support/temporary-folder.js";

const model = {
  classes: ["gutartig", "bösartig"],
  task: "binary",
  threshold: 0.42,
  checkpointHash: "0123456789abcdef".repeat(4),
} as const;

/** With all that a report may have. */
const prediction = {
  label: "bösartig",
  labels: ["bösartig"],
  probability: 0.8712345,
  probabilities: { gutartig: 0.1287655, bösartig: 0.8712345 },
  decision: "refer",
  reasons: ["two classes cannot be ruled out"],
  set: ["bösartig", "gutartig"],
  risk: 0.1,
};

describe.skipIf(!hasPixelmed)("PixelMed's validator", () => {
  it("finds TID 1500 as it should be, and besides only what its version of it does not have", async () => {
    const source = await reports.dicomSource(studyImage(1));
    const { bytes } = reports.structuredReport([{ source }], prediction, model);
    const { output, problems } = templateProblems(await write("full.dcm", bytes));
    expect(output).toContain("Found Comprehensive3DSR IOD");
    expect(output).toContain("Found Root Template TID_1500 (MeasurementReport)");
    expect(output).toContain("IOD validation complete");
    // Qualitative evaluations in a measurement group are not in its version of TID 1501.
    const newer = /^Warning: .*CODE \((decision|in-set),99MEDMAMBA,.*: Content Item not in template$/;
    expect(problems.filter((line) => !newer.test(line))).toEqual([]);
  }, 120_000);
});
