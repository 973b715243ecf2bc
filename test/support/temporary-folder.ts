/** A folder for the tests of one file, gone afterwards, and what several of them do with it. */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, sep } from "node:path";
import sharp from "sharp";
import { afterAll, expect } from "vitest";
import { DataError } from "../../src/errors.js";

export const root = await mkdtemp(join(tmpdir(), "medmamba-test-"));
afterAll(() => rm(root, { recursive: true }));

export async function write(file: string, bytes: Uint8Array | string): Promise<string> {
  const path = join(root, file);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, bytes);
  return path;
}

/** A grey picture whose value tells it from others. */
export function png(value: number, size = 8): Promise<Buffer> {
  return picture(size, () => value);
}

/** A grey picture of which each pixel has its value. */
export function picture(size: number, value: (pixel: number) => number): Promise<Buffer> {
  const pixels = Uint8Array.from({ length: size * size }, (_, at) => value(at));
  return sharp(pixels, { raw: { width: size, height: size, channels: 1 } })
    .toColourspace("b-w")
    .png({ compressionLevel: 0 })
    .toBuffer();
}

/** The message of the DataError that a promise must reject with, paths from the temporary folder on, with "/". */
export async function message(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(
    () => new Error("nothing was thrown"),
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(DataError);
  expect(error).toHaveProperty("code", "MEDMAMBA_DATA");
  return (error as Error).message.replaceAll(root, "").replaceAll(sep, "/");
}
