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
import { defaultMaxPixels, largestSide, tooLarge } from "./limits.js";
import { planarSample } from "./planar-sample.js";

const fits = { stretch: "fill", cover: "cover", contain: "contain" } as const satisfies Record<
  Resize,
  string
>;

/** Longer than any picture within the limits takes on a busy machine. */
const longestDecode = 60; // seconds

/** What libvips calls the pixels of a TIFF, in words. */
const pixelTypes: Readonly<Record<string, string>> = {
  char: "signed integers of 8 bits",
  short: "signed integers of 16 bits",
  float: "floating-point numbers",
  double: "floating-point numbers of 64 bits",
};

/** @throws DataError whose reason says why it is no image, or none that is read */
export async function openRaster({ bytes, maxPixels = defaultMaxPixels() }: EncodedImage): Promise<Frames> {
  // "error" lets pass what only draws a warning, such as the odd colour profiles scanners write, but not an image
  // that breaks off half-way.
  const read = (page: number): Sharp =>
    sharp(bytes, { failOn: "error", limitInputPixels: false, ...(page > 0 && { page }) }).timeout({
      seconds: longestDecode,
    });
  const { space, depth, hasAlpha, pages = 1, width, height } = await inWords(() => read(0).metadata());
  expectWithin(width, height, maxPixels);
  const deep = space === "grey16" || space === "rgb16";
  if (depth !== "uchar" && !(depth === "ushort" && (deep || space === "cmyk"))) {
    const type = pixelTypes[depth] ?? `type ${depth}`;
    throw new DataError(
      `its pixels are of ${type}, where integers of 8 or 16 bits from 0 up are expected: choose a window of the values and save it as one of those`,
    );
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
    // Otherwise WebP is shrunk by its own decoder to almost the size asked, with another filter. JPEG is still halved while
    // it is decoded, but to no less than twice the size: half the time, for some 4 of 255 at the finest detail.
    fastShrinkOnLoad: false,
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

/** A size is only what a file says of itself: it is judged before memory and time are spent on it. */
function expectWithin(width: number, height: number, maxPixels: number): void {
  if (width * height > maxPixels) throw tooLarge(width, height, maxPixels);
  if (Math.max(width, height) <= largestSide) return;
  throw new DataError(
    `it is ${width} x ${height} pixels, and a side may have ${largestSide}: cut it into pieces or shrink it`,
  );
}

/** libvips' errors as the end of a sentence. Its messages mix when several images are decoded at once. */
async function inWords<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    const { message } = cause as Error;
    if (/unsupported image format/.test(message))
      throw new DataError("it is not an image of a known format", { cause });
    if (/samples out of range|labq/.test(message)) {
      const reason = "it is a TIFF of a kind that is not read, such as Lab colours or numbers of 64 bits";
      throw new DataError(`${reason}: save it as grey or RGB with 8 or 16 bits`, { cause });
    }
    if (/^timeout/.test(message))
      throw new DataError(`decoding it took more than ${longestDecode} seconds`, { cause });
    throw new DataError("the image is damaged or cut off", { cause });
  }
}
