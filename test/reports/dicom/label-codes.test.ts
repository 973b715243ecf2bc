/** Codes of labels, from a table or JSON. */
import { describe, expect, it } from "vitest";
import { reports } from "../../../src/index.js";
import { message, root, write } from "../../support/temporary-folder.js";

const classes = ["benign", "mass"];
const read = async (name: string, text: string) => reports.readLabelCodes(await write(name, text), classes);

describe("codes of labels", () => {
  it("come from a table or from JSON", async () => {
    const mass = { code: "4147007", scheme: "SCT", meaning: "Mass" };
    expect(await read("a.csv", "label,code,scheme,meaning\nmass,4147007,SCT,Mass\n")).toEqual({ mass });
    expect(await read("a.json", JSON.stringify({ mass }))).toEqual({ mass });
    expect(await read("b.csv", "label;code;scheme;meaning;version\nmass;RID3874;RADLEX;mass;4.1\n")).toEqual({
      mass: { code: "RID3874", scheme: "RADLEX", meaning: "mass", version: "4.1" },
    });
  });

  it.each([
    [
      "c.csv",
      "label,code\nmass,1\n",
      "/c.csv: the column scheme is missing; codes of labels have the columns label, code, scheme, meaning and, if wanted, version.",
    ],
    [
      "d.csv",
      "label,code,scheme,meaning\nmas,1,SCT,Mass\n",
      '/d.csv line 2: the model has no label "mas"; did you mean "mass"?',
    ],
    [
      "e.csv",
      "label,code,scheme,meaning\nmass,1,SCT,Mass\nmass,2,SCT,Mass\n",
      '/e.csv line 3: label "mass" comes twice.',
    ],
    [
      "f.csv",
      `label,code,scheme,meaning\nmass,1,${"S".repeat(17)},Mass\n`,
      "/f.csv line 2: the scheme of mass has more than the 16 characters that DICOM takes.",
    ],
    [
      "g.csv",
      "label,code,scheme,meaning\nmass,1\\2,SCT,Mass\n",
      "/g.csv line 2: the code of mass has a backslash or a control character.",
    ],
    ["h.csv", "label,code,scheme,meaning\nmass,,SCT,Mass\n", "/h.csv line 2: there is no code."],
    [
      "i.json",
      "[1]",
      '/i.json: codes of labels in JSON are an object of objects, such as {"mass": {"code": "4147007", "scheme": "SCT", "meaning": "Mass"}}.',
    ],
    [
      "j.json",
      '{"mass": {"code": 7}}',
      '/j.json: codes of labels in JSON are an object of objects, such as {"mass": {"code": "4147007", "scheme": "SCT", "meaning": "Mass"}}.',
    ],
  ])("in %s are refused with what is wrong", async (name, text, words) => {
    expect((await message(read(name, text))).replaceAll(root, "")).toBe(words);
  });

  it("are refused by name where there is no such file", async () => {
    const absent = message(reports.readLabelCodes("absent.csv", classes));
    expect(await absent).toBe("absent.csv could not be read: there is no such file.");
  });

  it("of names that objects have of themselves are of no label", async () => {
    expect(
      await message(read("k.json", '{"constructor": {"code": "1", "scheme": "S", "meaning": "m"}}')),
    ).toContain('the model has no label "constructor"');
  });
});
