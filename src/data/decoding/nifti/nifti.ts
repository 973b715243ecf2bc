/**
 * NIfTI volumes as stacks of pictures. A frame is a slice, cut along an axis of the patient (`slices`) and upright as radiology
 * shows it; volumes of a file with several (over time, or of several directions) come one after another.
 *
 * Values are scaled as the file says, then become greys through the window. "auto" is the range that the file gives for display
 * (cal_min and cal_max) if it fits the values, otherwise the range from the 0.5th to the 99.5th percentile of the volume that
 * the slice is of. RGB colours are shown as they are. Pairs (.hdr and .img) are refused.
 *
 * Only decoder.ts imports this file, when it is first needed.
 */
import { createHash } from "node:crypto";
import { definePreprocessing } from "../../preprocessing.js";
import type { EncodedImage, Frames, Pixels } from "../decoder.js";
import { defaultMaxPixels, expectWithin, largestFile } from "../limits.js";
import type { Pieces } from "../percentiles.js";
import { type GreyRange, greyRange, percentileRange, toGreys } from "../windowing.js";
import { type NiftiFile, readNifti } from "./bytes.js";
import type { NiftiHeader } from "./header.js";
import { type Cut, cutOf, type Walk } from "./orientation.js";

/** A file that has been opened, with the ranges that were asked of its volumes. */
interface Opened extends NiftiFile {
  readonly ranges: Map<string, Promise<GreyRange>>;
}

/** @throws DataError whose reason ends "scan.nii could not be read: " */
export async function openNifti({
  bytes,
  reading,
  maxPixels = defaultMaxPixels(),
}: EncodedImage): Promise<Frames> {
  const opened = await recentlyOpened(bytes, largestFile(maxPixels));
  const { header } = opened;
  const { window, bitDepth, slices } = reading ?? definePreprocessing();
  const cut = cutOf(header.affine, slices);
  const size = { width: extent(header, cut.columns), height: extent(header, cut.rows) };
  expectWithin(size.width, size.height, maxPixels);
  const depth = extent(header, cut.stack);
  const volumes = header.extents.slice(3).reduce((product, count) => product * count, 1);
  const spacing = spacingOf(header, cut);
  return {
    count: depth * volumes,
    perVolume: depth,
    async frame(index): Promise<Pixels> {
      const volume = Math.floor(index / depth);
      const slice = { volume, cut, at: index % depth };
      const about = { ...size, ...(spacing && { spacing }) };
      if (header.type.isColor)
        return { ...about, channels: 3, bitDepth: 8, photometric: "rgb", data: colors(opened, slice) };
      const range = await rangeOf(opened, volume, window);
      const data = toGreys(values(opened, slice), range, bitDepth);
      return { ...about, channels: 1, bitDepth, photometric: "grey", data };
    },
  };
}

const extent = ({ extents }: NiftiHeader, { axis }: Walk): number => extents[axis] ?? 1;

function spacingOf({ spacing }: NiftiHeader, { rows, columns }: Cut): Pixels["spacing"] {
  const [down, right] = [spacing[rows.axis], spacing[columns.axis]];
  return down === undefined || right === undefined ? undefined : { rows: down, columns: right };
}

// ---- volumes that were opened ------------------------------------------------------------------------------------------

/** Unpacked bytes that are kept, so that the slices of one volume, which are asked for one after another, unpack it once. */
const keptBytes = 2 ** 28;
/** How long they are kept after the last was asked for, in milliseconds. */
const keptFor = 30_000;
let forgetting: NodeJS.Timeout | undefined;
const recent = new Map<string, { readonly bytes: number; readonly opened: Promise<Opened> }>();

function recentlyOpened(bytes: Uint8Array, mostBytes: number): Promise<Opened> {
  const key = `${mostBytes} ${createHash("sha256").update(bytes).digest("base64")}`;
  forgetting ??= setTimeout(() => recent.clear(), keptFor).unref();
  forgetting.refresh();
  const found = recent.get(key);
  if (found) {
    recent.delete(key); // The last of a map is the one asked for last.
    recent.set(key, found);
    return found.opened;
  }
  const opened = readNifti(bytes, mostBytes).then((file): Opened => ({ ...file, ranges: new Map() }));
  recent.set(key, { bytes: 0, opened });
  opened.then(
    (file) => keep(key, file.bytes.length, opened),
    () => recent.delete(key),
  );
  return opened;
}

