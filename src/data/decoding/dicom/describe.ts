/**
 * What a DICOM file says of its picture and of the machine that made it, and nothing of the patient. Who needs to tell patients
 * apart asks `dicomIdentity`, whose result is for grouping and for salted hashes and is never to be shown.
 */
import type { Attributes, Keyword } from "./attributes.js";
import { readDataSet } from "./data-set.js";
import { type ExplainedWindow, windowsOf } from "./grey-transformation.js";
import { sopClassName } from "./sop-classes.js";
import { pixelSpacing } from "./spacing.js";

/** Undefined is what the file does not say. None of it identifies a patient, if the file is as the standard wants it. */
export interface DicomDescription {
  /** Such as "CT". */
  readonly modality: string | undefined;
  /** Such as "CT Image Storage"; its UID where that is in no table. */
  readonly sopClass: string | undefined;
  readonly transferSyntax: { readonly uid: string; readonly name: string };
  readonly photometric: string | undefined;
  readonly rows: number | undefined;
  readonly columns: number | undefined;
  readonly frames: number;
  readonly samplesPerPixel: number | undefined;
  readonly bitsAllocated: number | undefined;
  readonly bitsStored: number | undefined;
  readonly signed: boolean | undefined;
  /** Millimetres between rows and between columns. */
  readonly spacing: { readonly rows: number; readonly columns: number } | undefined;
  /** Of the first frame. */
  readonly windows: readonly ExplainedWindow[];
  /** VOI tables of the first frame. */
  readonly voiTables: number;
  /** Of the first frame, to the unit of the modality. */
  readonly rescale: { readonly slope: number; readonly intercept: number } | undefined;
  readonly hasModalityTable: boolean;
  readonly manufacturer: string | undefined;
  readonly modelName: string | undefined;
  /** Whether words were written into the pixels, which may name the patient. */
  readonly burnedInAnnotation: boolean | undefined;
  readonly bodyPart: string | undefined;
  readonly viewPosition: string | undefined;
  /** "L", "R", or of a pair "B"; of paired parts alone. */
  readonly laterality: string | undefined;
  readonly hasPixels: boolean;
}

/** What tells patients, studies and series apart. For grouping and for salted hashes alone: never shown, logged or kept. */
export interface DicomIdentity {
  readonly patientId: string | undefined;
  readonly studyUid: string | undefined;
  readonly seriesUid: string | undefined;
  /** YYYYMMDD, of the acquisition, or else of the series or the study. */
  readonly acquisitionDate: string | undefined;
}

/** @throws DataError if it is no DICOM file, or damaged */
export function describeDicom(bytes: Uint8Array): DicomDescription {
  const { attributes, syntax, pixels } = readDataSet(bytes);
  const representation = attributes.number("PixelRepresentation");
  const sopClass = attributes.text("SOPClassUID") ?? attributes.text("MediaStorageSOPClassUID");
  return {
    modality: code(attributes, "Modality"),
    sopClass: sopClass && sopClassName(sopClass),
    transferSyntax: { uid: syntax.uid, name: syntax.name },
    photometric: code(attributes, "PhotometricInterpretation"),
    rows: attributes.number("Rows"),
    columns: attributes.number("Columns"),
    frames: attributes.number("NumberOfFrames") ?? 1,
    samplesPerPixel: attributes.number("SamplesPerPixel"),
    bitsAllocated: attributes.number("BitsAllocated"),
    bitsStored: attributes.number("BitsStored"),
    signed: representation === undefined ? undefined : representation === 1,
    spacing: pixelSpacing(attributes, 0),
    ...viewsOf(attributes),
    rescale: rescaleOf(attributes),
    hasModalityTable: attributes.has("ModalityLUTSequence"),
    manufacturer: attributes.text("Manufacturer"),
    modelName: attributes.text("ManufacturerModelName"),
    burnedInAnnotation: { YES: true, NO: false }[attributes.text("BurnedInAnnotation") ?? ""],
    bodyPart: code(attributes, "BodyPartExamined"),
    viewPosition: code(attributes, "ViewPosition"),
    laterality: lateralityOf(attributes),
    hasPixels:
      pixels !== undefined || attributes.has("FloatPixelData") || attributes.has("DoubleFloatPixelData"),
  };
}

/** @throws DataError if it is no DICOM file, or damaged */
export function dicomIdentity(bytes: Uint8Array): DicomIdentity {
  const { attributes } = readDataSet(bytes);
  const dates = (["AcquisitionDate", "SeriesDate", "StudyDate"] as const).map((keyword) =>
    attributes.text(keyword),
  );
  return {
    patientId: attributes.text("PatientID"),
    studyUid: attributes.text("StudyInstanceUID"),
    seriesUid: attributes.text("SeriesInstanceUID"),
    acquisitionDate: dates.find((date) => date !== undefined && /^\d{8}$/.test(date)),
  };
}

/** A value of a list of defined terms: what is none, because somebody typed a sentence there, is not passed on. */
function code(attributes: Attributes, keyword: Keyword): string | undefined {
  const text = attributes.text(keyword);
  return text !== undefined && /^[A-Z0-9_ ]{1,16}$/.test(text) ? text : undefined;
}

function viewsOf(attributes: Attributes): Pick<DicomDescription, "windows" | "voiTables"> {
  for (const group of attributes.ofFrame("FrameVOILUTSequence", 0)) {
    const windows = windowsOf(group);
    const voiTables = group.items("VOILUTSequence").length;
    if (windows.length > 0 || voiTables > 0) return { windows, voiTables };
  }
  return { windows: [], voiTables: 0 };
}

function rescaleOf(attributes: Attributes): DicomDescription["rescale"] {
  const groups = attributes.ofFrame("PixelValueTransformationSequence", 0);
  const owner = groups.find((group) => group.has("RescaleSlope") || group.has("RescaleIntercept"));
  return (
    owner && { slope: owner.number("RescaleSlope") ?? 1, intercept: owner.number("RescaleIntercept") ?? 0 }
  );
}

function lateralityOf(attributes: Attributes): string | undefined {
  const anatomies = [
    attributes.item("PerFrameFunctionalGroupsSequence", 0),
    attributes.item("SharedFunctionalGroupsSequence", 0),
  ].map((groups) => groups?.item("FrameAnatomySequence", 0)?.text("FrameLaterality"));
  const found = [attributes.text("ImageLaterality"), attributes.text("Laterality"), ...anatomies];
  return found.find((text) => text !== undefined && ["L", "R", "B", "U"].includes(text));
}
