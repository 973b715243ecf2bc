/**
 * DICOM files as they are written here: Explicit VR Little Endian behind a preamble, text in UTF-8, sequences and items with their
 * lengths.
 *
 * Why not a library: see docs/architecture.md. Everything that these lines write is read in the tests by dcmtk and dicom3tools.
 */
import { ArgumentError } from "../../errors.js";
import { packageVersion } from "../../native/package-version.js";
import { dictionary, type Keyword } from "./dictionary.js";
import { ownUid } from "./uids.js";

/** Texts (several are the values of one attribute), numbers, bytes, or the items of a sequence. */
export type Value = string | number | readonly string[] | Uint8Array | readonly Dataset[];

/** A data set, or an item of a sequence: values by keyword. "" or [] is an attribute without a value, undefined none at all. */
export type Dataset = { readonly [name in Keyword]?: Value | undefined };

/** An object of its own. */
export interface WrittenObject {
  /** Its SOP Instance UID. */
  readonly sopInstance: string;
  /** The whole file. */
  readonly bytes: Uint8Array;
}

const explicitLittleEndian = "1.2.840.10008.1.2.1";
const longLengths = ["OB", "OW", "SQ", "UC", "UT"];
const mostShort = 2 ** 16 - 2; // bytes of a value whose length has two bytes

/** A file. @throws ArgumentError if an attribute is too long for its type */
export function dicomFile(dataset: Dataset): Uint8Array {
  const meta = encodeDataset({
    FileMetaInformationVersion: Uint8Array.of(0, 1),
    MediaStorageSOPClassUID: dataset.SOPClassUID,
    MediaStorageSOPInstanceUID: dataset.SOPInstanceUID,
    TransferSyntaxUID: explicitLittleEndian,
    ImplementationClassUID: ownUid("implementation"),
    ImplementationVersionName: `MEDMAMBA ${packageVersion}`.slice(0, 16),
  });
  return Buffer.concat([
    Buffer.alloc(128),
    Buffer.from("DICM"),
    encodeDataset({ FileMetaInformationGroupLength: meta.length }),
    meta,
    encodeDataset(dataset),
  ]);
}

/** The elements of a data set in the order of their tags. @throws ArgumentError if an attribute is too long for its type */
export function encodeDataset(dataset: Dataset): Buffer {
  const entries = (Object.entries(dataset) as [Keyword, Value | undefined][])
    .filter((entry): entry is [Keyword, Value] => entry[1] !== undefined)
    .sort(([a], [b]) => (dictionary[a] < dictionary[b] ? -1 : 1));
  return Buffer.concat(entries.flatMap(([keyword, value]) => element(keyword, value)));
}

function element(keyword: Keyword, value: Value): Buffer[] {
  const [tag = "", vr = ""] = dictionary[keyword].split(" ");
  const bytes = encodeValue(vr, value);
  const long = longLengths.includes(vr);
  if (!long && bytes.length > mostShort)
    throw new ArgumentError(`${keyword} has ${bytes.length} bytes, and DICOM takes ${mostShort} there.`);
  const head = headOf(tag, long ? 12 : 8);
  head.write(vr, 4, "latin1");
  if (long) head.writeUInt32LE(bytes.length, 8);
  else head.writeUInt16LE(bytes.length, 6);
  return [head, bytes];
}

function headOf(tag: string, length: number): Buffer {
  const head = Buffer.alloc(length);
  head.writeUInt16LE(Number.parseInt(tag.slice(0, 4), 16), 0);
  head.writeUInt16LE(Number.parseInt(tag.slice(4), 16), 2);
  return head;
}

function encodeValue(vr: string, value: Value): Buffer {
  if (vr === "SQ") return Buffer.concat((value as readonly Dataset[]).flatMap(item));
  if (value instanceof Uint8Array)
    return padded(Buffer.from(value.buffer, value.byteOffset, value.length), 0);
  if (vr === "US" || vr === "UL") {
    const bytes = Buffer.alloc(vr === "US" ? 2 : 4);
    bytes.writeUIntLE(value as number, 0, bytes.length);
    return bytes;
  }
  return padded(Buffer.from([value].flat().join("\\")), vr === "UI" ? 0 : 0x20);
}

function item(dataset: Dataset): Buffer[] {
  const bytes = encodeDataset(dataset);
  const head = headOf("FFFEE000", 8);
  head.writeUInt32LE(bytes.length, 4);
  return [head, bytes];
}

const padded = (bytes: Buffer, filler: number): Buffer =>
  bytes.length % 2 === 0 ? bytes : Buffer.concat([bytes, Buffer.of(filler)]);

/** A number as text of at most 16 characters (DS), as exactly as these can say it. */
export function decimalString(value: number): string {
  for (let digits = 15; digits > 1; --digits) {
    const text = String(Number(value.toPrecision(digits)));
    if (text.length <= 16) return text;
  }
  return value.toPrecision(1);
}

/** Text without what DICOM has a meaning for, and no longer than its type allows. */
export function plainText(text: string, most: number): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are meant
  const plain = text.replace(/[\x00-\x1f\x7f-\x9f]+/g, " ").replaceAll("\\", "/");
  return [...plain.trim()].slice(0, most).join("").trim();
}
