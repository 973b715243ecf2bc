/** The images that arguments stand for: files, all below a folder, or those of a table. */
import { stat } from "node:fs/promises";
import { extname } from "node:path";
import { imageExtensions } from "../../data/index.js";
import { leftOutWithoutPicture } from "../../data/sources/dicom-files.js";
import { searchFolder } from "../../data/sources/walk.js";
import type { FramedImage } from "../../inference/predict.js";
import { CommandError, explain } from "./failure.js";
import type { Terminal } from "./terminal.js";
import { withoutWildcards } from "./wildcards.js";

/** An image to predict, with what a table says of it. */
export interface AskedImage {
  readonly source: string | FramedImage;
  /** A pseudonym. */
  readonly patient?: string | undefined;
  /** By the titles of columns, in small letters. */
  readonly attributes?: ReadonlyMap<string, string | undefined>;
}

/**
 * The images that the arguments stand for. What is not there stands for itself, and fails when it is read, as does a folder
 * of nothing, or one that cannot be opened: the others are predicted.
 *
 * @throws CommandError if there is nothing else
 */
export async function askedImages(
  named: readonly string[],
  terminal: Terminal,
): Promise<readonly AskedImage[]> {
  const paths = await withoutWildcards(named);
  const problems: string[] = [];
  const asked: AskedImage[] = [];
  for (const path of paths) {
    const found = await stat(path).catch(() => undefined);
    if (found?.isFile() && extname(path).toLowerCase() === ".csv") {
      asked.push(...(await listedImages(path, terminal)));
      continue;
    }
    if (!found?.isDirectory()) {
      asked.push({ source: path });
      continue;
    }
    const images = await searchFolder(path).then(
      ({ images, withoutPicture }) => {
        if (withoutPicture.length > 0) terminal.warn(leftOutWithoutPicture(path, withoutPicture));
        return images;
      },
      (error: unknown) => {
        problems.push(explain(error));
        return undefined;
      },
    );
    if (images?.length === 0)
      problems.push(`${path} has no images in it; ${imageExtensions.join(" ")} are read.`);
    asked.push(...(images?.length ? images : [path]).map((source) => ({ source })));
  }
  if (problems.length === paths.length) throw new CommandError(problems.join(" "));
  for (const problem of problems) terminal.warn(problem);
  return asked;
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

/** Whom DICOM files are of that no table speaks of. */
export async function withPatients(
  images: readonly AskedImage[],
  terminal: Terminal,
): Promise<readonly AskedImage[]> {
  const { withDicomPatients } = await import("../../data/sources/dicom-patients.js");
  const entries = images.map((image) => ({ ...image, file: fileOf(image.source) }));
  return withDicomPatients("--pool patient", entries, (message) => terminal.warn(message));
}

/** The file of an image. */
export const fileOf = (source: string | FramedImage): string =>
  typeof source === "string" ? source : source.file;
