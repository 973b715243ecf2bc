/**
 * How a volume lies in the patient, and how it is cut. World coordinates are NIfTI's: millimetres towards the patient's right
 * (R), front (A, anterior) and head (S, superior).
 */
import type { Slices } from "../../preprocessing.js";

/** (3, 4): a voxel's indices and 1, to millimetres towards R, A and S. */
export type Affine = readonly (readonly number[])[];

/** Which axis of the file runs most nearly along R, A or S, and whether towards it or away. */
export interface AxisTowards {
  /** 0, 1 or 2. */
  readonly axis: number;
  /** 1 where indices grow towards it, -1 where they fall. */
  readonly sign: 1 | -1;
}

/** One axis of a picture or of the stack: an axis of the file, and whether it is walked from its end. */
export interface Walk {
  readonly axis: number;
  readonly reversed: boolean;
}

/** How a volume becomes a stack of pictures. */
export interface Cut {
  /** From picture to picture. */
  readonly stack: Walk;
  /** Downwards. */
  readonly rows: Walk;
  /** To the right. */
  readonly columns: Walk;
}

/** An affine that a volume can lie by: finite, and not flat. */
export function isUsable(affine: Affine): boolean {
  const columns = [0, 1, 2].map((column) => [0, 1, 2].map((row) => affine[row]?.[column] ?? Number.NaN));
  const lengths = columns.map((column) => Math.hypot(...column));
  if (!lengths.every((length) => length > 0 && Number.isFinite(length))) return false;
  const [a, b, c] = columns.map((column, i) => column.map((value) => value / (lengths[i] as number)));
  return Math.abs(determinant(a as number[], b as number[], c as number[])) > 1e-4;
}

function determinant(
  [a = 0, b = 0, c = 0]: readonly number[],
  [d = 0, e = 0, f = 0]: readonly number[],
  [g = 0, h = 0, i = 0]: readonly number[],
): number {
  return a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g);
}

/** NIfTI's qform: a rotation, sizes of voxels, a place. A third axis that makes the hand a left one is turned round. */
export function fromQuaternion({
  quaternion,
  offset,
  sizes,
  isLeftHanded,
}: {
  /** b, c and d; a makes the length 1. */
  readonly quaternion: readonly number[];
  readonly offset: readonly number[];
  readonly sizes: readonly number[];
  readonly isLeftHanded: boolean;
}): Affine {
  let [b = 0, c = 0, d = 0] = quaternion;
  const rest = 1 - (b * b + c * c + d * d);
  const a = rest > 1e-7 ? Math.sqrt(rest) : 0;
  if (a === 0) {
    const length = Math.hypot(b, c, d); // 1, but for rounding
    [b, c, d] = [b / length, c / length, d / length];
  }
  const rotation = [
    [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
    [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
    [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
  ];
  const scales = sizes.map((size, axis) => (size > 0 ? size : 1) * (axis === 2 && isLeftHanded ? -1 : 1));
  return rotation.map((row, i) => [...row.map((value, j) => value * (scales[j] ?? 1)), offset[i] ?? 0]);
}

/** Where a file says nothing of its axes: as Analyze files lay, x to the patient's left, y to the front, z to the head. */
export function fromPixelSizes(sizes: readonly number[]): Affine {
  const [x, y, z] = sizes.map((size) => (Math.abs(size) > 0 && Number.isFinite(size) ? Math.abs(size) : 1));
  return [
    [-(x ?? 1), 0, 0, 0],
    [0, y ?? 1, 0, 0],
    [0, 0, z ?? 1, 0],
  ];
}

const permutations = [
  [0, 1, 2],
  [0, 2, 1],
  [1, 0, 2],
  [1, 2, 0],
  [2, 0, 1],
  [2, 1, 0],
] as const;

/** The axes of the file that run along R, A and S, in this order; of an oblique volume, those that do so most nearly. */
export function nearestAxes(affine: Affine): readonly [AxisTowards, AxisTowards, AxisTowards] {
  const lengths = [0, 1, 2].map((column) => Math.hypot(...affine.map((row) => row[column] ?? 0)));
  const cosine = (row: number, column: number): number =>
    (affine[row]?.[column] ?? 0) / (lengths[column] || 1);
  const along = (axes: readonly number[]): number =>
    axes.reduce((sum, axis, row) => sum + Math.abs(cosine(row, axis)), 0);
  const best = permutations.reduce((a, b) => (along(b) > along(a) ? b : a));
  const towards = (row: 0 | 1 | 2): AxisTowards => {
    const axis = best[row];
    return { axis, sign: cosine(row, axis) < 0 ? -1 : 1 };
  };
  return [towards(0), towards(1), towards(2)];
}

/** Letters of the directions that the file's axes run in, such as "LAS". */
export function orientationLetters(affine: Affine): string {
  const letters = ["", "", ""];
  for (const [row, { axis, sign }] of nearestAxes(affine).entries())
    letters[axis] = ["LR", "PA", "IS"][row]?.[sign > 0 ? 1 : 0] ?? "";
  return letters.join("");
}

/**
 * How a volume is cut so that pictures stand upright as radiology shows them, and as the slices of a DICOM series do: the
 * patient's right at the left, the front at the top of axial slices and at the left of sagittal ones, the head at the top of the
 * others. The stack goes the way of R, A and S: from feet to head, from back to front, from left to right.
 */
export function cutOf(affine: Affine, slices: Slices): Cut {
  const [right, front, head] = nearestAxes(affine);
  const along = ({ axis, sign }: AxisTowards): Walk => ({ axis, reversed: sign < 0 });
  const against = ({ axis, sign }: AxisTowards): Walk => ({ axis, reversed: sign > 0 });
  if (slices === "axial") return { stack: along(head), rows: against(front), columns: against(right) };
  if (slices === "coronal") return { stack: along(front), rows: against(head), columns: against(right) };
  return { stack: along(right), rows: against(head), columns: against(front) };
}
