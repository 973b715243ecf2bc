/**
 * A prediction as a DICOM object that a hospital's archive keeps beside the images: a Comprehensive 3D SR that follows TID 1500,
 * "Measurement Report" (PS3.16), in the study of the images and a series of its own.
 */
import { ArgumentError, DataError } from "../../errors.js";
import type { Prediction } from "../../inference/predict.js";
import {
  expectCounts,
  expectList,
  expectNamed,
  expectNumbers,
  expectText,
  expectTexts,
  inWords,
} from "../../settings/given.js";
import { concepts, modalityCode, ownLabelCode, ownScheme } from "./concepts.js";
import {
  type Code,
  coded,
  codeItem,
  container,
  dated,
  type ImageReference,
  identifier,
  image,
  measured,
  referenceItem,
  text,
} from "./content.js";
import {
  deviceOf,
  expectModel,
  parametersOf,
  type ReportingModel,
  seriesOf,
  writtenObject,
} from "./reporting-model.js";
import { type DicomSource, expectSource } from "./source.js";
import { ownUid } from "./uids.js";
import { type Dataset, plainText, type WrittenObject } from "./writing.js";

/** An image that a prediction is about. */
export interface ReportedImage {
  /** Of `dicomSource`. */
  readonly source: DicomSource;
  /** Which of its pictures, from 0, where it has several; default the first. */
  readonly frame?: number | undefined;
}

/** Why a human has to decide, where more is known of it than words. */
export interface ReportedReason {
  /** In words. */
  readonly sentence: string;
}

/** What is told of how sure a prediction is, where the checkpoint can say it. */
export interface ReportedDoubt {
  /** "refer" where a human has to decide. */
  readonly decision?: string | undefined;
  /** Why, in sentences or clauses. */
  readonly reasons?: readonly (string | ReportedReason)[] | undefined;
  /** Names of the classes that are not ruled out. */
  readonly set?: readonly string[] | undefined;
  /** The share of images whose true class is not in the set, at most. */
  readonly risk?: number | undefined;
}

/** A prediction as it is reported. */
export type ReportedPrediction = Pick<Prediction, "label" | "labels" | "probability" | "probabilities"> &
  ReportedDoubt;

/** Reasons in words. */
export const sentencesOf = ({ reasons = [] }: ReportedDoubt): string[] =>
  reasons.map((reason) => (typeof reason === "string" ? reason : reason.sentence));

/** How a report is made. */
export interface StructuredReportOptions {
  /** How several images became one prediction, such as "patient:mean". */
  readonly pooling?: string | undefined;
  /** Images that belong to these and could not be read: the report is then called partial. */
  readonly unread?: number | undefined;
}

const comprehensive3dSr = "1.2.840.10008.5.1.4.1.1.88.34";

/** What everyone who opens such an object is told. */
export const researchOnly =
  "RESEARCH ONLY - NOT FOR DIAGNOSIS. Written by software that is no medical device; nobody has verified it.";

/**
 * Writes what a model makes of images of one patient as a structured report.
 *
 * Its UID follows from what it says, of which images: the same images, checkpoint and answers make the same report, but for the
 * time at which it is written.
 *
 * @throws ArgumentError for a prediction of other classes; DataError if the images are of several patients
 */
