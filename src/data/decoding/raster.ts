/**
 * The formats of libvips (PNG, JPEG, TIFF, WebP, GIF, AVIF), and all else that it does here: resizing pixels.
 *
 * sharp does the work on its own threads: EXIF orientation, palettes, CMYK and ICC profiles, the resize (Lanczos when
 * shrinking, cubic when growing). Depth is kept: 16-bit greys, as radiographs and CT exports have them, would lose
 * exactly the contrast a radiologist windows for if they passed through 8 bits. Transparent parts are black. The pages
 * of a TIFF and the pictures of an animation are frames.
 *
 * A window, where one is given, is for greys of more than 8 bits, in the numbers of the file; what comes out has 16 bits. 8-bit
 * pictures and colours are display values already and stay as they are. Signed and floating-point TIFFs need one.
 *
 * Only decoder.ts imports this file, when it is first needed: sharp takes a quarter of a second to load.
 */
import sharp, { type Sharp, type SharpInput } from "sharp";
import { DataError, MedMambaError } from "../../errors.js";
import { arrayHere } from "../../settings/realms.js";
import type { Sample } from "../dataset.js";
import type { Facts } from "../facts.js";
import { definePreprocessing, type Preprocessing, type Resize } from "../preprocessing.js";
import type { EncodedImage, Frames, Pixels } from "./decoder.js";
import { defaultMaxPixels, expectWithin, longestDecode } from "./limits.js";
import { planarSample } from "./planar-sample.js";
import { MeasuredPages, type Measurements } from "./tiff/measured.js";
import { greyRange, toGreys } from "./windowing.js";

const fits = { stretch: "fill", cover: "cover", contain: "contain" } as const satisfies Record<
  Resize,
  string
>;

/** What libvips calls pixels that are neither greys nor colours of 8 or 16 bits, in words. */
const pixelTypes: Readonly<Record<string, string>> = {
  char: "signed integers of 8 bits",
  short: "signed integers of 16 bits",
  int: "signed integers of 32 bits",
  uint: "integers of 32 bits",
  float: "floating-point numbers",
};

/** What is known of a picture before it is decoded. */
interface Page {
  readonly isGrey: boolean;
  /** 16 bits instead of 8. */
  readonly deep: boolean;
  readonly hasAlpha: boolean;
}

/** @throws DataError whose reason says why it is no image, or none that is read */
export async function openRaster({
  bytes,
  maxPixels = defaultMaxPixels(),
  reading: { window } = definePreprocessing(),
}: EncodedImage): Promise<Frames> {
  const measured = new MeasuredPages(bytes, window !== "auto");
  // "error" lets pass what only draws a warning, such as the odd colour profiles scanners write, but not an image
  // that breaks off half-way.
  const read = (index: number): Sharp =>
    sharp(bytes, { failOn: "error", limitInputPixels: false, ...(index > 0 && { page: index }) }).timeout({
      seconds: longestDecode,
    });
  const pageOf = async (index: number): Promise<Page & { readonly pages: number }> => {
    const { space, depth, hasAlpha, pages = 1, width, height } = await read(index).metadata();
    expectWithin(width, height, maxPixels);
    const deep = space === "grey16" || space === "rgb16";
    if (depth !== "uchar" && !(depth === "ushort" && (deep || space === "cmyk"))) {
      const type = pixelTypes[depth] ?? `type ${depth}`;
      throw new DataError(
        `its pixels are colours or layers of ${type}, where integers of 8 or 16 bits from 0 up are expected: save it as one of those`,
      );
    }
    return { isGrey: space === "b-w" || space === "grey16", deep, hasAlpha, pages };
  };
  const upright = (index: number, { hasAlpha }: Page): Sharp => {
    const image = read(index).autoOrient();
    return hasAlpha ? image.flatten({ background: "black" }) : image;
  };
  const windowed = async (index: number): Promise<Pixels> => {
    const { width, height } = measured.sizeOf(index);
    expectWithin(width, height, maxPixels);
    if (window === "auto") {
      throw new DataError(
        `its pixels are ${measured.kindOf(index)}, and nothing says which of them are black and white: choose the option window (--window), "percentile" or a center and width such as "40,400"`,
      );
    }
    return through(window, "a TIFF", await measured.read(index, longestDecode));
  };
  const first = measured.kindOf(0) === undefined ? await inWords(() => pageOf(0)) : undefined;
  const opened = async (index: number): Promise<Page> => (index === 0 && first) || pageOf(index);
  const isWindowed = ({ deep, isGrey }: Page): boolean => window !== "auto" && deep && isGrey;
  const pixels = async (index: number): Promise<Pixels> => {
    if (measured.kindOf(index) !== undefined) return windowed(index);
    const page = await opened(index);
    const { data, info } = await rawPixels(upright(index, page), page.isGrey, page.deep);
    const { width, height, channels } = info;
    if (isWindowed(page)) return through(window, "such a file", { width, height, values: data });
    const photometric = page.isGrey ? "grey" : "rgb";
    const bitDepth = page.deep ? 16 : 8;
    return { width, height, channels: channels as 1 | 3, bitDepth, photometric, data };
  };
  return {
    count: first?.pages ?? measured.count,
    frame: (index) => inWords(() => pixels(index)),
    sample: (index, preprocessing) =>
      inWords(async () => {
        if (measured.kindOf(index) !== undefined) return resizePixels(await windowed(index), preprocessing);
        const page = await opened(index);
        if (isWindowed(page)) return resizePixels(await pixels(index), preprocessing);
        const resized = resizedTo(upright(index, page), preprocessing);
        return renderSample(resized, preprocessing, page.isGrey, page.deep);
      }),
  };
}

