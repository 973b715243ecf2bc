/** The images that arguments stand for: files, all below a folder, or those of a table. */
import { stat } from "node:fs/promises";
import { extname } from "node:path";
import { imageExtensions } from "../../data/index.js";
import { searchFolder } from "../../data/sources/walk.js";
import type { FramedImage } from "../../inference/predict.js";
import { CommandError } from "./failure.js";
import type { Terminal } from "./terminal.js";

/** An image to predict, with what a table says of it. */
export interface AskedImage {
  readonly source: string | FramedImage;
  /** A pseudonym. */
  readonly patient?: string | undefined;
  /** By the titles of columns, in small letters. */
  readonly attributes?: ReadonlyMap<string, string | undefined>;
}

/** What is not there stands for itself, and fails when it is read. @throws CommandError for a folder without images */
export async function askedImages(path: string, terminal: Terminal): Promise<readonly AskedImage[]> {
  const found = await stat(path).catch(() => undefined);
  if (found?.isFile() && extname(path).toLowerCase() === ".csv") return listedImages(path, terminal);
  if (!found?.isDirectory()) return [{ source: path }];
  const { images } = await searchFolder(path);
  if (images.length === 0)
    throw new CommandError(`${path} has no images in it; ${imageExtensions.join(" ")} are read.`);
  return images.map((source) => ({ source }));
}

async function listedImages(path: string, terminal: Terminal): Promise<readonly AskedImage[]> {
  const { listImages } = await import("../../data/sources/manifest.js");
  const { images, attributes } = await listImages(path, (message) => terminal.warn(message));
  const titles = attributes.map((title) => title.toLowerCase());
  return images.map(({ file, frame, patient, attributes: texts = [] }) => ({
    source: frame === undefined ? file : { file, frame },
    patient,
    attributes: new Map(titles.map((title, at) => [title, texts[at]])),
  }));
}

/** The file of an image. */
export const fileOf = (source: string | FramedImage): string =>
  typeof source === "string" ? source : source.file;