export function structuredReport(
  images: readonly ReportedImage[],
  prediction: ReportedPrediction,
  model: ReportingModel,
  options: StructuredReportOptions = {},
): WrittenObject {
  const { pooling, unread = 0 } = expectNamed("structuredReport", "the last argument", options, {
    pooling: true,
    unread: true,
  });
  if (pooling !== undefined) expectText("structuredReport", "pooling", pooling);
  expectCounts("structuredReport", { unread }, 0);
  expectList("structuredReport", "images", images);
  for (const image of images) expectReported("structuredReport", image);
  expectModel("structuredReport", model);
  expectPrediction(prediction, model.classes);
  const [first, ...others] = images;
  if (!first) throw new ArgumentError("structuredReport: there is no image to report on.");
  const whose = patientOf(first.source);
  if (others.some(({ source }) => patientOf(source) !== whose))
    throw new DataError("The images are of several patients, and a DICOM report is about one.");
  const { source } = first;
  const content: Dataset = {
    ...source.patientAndStudy,
    SpecificCharacterSet: "ISO_IR 192",
    SOPClassUID: comprehensive3dSr,
    CodingSchemeIdentificationSequence: [
      {
        CodingSchemeDesignator: ownScheme,
        CodingSchemeName: "Labels and answers of models of the package medmamba",
        CodingSchemeResponsibleOrganization: "medmamba",
      },
    ],
    Modality: "SR",
    ...seriesOf("SR", source, model),
    ReferencedPerformedProcedureStepSequence: [],
    ...deviceOf(model),
    InstanceNumber: source.number,
    CompletionFlag: unread > 0 ? "PARTIAL" : "COMPLETE",
    ...(unread > 0 && { CompletionFlagDescription: `${unread} more of the images could not be read` }),
    VerificationFlag: "UNVERIFIED",
    PreliminaryFlag: "PRELIMINARY",
    PerformedProcedureCodeSequence: [],
    ...evidenceOf(images),
    ...documentOf(images, prediction, model, pooling),
  };
  return writtenObject("report", content, model, source);
}

/** @throws ArgumentError unless it is an image of `dicomSource`, and one of its pictures */
export function expectReported(operation: string, image: ReportedImage): void {
  const { source, frame = 0 } = expectNamed(operation, "the image", image, { source: true, frame: true });
  expectSource(operation, source);
  expectCounts(operation, { frame }, 0);
  if (frame >= source.frames)
    throw new ArgumentError(
      `${operation}: there is no frame ${frame}, frames are 0 to ${source.frames - 1}.`,
    );
}

/** @throws ArgumentError unless there is a probability for each class */
function expectPrediction(prediction: ReportedPrediction, classes: readonly string[]): void {
  const { probabilities, labels, decision, reasons, set, risk } = expectNamed(
    "structuredReport",
    "the prediction",
    prediction,
  );
  expectTexts("structuredReport", "the prediction's labels", labels);
  for (const label of labels)
    if (!classes.includes(label))
      throw new ArgumentError(`structuredReport: the model has no label ${inWords(label)}.`);
  if (decision !== undefined) expectText("structuredReport", "the prediction's decision", decision);
  if (reasons !== undefined) {
    expectList("structuredReport", "the prediction's reasons", reasons);
    for (const [i, reason] of reasons.entries()) {
      const what = `reason ${i} of the prediction`;
      if (typeof reason !== "string")
        expectText("structuredReport", what, expectNamed("structuredReport", what, reason).sentence);
    }
  }
  if (risk !== undefined) expectNumbers("structuredReport", { "the prediction's risk": risk });
  if (set !== undefined) expectTexts("structuredReport", "the prediction's set", set);
  const own = expectNamed("structuredReport", "the prediction's probabilities", probabilities);
  for (const name of classes)
    expectNumbers("structuredReport", { [`the probability of ${name}`]: own[name] });
}

/** By what objects of one patient are told from those of another. */
const patientOf = ({ patientAndStudy: { PatientID, IssuerOfPatientID, PatientName } }: DicomSource): string =>
  JSON.stringify([PatientID, IssuerOfPatientID, PatientName]);

const referenceOf = ({ source, frame = 0 }: ReportedImage): ImageReference => ({
  sopClass: source.sopClass,
  sopInstance: source.sopInstance,
  ...(source.frames > 1 && { frames: [frame + 1] }),
});

