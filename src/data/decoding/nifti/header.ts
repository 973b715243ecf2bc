/**
 * The header of NIfTI-1 and NIfTI-2: where the values are, what they are, and how they lie in the patient. Both versions hold
 * the same fields at other places and in other widths, so there is a table of places for each.
 *
 * Nothing in here is believed: what would be taken memory for is compared with the file by whoever takes it. Names and
 * descriptions, in which there may be a patient's, are not read at all.
 *
 * @see https://nifti.nimh.nih.gov/pub/dist/src/niftilib/nifti1.h
 * @see https://nifti.nimh.nih.gov/pub/dist/doc/nifti2.h
 */
import { DataError } from "../../../errors.js";
import { type Affine, fromPixelSizes, fromQuaternion, isUsable } from "./orientation.js";
import { headerBytes, kindOf, type NiftiKind } from "./recognition.js";
import { type ValueType, valueTypes } from "./value-types.js";

/** What a header says, in one form for both versions. */
export interface NiftiHeader {
  readonly version: 1 | 2;
  readonly littleEndian: boolean;
  /** Voxels along each axis, the first the fastest: three of a volume, then volumes in as many axes as there are; seven in all. */
  readonly extents: readonly number[];
  /** From voxel to voxel along the first three axes, in millimetres; undefined where the file does not say. */
  readonly spacing: readonly (number | undefined)[];
  readonly type: ValueType;
  /** The byte of the file that the first value begins at. */
  readonly offset: number;
  /** A value means `slope * stored + intercept`. */
  readonly slope: number;
  readonly intercept: number;
  /** The values that are to be shown black and white, where the file says. */
  readonly calibration: readonly [black: number, white: number] | undefined;
  /** From voxels to millimetres towards the patient's right, front and head. */
  readonly affine: Affine;
  /** Where the affine is from; "none" if the file does not say how its axes lie. */
  readonly orientedBy: "sform" | "qform" | "none";
}

type Field =
  | "dim"
  | "datatype"
  | "pixdim"
  | "voxOffset"
  | "slope"
  | "intercept"
  | "calMax"
  | "calMin"
  | "units"
  | "intent"
  | "qformCode"
  | "sformCode"
  | "quaternion"
  | "qoffset"
  | "srow";
type Width = "i8" | "i16" | "i32" | "i64" | "f32" | "f64";

/** Where each field is, and how it is stored. */
const places: Readonly<Record<1 | 2, Readonly<Record<Field, readonly [at: number, width: Width]>>>> = {
  1: {
    dim: [40, "i16"],
    intent: [68, "i16"],
    datatype: [70, "i16"],
    pixdim: [76, "f32"],
    voxOffset: [108, "f32"],
    slope: [112, "f32"],
    intercept: [116, "f32"],
    units: [123, "i8"],
    calMax: [124, "f32"],
    calMin: [128, "f32"],
    qformCode: [252, "i16"],
    sformCode: [254, "i16"],
    quaternion: [256, "f32"],
    qoffset: [268, "f32"],
    srow: [280, "f32"],
  },
  2: {
    datatype: [12, "i16"],
    dim: [16, "i64"],
    pixdim: [104, "f64"],
    voxOffset: [168, "i64"],
    slope: [176, "f64"],
    intercept: [184, "f64"],
    calMax: [192, "f64"],
    calMin: [200, "f64"],
    qformCode: [344, "i32"],
    sformCode: [348, "i32"],
    quaternion: [352, "f64"],
    qoffset: [376, "f64"],
    srow: [400, "f64"],
    units: [500, "i32"],
    intent: [504, "i32"],
  },
};

const readers: Readonly<Record<Width, (view: DataView, at: number, little: boolean) => number>> = {
  i8: (view, at) => view.getInt8(at),
  i16: (view, at, little) => view.getInt16(at, little),
  i32: (view, at, little) => view.getInt32(at, little),
  i64: (view, at, little) => Number(view.getBigInt64(at, little)),
  f32: (view, at, little) => view.getFloat32(at, little),
  f64: (view, at, little) => view.getFloat64(at, little),
};

/** Millimetres of the units of length, by their code; 0 is not said, and taken for millimetres. */
const millimetres: Readonly<Record<number, number>> = { 0: 1, 1: 1000, 2: 1, 3: 1e-3 };

/** Intents of CIFTI files, which hold surfaces and their connections. */
const isCifti = (intent: number): boolean => intent >= 3000 && intent < 3100;

/**
 * @param bytes  the beginning of the file, uncompressed: 348 bytes of NIfTI-1, 540 of NIfTI-2 or more
 * @throws DataError whose reason ends "scan.nii could not be read: "
 */
