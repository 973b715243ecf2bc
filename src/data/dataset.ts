/**
 * What a data set is to the rest of the package: labelled images that can be had one at a time.
 *
 * Whatever is made of a data set (a part of it, the same with a cache, the same with other classes) is made by `derive`,
 * which keeps all that it is not told to change. So a field that is added here, or in a class of the caller's own, is
 * lost nowhere.
 */
import { ArgumentError, DataError } from "../errors.js";
import {
  expectCounts,
  expectFunction,
  expectList,
  expectNamed,
  expectTexts,
  expectTypedArray,
  inWords,
} from "../settings/given.js";
import { typedArrayKind } from "../settings/realms.js";
import type { Pixels } from "./decoding/decoder.js";
import { classNumbers, labelsPerImage, type TaskName, taskNames, zerosAndOnes } from "./labels.js";
import { definePreprocessing, type Preprocessing } from "./preprocessing.js";

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
  /**
   * Whom each image is of, so that one person's images are kept together; undefined where it is not known. Never printed. Of
   * a data set that was opened they are pseudonyms, which are others in every process: compare them, but order nothing by them.
   */
  readonly patients?: readonly (string | undefined)[];
  /** Which images stay together in one split, as pseudonyms; those of a patient unless there. */
  readonly groups?: readonly (string | undefined)[];
  /** The file that each image is a picture of, where several are of one; undefined for one by itself. */
  readonly files?: readonly (string | undefined)[];
  /** What else is known, by the titles of columns (age, sex, site, scanner): a text an image, undefined where it is empty. */
  readonly attributes?: Readonly<Record<string, readonly (string | undefined)[]>>;
  /** Factor of each image in the loss, above 0; all count the same unless given. */
  readonly weights?: Float32Array;
  /** Every sample is `imageSize` square and has `channels`; normalisation is left to the device. */
  readonly preprocessing: Preprocessing;
  /** @throws DataError if the image cannot be read */
  sample(index: number): Promise<Sample>;
  /** The bytes that an image is made from, by which it is known again; the sample's unless there. */
  content?(index: number): Promise<ArrayBufferView>;
  /** SHA-256 of `content` in hexadecimal digits, where it is known without reading that again. */
  contentHash?(index: number): string | undefined;
  /** A hash of the sample, by which copies are found, where that is known without decoding it again. */
  fingerprint?(index: number): Promise<string>;
  /** The picture at its own size and depth, for an audit; the sample unless there. @throws DataError if it cannot be read */
  picture?(index: number): Promise<Pixels>;
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

/** How a field of a data set that tells something of each image is counted, picked from and put together. */
interface PerImageField<Value> {
  /** Entries that there are and that there should be, by their name in messages. */
  counts(field: string, value: Value, dataset: LabelledImages): readonly EntryCount[];
  /** Those of some images. */
  pick(value: Value, indices: ArrayLike<number>, dataset: LabelledImages): Value;
  /** Those of several data sets, one after the other; some may have none. */
  join(values: readonly (Value | undefined)[], parts: readonly LabelledImages[]): Value;
}

type EntryCount = readonly [field: string, found: number, due: number];

/** Arrays of `width` entries an image, `absent` each in a data set without. */
function arrays<T, Value extends ArrayLike<T>>(
  kind: { from(size: { length: number }, value: (_: unknown, i: number) => T): Value },
  absent: T,
  width = (_: LabelledImages): number => 1,
): PerImageField<Value> {
  return {
    counts: (field, { length }, dataset) => [[field, length, dataset.length * width(dataset)]],
    pick(values, indices, dataset) {
      const each = width(dataset);
      const at = (i: number) => (indices[Math.floor(i / each)] ?? 0) * each + (i % each);
      return kind.from({ length: indices.length * each }, (_, i) => values[at(i)] as T);
    },
    join(values, parts) {
      const all = parts.flatMap((dataset, part) =>
        Array.from({ length: dataset.length * width(dataset) }, (_, i) => values[part]?.[i] ?? absent),
      );
      return kind.from(all, (_, i) => all[i] as T);
    },
  };
}

const texts = arrays<string | undefined, readonly (string | undefined)[]>(Array, undefined);

