/** Images of a made-up patient's study, as small DICOM files. */
import { type DicomElements, dicomFile, smallPicture } from "./dicom-file.js";

/** "Müller^Jürgen=山田^太郎" in ISO 2022 IR 100 and 87, as pydicom writes it. */
export const name = "Müller^Jürgen=山田^太郎";
const nameInOldLetters = Buffer.from("M\xfcller^J\xfcrgen=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B ", "latin1");

export const study = "1.2.826.0.1.3680043.8.498.1";

/** An image of that study. */
export function studyImage(number: number, others: DicomElements = {}, sopClass?: string): Buffer {
  const elements = {
    ...smallPicture,
    "00080005 CS": "ISO 2022 IR 100\\ISO 2022 IR 87",
    "00080018 UI": `${study}.2.${number}`,
    "00080020 DA": "20200131",
    "00080030 TM": "112233.5",
    "00080050 SH": "A-77",
    "00080060 CS": "US",
    "00080090 PN": "",
    "00100010 PN": nameInOldLetters,
    "00100020 LO": "4711",
    "00100030 DA": "19700101",
    "00100040 CS": "F",
    "0020000D UI": study,
    "0020000E UI": `${study}.1`,
    "00200010 SH": "S1",
    "00200013 IS": String(number),
    "00281050 DS": "25",
    "00281051 DS": "30",
    ...others,
  };
  return dicomFile(elements, sopClass === undefined ? {} : { sopClass });
}

/** Multi-frame Grayscale Byte Secondary Capture. */
const severalFrames = "1.2.840.10008.5.1.4.1.1.7.2";

/** The same with three pictures. */
export const studyFrames = (number: number): Buffer =>
  studyImage(
    number,
    { "00280008 IS": "3", "7FE00010 OB": Uint8Array.from({ length: 12 }, (_, at) => 10 * at) },
    severalFrames,
  );