export function parseHeader(bytes: Uint8Array): NiftiHeader {
  const kind = kindOf(bytes);
  if (!kind) throw new DataError("it is named like a NIfTI file, but does not begin like one");
  expectWhole(kind, bytes);
  const { version, littleEndian } = kind;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const number = (field: Field, index = 0): number => {
    const [at, width] = places[version][field];
    return readers[width](view, at + (index * Number(width.slice(1))) / 8, littleEndian);
  };
  if (isCifti(number("intent")))
    throw new DataError(
      "it is a CIFTI file, which holds surfaces of a brain and their connections, no pictures",
    );
  const extents = readExtents((index) => number("dim", index));
  const unit = millimetres[number("units") & 7] ?? 1;
  const sizes = [1, 2, 3].map((axis) => Math.abs(number("pixdim", axis)) * unit);
  return {
    version,
    littleEndian,
    extents,
    spacing: sizes.map((size) => (size > 0 && Number.isFinite(size) ? size : undefined)),
    type: readType(number("datatype")),
    offset: readOffset(version, number("voxOffset")),
    ...readScale(number("slope"), number("intercept")),
    calibration: readCalibration(number("calMin"), number("calMax")),
    ...readOrientation(number),
  };
}

function expectWhole({ version, isPair, isAnalyze }: NiftiKind, bytes: Uint8Array): void {
  if (isPair) {
    const what = isAnalyze
      ? "the header of an Analyze image, which does not say where left and right are"
      : "the header of a pair of files (.hdr and .img)";
    throw new DataError(
      `it is ${what}: make one .nii of the two, in Python with nibabel.save(nibabel.load("scan.hdr"), "scan.nii")`,
    );
  }
  if (bytes.length < headerBytes[version]) throw new DataError("it is cut off within its header");
}

/** Seven extents; 1 where there is no such axis. */
function readExtents(dim: (index: number) => number): number[] {
  const axes = dim(0);
  if (!(Number.isInteger(axes) && axes >= 1 && axes <= 7))
    throw new DataError(`its header is damaged: it declares ${axes} axes, where 1 to 7 can be`);
  const extents = Array.from({ length: 7 }, (_, axis) => (axis < axes ? dim(axis + 1) : 1));
  if (extents.every((extent) => Number.isSafeInteger(extent) && extent > 0)) return extents;
  throw new DataError(`its header is damaged: it declares ${extents.slice(0, axes).join(" x ")} voxels`);
}

function readType(code: number): ValueType {
  const type = valueTypes[code];
  if (type?.bytes) return type as ValueType;
  const what = type ? type.name : `a type that NIfTI does not have, ${code}`;
  throw new DataError(`its values are ${what}: save it as integers, floating-point numbers or RGB`);
}

/** Values follow the header and 4 bytes of what else is in the file; files that say less, or nothing, mean that. */
function readOffset(version: 1 | 2, offset: number): number {
  const least = headerBytes[version] + 4;
  if (Number.isNaN(offset) || offset < least) return least;
  if (Number.isSafeInteger(Math.round(offset))) return Math.round(offset);
  throw new DataError(`its header is damaged: values begin at byte ${offset}`);
}

/** A slope of 0 says that there is none, and one that is no number is taken for that, as others do. */
function readScale(slope: number, intercept: number): Pick<NiftiHeader, "slope" | "intercept"> {
  if (slope === 0 || !Number.isFinite(slope)) return { slope: 1, intercept: 0 };
  return { slope, intercept: Number.isFinite(intercept) ? intercept : 0 };
}

function readCalibration(black: number, white: number): NiftiHeader["calibration"] {
  return Number.isFinite(black) && Number.isFinite(white) && white > black ? [black, white] : undefined;
}

/** As nibabel: the sform where there is one, else the qform, else sizes alone with x to the left, as Analyze had it. */
function readOrientation(
  number: (field: Field, index?: number) => number,
): Pick<NiftiHeader, "affine" | "orientedBy"> {
  const triple = (field: Field, from = 0) => [0, 1, 2].map((i) => number(field, from + i));
  if (number("sformCode") > 0) {
    const affine = [0, 1, 2].map((row) => [0, 1, 2, 3].map((column) => number("srow", row * 4 + column)));
    if (isUsable(affine)) return { affine, orientedBy: "sform" };
  }
  if (number("qformCode") > 0) {
    const affine = fromQuaternion({
      quaternion: triple("quaternion"),
      offset: triple("qoffset"),
      sizes: triple("pixdim", 1),
      isLeftHanded: number("pixdim") < 0,
    });
    if (isUsable(affine)) return { affine, orientedBy: "qform" };
  }
  return { affine: fromPixelSizes(triple("pixdim", 1)), orientedBy: "none" };
}
