/** What a data set is to the rest of the package: labelled images that can be had one at a time. */
import type { Preprocessing } from "./preprocessing.js";

/** One image at its working size, planar: `data` is (channels, height, width). */
export interface Sample {
  /** 1 or 3. */
  readonly channels: number;
  /** In pixels. */
  readonly height: number;
  /** In pixels. */
  readonly width: number;
  /** 0..255 of an 8-bit source; 0..1 of a deeper one, which keeps its precision. */
  readonly data: Uint8Array | Float32Array;
}

/** Labelled images that can be had one at a time: implement it to train on whatever you have. */
export interface Dataset {
  /** Number of images. */
  readonly length: number;
  /** Names of the classes; a label is an index into them. */
  readonly classes: readonly string[];
  /** The class of each image, an index into `classes`. */
  readonly labels: Int32Array;
  /** Every sample is `imageSize` square and has `channels`; normalisation is left to the device. */
  readonly preprocessing: Preprocessing;
  /** @throws DataError if the image cannot be read */
  sample(index: number): Promise<Sample>;
  /** Where an image comes from, such as `scans/train/mass/0012.png`. */
  name(index: number): string;
}

/** Number of images of each class, in the order of `classes`. */
export function countLabels({ classes, labels }: Pick<Dataset, "classes" | "labels">): number[] {
  const counts = new Array<number>(classes.length).fill(0);
  for (const label of labels) counts[label] = (counts[label] ?? 0) + 1;
  return counts;
}

/** One line for people, such as `240 images of 64 x 64, 1 channel: cyst 80, mass 80, normal 80`. */
export function describeDataset(dataset: Dataset): string {
  const { imageSize, channels } = dataset.preprocessing;
  const counts = countLabels(dataset).map((count, label) => `${dataset.classes[label]} ${count}`);
  const unit = channels === 1 ? "channel" : "channels";
  return `${dataset.length} images of ${imageSize} x ${imageSize}, ${channels} ${unit}: ${counts.join(", ")}`;
}

/** Some images of a data set, in the order given. */
export function subset(dataset: Dataset, indices: readonly number[]): Dataset {
  const original = (index: number): number => indices[index] ?? -1;
  return {
    length: indices.length,
    classes: dataset.classes,
    labels: Int32Array.from(indices, (index) => dataset.labels[index] ?? 0),
    preprocessing: dataset.preprocessing,
    name: (index) => dataset.name(original(index)),
    sample: (index) => dataset.sample(original(index)),
  };
}
