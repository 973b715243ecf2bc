/** Reports and captures in DICOM. */
import { writeFileSync } from "node:fs";
import * as mm from "../../../dist/index.js";

const { reports } = mm;
writeFileSync("codes.json", JSON.stringify({ b: { code: "4147007", scheme: "SCT", meaning: "Mass" } }));
writeFileSync("weights", "w");

const code = () => ({ code: "4147007", scheme: "SCT", meaning: "Mass", version: "1" });
const source = () => ({
  sopClass: "1.2.840.10008.5.1.4.1.1.2",
  sopInstance: "1.2.3",
  series: "1.2.4",
  study: "1.2.5",
  frames: 2,
  patientAndStudy: { PatientName: "N^N", PatientID: "1", StudyInstanceUID: "1.2.5", StudyDate: "20200131" },
  picture: { PatientOrientation: "", LossyImageCompression: "00" },
  modality: "CT",
  rows: 4,
  columns: 4,
  number: "1",
});
const prediction = () => ({
  label: "b",
  labels: ["b"],
  probability: 0.9,
  probabilities: { a: 0.1, b: 0.9 },
  decision: "refer",
  reasons: ["one", { sentence: "two" }],
  set: ["a", "b"],
  risk: 0.1,
});
const model = () => ({
  classes: ["a", "b"],
  task: "binary",
  threshold: 0.4,
  thresholds: [0.4],
  checkpointHash: "ab".repeat(32),
  parameters: ["images of 4 pixels"],
  codes: { b: code() },
});
const explanation = () => ({
  label: "b",
  labels: ["b"],
  probability: 0.9,
  probabilities: { a: 0.1, b: 0.9 },
  explained: "b",
  method: "grad-cam",
  stage: 1,
  map: { width: 2, height: 2, data: Float32Array.of(0, 1, 2, 3) },
  peak: { row: 3, column: 3, value: 3 },
  scale: 3,
  picture: { width: 4, height: 4, channels: 1, bitDepth: 8, photometric: "grey", data: new Uint8Array(16) },
  placement: { top: 0, left: 0, width: 1, height: 1 },
});
/** Text may be any. */
const texts = { "*": ["text"] };

export const calls = {
  "reports.dicomSource": [
    (...given) =>
      // What is no file of DICOM is refused in another way, which is no matter here.
      reports.dicomSource(...given).catch((error) => {
        if (!(error instanceof mm.DataError)) throw error;
      }),
    () => ["weights", { maxPixels: 100 }],
    { takes: texts },
  ],
  "reports.checkpointHash": [reports.checkpointHash, () => ["weights"], { unused: /./ }],
  "reports.readLabelCodes": [reports.readLabelCodes, () => ["codes.json", ["a", "b"]], { unused: /^0|1\.0/ }],
  "reports.structuredReport": [
    reports.structuredReport,
    () => [[{ source: source(), frame: 1 }], prediction(), model(), { pooling: "patient:mean", unread: 1 }],
    {
      open: /^0\.0\.source\.(patientAndStudy|picture)$|^[12]/,
      unused: /^1\.(label|probability)$/,
      takes: { "1.reasons.1": ["text"] },
    },
  ],
  "reports.secondaryCapture": [
    reports.secondaryCapture,
    () => [{ source: source(), frame: 1 }, explanation(), model()],
    {
      open: /^[12]/,
      unused: /^1\.(labels|peak\.(row|column)|picture\.photometric|probabilities\.a)|^2\.thresholds?/,
      takes: { "1.probability": ["NaN"], "1.probabilities.b": ["NaN"] },
    },
  ],
};
