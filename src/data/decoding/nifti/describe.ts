/** What a NIfTI file says of itself, without its values. */
import type { Facts } from "../../facts.js";
import { headerOf } from "./bytes.js";
import type { NiftiHeader } from "./header.js";
import { cutOf, orientationLetters } from "./orientation.js";

/** @throws DataError whose reason ends "scan.nii could not be read: " */
export function describeNifti(bytes: Uint8Array): Facts {
  const header = headerOf(bytes);
  const { version, littleEndian, extents, spacing, type, slope, intercept, calibration } = header;
  const volumes = extents.slice(3).reduce((product, extent) => product * extent, 1);
  const isScaled = slope !== 1 || intercept !== 0;
  return {
    format: `NIfTI-${version}`,
    voxels: extents.slice(0, 3),
    spacing: spacing.some((size) => size === undefined) ? undefined : (spacing as number[]),
    volumes,
    values: `${type.name}${type.bytes > 1 && !littleEndian ? ", big-endian" : ""}`,
    scale: isScaled ? { slope, intercept } : undefined,
    display: calibration && { black: calibration[0], white: calibration[1] },
    axes: orientationLetters(header.affine),
    axesFrom:
      header.orientedBy === "none" ? "nothing: taken as LAS, left and right may be wrong" : header.orientedBy,
    slices: {
      axial: depth(header, "axial"),
      coronal: depth(header, "coronal"),
      sagittal: depth(header, "sagittal"),
    },
  };
}

const depth = ({ affine, extents }: NiftiHeader, slices: "axial" | "coronal" | "sagittal"): number =>
  extents[cutOf(affine, slices).stack.axis] ?? 1;
