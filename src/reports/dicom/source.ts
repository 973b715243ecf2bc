/**
 * What a new object takes over from the image that it is about: whose it is, of which study, and how to point at it. That names
 * the patient, so it goes into DICOM objects, where it has to be, and nowhere else.
 */
import { isDicom } from "../../data/decoding/dicom/signature.js";
import { checkedMaxPixels, defaultMaxPixels, largestFile } from "../../data/decoding/limits.js";
import { readWhole, unreadable } from "../../data/decoding/sample.js";
import { ArgumentError, DataError } from "../../errors.js";
import {
  expectCounts,
  expectNamed,
  expectText,
  inWords,
  type NamesOf,
  optionsOf,
} from "../../settings/given.js";
import { isUrl, type Path, pathOf } from "../../settings/paths.js";
import { arrayHere, isBytes } from "../../settings/realms.js";
import { dictionary, type Keyword } from "./dictionary.js";

/** A DICOM image as other objects refer to it. It holds what identifies a patient: it is not to be shown, logged or kept. */
export interface DicomSource {
  /** SOP Class UID. */
  readonly sopClass: string;
  /** SOP Instance UID. */
  readonly sopInstance: string;
  /** Series Instance UID. */
  readonly series: string;
  /** Study Instance UID. */
  readonly study: string;
  /** Pictures in it. */
  readonly frames: number;
  /** What is written of patient and study in an object of the same study, by the keywords of PS3.6. */
  readonly patientAndStudy: Readonly<Record<string, string>>;
  /** What is written of the picture in one that is drawn from it. */
  readonly picture: Readonly<Record<string, string>>;
  /** Such as "CT"; undefined where it is no word that DICOM has. */
  readonly modality: string | undefined;
  /** Pixels from top to bottom. */
  readonly rows: number | undefined;
  /** Pixels from left to right. */
  readonly columns: number | undefined;
  /** Its number in its series, "1" where it has none. */
  readonly number: string;
}

/** Values by keyword. */
type Texts = Readonly<Record<string, string>>;

/** How copied values are, where they are right; "" is written in the place of others. */
const date = /^\d{8}$/;
const time = /^\d{2}(\d{2}(\d{2}(\.\d{1,6})?)?)?$/;
const word = /^[A-Z0-9_ ]{1,16}$/;
const any = /^/;
const longest = 1024; // characters: DICOM takes 64 of most, five times that of names, and files have more
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are meant
const controls = /[\x01-\x1f\x7f]/g;

/** Attributes that every object has to have (type 2), if only without a value. */
const always: Partial<Record<Keyword, RegExp>> = {
  PatientName: any,
  PatientID: any,
  PatientBirthDate: date,
  PatientSex: /^[MFO]$/,
  StudyDate: date,
  StudyTime: time,
  ReferringPhysicianName: any,
  StudyID: any,
  AccessionNumber: any,
};
/** Those that it has where the image has them. */
const wherePresent: Partial<Record<Keyword, RegExp>> = {
  IssuerOfPatientID: any,
  PatientAge: /^\d{3}[DWMY]$/,
  PatientSpeciesDescription: any,
  PatientBreedDescription: any,
  ResponsiblePerson: any,
  ResponsiblePersonRole: word,
  ResponsibleOrganization: any,
  PatientIdentityRemoved: /^(YES|NO)$/,
  DeidentificationMethod: any,
  StudyDescription: any,
  TimezoneOffsetFromUTC: /^[+-]\d{4}$/,
};
const uid = /^[0-9.]{1,64}$/;

/**
 * Reads what is needed of a DICOM image to make a report about it.
 *
 * @param location  a path or `file:` URL, or the bytes of a file
 * @throws DataError naming the file, if it is no DICOM image, damaged, or does not say which image of which study it is
 */
export async function dicomSource(
  location: Path | Uint8Array,
  given: {
    /** Pixels that a picture may have, which bounds what is read of a file; 2^26 or MEDMAMBA_MAX_PIXELS unless told. */
    readonly maxPixels?: number | undefined;
  } = {},
): Promise<DicomSource> {
  const { maxPixels = defaultMaxPixels() } = optionsOf("dicomSource", given, { maxPixels: true });
  checkedMaxPixels("dicomSource: maxPixels", maxPixels);
  if (!isBytes(location) && typeof location !== "string" && !isUrl(location))
    throw new ArgumentError(
      `dicomSource: an image is a path, a file: URL or the bytes of its file, not ${inWords(location)}.`,
    );
  const file = isBytes(location) ? undefined : pathOf("dicomSource", location as Path);
  try {
    const bytes = isBytes(location)
      ? arrayHere(location)
      : await readWhole(file as string, largestFile(maxPixels));
    if (!isDicom(bytes))
      throw new DataError("it is no DICOM file, so there is no study that a DICOM object could belong to");
    return await sourceOf(bytes);
  } catch (cause) {
    throw unreadable(file, cause);
  }
}

