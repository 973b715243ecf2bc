/** Going through all images of a data set once, and keeping of each what an audit asks. */
import { expectSample } from "../data/batch.js";
import type { LabelledImages } from "../data/dataset.js";
import type { Pixels } from "../data/decoding/decoder.js";
import type { SplitName } from "../data/splitting/split-names.js";
import { DataError } from "../errors.js";
import { inWords } from "../settings/given.js";
import { isBytes } from "../settings/realms.js";
import { type DicomFacts, dicomFacts } from "./dicom-facts.js";
import { expectPixels, measurePicture, type Picture, pixelsOfSample } from "./picture.js";

/** One image of a data set that is audited. */
export interface Surveyed {
  readonly split: SplitName | undefined;
  /** Its number in its split. */
  readonly index: number;
  readonly dataset: LabelledImages;
  /** The classes that it has. */
  readonly labels: readonly number[];
  readonly patient: string | undefined;
  readonly group: string | undefined;
  /** Undefined of an image that cannot be read. */
  readonly picture: Picture | undefined;
  /** Why it cannot be read. */
  readonly reason: string | undefined;
  /** Of its file, or of its pixels in an array. */
  readonly bytes: number;
  /** What a DICOM file says beside its picture. */
  readonly dicom: DicomFacts | undefined;
}

/** Pictures that are in memory at a time. */
const atOnce = 6;

/** How images are gone through. */
export interface SurveyOptions {
  /** Called after each image, with the images done and in all. */
  readonly onProgress?: ((progress: { done: number; total: number }) => void) | undefined;
  /** Stops with its reason when aborted. */
  readonly signal?: AbortSignal | undefined;
}

/** All images, split after split. Images that cannot be read are in their places. */
export async function survey(
  parts: readonly (readonly [SplitName | undefined, LabelledImages])[],
  { onProgress = () => {}, signal }: SurveyOptions,
): Promise<Surveyed[]> {
  const places = parts.flatMap(([split, dataset]) =>
    Array.from({ length: dataset.length }, (_, index) => ({ split, dataset, index })),
  );
  const surveyed = new Array<Surveyed>(places.length);
  let [next, done] = [0, 0];
  const work = async (): Promise<void> => {
    while (next < places.length) {
      signal?.throwIfAborted();
      const at = next++;
      surveyed[at] = await look(places[at]!);
      onProgress({ done: ++done, total: places.length });
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  return surveyed;
}

async function look(place: Pick<Surveyed, "split" | "dataset" | "index">): Promise<Surveyed> {
  const { dataset, index } = place;
  const about = {
    ...place,
    labels: labelsOf(dataset, index),
    group: dataset.groups?.[index],
  };
  const patient = dataset.patients?.[index];
  try {
    const pixels = await pictureOf(dataset, index);
    const content = (await dataset.content?.(index)) ?? pixels.data;
    if (!ArrayBuffer.isView(content))
      throw new DataError(`${dataset.name(index)}: its content is ${inWords(content)}, which is no bytes.`);
    const dicom = isBytes(content) ? await dicomFacts(content) : undefined;
    return {
      ...about,
      patient: patient ?? dicom?.patient,
      picture: measurePicture(pixels),
      reason: undefined,
      bytes: content.byteLength,
      dicom,
    };
  } catch (error) {
    if (!(error instanceof DataError)) throw error; // no fault of the image
    return { ...about, patient, picture: undefined, reason: error.reason, bytes: 0, dicom: undefined };
  }
}

/** An image at its own size where the data set has that, at its working size otherwise. */
export async function pictureOf(dataset: LabelledImages, index: number): Promise<Pixels> {
  if (dataset.picture) {
    const pixels = await dataset.picture(index);
    expectPixels(pixels, dataset.name(index));
    return pixels;
  }
  const { channels, imageSize: side } = dataset.preprocessing;
  const sample = await dataset.sample(index);
  expectSample(sample, dataset.name(index), dataset.preprocessing);
  return pixelsOfSample({ channels, height: side, width: side, data: sample.data });
}

function labelsOf({ task, classes, labels }: LabelledImages, index: number): readonly number[] {
  if (task !== "multi-label") return [labels[index] ?? 0];
  return classes.flatMap((_, label) => (labels[index * classes.length + label] ? [label] : []));
}
