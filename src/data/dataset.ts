/**
 * What a data set is to the rest of the package: labelled images that can be had one at a time.
 *
 * Whatever is made of a data set (a part of it, the same with a cache, the same with other classes) is made by `derive`,
 * which keeps all that it is not told to change. So a field that is added here, or in a class of the caller's own, is
 * lost nowhere.
 */
import { DataError } from "../errors.js";
import { classNumbers, labelsPerImage, type TaskName, zerosAndOnes } from "./labels.js";
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

/** Images that can be had one at a time, labelled in some way. */
interface Images {
  /** Number of images. */
  readonly length: number;
  /** Names of the classes. */
  readonly classes: readonly string[];
  /** Whom each image is of, so that one person's images are kept together; undefined where it is not known. Never printed. */
  readonly patients?: readonly (string | undefined)[];
  /** Factor of each image in the loss, above 0; all count the same unless given. */
  readonly weights?: Float32Array;
  /** Every sample is `imageSize` square and has `channels`; normalisation is left to the device. */
  readonly preprocessing: Preprocessing;
  /** @throws DataError if the image cannot be read */
  sample(index: number): Promise<Sample>;
  /** The bytes that an image is made from, by which copies are found; the sample's unless there. */
  content?(index: number): Promise<ArrayBufferView>;
  /** SHA-256 of `content` in hexadecimal digits, where it is known without reading that again. */
  contentHash?(index: number): string | undefined;
  /** Where an image comes from, such as `scans/train/mass/0012.png`. */
  name(index: number): string;
}

/** Images of one class each: implement it to train on whatever you have. */
export interface Dataset extends Images {
  /** What is asked; "binary" for two classes and "multi-class" for more unless told. "ordinal": classes are in order. */
  readonly task?: Exclude<TaskName, "multi-label"> | undefined;
  /** The class of each image, an index into `classes`. */
  readonly labels: Int32Array;
}

/** Images with any number of classes each. */
export interface MultiLabelDataset extends Images {
  /** Tells it from a `Dataset`. */
  readonly task: "multi-label";
  /** (length, classes) row-major: 1 for the classes that an image has, 0 for the others. */
  readonly labels: Int32Array;
}

/** Images with labels of either kind. */
export type LabelledImages = Dataset | MultiLabelDataset;

/** How an array of a data set that tells something of each image is made anew: its kind, and its values an image. */
interface PerImageArray {
  readonly kind: { from(size: { length: number }, value: (_: unknown, i: number) => never): unknown };
  width(dataset: LabelledImages): number;
}

/**
 * What a data set knows of each image beside its picture. Checks, subsets and batches go by this table: one more array
 * is a line here.
 */
const perImage = {
  labels: { kind: Int32Array, width: ({ task, classes }) => labelsPerImage(task, classes.length) },
  patients: { kind: Array, width: () => 1 },
  weights: { kind: Float32Array, width: () => 1 },
} as const satisfies Partial<Record<keyof LabelledImages, PerImageArray>>;

/** The arrays of a data set that have an entry, or a row, for each image. */
export type PerImage = Pick<LabelledImages, keyof typeof perImage>;

const perImageArrays = Object.entries(perImage) as [keyof PerImage, PerImageArray][];

/** What is known of some images beside their pictures, in the order of `indices`; what the data set lacks is left out. */
export function pickPerImage(dataset: LabelledImages, indices: ArrayLike<number>): PerImage {
  const picked: Record<string, unknown> = {};
  for (const [field, { kind, width: widthOf }] of perImageArrays) {
    const values = dataset[field];
    if (!values) continue;
    const width = widthOf(dataset);
    const value = (i: number) => values[(indices[Math.floor(i / width)] ?? 0) * width + (i % width)];
    picked[field] = kind.from({ length: indices.length * width }, (_, i) => value(i) as never);
  }
  return picked as unknown as PerImage;
}

/** Whether the loss can take a number as an image's factor: above 0 and finite, as float32 too. */
export function isWeight(value: number): boolean {
  const stored = Math.fround(value);
  return stored > 0 && stored < Infinity;
}

/**
 * To be asked before the arrays are gone by.
 *
 * @throws DataError if one has not an entry for each image, or a weight is not above 0 and finite
 */
export function expectPerImage(operation: string, dataset: LabelledImages): void {
  const { length, weights } = dataset;
  for (const [field, { width }] of perImageArrays) {
    const found = dataset[field]?.length;
    if (found === undefined || found === length * width(dataset)) continue;
    throw new DataError(`${operation}: there are ${length} images but ${found} ${field}.`);
  }
  const wrong = weights?.findIndex((weight) => !isWeight(weight)) ?? -1;
  if (wrong < 0) return;
  throw new DataError(
    `${operation}: weights holds ${weights?.[wrong]} for image ${wrong}; weights are finite numbers above 0.`,
  );
}

/**
 * The same data set but for `changes`.
 *
 * All else is kept, also what only a class of the caller's own has: its methods and getters go on working on the data
 * set that they belong to, private fields included. Hence a changed field is not seen by them: change `sample` as well
 * where it depends on it.
 *
 * @throws DataError if what there is of each image does not fit the number of images, or a label not the classes
 */
