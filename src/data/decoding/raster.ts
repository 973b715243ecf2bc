/**
 * Decoding: bytes of any common image format to a sample at working size.
 *
 * sharp (libvips) does the work on its own threads: EXIF orientation, palettes, CMYK and ICC profiles, the resize
 * (Lanczos when shrinking, cubic when growing). Depth is kept: 16-bit greys, as radiographs and CT exports have them,
 * would lose exactly the contrast a radiologist windows for if they passed through 8 bits. Transparent parts are black.
 * Of an animation or a multi-page TIFF the first page is taken.
 */
import { readFile } from "node:fs/promises";
import sharp, { type Sharp, type SharpInput } from "sharp";
import { DataError } from "../../errors.js";
import { Gate } from "../concurrency.js";
import type { Sample } from "../dataset.js";
import { definePreprocessing, type Preprocessing, type Resize } from "../preprocessing.js";

/** Endings of the names of files that are taken for images. */
export const imageExtensions: readonly string[] = [
  ".png",
  ".jpg",
  ".jpeg",
  ".tif",
  ".tiff",
  ".webp",
  ".gif",
  ".avif",
];

const fits = { stretch: "fill", cover: "cover", contain: "contain" } as const satisfies Record<
  Resize,
  string
>;

// libuv's pool runs the decodes; more at once than it has threads would only hold memory and starve file access.
const decoding = new Gate(Number(process.env.UV_THREADPOOL_SIZE) || 4);

/**
 * Reads one image for prediction, exactly as a data set reads its images.
 *
 * @param source  a path, or the bytes of an image file
 * @throws DataError naming the file and what is wrong with it
 */
export async function loadImage(
  source: string | Uint8Array,
  preprocessing: Partial<Preprocessing> = {},
): Promise<Sample> {
  const complete = definePreprocessing(preprocessing);
  try {
    return await decodeImage(source, complete);
  } catch (error) {
    throw unreadable(typeof source === "string" ? source : undefined, error);
  }
}

/** As `loadImage`, but the errors are those of the file system and of sharp. */
export async function decodeImage(
  source: string | Uint8Array,
  preprocessing: Preprocessing,
): Promise<Sample> {
  return decoding.run(async () => {
    const bytes = typeof source === "string" ? await readFile(source) : source;
    // "error" lets pass what only draws a warning, such as the odd colour profiles scanners write, but not an image
    // that breaks off half-way.
    const image = sharp(bytes, { failOn: "error" });
    const { space, depth, hasAlpha } = await image.metadata();
    const deep = space === "grey16" || space === "rgb16";
    if (!deep && depth !== "uchar" && space !== "cmyk") {
      throw new DataError(`its pixels are of type ${depth}, where integers of 8 or 16 bits are expected`);
    }
    const upright = image.autoOrient();
    const grey = preprocessing.channels === 1 || space === "b-w" || space === "grey16";
    return renderSample(
      hasAlpha ? upright.flatten({ background: "black" }) : upright,
      preprocessing,
      grey,
      deep,
    );
  });
}

/** Pixels that are in memory already, interleaved (height, width, channels), as `decodeImage` treats a file. */
export async function resizePixels(
  pixels: Uint8Array | Uint16Array,
  { height, width, channels }: { height: number; width: number; channels: 1 | 3 },
  preprocessing: Preprocessing,
): Promise<Sample> {
  return decoding.run(() => {
    const image = sharp(pixels as SharpInput, { raw: { height, width, channels } });
    const grey = preprocessing.channels === 1 || channels === 1;
    return renderSample(image, preprocessing, grey, pixels instanceof Uint16Array);
  });
}

async function renderSample(
  image: Sharp,
  { imageSize, channels, resize }: Preprocessing,
  grey: boolean,
  deep: boolean,
): Promise<Sample> {
  const space = deep ? (grey ? "grey16" : "rgb16") : grey ? "b-w" : "srgb";
  const toned = image
    .resize(imageSize, imageSize, { fit: fits[resize], background: "black", kernel: "lanczos3" })
    .toColourspace(space);
  const { data, info } = await toned
    .raw({ depth: deep ? "ushort" : "uchar" })
    .toBuffer({ resolveWithObject: true });
  const values = deep ? new Uint16Array(data.buffer, data.byteOffset, data.byteLength / 2) : data;
  return planarSample(values, { height: info.height, width: info.width, channels: info.channels }, channels);
}

/** Interleaved (height, width, channels) to a planar sample; grey is repeated where three channels are asked. */
export function planarSample(
  pixels: Uint8Array | Uint16Array | Float32Array,
  { height, width, channels }: { height: number; width: number; channels: number },
  wanted: number,
): Sample {
  const area = height * width;
  const data = pixels instanceof Uint8Array ? new Uint8Array(wanted * area) : new Float32Array(wanted * area);
  const unit = pixels instanceof Uint16Array ? 1 / 65535 : 1;
  for (let channel = 0; channel < Math.min(channels, wanted); ++channel) {
    const plane = data.subarray(channel * area, (channel + 1) * area);
    if (channels === 1 && unit === 1) plane.set(pixels);
    else for (let i = 0; i < area; ++i) plane[i] = (pixels[i * channels + channel] ?? 0) * unit;
  }
  for (let channel = channels; channel < wanted; ++channel) data.copyWithin(channel * area, 0, area);
  return { channels: wanted, height, width, data };
}

/** An image that cannot be read, by its name. */
export function unreadable(file: string | undefined, cause: unknown): DataError {
  const reason = unreadableReason(cause);
  return new DataError(`${file ?? "The image"} could not be read: ${reason}.`, { file, reason, cause });
}

/** Why an image cannot be read, as the end of a sentence. */
function unreadableReason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if ("code" in error && error.code === "ENOENT") return "there is no such file";
  if (error instanceof DataError) return error.reason;
  if ("code" in error) return error.message;
  if (/is empty/i.test(error.message)) return "the file is empty";
  if (/unsupported image format/.test(error.message)) return "it is not an image of a known format";
  if (/pixel limit/.test(error.message)) return "it has more pixels than the decoder allows";
  // What is left comes from libvips, whose messages mix when several images are decoded at once.
  return "the image is damaged or cut off";
}