function keep(key: string, bytes: number, opened: Promise<Opened>): void {
  recent.delete(key);
  if (bytes > keptBytes) return;
  recent.set(key, { bytes, opened });
  let sum = 0;
  for (const [other, kept] of [...recent].reverse()) {
    sum += kept.bytes;
    if (sum > keptBytes) recent.delete(other);
  }
}

// ---- from values to greys ----------------------------------------------------------------------------------------------

function rangeOf(opened: Opened, volume: number, window: string): Promise<GreyRange> {
  const key = `${volume} ${window}`;
  const known = opened.ranges.get(key);
  if (known) return known;
  const pieces: Pieces = () => volumeValues(opened, volume);
  const found =
    window === "auto"
      ? percentileRange(pieces).then((range) => believable(opened.header.calibration, range))
      : greyRange(window, { format: "a NIfTI file", hounsfield: true, pieces });
  opened.ranges.set(key, found);
  return found;
}

/**
 * The range that a file gives for display, unless it does not fit its values: some programs leave one behind that is of another
 * image, in which all would be black. It fits where it and the range of the values have a tenth of the wider one in common.
 */
function believable(calibration: NiftiHeader["calibration"], range: GreyRange): GreyRange {
  if (!calibration) return range;
  const [black, white] = calibration;
  const shared = Math.min(white, range.white) - Math.max(black, range.black);
  const wider = Math.max(white - black, range.white - range.black);
  return shared >= wider / 10 ? { black, white } : range;
}

/** All values of a volume, in the order of the file. */
function* volumeValues({ header, bytes }: NiftiFile, volume: number): Generator<Float64Array> {
  const { type, slope, intercept, littleEndian } = header;
  const voxels = volumeVoxels(header);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const begin = header.offset + volume * voxels * type.bytes;
  const most = 2 ** 16;
  for (let first = 0; first < voxels; first += most) {
    const piece = new Float64Array(Math.min(most, voxels - first));
    for (let i = 0; i < piece.length; ++i)
      piece[i] = type.read(view, begin + (first + i) * type.bytes, littleEndian) * slope + intercept;
    yield piece;
  }
}

const volumeVoxels = ({ extents: [x = 1, y = 1, z = 1] }: NiftiHeader): number => x * y * z;

/** A slice of a volume. */
interface Slice {
  readonly volume: number;
  readonly cut: Cut;
  /** Which one of the stack. */
  readonly at: number;
}

/** (height, width) scaled values of a slice. */
function values({ header, bytes }: NiftiFile, slice: Slice): Float64Array {
  const { type, slope, intercept, littleEndian } = header;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found = new Float64Array(extent(header, slice.cut.rows) * extent(header, slice.cut.columns));
  eachPlace(header, slice, (at, pixel) => {
    found[pixel] = type.read(view, at, littleEndian) * slope + intercept;
  });
  return found;
}

/** (height, width, 3) colours of a slice. */
function colors({ header, bytes }: NiftiFile, slice: Slice): Uint8Array {
  const found = new Uint8Array(extent(header, slice.cut.rows) * extent(header, slice.cut.columns) * 3);
  eachPlace(header, slice, (at, pixel) => found.set(bytes.subarray(at, at + 3), 3 * pixel));
  return found;
}

/** The byte at which each voxel of a slice begins, row by row. */
function eachPlace(
  header: NiftiHeader,
  { volume, cut, at }: Slice,
  visit: (place: number, pixel: number) => void,
): void {
  const { type, offset, extents } = header;
  const [x = 1, y = 1] = extents;
  const strides = [1, x, x * y].map((stride) => stride * type.bytes);
  const walk = ({ axis, reversed }: Walk) => {
    const stride = strides[axis] ?? 0;
    const last = (extents[axis] ?? 1) - 1;
    return reversed ? { from: last * stride, step: -stride } : { from: 0, step: stride };
  };
  const [stack, rows, columns] = [walk(cut.stack), walk(cut.rows), walk(cut.columns)];
  const begin = offset + volume * volumeVoxels(header) * type.bytes + stack.from + at * stack.step;
  const [height, width] = [extent(header, cut.rows), extent(header, cut.columns)];
  let pixel = 0;
  for (let row = 0; row < height; ++row) {
    let place = begin + rows.from + row * rows.step + columns.from;
    for (let column = 0; column < width; ++column, place += columns.step) visit(place, pixel++);
  }
}
