/**
 * The letters of a data set (PS3.3, C.12.1.1.2; PS3.5, 6.1). One character set may hold for all text, or several do, and text
 * switches between them by escape sequences, as Japanese and Korean names do.
 */
import { DataError } from "../../../errors.js";

/** By defined term, without "ISO_IR " or "ISO 2022 IR " before it: what WHATWG's Encoding calls it. */
const encodings: Readonly<Record<string, string>> = {
  "6": "latin1",
  "100": "latin1",
  "101": "iso-8859-2",
  "109": "iso-8859-3",
  "110": "iso-8859-4",
  "144": "iso-8859-5",
  "127": "iso-8859-6",
  "126": "iso-8859-7",
  "138": "iso-8859-8",
  "148": "windows-1254", // ISO 8859-9, of which it is an extension
  "203": "iso-8859-15",
  "13": "shift_jis", // whose single bytes are JIS X 0201
  "166": "windows-874", // TIS 620, of which it is an extension
  "192": "utf-8",
  GB18030: "gb18030",
  GBK: "gbk",
};

/** What follows upon ESC, and what the bytes after it are. */
const escapes: Readonly<Record<string, string>> = {
  "(B": "latin1",
  "(J": "shift_jis",
  ")I": "shift_jis",
  "-A": "latin1",
  "-B": "iso-8859-2",
  "-C": "iso-8859-3",
  "-D": "iso-8859-4",
  "-L": "iso-8859-5",
  "-G": "iso-8859-6",
  "-F": "iso-8859-7",
  "-H": "iso-8859-8",
  "-M": "windows-1254",
  "-b": "iso-8859-15",
  "-T": "windows-874",
  $B: "JIS X 0208",
  "$(D": "JIS X 0212",
  "$)C": "euc-kr",
  "$)A": "gb2312",
};

const escapeByte = 0x1b;
const threeBytes = 0x8f; // before a character of JIS X 0212 in EUC-JP
const delimiters = /[\\^=\r\n\f\t]/; // after which a text is again as the data set begins

/**
 * Text of a data set.
 *
 * @param terms  the values of Specific Character Set, none where it is not there
 * @throws DataError for a character set that is in no table
 */
export function decodeText(bytes: Uint8Array, terms: readonly string[]): string {
  // Without a word on it only ASCII is right; where there is more, it is Latin-1 more often than anything else.
  const first = encodingOf(terms[0] ?? "");
  if (!bytes.includes(escapeByte) || terms.length < 2) return decoded(bytes, first);
  let text = "";
  let [start, encoding] = [0, first];
  while (start < bytes.length) {
    const found = bytes.indexOf(escapeByte, start);
    const end = found < 0 ? bytes.length : found;
    text += segment(bytes.subarray(start, end), encoding, first);
    if (found < 0) break;
    const sequence = String.fromCharCode(...bytes.subarray(end + 1, end + 4));
    const key = [sequence, sequence.slice(0, 2)].find((name) => escapes[name] !== undefined);
    if (key === undefined) throw new DataError("its text changes to a character set that is not known");
    encoding = escapes[key] as string;
    start = end + 1 + key.length;
  }
  return text;
}

function encodingOf(term: string): string {
  const found = term === "" ? "latin1" : encodings[term.replace(/^ISO(_IR| 2022 IR) /, "")];
  if (found) return found;
  // These have no bytes of their own unless a text changes to them.
  if (/^ISO 2022 IR (87|159|149|58)$/.test(term)) return "latin1";
  throw new DataError("the character set of its text is not known");
}

/** What lies between two escape sequences. */
function segment(bytes: Uint8Array, encoding: string, first: string): string {
  // Both bytes of these are below 128, so that delimiters cannot be told from characters, and have to come after an escape.
  if (encoding === "JIS X 0208") return decoded(bytes.map(withHighBit), "euc-jp");
  if (encoding === "JIS X 0212") {
    const pairs = Array.from({ length: bytes.length >> 1 }, (_, i) => [
      threeBytes,
      ...bytes.subarray(2 * i, 2 * i + 2).map(withHighBit),
    ]);
    return decoded(Uint8Array.from(pairs.flat()), "euc-jp");
  }
  // The lower half is ASCII in all others.
  const end = bytes.findIndex((byte) => delimiters.test(String.fromCharCode(byte)));
  if (end < 0) return decoded(bytes, encoding);
  return decoded(bytes.subarray(0, end), encoding) + decoded(bytes.subarray(end), first);
}

const withHighBit = (byte: number): number => byte | 0x80;

/** As the WHATWG's decoders do, but for Latin-1, which they take for Windows-1252. */
function decoded(bytes: Uint8Array, encoding: string): string {
  if (encoding === "latin1") return Buffer.from(bytes).toString("latin1");
  return new TextDecoder(encoding, { ignoreBOM: true }).decode(bytes);
}
