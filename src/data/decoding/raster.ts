/**
 * The formats of libvips (PNG, JPEG, TIFF, WebP, GIF, AVIF), and all else that it does here: resizing pixels.
 *
 * sharp does the work on its own threads: EXIF orientation, palettes, CMYK and ICC profiles, the resize (Lanczos when
 * shrinking, cubic when growing). Depth is kept: 16-bit greys, as radiographs and CT exports have them, would lose
 * exactly the contrast a radiologist windows for if they passed through 8 bits. Transparent parts are black. The pages
 * of a TIFF and the pictures of an animation are frames.
 *
 * Only decoder.ts imports this file, when it is first needed: sharp takes a quarter of a second to load.
 */
import sharp, { type Sharp, type SharpInput } from "sharp";
import { DataError } from "../../errors.js";
import type { Sample } from "../dataset.js";
import type { Preprocessing, Resize } from "../preprocessing.js";
import type { EncodedImage, Frames, Pixels } from "./decoder.js";
import { planarSample } from "./planar-sample.js";

const fits = { stretch: "fill", cover: "cover", contain: "contain" } as const satisfies Record<
  Resize,
  string
>;

/** @throws DataError whose reason says why it is no image */
export async function openRaster({ bytes }: EncodedImage): Promise<Frames> {
  // "error" lets pass what only draws a warning, such as the odd colour profiles scanners write, but not an image
  // that breaks off half-way.
  const read = (page: number): Sharp => sharp(bytes, { failOn: "error", ...(page > 0 && { page }) });
  const { space, depth, hasAlpha, pages = 1 } = await inWords(() => read(0).metadata());
  const deep = space === "grey16" || space === "rgb16";
  if (!deep && depth !== "uchar" && space !== "cmyk") {
    throw new DataError(`its pixels are of type ${depth}, where integers of 8 or 16 bits are expected`);
  }
  const isGrey = space === "b-w" || space === "grey16";
  const upright = (index: number): Sharp => {
    const image = read(index).autoOrient();
    return hasAlpha ? image.flatten({ background: "black" }) : image;
  };
  return {
    count: pages,
    frame: (index) =>
      inWords(async () => {
        const { data, info } = await rawPixels(upright(index), isGrey, deep);
        const { width, height, channels } = info;
        const photometric = isGrey ? "grey" : "rgb";
        return {
          width,
          height,
          channels: channels as 1 | 3,
          bitDepth: deep ? 16 : 8,
          photometric,
          data,
        } satisfies Pixels;
      }),
    sample: (index, preprocessing) =>
      inWords(() => renderSample(upright(index), preprocessing, isGrey, deep)),
  };
}

/** A frame of any decoder at working size. */
export function resizePixels(
  { width, height, channels, bitDepth, data }: Pixels,
  preprocessing: Preprocessing,
): Promise<Sample> {
  const deep = data instanceof Uint16Array;
  const full = deep && bitDepth < 16 ? data.map((value) => (value * 65535) / (2 ** bitDepth - 1)) : data;
  const image = sharp(full as SharpInput, { raw: { height, width, channels } });
  return renderSample(image, preprocessing, channels === 1, deep);
}

async function renderSample(
  image: Sharp,
  { imageSize, channels, resize }: Preprocessing,
  isGrey: boolean,
  deep: boolean,
): Promise<Sample> {
  const resized = image.resize(imageSize, imageSize, {
    fit: fits[resize],
    background: "black",
    kernel: "lanczos3",
  });
  const { data, info } = await rawPixels(resized, isGrey || channels === 1, deep);
  return planarSample(data, info, channels);
}

async function rawPixels(image: Sharp, grey: boolean, deep: boolean) {
  const space = deep ? (grey ? "grey16" : "rgb16") : grey ? "b-w" : "srgb";
  const { data, info } = await image
    .toColourspace(space)
    .raw({ depth: deep ? "ushort" : "uchar" })
    .toBuffer({ resolveWithObject: true });
  return { data: deep ? new Uint16Array(data.buffer, data.byteOffset, data.byteLength / 2) : data, info };
}

/** libvips' errors as the end of a sentence. Its messages mix when several images are decoded at once. */
async function inWords<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    const { message } = cause as Error;
    if (/unsupported image format/.test(message))
      throw new DataError("it is not an image of a known format", { cause });
    if (/pixel limit/.test(message))
      throw new DataError("it has more pixels than the decoder allows", { cause });
    throw new DataError("the image is damaged or cut off", { cause });
  }
}
