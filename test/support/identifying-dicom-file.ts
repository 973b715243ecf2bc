/** A small DICOM file with a text of the caller's in every tag that may say who somebody is. */
import * as bare from "./dicom-file.js";

const identifying = [
  "00080014 UI", // Instance Creator UID
  "00080050 SH", // Accession Number
  "00080080 LO", // Institution Name
  "00080081 ST", // Institution Address
  "00080090 PN", // Referring Physician's Name
  "00081010 SH", // Station Name
  "00081030 LO", // Study Description
  "0008103E LO", // Series Description
  "00081048 PN", // Physician of Record
  "00081050 PN", // Performing Physician's Name
  "00081070 PN", // Operators' Name
  "00100010 PN", // Patient's Name
  "00100020 LO", // Patient ID
  "00100021 LO", // Issuer of Patient ID
  "00101000 LO", // Other Patient IDs
  "00101001 PN", // Other Patient Names
  "00101040 LO", // Patient's Address
  "00102154 SH", // Patient's Telephone Numbers
  "001021B0 LT", // Additional Patient History
  "00104000 LT", // Patient Comments
  "00181000 LO", // Device Serial Number
  "00181030 LO", // Protocol Name
  "00200010 SH", // Study ID
  "00204000 LT", // Image Comments
  "00090010 LO", // a private creator
  "00091001 LO", // and what it says
];

/** An 8-bit grey picture, as the standard's Secondary Capture. */
export function dicomFile({ text, size }: { text: string; size: number }): Buffer {
  return bare.dicomFile({
    ...bare.smallPicture,
    ...Object.fromEntries(identifying.map((tag) => [tag, text])),
    "00080018 UI": "1.2.3.4",
    "00080060 CS": "OT",
    "00280010 US": size,
    "00280011 US": size,
    "7FE00010 OB": Uint8Array.from({ length: size * size }, (_, at) => (at * 11) % 256),
  });
}