/** @throws DataError as `openRaster`; what EXIF or XMP have for people is not among the facts */
export async function describeRaster(bytes: Uint8Array): Promise<Facts> {
  const measured = new MeasuredPages(bytes, false);
  const kind = measured.kindOf(0);
  if (kind !== undefined) {
    const { width, height } = measured.sizeOf(0);
    return { format: "TIFF", width, height, values: kind, pages: measured.count };
  }
  const image = sharp(bytes, { failOn: "error", limitInputPixels: false });
  const {
    format,
    width,
    height,
    channels,
    depth,
    pages = 1,
    orientation,
  } = await inWords(() => image.metadata());
  return {
    format: format.toUpperCase(),
    width,
    height,
    channels,
    values: depth === "uchar" ? "8 bits" : depth === "ushort" ? "16 bits" : (pixelTypes[depth] ?? depth),
    pages,
    orientation: orientation === 1 ? undefined : orientation,
  };
}

/** A picture as a PNG, of 16 bits where it has more than 8. */
export async function encodePng({ width, height, channels, bitDepth, data }: Pixels): Promise<Uint8Array> {
  const deep = data instanceof Uint16Array;
  const image = sharp(fullRange(data, bitDepth) as SharpInput, { raw: { width, height, channels } });
  const space = channels === 1 ? (deep ? "grey16" : "b-w") : deep ? "rgb16" : "srgb";
  return image.toColourspace(space).png().toBuffer();
}

/** Values of 9 to 15 bits over all that 16 bits have. */
function fullRange(data: Pixels["data"], bitDepth: number): Pixels["data"] {
  const isPart = data instanceof Uint16Array && bitDepth < 16;
  return isPart ? data.map((value) => (value * 65535) / (2 ** bitDepth - 1)) : data;
}

/** Measurements as 16-bit greys, through a window that is not "auto". */
async function through(
  window: string,
  format: string,
  {
    width,
    height,
    values,
    leastIsWhite = false,
  }: Omit<Measurements, "leastIsWhite"> & { leastIsWhite?: boolean },
): Promise<Pixels> {
  const range = await greyRange(window, { format, hounsfield: false, pieces: () => [values] });
  const data = toGreys(values, range, 16);
  if (leastIsWhite) for (const [i, grey] of data.entries()) data[i] = 65535 - grey;
  return { width, height, channels: 1, bitDepth: 16, photometric: "grey", data };
}

