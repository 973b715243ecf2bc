/** What the audit reads of a DICOM file is what pydicom reads: of small files, and of scanners' in ../shared. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { dicomFacts } from "../../src/audit/dicom-facts.js";
import { pseudonym } from "../../src/data/pseudonyms.js";
import { fixture } from "../support/repository.js";
import { sharedData } from "../support/shared-data.js";
import { png } from "../support/temporary-folder.js";

/** Null is what the file does not say. */
interface Facts<Date, Patient> {
  readonly scanner: string | null;
  readonly photometric: string | null;
  readonly burnedIn: boolean;
  readonly date: Date;
  readonly patient: Patient;
}

const golden = JSON.parse(readFileSync(fixture("dicom-facts.json"), "utf8")) as {
  readonly made: Record<string, Facts<number | null, string | null> & { readonly file: string }>;
  readonly shared: Record<string, Facts<boolean, boolean>>;
};
const withoutNull = (facts: object) =>
  Object.fromEntries(Object.entries(facts).map(([name, value]) => [name, value ?? undefined]));

describe("facts of a DICOM file", () => {
  it.each(Object.entries(golden.made))("are pydicom's: %s", async (_, { file, patient, ...expected }) => {
    expect(await dicomFacts(Buffer.from(file, "base64"))).toEqual({
      ...withoutNull(expected),
      patient: patient === null ? undefined : pseudonym(patient),
    });
  });

  it("tell patients apart without naming them", async () => {
    const patients = await Promise.all(
      Object.values(golden.made).map(
        async ({ file }) => (await dicomFacts(Buffer.from(file, "base64")))?.patient,
      ),
    );
    const [one, same, other] = patients;
    expect(one).toBe(same);
    expect(one).not.toBe(other);
    for (const name of patients) expect(name ?? "").not.toMatch(/p-17|^q$/);
  });

  it("are none of other files, nor of damaged ones", async () => {
    expect(await dicomFacts(await png(7))).toBeUndefined();
    expect(await dicomFacts(new Uint8Array(0))).toBeUndefined();
    const whole = Buffer.from(golden.made.everything!.file, "base64");
    for (let length = 132; length < whole.length - 8; length += 7) {
      const facts = await dicomFacts(whole.subarray(0, length));
      if (facts?.date !== undefined) expect([20230101, 20240229]).toContain(facts.date);
    }
  });
});

const { path, missing } = sharedData("dicom");

describe.skipIf(missing)("facts of a scanner's file", () => {
  it.each(Object.entries(golden.shared))("are pydicom's: %s", async (name, expected) => {
    const facts = await dicomFacts(readFileSync(join(path, "..", name)));
    const { date, patient, ...rest } = facts ?? {};
    expect({ ...rest, date: date !== undefined, patient: patient !== undefined }).toEqual(
      withoutNull(expected),
    );
  });
});
