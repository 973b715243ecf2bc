/** A small DICOM file with a text of the caller's in every tag that may say who somebody is. Explicit VR, little endian. */

const identifying: readonly (readonly [group: number, element: number, representation: string])[] = [
  [0x0008, 0x0014, "UI"], // Instance Creator UID
  [0x0008, 0x0050, "SH"], // Accession Number
  [0x0008, 0x0080, "LO"], // Institution Name
  [0x0008, 0x0081, "ST"], // Institution Address
  [0x0008, 0x0090, "PN"], // Referring Physician's Name
  [0x0008, 0x1010, "SH"], // Station Name
  [0x0008, 0x1030, "LO"], // Study Description
  [0x0008, 0x103e, "LO"], // Series Description
  [0x0008, 0x1048, "PN"], // Physician of Record
  [0x0008, 0x1050, "PN"], // Performing Physician's Name
  [0x0008, 0x1070, "PN"], // Operators' Name
  [0x0010, 0x0010, "PN"], // Patient's Name
  [0x0010, 0x0020, "LO"], // Patient ID
  [0x0010, 0x0021, "LO"], // Issuer of Patient ID
  [0x0010, 0x1000, "LO"], // Other Patient IDs
  [0x0010, 0x1001, "PN"], // Other Patient Names
  [0x0010, 0x1040, "LO"], // Patient's Address
  [0x0010, 0x2154, "SH"], // Patient's Telephone Numbers
  [0x0010, 0x21b0, "LT"], // Additional Patient History
  [0x0010, 0x4000, "LT"], // Patient Comments
  [0x0018, 0x1000, "LO"], // Device Serial Number
  [0x0018, 0x1030, "LO"], // Protocol Name
  [0x0020, 0x0010, "SH"], // Study ID
  [0x0020, 0x4000, "LT"], // Image Comments
  [0x0009, 0x0010, "LO"], // a private creator
  [0x0009, 0x1001, "LO"], // and what it says
];

/** An 8-bit grey picture, as the standard's Secondary Capture. */
export function dicomFile({ text, size }: { text: string; size: number }): Buffer {
  const secondaryCapture = "1.2.840.10008.5.1.4.1.1.7";
  const explicitLittleEndian = "1.2.840.10008.1.2.1";
  const number = (value: number) => Buffer.from([value & 255, value >> 8]);
  const pixels = Buffer.from(Array.from({ length: size * size }, (_, at) => (at * 11) % 256));
  const meta = [
    element(0x0002, 0x0001, "OB", Buffer.from([0, 1])),
    element(0x0002, 0x0002, "UI", Buffer.from(secondaryCapture)),
    element(0x0002, 0x0003, "UI", Buffer.from("1.2.3.4")),
    element(0x0002, 0x0010, "UI", Buffer.from(explicitLittleEndian)),
  ];
  const length = Buffer.alloc(4);
  length.writeUInt32LE(Buffer.concat(meta).length);
  const elements: [number, number, string, Buffer][] = [
    ...identifying.map(([group, number, kind]): [number, number, string, Buffer] => [
      group,
      number,
      kind,
      Buffer.from(text),
    ]),
    [0x0008, 0x0016, "UI", Buffer.from(secondaryCapture)],
    [0x0008, 0x0018, "UI", Buffer.from("1.2.3.4")],
    [0x0008, 0x0060, "CS", Buffer.from("OT")],
    [0x0028, 0x0002, "US", number(1)],
    [0x0028, 0x0004, "CS", Buffer.from("MONOCHROME2")],
    [0x0028, 0x0010, "US", number(size)],
    [0x0028, 0x0011, "US", number(size)],
    [0x0028, 0x0100, "US", number(8)],
    [0x0028, 0x0101, "US", number(8)],
    [0x0028, 0x0102, "US", number(7)],
    [0x0028, 0x0103, "US", number(0)],
    [0x7fe0, 0x0010, "OB", pixels],
  ];
  const body = elements
    .sort(([groupA, a], [groupB, b]) => groupA - groupB || a - b)
    .map((fields) => element(...fields));
  return Buffer.concat([
    Buffer.alloc(128),
    Buffer.from("DICM"),
    element(0x0002, 0x0000, "UL", length),
    ...meta,
    ...body,
  ]);
}

/** Tag, value representation, length, value padded to an even length. */
function element(group: number, number: number, representation: string, value: Buffer): Buffer {
  const isText = !["OB", "US", "UL"].includes(representation);
  const pad = Buffer.alloc(value.length % 2, isText && representation !== "UI" ? " " : 0);
  const isLong = representation === "OB";
  const head = Buffer.alloc(isLong ? 12 : 8);
  head.writeUInt16LE(group, 0);
  head.writeUInt16LE(number, 2);
  head.write(representation, 4, "latin1");
  if (isLong) head.writeUInt32LE(value.length + pad.length, 8);
  else head.writeUInt16LE(value.length + pad.length, 6);
  return Buffer.concat([head, value, pad]);
}