/** Arrays by names. */
const columns: PerImageField<NonNullable<Images["attributes"]>> = {
  counts: (field, value, dataset) =>
    Object.entries(value).flatMap(([name, list]) => texts.counts(`${field} "${name}"`, list, dataset)),
  pick: (value, indices, dataset) =>
    Object.fromEntries(
      Object.entries(value).map(([name, list]) => [name, texts.pick(list, indices, dataset)]),
    ),
  join(values, parts) {
    const names = new Set(values.flatMap((value) => Object.keys(value ?? {})));
    const join = (name: string) =>
      texts.join(
        values.map((value) => value?.[name]),
        parts,
      );
    return Object.fromEntries(Array.from(names, (name) => [name, join(name)]));
  },
};

/**
 * What a data set knows of each image beside its picture. Checks, subsets, batches and what is put together go by this
 * table: one more field is a line here.
 */
const perImage = {
  labels: arrays<number, Int32Array>(Int32Array, 0, ({ task, classes }) =>
    labelsPerImage(task, classes.length),
  ),
  patients: texts,
  groups: texts,
  files: texts,
  attributes: columns,
  weights: arrays<number, Float32Array>(Float32Array, 1),
} as const satisfies { [Field in keyof LabelledImages]?: PerImageField<NonNullable<LabelledImages[Field]>> };

/** The fields of a data set that have an entry, or a row, for each image. */
export type PerImage = Pick<LabelledImages, keyof typeof perImage>;

const perImageFields = Object.entries(perImage) as [keyof PerImage, PerImageField<unknown>][];