/** A frame of any decoder at working size, its pixels made square where they are not. */
export function resizePixels(pixels: Pixels, preprocessing: Preprocessing): Promise<Sample> {
  const { width, height, channels, bitDepth } = pixels;
  const data = arrayHere(pixels.data);
  const deep = data instanceof Uint16Array;
  const image = sharp(fullRange(data, bitDepth) as SharpInput, { raw: { height, width, channels } });
  const shape = pixelShape(pixels);
  const isSquare = Math.abs(shape - 1) < 0.005 || preprocessing.resize === "stretch";
  const resized = isSquare
    ? resizedTo(image, preprocessing)
    : resizedOblong(image, pixels, shape, preprocessing);
  return renderSample(resized, preprocessing, channels === 1, deep);
}

const kernel = "lanczos3";

const resizedTo = (image: Sharp, { imageSize, resize }: Preprocessing): Sharp =>
  image.resize(imageSize, imageSize, {
    fit: fits[resize],
    background: "black",
    kernel,
    // Otherwise WebP is shrunk by its own decoder to almost the size asked, with another filter. JPEG is still halved while
    // it is decoded, but to no less than twice the size: half the time, for some 4 of 255 at the finest detail.
    fastShrinkOnLoad: false,
  });

/** Width of a pixel by its height, 1 unless the file says; a slice through thick ones has some tens, a mistake thousands. */
function pixelShape({ spacing }: Pixels): number {
  const shape = spacing ? spacing.columns / spacing.rows : 1;
  return shape > 1 / 64 && shape < 64 ? shape : 1;
}

/** What sharp's fits do, by the proportions of what is seen instead of those of the pixels. */
function resizedOblong(
  image: Sharp,
  { width, height }: Pixels,
  shape: number,
  { imageSize, resize }: Preprocessing,
): Sharp {
  const seen = width * shape; // in heights of a pixel
  if (resize === "cover") {
    const across = Math.max(1, Math.min(width, Math.round(height / shape)));
    const down = Math.max(1, Math.min(height, Math.round(seen)));
    const region = { left: (width - across) >> 1, top: (height - down) >> 1, width: across, height: down };
    return image.extract(region).resize(imageSize, imageSize, { fit: "fill", kernel });
  }
  const scale = imageSize / Math.max(seen, height);
  const across = Math.max(1, Math.round(seen * scale));
  const down = Math.max(1, Math.round(height * scale));
  const [left, top] = [(imageSize - across) >> 1, (imageSize - down) >> 1];
  return image.resize(across, down, { fit: "fill", kernel }).extend({
    left,
    top,
    right: imageSize - across - left,
    bottom: imageSize - down - top,
    background: "black",
  });
}

/** A JPEG of a picture for a page, its longer side at most so many pixels. */
export async function miniature(
  { width, height, channels, bitDepth, data }: Pixels,
  longest: number,
): Promise<Uint8Array> {
  const shift = Math.max(bitDepth - 8, 0);
  const bytes = data instanceof Uint16Array ? Uint8Array.from(data, (value) => value >> shift) : data;
  const image = sharp(bytes, { raw: { height, width, channels } });
  return image.resize(longest, longest, { fit: "inside" }).jpeg({ quality: 85 }).toBuffer();
}

async function renderSample(
  resized: Sharp,
  { channels }: Preprocessing,
  isGrey: boolean,
  deep: boolean,
): Promise<Sample> {
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
    if (cause instanceof MedMambaError) throw cause;
    const { message } = cause as Error;
    if (/unsupported image format/.test(message))
      throw new DataError("it is not an image of a known format", { cause });
    if (/samples out of range|labq/.test(message)) {
      const reason = "it is a TIFF of a kind that is not read, such as Lab colours or numbers of 64 bits";
      throw new DataError(`${reason}: save it as grey or RGB with 8 or 16 bits`, { cause });
    }
    if (/^timeout/.test(message))
      throw new DataError(`decoding it took more than ${longestDecode} seconds: save it smaller, or as PNG`, {
        cause,
      });
    throw new DataError("the image is damaged or cut off", { cause });
  }
}
