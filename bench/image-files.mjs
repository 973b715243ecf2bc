// Image files to read in benchmarks: drawn ones, of the kinds and sizes that medical images arrive in, and those of a
// MedMNIST archive.
//
// What is drawn is smooth structure, as anatomy is, outlines on it, and noise, so that it compresses as real images do.
import { mkdir, stat } from "node:fs/promises";
import { join } from "node:path";
import sharp from "sharp";
import { readArchive } from "../dist/data/sources/archive.js";

/** Deterministic words of 32 bits: Marsaglia's xorshift. */
function randomWords(seed) {
  let state = seed * 2654435761 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}

/** Noise of about three grey levels, long enough for the largest image to begin anywhere in its first half. */
function noiseTable(length) {
  const word = randomWords(1);
  return Int8Array.from({ length }, () => {
    const bits = word();
    return ((bits & 7) + ((bits >>> 3) & 7) + ((bits >>> 6) & 7) - 10) / 2;
  });
}

/** Writes `count` images into two class folders; returns the bytes of all files. */
export async function writeDrawnImages(root, { name, width, height, channels, count }) {
  const classes = ["first", "second"];
  for (const label of classes) await mkdir(join(root, label), { recursive: true });
  const values = width * height * channels;
  const noise = noiseTable(2 * values);
  let bytes = 0;
  for (let i = 0; i < count; ++i) {
    const word = randomWords(i + 1);
    const image = await drawStructure(word, { width, height, channels });
    const start = word() % values;
    for (let k = 0; k < values; ++k) image[k] = Math.min(255, Math.max(0, image[k] + noise[start + k]));
    const raw = sharp(image, { raw: { width, height, channels } });
    const encoded = name === "PNG" ? raw.png() : raw.jpeg({ quality: 90 });
    const file = join(root, classes[i % 2], `${String(i).padStart(4, "0")}.${name.toLowerCase()}`);
    await encoded.toFile(file);
    bytes += (await stat(file)).size;
  }
  return bytes;
}

/** A few random values blown up to a smooth field, and ellipses with sharp borders on it. */
async function drawStructure(word, { width, height, channels }) {
  const coarse = Uint8Array.from({ length: 8 * 8 * channels }, () => 40 + (word() % 160));
  const ellipses = Array.from({ length: 12 }, () => {
    const [x, y] = [word() % width, word() % height];
    const [rx, ry] = [8 + (word() % (width >> 3)), 8 + (word() % (height >> 3))];
    return `<ellipse cx="${x}" cy="${y}" rx="${rx}" ry="${ry}" fill="hsl(${word() % 360} 30% ${word() % 90}%)"/>`;
  });
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">${ellipses.join("")}</svg>`;
  const field = await sharp(coarse, { raw: { width: 8, height: 8, channels } })
    .resize(width, height, { fit: "fill", kernel: "cubic" })
    .toColourspace("srgb")
    .raw()
    .toBuffer({ resolveWithObject: true });
  const drawn = sharp(field.data, { raw: field.info }).composite([{ input: Buffer.from(svg) }]);
  return drawn
    .removeAlpha()
    .toColourspace(channels === 1 ? "b-w" : "srgb")
    .raw()
    .toBuffer();
}

/** At most `most` training images of an archive, evenly from all, as PNG files in class folders; what they are. */
export async function writeArchiveImages(root, path, most) {
  const { classes, arrays } = await readArchive(path, { split: "train" });
  const { pixels, labels } = arrays.train;
  const { width, height, channels, imagesPerBlock, blocks } = pixels;
  for (const label of classes) await mkdir(join(root, label), { recursive: true });
  const size = width * height * channels;
  const stride = Math.max(1, Math.ceil(pixels.count / most));
  const count = Math.ceil(pixels.count / stride);
  let bytes = 0;
  for (let i = 0; i < pixels.count; i += stride) {
    const start = (i % imagesPerBlock) * size;
    const image = blocks[Math.floor(i / imagesPerBlock)].subarray(start, start + size);
    const file = join(root, classes[labels[i]], `${String(i).padStart(5, "0")}.png`);
    await sharp(image, { raw: { width, height, channels } }).png().toFile(file);
    bytes += (await stat(file)).size;
  }
  return { width, height, channels, count, bytes };
}
