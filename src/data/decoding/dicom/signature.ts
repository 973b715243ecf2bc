/**
 * Telling DICOM by how a file begins: with the 128 bytes of a preamble and "DICM", or, as older archives and network
 * captures have it, at once with the first element. Light, because every file that is met passes here.
 */

/** Endings of the names of DICOM files, where they have one. */
export const dicomEndings: readonly string[] = [".dcm", ".dicom", ".ima"];

const ascii = (bytes: Uint8Array, from: number, to: number): string =>
  String.fromCharCode(...bytes.subarray(from, to));

/** Whether a file has the preamble of DICOM. */
export const hasPreamble = (start: Uint8Array): boolean => ascii(start, 128, 132) === "DICM";

/** How the elements of a data set are written. */
export interface Encoding {
  readonly explicit: boolean;
  readonly bigEndian: boolean;
}

/** What begins a data set with no preamble: (0002,0000..), (0008,0000) to (0008,0018). */
const firstElements: Readonly<Record<number, number>> = { 2: 0x0010, 8: 0x0018 };
const furthestSecond = 256; // bytes: a first element is a group's length, a character set or a UID

/** How a data set that begins here is written; undefined if none does. */
export function encodingAt(start: Uint8Array, position = 0): Encoding | undefined {
  const { buffer, byteOffset, byteLength } = start;
  if (byteLength < position + 16) return undefined;
  const view = new DataView(buffer, byteOffset, byteLength);
  for (const bigEndian of [false, true]) {
    const group = view.getUint16(position, !bigEndian);
    const last = firstElements[group];
    if (last === undefined || view.getUint16(position + 2, !bigEndian) > last) continue;
    const explicit = /^[A-Z]{2}$/.test(ascii(start, position + 4, position + 6));
    if (bigEndian && !explicit) continue; // never was a transfer syntax
    const length = explicit
      ? view.getUint16(position + 6, !bigEndian)
      : view.getUint32(position + 4, !bigEndian);
    const next = position + 8 + length;
    if (length > furthestSecond || next + 4 > byteLength) continue;
    const second = view.getUint16(next, !bigEndian);
    const element = view.getUint16(next + 2, !bigEndian);
    const later = second === group ? element > view.getUint16(position + 2, !bigEndian) : second > group;
    // OB, the version of a group 0002 that begins with it, has four bytes of length and two of nothing before them.
    const version = explicit && group === 0x0002 && ascii(start, position + 4, position + 6) === "OB";
    if (version || (later && second < 0x0050)) return { explicit, bigEndian };
  }
  return undefined;
}

/** @param start  the first bytes of a file, some hundreds */
export const isDicom = (start: Uint8Array): boolean => hasPreamble(start) || encodingAt(start) !== undefined;

/** SOP classes of objects that have no picture, by how their UIDs begin: what they are. */
const withoutPicture: Readonly<Record<string, string>> = {
  "1.2.840.10008.1.3.10": "an index of other files (DICOMDIR)",
  "1.2.840.10008.5.1.4.1.1.11.": "a presentation state",
  "1.2.840.10008.5.1.4.1.1.88.59": "a key object selection",
  "1.2.840.10008.5.1.4.1.1.88.": "a structured report",
  "1.2.840.10008.5.1.4.1.1.104.": "an encapsulated document",
  "1.2.840.10008.5.1.4.1.1.9.": "a waveform",
  "1.2.840.10008.5.1.4.1.1.66": "raw data, a registration or a surface",
  "1.2.840.10008.5.1.4.1.1.481.3": "a radiotherapy structure set",
  "1.2.840.10008.5.1.4.1.1.481.5": "a radiotherapy plan",
};
/** Which of those that begin so are pictures all the same. */
const withPicture = [
  "1.2.840.10008.5.1.4.1.1.66.4", // Segmentation
  "1.2.840.10008.5.1.4.1.1.66.7", // Label Map Segmentation
];

/** What an object of this SOP class is that has no picture, such as "a structured report"; undefined if it may have one. */
export function kindWithoutPicture(sopClass: string): string | undefined {
  if (withPicture.includes(sopClass)) return undefined;
  return Object.entries(withoutPicture).find(([uid]) => sopClass.startsWith(uid))?.[1];
}

/** As `kindWithoutPicture`, by the header that files with a preamble begin with. */
export function kindOfFileWithoutPicture(start: Uint8Array): string | undefined {
  if (!hasPreamble(start)) return undefined;
  const text = ascii(start, 132, start.length);
  const element = text.indexOf("\x02\x00\x02\x00UI"); // (0002,0002) Media Storage SOP Class UID
  if (element < 0) return undefined;
  const length = text.charCodeAt(element + 6);
  return kindWithoutPicture(text.slice(element + 8, element + 8 + length).replace(/[\0 ]+$/, ""));
}
