/** Letters of all of DICOM's character sets, as pydicom writes them and as the standard's annexes do. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { decodeText } from "../../../../src/data/decoding/dicom/character-sets.js";
import { DataError } from "../../../../src/errors.js";
import { fixture } from "../../../support/repository.js";

interface GoldenName {
  readonly terms: string[];
  readonly base64: string;
  readonly text: string;
}
const golden = JSON.parse(readFileSync(fixture("character-sets.json"), "utf8")) as GoldenName[];

/** Examples of PS3.5, annexes H, I and K, as they stand there. */
const annexes: [string, string[], string, string][] = [
  [
    "H.3.1",
    ["", "ISO 2022 IR 87"],
    "Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
    "Yamada^Tarou=山田^太郎=やまだ^たろう",
  ],
  [
    "H.3.2",
    ["ISO 2022 IR 13", "ISO 2022 IR 87"],
    "\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J=\x1b$B$d$^$@\x1b(J^\x1b$B$?$m$&\x1b(J",
    "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう",
  ],
  [
    "I.2",
    ["", "ISO 2022 IR 149"],
    "Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf",
    "Hong^Gildong=洪^吉洞=홍^길동",
  ],
  [
    "K.2",
    ["", "ISO 2022 IR 58"],
    "Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab=",
    "Zhang^XiaoDong=张^小东=",
  ],
];

describe("text of a data set", () => {
  it.each(golden.map((one) => [one.terms.join("\\"), one] as const))(
    "in %s is read as pydicom wrote it",
    (_, one) => {
      expect(decodeText(Buffer.from(one.base64, "base64"), one.terms)).toBe(one.text);
    },
  );

  it.each(annexes)("of the example in %s is read as it is printed there", (_, terms, bytes, text) => {
    expect(decodeText(Buffer.from(bytes, "latin1"), terms)).toBe(text);
  });

  it("is as the data set begins again after a delimiter, where nothing changes it back", () => {
    expect(
      decodeText(Buffer.from("\x1b-L\xbb\xee^\xe9", "latin1"), ["ISO 2022 IR 100", "ISO 2022 IR 144"]),
    ).toBe("Лю^é");
  });

  it("is Latin-1 where no character set is named, and the euro where that is", () => {
    expect(decodeText(Buffer.from("M\xfcller", "latin1"), [])).toBe("Müller");
    expect(decodeText(Buffer.from([0xa4]), ["ISO_IR 203"])).toBe("€");
  });

  it("is refused in a character set of no table, and in a change to one", () => {
    expect(() => decodeText(Buffer.from("x"), ["ISO_IR 999"])).toThrow(DataError);
    expect(() => decodeText(Buffer.from("\x1b$)Zxx"), ["", "ISO 2022 IR 149"])).toThrow(DataError);
  });
});
