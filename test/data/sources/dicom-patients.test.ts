/** Whom DICOM files are of, where nobody else says it. */
import { describe, expect, it } from "vitest";
import { openDataset } from "../../../src/data/index.js";
import { pseudonym } from "../../../src/data/pseudonyms.js";
import { withDicomPatients } from "../../../src/data/sources/dicom-patients.js";
import { dicomFile } from "../../support/identifying-dicom-file.js";
import { png, root, write } from "../../support/temporary-folder.js";

const preprocessing = { imageSize: 8, channels: 1 } as const;
const scan = (text: string) => dicomFile({ text, size: 8 });

describe("DICOM files without a table", () => {
  it("say themselves whom they are of, as pseudonyms", async () => {
    for (const [i, patient] of ["P1", "P1", "P2", "P3"].entries())
      await write(`ward/${i < 2 ? "a" : "b"}/IM${i}`, scan(patient));
    const { train, val, test } = await openDataset(`${root}/ward`, { preprocessing });
    const parts = [train, val, test];
    const patients = parts.flatMap((part) => [...(part.patients ?? [])]).sort();
    expect(patients).toEqual(["P1", "P1", "P2", "P3"].map(pseudonym).sort());
  });

  it("are of nobody where all say the same, and of whom a table says", async () => {
    const files = [
      await write("anonymous/0.dcm", scan("ANON")),
      await write("anonymous/1.dcm", scan("ANON")),
    ];
    const warnings: string[] = [];
    const known = await withDicomPatients(
      "data",
      [...files.map((file) => ({ file })), { file: "scan.png" }, { file: `${root}/gone.dcm` }],
      (text) => warnings.push(text),
    );
    expect(known.map(({ patient }) => patient)).toEqual(Array(4).fill(undefined));
    expect(warnings).toEqual([expect.stringMatching(/^data: all 2 DICOM files name the same patient/)]);
    const [first = "", second = ""] = files;
    await write("anonymous/2.png", await png(3));
    const listed = [{ file: first, patient: "mine" }, { file: second }];
    expect(await withDicomPatients("data", listed, () => {})).toEqual([
      { file: first, patient: "mine" },
      { file: second, patient: pseudonym("ANON") },
    ]);
  });
});
