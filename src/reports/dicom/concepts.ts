/**
 * Concepts of reports. Those of DICOM and SNOMED CT are the standard's own (PS3.16). What has no code there, or none that says just
 * that, is of a scheme of ours, 99MEDMAMBA, whose meanings are in docs/into-the-hospital.md: a code that is nearly right is wrong.
 */
import { createHash } from "node:crypto";
import { type Code, dcm } from "./content.js";
import { plainText } from "./writing.js";

/** The scheme of codes that are ours. */
export const ownScheme = "99MEDMAMBA";

const own = (code: string, meaning: string): Code => ({ code, scheme: ownScheme, meaning });

export const concepts = {
  report: dcm("126000", "Imaging Measurement Report"),
  language: dcm("121049", "Language of Content Item and Descendants"),
  english: { code: "en-US", scheme: "RFC5646", meaning: "English (United States)" },
  observerType: dcm("121005", "Observer Type"),
  device: dcm("121007", "Device"),
  deviceUid: dcm("121012", "Device Observer UID"),
  deviceName: dcm("121013", "Device Observer Name"),
  deviceManufacturer: dcm("121014", "Device Observer Manufacturer"),
  deviceModel: dcm("121015", "Device Observer Model Name"),
  deviceSerial: dcm("121016", "Device Observer Serial Number"),
  procedureReported: dcm("121058", "Procedure reported"),
  imagingProcedure: { code: "363679005", scheme: "SCT", meaning: "Imaging procedure" },

  imageLibrary: dcm("111028", "Image Library"),
  imageLibraryGroup: dcm("126200", "Image Library Group"),
  modality: dcm("121139", "Modality"),
  studyDate: dcm("111060", "Study Date"),
  rows: dcm("110910", "Pixel Data Rows"),
  columns: dcm("110911", "Pixel Data Columns"),
  pixels: { code: "{pixels}", scheme: "UCUM", meaning: "pixels" },

  measurements: dcm("126010", "Imaging Measurements"),
  group: dcm("125007", "Measurement Group"),
  trackingText: dcm("112039", "Tracking Identifier"),
  trackingUid: dcm("112040", "Tracking Unique Identifier"),
  finding: dcm("121071", "Finding"),
  algorithmName: dcm("111001", "Algorithm Name"),
  algorithmParameters: dcm("111002", "Algorithm Parameters"),
  algorithmVersion: dcm("111003", "Algorithm Version"),
  source: dcm("121112", "Source of Measurement"),
  noUnits: { code: "1", scheme: "UCUM", meaning: "no units" },
  probability: own("probability", "Probability that the model gives the label"),
  threshold: own("threshold", "Probability from which the label is called"),
  decision: own("decision", "Whether the model calls the label"),
  called: own("called", "Called"),
  notCalled: own("not-called", "Not called"),
  inSet: own("in-set", "Whether the label is in the prediction set"),
  risk: own("set-risk", "Share of images whose class is outside of their set, at most"),
  yes: { code: "373066001", scheme: "SCT", meaning: "Yes" },
  no: { code: "373067005", scheme: "SCT", meaning: "No" },

  evaluations: { code: "C0034375", scheme: "UMLS", meaning: "Qualitative Evaluations" },
  calledAs: own("called-as", "Label that the model calls"),
  none: own("none", "No label"),
  answer: own("answer", "Whether the model answers"),
  answered: own("answered", "Answered"),
  refer: own("refer", "Not sure: refer to a human"),
  reason: own("reason", "Reason for referring to a human"),
  comment: dcm("121106", "Comment"),

  sourceImage: dcm("121322", "Source image for image processing operation"),
} as const satisfies Readonly<Record<string, Code>>;

/** Modalities of images as DICOM words them (CID 29). */
const modalities: Readonly<Record<string, string>> = {
  BDUS: "Ultrasound Bone Densitometry",
  CR: "Computed Radiography",
  CT: "Computed Tomography",
  DMS: "Dermoscopy",
  DX: "Digital Radiography",
  ES: "Endoscopy",
  GM: "General Microscopy",
  IO: "Intra-oral Radiography",
  IVOCT: "Intravascular Optical Coherence Tomography",
  IVUS: "Intravascular Ultrasound",
  MG: "Mammography",
  MR: "Magnetic Resonance",
  NM: "Nuclear Medicine",
  OCT: "Optical Coherence Tomography",
  OP: "Ophthalmic Photography",
  OPT: "Ophthalmic Tomography",
  PT: "Positron emission tomography",
  PX: "Panoramic X-Ray",
  RF: "Radiofluoroscopy",
  RG: "Radiographic imaging",
  SM: "Slide Microscopy",
  US: "Ultrasound",
  XA: "X-Ray Angiography",
  XC: "External-camera Photography",
};

/** The code of an image's modality; undefined for what is none of them. */
export function modalityCode(modality: string | undefined): Code | undefined {
  const meaning = modality === undefined ? undefined : modalities[modality];
  return meaning === undefined ? undefined : dcm(modality as string, meaning);
}

/** The code of a label that nobody gave one: the same for the same name, in every checkpoint. */
export function ownLabelCode(label: string): Code {
  const digits = createHash("sha256").update(label).digest("hex").slice(0, 10);
  return own(`label-${digits}`, plainText(label, 64) || "(no name)");
}