/** Each image once, with all of its pictures that are meant. */
function referencesOf(images: readonly ReportedImage[]): (ReportedImage & { reference: ImageReference })[] {
  const found = new Map<string, ReportedImage & { reference: ImageReference }>();
  for (const reported of images) {
    const reference = referenceOf(reported);
    const earlier = found.get(reference.sopInstance);
    const numbers = new Set([...(earlier?.reference.frames ?? []), ...(reference.frames ?? [])]);
    const frames = numbers.size > 0 ? [...numbers].sort((a, b) => a - b) : undefined;
    found.set(reference.sopInstance, { ...(earlier ?? reported), reference: { ...reference, frames } });
  }
  return [...found.values()];
}

/** All images that are pointed at, by study and series: those of the report's own study, and those of others. */
function evidenceOf(images: readonly ReportedImage[]): Dataset {
  const studies = new Map<string, Map<string, Map<string, Dataset>>>();
  for (const { source } of images) {
    const series = studies.get(source.study) ?? new Map<string, Map<string, Dataset>>();
    const objects = series.get(source.series) ?? new Map<string, Dataset>();
    const { sopClass, sopInstance } = source;
    objects.set(sopInstance, referenceItem({ sopClass, sopInstance }));
    studies.set(source.study, series.set(source.series, objects));
  }
  const [own, ...others] = [...studies].map(([study, series]) => ({
    ReferencedSeriesSequence: [...series].map(([uid, objects]) => ({
      ReferencedSOPSequence: [...objects.values()],
      SeriesInstanceUID: uid,
    })),
    StudyInstanceUID: study,
  }));
  return {
    CurrentRequestedProcedureEvidenceSequence: own ? [own] : [],
    ...(others.length > 0 && { PertinentOtherEvidenceSequence: others }),
  };
}

/** The content, from its title down. */
function documentOf(
  images: readonly ReportedImage[],
  prediction: ReportedPrediction,
  model: ReportingModel,
  pooling: string | undefined,
): Dataset {
  const { ManufacturerModelName, DeviceSerialNumber } = deviceOf(model) as Record<string, string>;
  const own = "HAS OBS CONTEXT";
  const references = referencesOf(images);
  return {
    ValueType: "CONTAINER",
    ConceptNameCodeSequence: [codeItem(concepts.report)],
    ContinuityOfContent: "SEPARATE",
    ContentTemplateSequence: [{ MappingResource: "DCMR", TemplateIdentifier: "1500" }],
    ContentSequence: [
      coded("HAS CONCEPT MOD", concepts.language, concepts.english),
      coded(own, concepts.observerType, concepts.device),
      identifier(own, concepts.deviceUid, ownUid("model", model.checkpointHash)),
      text(own, concepts.deviceName, "medmamba"),
      text(own, concepts.deviceManufacturer, "medmamba"),
      text(own, concepts.deviceModel, ManufacturerModelName ?? ""),
      text(own, concepts.deviceSerial, DeviceSerialNumber ?? ""),
      coded("HAS CONCEPT MOD", concepts.procedureReported, concepts.imagingProcedure),
      container(concepts.imageLibrary, [
        container(
          concepts.imageLibraryGroup,
          references.map(({ source, reference }) => image(reference, undefined, descriptors(source))),
        ),
      ]),
      container(
        concepts.measurements,
        model.classes.map((label, at) =>
          container(
            concepts.group,
            labelItems({ label, at, references, prediction, model, pooling }),
            "1501",
          ),
        ),
      ),
      container(concepts.evaluations, evaluations(prediction, model)),
    ],
  };
}

/** What is said of an image in the library (TID 1602). */
function descriptors({ modality, rows, columns, patientAndStudy }: DicomSource): Dataset[] {
  const acquired = "HAS ACQ CONTEXT";
  const code = modalityCode(modality);
  const date = patientAndStudy.StudyDate as string;
  return [
    ...(code ? [coded(acquired, concepts.modality, code)] : []),
    ...(date ? [dated(acquired, concepts.studyDate, date)] : []),
    ...(rows ? [measured(acquired, concepts.rows, rows, concepts.pixels)] : []),
    ...(columns ? [measured(acquired, concepts.columns, columns, concepts.pixels)] : []),
  ];
}

