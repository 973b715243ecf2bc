/**
 * The smallest task there is to learn: grey images of 32 x 32 pixels, one half of them brighter, and a model of a
 * quarter of a million parameters that learns in a second which.
 */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { data, MedMamba, type MedMambaOptions, manualSeed, type TrainingSettings } from "../../src/index.js";
import { RandomStream } from "../../src/tensor/random.js";

export const side = 32;
export const sideClasses = ["left", "right"];

/** Noise, and on it a brighter half: left for even images, right for odd ones. */
export function sidePixels(count: number, seed: number): Uint8Array {
  const noise = new RandomStream(seed, 2);
  return Uint8Array.from({ length: count * side * side }, (_, i) => {
    const inLeftHalf = i % side < side / 2;
    const leftIsBright = Math.floor(i / (side * side)) % 2 === 0;
    return (inLeftHalf === leftIsBright ? 80 : 40) + 80 * noise.uniform();
  });
}

export const sideLabels = (count: number): number[] => Array.from({ length: count }, (_, i) => i % 2);

export function sides(count: number, seed: number): data.Dataset {
  const images = sidePixels(count, seed);
  return data.fromArrays({
    images,
    shape: [count, side, side],
    labels: sideLabels(count),
    classes: sideClasses,
  });
}

export const tinyOptions = {
  depths: [1, 1, 1, 1],
  dims: [16, 32, 64, 128],
  inChannels: 1,
  numClasses: 2,
} satisfies MedMambaOptions;

/** The same weights for the same seed. */
export function tinyModel({
  seed = 1,
  device = "cpu",
  ...options
}: MedMambaOptions & { seed?: number } = {}): MedMamba {
  manualSeed(seed);
  return new MedMamba({ ...tinyOptions, device, ...options });
}

/** What learns the task in two epochs of a hundred images. */
export const quickly = {
  epochs: 2,
  batchSize: 16,
  lr: 2e-3,
  averageDecay: 0.9,
  augmentation: data.augmentations.none,
} satisfies Partial<TrainingSettings>;

/** The same as a folder of classes with PNGs, for the command line. */
export async function writeSides(folder: string, count: number, seed = 1): Promise<void> {
  const { default: sharp } = await import("sharp");
  const pixels = sidePixels(count, seed);
  for (let image = 0; image < count; image++) {
    const own = join(folder, sideClasses[image % 2] as string);
    await mkdir(own, { recursive: true });
    const picture = pixels.subarray(image * side * side, (image + 1) * side * side);
    const raw = { width: side, height: side, channels: 1 } as const;
    await writeFile(join(own, `${image}.png`), await sharp(picture, { raw }).png().toBuffer());
  }
}
