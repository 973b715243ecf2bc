/** Which model, on whose machine, at what time: what all objects say that are made by one. */
import type { CheckpointDescription } from "../../checkpoints/checkpoint.js";
import { definePreprocessing } from "../../data/preprocessing.js";
import { ArgumentError } from "../../errors.js";
import { packageVersion } from "../../native/package-version.js";
import {
  expectList,
  expectNamed,
  expectNumbers,
  expectText,
  expectTexts,
  inWords,
} from "../../settings/given.js";
import { type Path, pathOf } from "../../settings/paths.js";
import { taskOf } from "../../tasks/index.js";
import { fileHash } from "../../weights/file-hash.js";
import { codeProblem, type LabelCodes } from "./label-codes.js";
import type { DicomSource } from "./source.js";
import { ownUid } from "./uids.js";
import { type Dataset, dicomFile, encodeDataset, plainText, type WrittenObject } from "./writing.js";

/** A model as objects name it. */
export interface ReportingModel
  extends Pick<CheckpointDescription, "classes" | "task" | "threshold" | "thresholds">,
    Partial<Pick<CheckpointDescription, "preprocessing">> {
  /** SHA-256 of its checkpoint, 64 hexadecimal digits; `checkpointHash` computes it. */
  readonly checkpointHash: string;
  /** What else decides its answers beside the preprocessing, a sentence each. */
  readonly parameters?: readonly string[] | undefined;
  /** Of labels; those that have none get one of our own scheme. */
  readonly codes?: LabelCodes | undefined;
  /** When the objects are made; default now, or SOURCE_DATE_EPOCH where the environment has that. */
  readonly date?: Date | undefined;
}

/**
 * The SHA-256 of a checkpoint's file, by which objects name the model that made them.
 *
 * @throws WeightsError naming the file, if it cannot be read
 */
export async function checkpointHash(location: Path): Promise<string> {
  return fileHash(pathOf("checkpointHash", location));
}

/** @throws ArgumentError unless it names a model */
export function expectModel(operation: string, model: ReportingModel): void {
  const named = expectNamed(operation, "the model", model);
  const {
    classes,
    checkpointHash: hash,
    parameters,
    codes,
    date,
    threshold,
    thresholds,
    preprocessing,
  } = named;
  expectTexts(operation, "the model's classes", classes);
  taskOf(model);
  if (threshold !== undefined) expectNumbers(operation, { threshold });
  if (thresholds !== undefined) {
    expectList(operation, "thresholds", thresholds);
    for (const [i, each] of thresholds.entries()) expectNumbers(operation, { [`threshold ${i}`]: each });
  }
  if (preprocessing !== undefined)
    definePreprocessing(expectNamed(operation, "the model's preprocessing", preprocessing));
  if (parameters !== undefined) expectTexts(operation, "the model's parameters", parameters);
  for (const [label, code] of Object.entries(
    codes === undefined ? {} : expectNamed(operation, "the model's codes", codes),
  )) {
    const given = expectNamed(operation, `the code of ${label}`, code);
    for (const field of ["code", "scheme", "meaning"] as const)
      expectText(operation, `${field} of ${label}`, given[field]);
    if (given.version !== undefined) expectText(operation, `version of ${label}`, given.version);
    const problem = codeProblem(label, { ...given });
    if (problem !== undefined) throw new ArgumentError(`${operation}: ${problem}.`);
  }
  if (typeof hash !== "string" || !/^[0-9a-f]{64}$/.test(hash))
    throw new ArgumentError(
      `${operation}: the model's checkpointHash ${inWords(hash)} is no SHA-256: checkpointHash(path) computes it.`,
    );
  if (date !== undefined && !(date instanceof Date && Number.isFinite(date.getTime())))
    throw new ArgumentError(`${operation}: the model's date ${inWords(date)} is no date.`);
}

/** What decides a model's answers beside its weights, a sentence each. */
export function parametersOf({ preprocessing, parameters = [] }: ReportingModel): readonly string[] {
  if (preprocessing === undefined) return parameters;
  const { imageSize, channels, resize } = preprocessing;
  return [`images of ${imageSize} x ${imageSize} pixels, ${channels} channels, by ${resize}`, ...parameters];
}

/** The device module. */
export const deviceOf = ({ checkpointHash: hash }: ReportingModel): Dataset => ({
  Manufacturer: "medmamba",
  ManufacturerModelName: "medmamba (research software)",
  DeviceSerialNumber: hash.slice(0, 16),
  SoftwareVersions: packageVersion,
});

/** The series: one for all objects of a kind that one checkpoint makes of one study. */
export const seriesOf = (
  kind: "SR" | "SC",
  { study }: DicomSource,
  { checkpointHash: hash }: ReportingModel,
): Dataset => ({
  SeriesInstanceUID: ownUid("series", kind, study, hash, packageVersion),
  SeriesNumber: kind === "SR" ? "9901" : "9902",
  SeriesDescription: plainText(`RESEARCH ONLY: medmamba ${kind === "SR" ? "report" : "heat map"}`, 64),
});

const latest = 2 ** 37; // seconds: the year 6325, where DICOM's dates end at 9999

/**
 * An object whose UID is a hash of what it says, so that the same said again is the same object; when it was written is not among
 * that.
 */
export function writtenObject(
  kind: "report" | "capture",
  content: Dataset,
  model: ReportingModel,
  source: DicomSource,
): WrittenObject {
  const sopInstance = ownUid(kind, encodeDataset(content));
  const { date, time } = momentOf(model, source);
  return {
    sopInstance,
    bytes: dicomFile({
      ...content,
      SOPInstanceUID: sopInstance,
      InstanceCreationDate: date,
      InstanceCreationTime: time,
      ContentDate: date,
      ContentTime: time,
    }),
  };
}

/** Date and time of writing, in the time zone that the study's own are in, where it says that, or else in the machine's. */
function momentOf(
  { date }: ReportingModel,
  { patientAndStudy }: DicomSource,
): { date: string; time: string } {
  const seconds = Number(process.env.SOURCE_DATE_EPOCH || Number.NaN);
  const moment = date ?? (Math.abs(seconds) < latest ? new Date(seconds * 1000) : new Date());
  const [, sign, hours, minutes] =
    /^([+-])(\d\d)(\d\d)$/.exec(String(patientAndStudy.TimezoneOffsetFromUTC)) ?? [];
  const offset =
    sign === undefined
      ? -moment.getTimezoneOffset()
      : Number(`${sign}1`) * (60 * Number(hours) + Number(minutes));
  const there = new Date(moment.getTime() + offset * 60_000).toISOString();
  return { date: there.slice(0, 10).replaceAll("-", ""), time: there.slice(11, 19).replaceAll(":", "") };
}
