/** DICOM files made by hand, for what no library would write: elements of Explicit VR Little Endian behind a preamble. */

type Value = string | number | readonly number[] | Uint8Array | readonly DicomElements[];
/** Values by "GGGGEEEE VR"; numbers of US, UL, SS, FD, items of SQ, text of all others. */
export interface DicomElements {
  readonly [tagAndType: string]: Value;
}

const longLengths = ["OB", "OW", "OF", "OD", "OV", "SQ", "UN", "UT"];

function bytesOf(type: string, value: Value): Buffer {
  if (value instanceof Uint8Array) return Buffer.from(value);
  if (type === "SQ") {
    return Buffer.concat(
      (value as readonly DicomElements[]).map((item) => element("FFFEE000", elements(item))),
    );
  }
  if (typeof value === "string") return Buffer.from(value.length % 2 ? `${value} ` : value, "latin1");
  const numbers = [value].flat() as number[];
  const size = { US: 2, SS: 2, UL: 4, FD: 8 }[type] ?? 2;
  const bytes = Buffer.alloc(size * numbers.length);
  for (const [i, number] of numbers.entries()) {
    if (type === "FD") bytes.writeDoubleLE(number, 8 * i);
    else if (type === "SS") bytes.writeInt16LE(number, 2 * i);
    else bytes.writeUIntLE(number, size * i, size);
  }
  return bytes;
}

/** An item, whose tag stands without a type. */
function element(tag: string, bytes: Uint8Array): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt16LE(Number.parseInt(tag.slice(0, 4), 16), 0);
  head.writeUInt16LE(Number.parseInt(tag.slice(4), 16), 2);
  head.writeUInt32LE(bytes.length, 4);
  return Buffer.concat([head, bytes]);
}

export function elements(values: DicomElements): Buffer {
  const sorted = Object.entries(values).sort(([a], [b]) => (a < b ? -1 : 1));
  const parts = sorted.map(([name, value]) => {
    const [tag = "", type = ""] = name.split(" ");
    const bytes = bytesOf(type, value);
    const head = Buffer.alloc(longLengths.includes(type) ? 12 : 8);
    head.writeUInt16LE(Number.parseInt(tag.slice(0, 4), 16), 0);
    head.writeUInt16LE(Number.parseInt(tag.slice(4), 16), 2);
    head.write(type, 4, "latin1");
    if (head.length === 12) head.writeUInt32LE(bytes.length, 8);
    else head.writeUInt16LE(bytes.length, 6);
    return Buffer.concat([head, bytes]);
  });
  return Buffer.concat(parts);
}

/** Attributes of a grey picture of 2 x 2 pixels of 8 bits, 10, 20, 30 and 40. */
export const smallPicture: DicomElements = {
  "00280002 US": 1,
  "00280004 CS": "MONOCHROME2",
  "00280010 US": 2,
  "00280011 US": 2,
  "00280100 US": 8,
  "00280101 US": 8,
  "00280102 US": 7,
  "00280103 US": 0,
  "7FE00010 OB": Uint8Array.of(10, 20, 30, 40),
};

/** A whole file. */
export function dicomFile(
  values: DicomElements,
  { syntax = "1.2.840.10008.1.2.1", sopClass = "1.2.840.10008.5.1.4.1.1.7" } = {},
): Buffer {
  const header = elements({ "00020002 UI": sopClass, "00020010 UI": syntax });
  return Buffer.concat([
    Buffer.alloc(128),
    Buffer.from("DICM"),
    header,
    elements({ "00080016 UI": sopClass }),
    elements(values),
  ]);
}
