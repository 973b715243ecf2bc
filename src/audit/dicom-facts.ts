/** What a DICOM file says of its making, as far as an audit asks: none of it is shown but as a count or an AUC. */
import { recognizedBytes } from "../data/decoding/decoder.js";
import { isDicom } from "../data/decoding/dicom/signature.js";
import { pseudonym } from "../data/pseudonyms.js";
import { DataError } from "../errors.js";

/** Undefined is what the file does not say. */
export interface DicomFacts {
  /** Manufacturer and model. */
  readonly scanner: string | undefined;
  /** As it is stored, such as "MONOCHROME1". */
  readonly photometric: string | undefined;
  /** Whether the file says that words were written into the pixels, which may name the patient. */
  readonly burnedIn: boolean;
  /** YYYYMMDD of the acquisition, as a number. */
  readonly date: number | undefined;
  /** Pseudonym of the patient. */
  readonly patient: string | undefined;
}

/** @returns undefined of what is no DICOM file */
export async function dicomFacts(bytes: Uint8Array): Promise<DicomFacts | undefined> {
  if (!isDicom(bytes.subarray(0, recognizedBytes))) return undefined;
  const { describeDicom, dicomIdentity } = await import("../data/decoding/dicom/describe.js");
  try {
    const { manufacturer, modelName, photometric, burnedInAnnotation } = describeDicom(bytes);
    const { patientId, acquisitionDate } = dicomIdentity(bytes);
    const names = [manufacturer, modelName].filter((name) => name !== undefined);
    return {
      scanner: names.length > 0 ? names.join(" ") : undefined,
      photometric,
      burnedIn: burnedInAnnotation === true,
      date: acquisitionDate === undefined ? undefined : Number(acquisitionDate),
      patient: patientId ? pseudonym(patientId) : undefined,
    };
  } catch (error) {
    if (error instanceof DataError) return undefined;
    throw error;
  }
}
