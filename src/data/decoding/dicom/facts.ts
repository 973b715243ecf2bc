/** What a DICOM file says of itself, as facts for whoever asks what a file is; nothing of the patient is among them. */
import type { Facts } from "../../facts.js";
import { describeDicom } from "./describe.js";

/** @throws DataError whose reason ends "scan.dcm could not be read: " */
export function dicomFacts(bytes: Uint8Array): Facts {
  const { spacing, windows, rescale, transferSyntax, ...about } = describeDicom(bytes);
  return {
    format: "DICOM",
    ...about,
    transferSyntax: { ...transferSyntax },
    spacing: spacing && [spacing.rows, spacing.columns],
    windows: windows.map((window) => ({ ...window })),
    rescale: rescale && { ...rescale },
  };
}