export function derive<D extends LabelledImages>(dataset: D, changes: Partial<NoInfer<D>>): D {
  const derived = Object.defineProperties({}, descriptorsOf(dataset));
  // Of other contents nothing is known yet.
  const all = "content" in changes ? { contentHash: undefined, ...changes } : changes;
  for (const [field, value] of Object.entries(all))
    Object.defineProperty(derived, field, { value, enumerable: true, configurable: true, writable: true });
  const { task, labels, classes } = derived as D;
  const problem = (message: string) => new DataError(`derive: labels ${message}.`);
  expectPerImage("derive", derived as D);
  if (task === "multi-label") zerosAndOnes(labels, classes.length, problem);
  else classNumbers(labels, classes.length, problem);
  return derived as D;
}

/** Everything that can be read of an object, as if it were its own: spreading it, too, loses nothing. */
function descriptorsOf(object: object): PropertyDescriptorMap {
  const found: PropertyDescriptorMap = {};
  for (let owner = object; owner && owner !== Object.prototype; owner = Object.getPrototypeOf(owner)) {
    for (const key of Reflect.ownKeys(owner)) {
      if (key === "constructor" || Object.hasOwn(found, key)) continue;
      const { get, value } = Object.getOwnPropertyDescriptor(owner, key) as PropertyDescriptor;
      const kept = typeof value === "function" ? value.bind(object) : value;
      const read = get ? { get: () => get.call(object) as unknown } : { value: kept, writable: true };
      found[key as string] = { ...read, enumerable: true, configurable: true };
    }
  }
  return found;
}

/** Number of images of each class, in the order of `classes`. */
export function countLabels({
  classes,
  labels,
  task,
}: Pick<LabelledImages, "classes" | "labels" | "task">): number[] {
  const counts = new Array<number>(classes.length).fill(0);
  if (task === "multi-label") {
    for (const [at, label] of labels.entries()) counts[at % classes.length]! += label;
    return counts;
  }
  for (const label of labels) counts[label] = (counts[label] ?? 0) + 1;
  return counts;
}

/** One line for people, such as `240 images of 64 x 64, 1 channel: cyst 80, mass 80, normal 80`. */
export function describeDataset(dataset: LabelledImages): string {
  const { imageSize, channels } = dataset.preprocessing;
  const counts = countLabels(dataset).map((count, label) => `${dataset.classes[label]} ${count}`);
  const unit = channels === 1 ? "channel" : "channels";
  return `${dataset.length} images of ${imageSize} x ${imageSize}, ${channels} ${unit}: ${counts.join(", ")}`;
}

/** Some images of a data set, in the order given. @throws DataError if there is no such image */
export function subset<D extends LabelledImages>(dataset: D, indices: readonly number[]): D {
  for (const index of indices) {
    if (!Number.isInteger(index) || index < 0 || index >= dataset.length)
      throw new DataError(`subset: there is no image ${index}; they are 0 to ${dataset.length - 1}.`);
  }
  const original = (index: number): number => {
    const found = indices[index];
    if (found === undefined) throw new DataError(`There is no image ${index} among ${indices.length}.`);
    return found;
  };
  return derive(dataset, {
    length: indices.length,
    ...pickPerImage(dataset, indices),
    name: (index: number) => dataset.name(original(index)),
    sample: async (index: number) => dataset.sample(original(index)),
    ...(dataset.content && { content: async (index: number) => contentAt(dataset, original(index)) }),
    ...(dataset.contentHash && { contentHash: (index: number) => dataset.contentHash?.(original(index)) }),
  } satisfies Partial<LabelledImages> as unknown as Partial<D>);
}

/** The images of several data sets of the same classes and preprocessing, one after the other. */
export function concatenated(parts: readonly Dataset[]): Dataset {
  const [first] = parts;
  if (!first) throw new DataError("There is no data set among none.");
  const places = parts.flatMap((dataset) =>
    Array.from({ length: dataset.length }, (_, at) => ({ dataset, at })),
  );
  const placeOf = (index: number) => {
    const place = places[index];
    if (!place) throw new DataError(`There is no image ${index} among ${places.length}.`);
    return place;
  };
  const weighted = parts.some(({ weights }) => weights);
  const { classes, preprocessing, task } = first;
  return {
    length: places.length,
    classes,
    preprocessing,
    ...(task && { task }),
    labels: Int32Array.from(places, ({ dataset, at }) => dataset.labels[at] ?? 0),
    ...(parts.some(({ patients }) => patients) && {
      patients: places.map(({ dataset, at }) => dataset.patients?.[at]),
    }),
    ...(weighted && { weights: Float32Array.from(places, ({ dataset, at }) => dataset.weights?.[at] ?? 1) }),
    name: (index) => placeOf(index).dataset.name(placeOf(index).at),
    sample: async (index) => placeOf(index).dataset.sample(placeOf(index).at),
    content: async (index) => contentAt(placeOf(index).dataset, placeOf(index).at),
    contentHash: (index) => placeOf(index).dataset.contentHash?.(placeOf(index).at),
  };
}

async function contentAt(dataset: LabelledImages, index: number): Promise<ArrayBufferView> {
  return dataset.content?.(index) ?? (await dataset.sample(index)).data;
}