interface LabelContent {
  readonly label: string;
  /** Its number among the classes. */
  readonly at: number;
  readonly references: readonly { readonly reference: ImageReference }[];
  readonly prediction: ReportedPrediction;
  readonly model: ReportingModel;
  readonly pooling: string | undefined;
}

/** What is said of one label (TID 1501). */
function labelItems({ label, at, references, prediction, model, pooling }: LabelContent): Dataset[] {
  const { labels, probabilities, set, risk } = prediction;
  const images = references.map(({ reference }) => reference);
  const threshold = thresholdOf(model, at);
  const names = images.map(({ sopInstance, frames = [] }) => [sopInstance, ...frames].join(" "));
  return [
    text("HAS OBS CONTEXT", concepts.trackingText, plainText(label, 64)),
    identifier("HAS OBS CONTEXT", concepts.trackingUid, ownUid("label", label, ...names)),
    coded("CONTAINS", concepts.finding, codeOf(label, model)),
    ...algorithm(model, pooling),
    ...images.map((reference) => image(reference, concepts.source)),
    measured("CONTAINS", concepts.probability, eightDigits(probabilities[label] as number), concepts.noUnits),
    ...(threshold === undefined
      ? []
      : [measured("CONTAINS", concepts.threshold, eightDigits(threshold), concepts.noUnits)]),
    coded("CONTAINS", concepts.decision, labels.includes(label) ? concepts.called : concepts.notCalled),
    ...(set ? [coded("CONTAINS", concepts.inSet, set.includes(label) ? concepts.yes : concepts.no)] : []),
    ...(set && risk !== undefined
      ? [measured("CONTAINS", concepts.risk, eightDigits(risk), concepts.noUnits)]
      : []),
  ];
}

/** TID 4019. */
function algorithm(model: ReportingModel, pooling: string | undefined): Dataset[] {
  const parameters = [
    `checkpoint SHA-256 ${model.checkpointHash}`,
    ...(pooling === undefined ? [] : [`images taken together by ${pooling}`]),
    ...parametersOf(model),
  ];
  return [
    text("HAS CONCEPT MOD", concepts.algorithmName, "medmamba"),
    text("HAS CONCEPT MOD", concepts.algorithmVersion, deviceOf(model).SoftwareVersions as string),
    ...parameters.map((parameter) => text("HAS CONCEPT MOD", concepts.algorithmParameters, parameter)),
  ];
}

/** What is said of the images as a whole. */
function evaluations(prediction: ReportedPrediction, model: ReportingModel): Dataset[] {
  const { labels, decision, set } = prediction;
  const reasons = sentencesOf(prediction);
  const called = labels.length > 0 ? labels.map((label) => codeOf(label, model)) : [concepts.none];
  const answer = decision === "refer" ? concepts.refer : concepts.answered;
  const isDoubtful = decision !== undefined || reasons.length > 0 || set !== undefined;
  return [
    ...called.map((code) => coded("CONTAINS", concepts.calledAs, code)),
    ...(isDoubtful ? [coded("CONTAINS", concepts.answer, answer)] : []),
    ...reasons.map((reason) => text("CONTAINS", concepts.reason, reason)),
    text("CONTAINS", concepts.comment, researchOnly),
  ];
}

const codeOf = (label: string, { codes = {} }: ReportingModel): Code =>
  Object.hasOwn(codes, label) ? (codes[label] as Code) : ownLabelCode(label);

/** Of two classes that of the second; where there may be several labels, that of each, or what is taken where none was chosen. */
function thresholdOf(
  { task, classes, threshold, thresholds }: ReportingModel,
  at: number,
): number | undefined {
  if (task === "multi-label") return thresholds?.[at] ?? 0.5;
  return classes.length === 2 && at === 1 ? (thresholds?.[0] ?? threshold) : undefined;
}

/** As exactly as a probability is computed, in 32 bits. */
const eightDigits = (value: number): number => Number(value.toPrecision(8));
