/**
 * DICOM files as pictures: the elements, the pixels as they are stored, and what is seen of them.
 *
 * Only decoder.ts imports this file, when the first DICOM file is met.
 */
import { DataError, MedMambaError } from "../../../errors.js";
import type { EncodedImage, Frames, Pixels } from "../decoder.js";
import { defaultMaxPixels } from "../limits.js";
import type { StoredPixels } from "./codecs/codec.js";
import { decoderOf } from "./codecs/codecs.js";
import { readPalette, renderColor, renderPalette } from "./color.js";
import { type DicomFile, type PixelElement, readDataSet } from "./data-set.js";
import { encapsulatedFrames } from "./encapsulation.js";
import { greyTransformation } from "./grey-transformation.js";
import { type ImageAttributes, imageAttributes } from "./image-attributes.js";
import { nativeBytes, readNative } from "./native-pixels.js";
import { renderGrey } from "./render-grey.js";
import { kindWithoutPicture } from "./signature.js";
import { pixelSpacing } from "./spacing.js";

/** @throws DataError whose reason says why it has no picture, or none that is read; never with a value that names a patient */
export async function openDicom({ bytes, maxPixels, reading }: EncodedImage): Promise<Frames> {
  const { window = "auto", bitDepth = 8 } = reading ?? {};
  const file = readDataSet(bytes);
  const { attributes, syntax } = file;
  const { element, float } = pixelElement(file);
  const image = imageAttributes(attributes, {
    bigEndian: syntax.bigEndian,
    float,
    maxPixels: maxPixels ?? defaultMaxPixels(),
  });
  const stored = await storedFrames(file, element, image);
  const render = renderer(file, image, window, bitDepth);
  return {
    count: image.frames,
    async frame(index) {
      const pixels = await stored(index).catch((cause: Error) => {
        if (cause instanceof MedMambaError) throw cause;
        throw new DataError("its compressed picture is damaged or cut off", { cause });
      });
      return render(pixels, index);
    },
  };
}

/** Which element the pixels are in. */
function pixelElement({ attributes, pixels, bytes }: DicomFile): {
  element: PixelElement & { bytes: Uint8Array };
  float: 32 | 64 | undefined;
} {
  if (pixels) return { element: { ...pixels, bytes }, float: undefined };
  for (const [keyword, float] of [
    ["FloatPixelData", 32],
    ["DoubleFloatPixelData", 64],
  ] as const) {
    const values = attributes.bytes(keyword);
    if (values) return { element: { offset: 0, length: values.length, vr: "", bytes: values }, float };
  }
  const sopClass = attributes.text("SOPClassUID") ?? attributes.text("MediaStorageSOPClassUID") ?? "";
  const kind = kindWithoutPicture(sopClass);
  if (kind) throw new DataError(`it has no picture: it is ${kind}`);
  throw new DataError(
    attributes.has("Rows")
      ? "it has no picture, or breaks off before it"
      : "it is a DICOM file without a picture",
  );
}

/** A function that reads one frame's values; all that can be known before is checked. */
async function storedFrames(
  { attributes, syntax }: DicomFile,
  { bytes, offset, length, vr }: PixelElement & { readonly bytes: Uint8Array },
  image: ImageAttributes,
): Promise<(index: number) => Promise<StoredPixels>> {
  if (length !== undefined) {
    // What is called compressed and has a length is not compressed; so some archives leave it when they decompress.
    const there = bytes.subarray(offset, offset + length);
    const needed = nativeBytes(image);
    if (there.length < needed) {
      throw new DataError(
        `its pixels are cut off: ${there.length} bytes are there, and ${needed} are needed`,
      );
    }
    const inWords = syntax.bigEndian && vr === "OW" && image.bitsAllocated < 16;
    const ordered = inWords ? Buffer.from(there.subarray(0, there.length & ~1)).swap16() : there;
    return async (index) => readNative(ordered, image, index);
  }
  const { codec, name, uid } = syntax;
  if (codec === "unknown") {
    throw new DataError(`its pixels are compressed as ${name}${uid && ` (${uid})`}, which is not read`);
  }
  if (!codec) throw new DataError(`its pixels are in fragments, which ${name} (${uid}) does not have`);
  const frames = encapsulatedFrames(bytes, offset, image.frames, attributes);
  const decode = await decoderOf(codec);
  return async (index) => {
    const fragments = frames[index] ?? [];
    return decode(fragments.length === 1 ? (fragments[0] as Uint8Array) : Buffer.concat(fragments), image);
  };
}

/** A function from a frame's values to its picture. */
function renderer(
  { attributes }: DicomFile,
  image: ImageAttributes,
  window: string,
  bitDepth: 8 | 16,
): (stored: StoredPixels, index: number) => Pixels {
  const { rows: height, columns: width, photometric, samples, signed } = image;
  if (photometric !== "PALETTE COLOR" && samples === 1) {
    return ({ values }, index) => {
      const data = renderGrey(values, greyTransformation(attributes, image, index, window), bitDepth);
      const spacing = pixelSpacing(attributes, index);
      return { width, height, channels: 1, bitDepth, photometric: "grey", ...(spacing && { spacing }), data };
    };
  }
  const palettes = samples === 1 ? readPalette(attributes, signed, bitDepth) : undefined;
  return (stored, index) => {
    const data = palettes
      ? renderPalette(stored.values, palettes, bitDepth)
      : renderColor(stored, image, bitDepth);
    const spacing = pixelSpacing(attributes, index);
    return { width, height, channels: 3, bitDepth, photometric: "rgb", ...(spacing && { spacing }), data };
  };
}