/** What is known of some images beside their pictures, in the order of `indices`; what the data set lacks is left out. */
export function pickPerImage(dataset: LabelledImages, indices: ArrayLike<number>): PerImage {
  const picked: Record<string, unknown> = {};
  for (const [field, { pick }] of perImageFields) {
    if (dataset[field]) picked[field] = pick(dataset[field], indices, dataset);
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
  for (const [field, { counts }] of perImageFields) {
    if (!dataset[field]) continue;
    const wrong = counts(field, dataset[field], dataset).find(([, found, due]) => found !== due);
    if (wrong) throw new DataError(`${operation}: there are ${length} images but ${wrong[1]} ${wrong[0]}.`);
  }
  const wrong = weights?.findIndex((weight) => !isWeight(weight)) ?? -1;
  if (wrong < 0) return;
  throw new DataError(
    `${operation}: weights holds ${weights?.[wrong]} for image ${wrong}; weights are finite numbers above 0.`,
  );
}

/**
 * A data set as a caller brings it, to be asked before anything is done with it.
 *
 * @param what  the argument, for the message
 * @throws ArgumentError if something is missing or of another kind
 * @throws DataError if there is not an entry for each image, or a weight is not above 0
 */
export function expectDataset(operation: string, what: string, dataset: LabelledImages): void {
  const { length, classes, labels, task, preprocessing, patients, weights } = expectNamed(
    operation,
    what,
    dataset,
  );
  expectCounts(operation, { [`${what}.length`]: length }, 0);
  expectTexts(operation, `${what}.classes`, classes);
  expectNamed(operation, `${what}.preprocessing`, preprocessing);
  definePreprocessing(preprocessing);
  if (task !== undefined && !taskNames.includes(task))
    throw new ArgumentError(
      `${operation}: ${what}.task is ${inWords(task)}, not one of ${taskNames.join(", ")}.`,
    );
  expectFunction(operation, dataset.sample, `${what}.sample`);
  expectFunction(operation, dataset.name, `${what}.name`);
  for (const name of ["content", "contentHash", "fingerprint", "picture"] as const)
    if (dataset[name] !== undefined) expectFunction(operation, dataset[name], `${what}.${name}`);
  if (typedArrayKind(labels) !== "Int32Array")
    throw new ArgumentError(
      `${operation}: ${what}.labels has to be an Int32Array, but is ${inWords(labels)}.`,
    );
  if (patients !== undefined && !Array.isArray(patients))
    throw new ArgumentError(
      `${operation}: ${what}.patients has to be an array, but is ${inWords(patients)}.`,
    );
  const stranger = (patients?.length === length ? patients : []).findIndex(
    (patient) => patient !== undefined && typeof patient !== "string",
  );
  if (stranger >= 0)
    throw new ArgumentError(
      `${operation}: ${what}.patients has ${inWords(patients?.[stranger])} for image ${stranger}; a patient is text.`,
    );
  if (weights !== undefined && typedArrayKind(weights) !== "Float32Array")
    throw new ArgumentError(
      `${operation}: ${what}.weights has to be a Float32Array, but is ${inWords(weights)}.`,
    );
  expectPerImage(operation, dataset);
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
  expectNamed("derive", "the data set", dataset);
  const derived = Object.defineProperties({}, descriptorsOf(dataset));
  expectNamed("derive", "changes", changes);
  // Of other contents nothing is known yet.
  const all = "content" in changes ? { contentHash: undefined, ...changes } : changes;
  for (const [field, value] of Object.entries(all))
    Object.defineProperty(derived, field, { value, enumerable: true, configurable: true, writable: true });
  const { task, labels, classes } = derived as D;
  const problem = (message: string) => new DataError(`derive: labels ${message}.`);
  expectDataset("derive", "the data set", derived as D);
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
export function countLabels(dataset: Pick<LabelledImages, "classes" | "labels" | "task">): number[] {
  const { classes, labels, task } = expectNamed("countLabels", "the data set", dataset);
  expectTexts("countLabels", "classes", classes);
  expectTypedArray("countLabels", "labels", labels);
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
  expectDataset("describeDataset", "the data set", dataset);
  const { imageSize, channels } = dataset.preprocessing;
  const counts = countLabels(dataset).map((count, label) => `${dataset.classes[label]} ${count}`);
  const unit = channels === 1 ? "channel" : "channels";
  return `${dataset.length} images of ${imageSize} x ${imageSize}, ${channels} ${unit}: ${counts.join(", ")}`;
}

/** Some images of a data set, in the order given. @throws DataError if there is no such image */
export function subset<D extends LabelledImages>(dataset: D, indices: readonly number[]): D {
  expectDataset("subset", "the data set", dataset);
  expectList("subset", "indices", indices);
  for (const index of indices) {
    if (!Number.isInteger(index) || index < 0 || index >= dataset.length)
      throw new DataError(
        `subset: there is no image ${inWords(index)}; they are 0 to ${dataset.length - 1}.`,
      );
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
    ...(dataset.fingerprint && {
      fingerprint: async (index: number) => dataset.fingerprint!(original(index)),
    }),
    ...(dataset.picture && { picture: async (index: number) => dataset.picture!(original(index)) }),
  } satisfies Partial<LabelledImages> as unknown as Partial<D>);
}

/** The images of several data sets of the same task, classes and preprocessing, one after the other. */
export function concatenated<D extends LabelledImages>(parts: readonly D[]): D {
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
  const known: Record<string, unknown> = {};
  for (const [field, { join }] of perImageFields) {
    const values = parts.map((dataset) => dataset[field]);
    if (values.some(Boolean)) known[field] = join(values, parts);
  }
  const { classes, preprocessing, task } = first;
  return {
    length: places.length,
    classes,
    preprocessing,
    ...(task && { task }),
    ...(known as unknown as PerImage),
    name: (index) => placeOf(index).dataset.name(placeOf(index).at),
    sample: async (index) => placeOf(index).dataset.sample(placeOf(index).at),
    content: async (index) => contentAt(placeOf(index).dataset, placeOf(index).at),
    contentHash: (index) => placeOf(index).dataset.contentHash?.(placeOf(index).at),
    ...(parts.every(({ fingerprint }) => fingerprint) && {
      fingerprint: async (index: number) => placeOf(index).dataset.fingerprint!(placeOf(index).at),
    }),
    ...(parts.every(({ picture }) => picture) && {
      picture: async (index: number) => placeOf(index).dataset.picture!(placeOf(index).at),
    }),
  } satisfies Partial<LabelledImages> as unknown as D;
}

async function contentAt(dataset: LabelledImages, index: number): Promise<ArrayBufferView> {
  return dataset.content?.(index) ?? (await dataset.sample(index)).data;
}