/** @throws ArgumentError unless it is what `dicomSource` gave */
export function expectSource(operation: string, source: DicomSource): void {
  const what = "the image's source";
  const { patientAndStudy, picture, frames, modality, rows, columns, ...texts } = expectNamed(
    operation,
    what,
    source,
    sourceNames,
  );
  for (const [name, value] of Object.entries(texts)) expectText(operation, `${what}, ${name},`, value);
  if (modality !== undefined) expectText(operation, `${what}, modality,`, modality);
  expectCounts(operation, {
    frames,
    ...(rows !== undefined && { rows }),
    ...(columns !== undefined && { columns }),
  });
  for (const [name, dataset] of Object.entries({ patientAndStudy, picture })) {
    for (const [keyword, value] of Object.entries(expectNamed(operation, `${what}, ${name},`, dataset))) {
      if (!Object.hasOwn(dictionary, keyword))
        throw new ArgumentError(`${operation}: ${name} has ${inWords(keyword)}, which is no attribute.`);
      expectText(operation, `${keyword} of ${name}`, value);
    }
  }
}

const sourceNames: NamesOf<DicomSource> = {
  sopClass: true,
  sopInstance: true,
  series: true,
  study: true,
  frames: true,
  patientAndStudy: true,
  picture: true,
  modality: true,
  rows: true,
  columns: true,
  number: true,
};

async function sourceOf(bytes: Uint8Array): Promise<DicomSource> {
  const [{ readDataSet }, { decodeText }] = await Promise.all([
    import("../../data/decoding/dicom/data-set.js"),
    import("../../data/decoding/dicom/character-sets.js"),
  ]);
  const { attributes, pixels } = readDataSet(bytes);
  const ascii = (keyword: Keyword) => trimmed(decodeText(bytesOf(keyword) ?? new Uint8Array(), []));
  const bytesOf = (keyword: Keyword) => attributes.copied(dictionary[keyword].slice(0, 8));
  const terms = ascii("SpecificCharacterSet").split("\\").map(trimmed);
  const copied = (expected: Partial<Record<Keyword, RegExp>>): Texts => {
    const dataset: Record<string, string> = {};
    for (const [keyword, right] of Object.entries(expected) as [Keyword, RegExp][]) {
      const value = bytesOf(keyword);
      if (value === undefined) continue;
      const text = trimmed(decodeText(value, terms).replace(controls, ""));
      if (text.length > longest)
        throw new DataError("a text about its patient or study is longer than DICOM takes");
      if (text !== "" && right.test(text)) dataset[keyword] = text;
    }
    return dataset;
  };
  const identifier = (keyword: Keyword, name: string, fallback?: Keyword): string => {
    const value = ascii(keyword) || (fallback ? ascii(fallback) : "");
    if (uid.test(value)) return value;
    throw new DataError(`it does not say its ${name}, by which objects of DICOM belong together`);
  };
  const hasPicture =
    pixels !== undefined || attributes.has("FloatPixelData") || attributes.has("DoubleFloatPixelData");
  if (!hasPicture) throw new DataError("it has no picture to report on");
  const sopClass = identifier("SOPClassUID", "kind (SOP Class UID)", "MediaStorageSOPClassUID");
  const patientAndStudy = {
    ...Object.fromEntries(Object.keys(always).map((keyword) => [keyword, ""])),
    ...copied(always),
    ...copied(wherePresent),
  };
  const countOf = (keyword: "NumberOfFrames" | "Rows" | "Columns") => {
    const value = attributes.number(keyword);
    return value !== undefined && Number.isSafeInteger(value) && value > 0 ? value : undefined;
  };
  const modality = ascii("Modality");
  const number = ascii("InstanceNumber");
  const study = identifier("StudyInstanceUID", "study (Study Instance UID)");
  return {
    sopClass,
    sopInstance: identifier(
      "SOPInstanceUID",
      "own identifier (SOP Instance UID)",
      "MediaStorageSOPInstanceUID",
    ),
    series: identifier("SeriesInstanceUID", "series (Series Instance UID)"),
    study,
    frames: countOf("NumberOfFrames") ?? 1,
    patientAndStudy: { ...withMethod(patientAndStudy), StudyInstanceUID: study },
    picture: {
      PatientOrientation: "",
      ...copied({ PatientOrientation: any }),
      ...side(copied),
      ...lossy(copied),
    },
    modality: word.test(modality) ? modality : undefined,
    rows: countOf("Rows"),
    columns: countOf("Columns"),
    number: /^\d{1,12}$/.test(number) ? number : "1",
  };
}

/** Of an image without its patient's identity the way in which that was removed has to be told; it may be in codes there. */
function withMethod(dataset: Texts): Texts {
  if (dataset.PatientIdentityRemoved !== "YES" || dataset.DeidentificationMethod) return dataset;
  return { ...dataset, DeidentificationMethod: "As the source images say" };
}

/** Left or right, of a pair; that of the series, which holds images of several, is left open. */
function side(copied: (expected: Partial<Record<Keyword, RegExp>>) => Texts): Texts {
  const { ImageLaterality, Laterality } = copied({ ImageLaterality: /^[LRUB]$/, Laterality: /^[LR]$/ });
  const known = ImageLaterality ?? Laterality;
  return known === undefined ? { Laterality: "" } : { ImageLaterality: known };
}

/** Once pixels have been through lossy compression, what is made of them says so. */
function lossy(copied: (expected: Partial<Record<Keyword, RegExp>>) => Texts): Texts {
  const told = copied({
    LossyImageCompression: /^01$/,
    LossyImageCompressionRatio: any,
    LossyImageCompressionMethod: any,
  });
  return told.LossyImageCompression ? told : { LossyImageCompression: "00" };
}

/** Without the filling of values. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: a zero is one
const trimmed = (text: string): string => text.replace(/[\x00 ]+$/, "").replace(/^ +/, "");
