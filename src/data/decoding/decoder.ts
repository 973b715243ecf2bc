/**
 * What a decoder has to offer, which ones there are, and which of them a file is for.
 *
 * That is decided by how a file begins, not by its name: many DICOM files have no ending, and endings lie. The table here
 * is light. What does a decoder's work is imported when the first file of its kind is met, and never before.
 */
import { DataError, MedMambaError } from "../../errors.js";
import type { Sample } from "../dataset.js";
import type { Facts } from "../facts.js";
import type { Preprocessing, Reading } from "../preprocessing.js";
import { dicomEndings, isDicom } from "./dicom/signature.js";
import { isNifti } from "./nifti/recognition.js";

/** How far pixels are apart, in millimetres. */
export interface Spacing {
  /** From one row to the next. */
  readonly rows: number;
  /** From one column to the next. */
  readonly columns: number;
}

/** One picture as it lies in its file, at its own size and depth. */
export interface Pixels {
  /** In pixels. */
  readonly width: number;
  /** In pixels. */
  readonly height: number;
  /** Values of a pixel. */
  readonly channels: 1 | 3;
  /** Values run from 0 to 2 ** bitDepth - 1: 8 bits in a Uint8Array, 9 to 16 in a Uint16Array. */
  readonly bitDepth: number;
  /** What the values mean; 0 is black in both. A decoder makes one of the two of whatever else its files hold. */
  readonly photometric: "grey" | "rgb";
  /** Millimetres from one pixel's centre to the next, downwards and to the right, where the file says. */
  readonly spacing?: Spacing;
  /** (height, width, channels) */
  readonly data: Uint8Array | Uint16Array;
}

/** The pictures of an opened file, the upright way round. */
export interface Frames {
  /** How many there are, at least 1. */
  readonly count: number;
  /** How many of them make one volume, where a file holds volumes, one after another. */
  readonly perVolume?: number;
  /** @throws DataError if the picture is damaged */
  frame(index: number): Promise<Pixels>;
  /**
   * A frame at working size, for a decoder that gets there faster than by `frame` and a resize of its result: libvips
   * shrinks while it decodes, and never holds the whole picture. Where it is missing, the frame is resized.
   *
   * @throws DataError if the picture is damaged
   */
  sample?(index: number, preprocessing: Preprocessing): Promise<Sample>;
}

/** An image file that has been read. Its name is known unless it came as bytes. */
export interface EncodedImage {
  readonly bytes: Uint8Array;
  readonly file: string | undefined;
  /** Pixels that a picture may have; 2^26 or MEDMAMBA_MAX_PIXELS unless told. */
  readonly maxPixels?: number | undefined;
  /** How values become greys, and volumes pictures; the defaults of preprocessing unless told. */
  readonly reading?: Reading | undefined;
}

/** A way to read image files of some formats. */
export interface Decoder {
  readonly name: string;
  /** Endings of the names by which a folder's images are found, in small letters, such as ".png". */
  readonly endings: readonly string[];
  /** @param start  the first bytes of the file, `recognizedBytes` of them unless it is shorter */
  recognizes(start: Uint8Array, file: string | undefined): boolean;
  /** @throws DataError whose reason ends "scan.png could not be read: " */
  open(image: EncodedImage): Promise<Frames>;
  /**
   * What a file says of itself, `format` first. Where it is missing, the first picture is decoded and described.
   *
   * @throws DataError whose reason ends "scan.png could not be read: "
   */
  describe?(image: EncodedImage): Promise<Facts>;
}

/** What a decoder sees of a file to recognise it: enough for DICOM, whose magic word comes after 128 bytes of anything. */
export const recognizedBytes = 512;

type Raster = typeof import("./raster.js");
let raster: Promise<Raster> | undefined;

/**
 * sharp, and what is made of it.
 *
 * @throws MedMambaError if it cannot be loaded, which is no fault of the image
 */
export function loadRaster(): Promise<Raster> {
  raster ??= import("./raster.js").catch(missing("sharp, which decodes images"));
  return raster;
}

/** What becomes of the failure to load a library, which is a fault of the installation. */
const missing =
  (library: string) =>
  (cause: Error): never => {
    throw new MedMambaError("MEDMAMBA_NO_DECODER", `${library}: ${cause.message}`, { cause });
  };

/** The first that recognises a file gets it. */
const decoders: readonly Decoder[] = [
  {
    name: "dicom",
    endings: dicomEndings,
    recognizes: isDicom,
    async open(image) {
      const { openDicom } = await import("./dicom/open.js").catch(missing("dicom-parser, which reads DICOM"));
      return openDicom(image);
    },
    describe: async ({ bytes }) => (await import("./dicom/facts.js")).dicomFacts(bytes),
  },
  {
    name: "nifti",
    endings: [".nii", ".nii.gz"],
    recognizes: isNifti,
    open: async (image) => (await import("./nifti/nifti.js")).openNifti(image),
    describe: async ({ bytes }) => (await import("./nifti/describe.js")).describeNifti(bytes),
  },
  {
    name: "raster",
    endings: [".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".gif", ".avif"],
    // Last, and for everything that nobody else wants: libvips tells its formats apart by itself.
    recognizes: () => true,
    open: async (image) => (await loadRaster()).openRaster(image),
    describe: async ({ bytes }) => (await loadRaster()).describeRaster(bytes),
  },
];

/** Endings of the names of files that are taken for images. */
export const imageExtensions: readonly string[] = decoders.flatMap(({ endings }) => endings);

/** The ending by which a name is an image's, such as ".nii.gz", the longest that there is; undefined if it is none. */
export function imageEnding(name: string): string | undefined {
  const lower = name.toLowerCase();
  return imageExtensions
    .filter((ending) => lower.endsWith(ending))
    .reduce<string | undefined>((a, b) => (a && a.length > b.length ? a : b), undefined);
}

/**
 * The pictures of a file.
 *
 * @param known  the decoders to choose from, those of this package unless told
 * @throws DataError whose reason ends "scan.png could not be read: "
 */
export async function openFrames(image: EncodedImage, known = decoders): Promise<Frames> {
  return decoderOf(image, known).open(image);
}

/**
 * What a file is and says of itself.
 *
 * @throws DataError whose reason ends "scan.png could not be read: "
 */
export async function describeImage(image: EncodedImage, known = decoders): Promise<Facts> {
  const decoder = decoderOf(image, known);
  if (decoder.describe) return decoder.describe(image);
  const frames = await decoder.open(image);
  const { data: _, spacing, ...about } = await frames.frame(0);
  return {
    format: decoder.name,
    frames: frames.count,
    ...about,
    spacing: spacing && [spacing.rows, spacing.columns],
  };
}

function decoderOf({ bytes, file }: EncodedImage, known: readonly Decoder[]): Decoder {
  if (bytes.length === 0) throw new DataError("the file is empty");
  const decoder = known.find(({ recognizes }) => recognizes(bytes.subarray(0, recognizedBytes), file));
  if (!decoder) throw new DataError("it is not an image of a known format");
  return decoder;
}
