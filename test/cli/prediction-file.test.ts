/** A file of predictions, cut off at every byte and gone on with. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { PredictionFile } from "../../src/cli/console/prediction-file.js";
import { csv, jsonLines, type PredictionRecord } from "../../src/cli/console/prediction-tables.js";
import { root } from "../support/temporary-folder.js";

const checkpoint = "0123456789ab";
const about = {
  label: "a",
  labels: ["a"],
  probability: 0.75,
  probabilities: { a: 0.75, b: 0.25 },
  checkpoint,
};

/** Names and errors with all that tells lines and cells apart; a file of several pictures in the middle, and one at the end. */
const records: readonly PredictionRecord[] = [
  { file: "=1+1.png", ...about },
  { file: 'two\nlines, "quoted".png', ...about },
  { file: "volume.nii", frame: 0, ...about },
  { file: "volume.nii", frame: 1, ...about },
  { file: "broken.png", error: 'it is "damaged",\nor cut off', checkpoint },
  { file: "last.dcm", frame: 0, ...about },
  { file: "last.dcm", frame: 1, ...about },
];

describe.each([
  ["JSON lines", jsonLines],
  ["CSV", csv(["a", "b"])],
])("%s", (name, format) => {
  const path = join(root, name);

  /** Writes the records of all files that are not there yet. */
  async function write(earlier: { resume?: boolean; overwrite?: boolean }): Promise<void> {
    const file = await PredictionFile.open(path, format, { ...earlier, checkpoint });
    for (const record of records) if (!file.has(record.file as string)) await file.write(record);
    await file.close();
  }

  it("cut off anywhere go on to the same file", async () => {
    await write({ overwrite: true });
    const whole = readFileSync(path);
    expect(whole.length).toBeGreaterThan(400);
    for (let length = 0; length <= whole.length; ++length) {
      writeFileSync(path, whole.subarray(0, length));
      await write({ resume: true });
      expect(readFileSync(path).equals(whole), `cut off at ${length}`).toBe(true);
    }
  });

  it("know pictures of a file by their numbers, where these are asked for", async () => {
    await write({ overwrite: true });
    const file = await PredictionFile.open(path, format, { resume: true, checkpoint });
    const has = [
      file.has("volume.nii", 1),
      file.has("volume.nii", 2),
      file.has("last.dcm"),
      file.has("./=1+1.png"),
    ];
    await file.close();
    expect(has).toEqual([true, false, false, true]); // of the last file, pictures may be missing
  });
});
