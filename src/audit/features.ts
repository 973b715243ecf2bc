/** Numbers of each image that are no finding, for the probe: measures of pictures and files, and columns of a table. */
import { extname } from "node:path";
import type { Rows } from "./logistic.js";
import { type MeasureName, measureWords } from "./picture.js";
import type { Surveyed } from "./survey.js";

/** One thing that is known of every image, in one or several numbers. */
export interface Feature {
  /** In words. */
  readonly name: string;
  /** Whether it is measured of the picture or file, or stands in a column of the table. */
  readonly from: "picture" | "file" | "column";
  /** (n, width) */
  readonly rows: Rows;
}

/** More values than these of a column that is not of numbers tell images, not kinds of them. */
const mostKinds = 20;

/** Features that are not the same in all images, and the columns that are none. */
export function featuresOf(images: readonly Surveyed[]): { features: Feature[]; leftOut: string[] } {
  const measured = (Object.keys(measureWords) as MeasureName[]).map((name) =>
    numeric(
      measureWords[name],
      "picture",
      images.map(({ picture }) => picture!.measures[name]),
    ),
  );
  const sizes = [
    numeric(
      "width",
      "picture",
      images.map(({ picture }) => picture!.width),
    ),
    numeric(
      "height",
      "picture",
      images.map(({ picture }) => picture!.height),
    ),
    numeric(
      "proportions",
      "picture",
      images.map(({ picture }) => Math.log(picture!.width / picture!.height)),
    ),
    numeric(
      "bits of a value",
      "picture",
      images.map(({ picture }) => picture!.bitDepth),
    ),
    numeric(
      "spacing",
      "picture",
      images.map(({ picture }) => picture!.spacing?.rows),
    ),
    numeric(
      "file size",
      "file",
      images.map(({ bytes }) => Math.log(Math.max(bytes, 1))),
    ),
    kinds(
      "file format",
      "file",
      images.map(({ dataset, index }) => extname(dataset.name(index)).toLowerCase()),
    ),
    kinds(
      "scanner (DICOM)",
      "file",
      images.map(({ dicom }) => dicom?.scanner ?? ""),
    ),
    kinds(
      "photometric interpretation (DICOM)",
      "file",
      images.map(({ dicom }) => dicom?.photometric ?? ""),
    ),
    numeric(
      "acquisition date (DICOM)",
      "file",
      images.map(({ dicom }) => dicom?.date),
    ),
    numeric("number in the file name", "file", fileNumbers(images)),
  ];
  const titles = [...new Set(images.flatMap(({ dataset }) => Object.keys(dataset.attributes ?? {})))];
  const leftOut: string[] = [];
  const columns = titles
    .filter((title) => !ours.has(title.toLowerCase()))
    .map((title) => {
      const texts = images.map(({ dataset, index }) => dataset.attributes?.[title]?.[index]);
      const feature = column(title, texts);
      if (!feature) leftOut.push(title);
      return feature;
    });
  const features = [...measured, ...sizes, ...columns].filter((feature) => feature !== undefined);
  return { features, leftOut };
}

/** Columns that say what this package has made of the data. */
const ours = new Set(["hash", "fold", "split"]);

/** Features beside each other, (n, sum of widths). */
export function together(features: readonly Feature[], count: number): Rows {
  const width = features.reduce((sum, { rows }) => sum + rows.width, 0);
  const values = new Float64Array(count * width);
  let offset = 0;
  for (const { rows } of features) {
    for (let i = 0; i < count; ++i)
      values.set(rows.values.subarray(i * rows.width, (i + 1) * rows.width), i * width + offset);
    offset += rows.width;
  }
  return { width, values };
}

/** The rows of some images. */
export function rowsOf({ width, values }: Rows, images: readonly number[]): Rows {
  const picked = new Float64Array(images.length * width);
  for (const [at, image] of images.entries())
    picked.set(values.subarray(image * width, (image + 1) * width), at * width);
  return { width, values: picked };
}

/** A number an image; the mean where there is none, and then another number that says so. Undefined if all are the same. */
function numeric(
  name: string,
  from: Feature["from"],
  values: readonly (number | undefined)[],
): Feature | undefined {
  const known = values.filter((value) => value !== undefined);
  if (known.length === 0) return undefined;
  const missing = known.length < values.length;
  if (!missing && known.every((value) => value === known[0])) return undefined;
  const mean = known.reduce((sum, value) => sum + value, 0) / known.length;
  const width = missing ? 2 : 1;
  const numbers = values.flatMap((value) =>
    missing ? [value ?? mean, Number(value === undefined)] : [value!],
  );
  return { name, from, rows: { width, values: Float64Array.from(numbers) } };
}

/** A 0 or 1 for each text, the commonest; undefined if there is one text alone. */
function kinds(name: string, from: Feature["from"], texts: readonly string[]): Feature | undefined {
  const counts = new Map<string, number>();
  for (const text of texts) counts.set(text, (counts.get(text) ?? 0) + 1);
  if (counts.size < 2) return undefined;
  const commonest = [...counts].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1)).slice(0, mostKinds);
  const places = new Map(commonest.map(([text], at) => [text, at]));
  const width = commonest.length;
  const values = new Float64Array(texts.length * width);
  for (const [i, text] of texts.entries()) {
    const at = places.get(text);
    if (at !== undefined) values[i * width + at] = 1;
  }
  return { name, from, rows: { width, values } };
}

/** A column of a table: of numbers, dates or kinds; undefined where its texts tell single images, or nothing. */
function column(title: string, texts: readonly (string | undefined)[]): Feature | undefined {
  const name = `column "${title}"`;
  const known = texts.filter((text) => text !== undefined);
  const distinct = new Set(known);
  if (distinct.size < 2 && known.length === texts.length) return undefined;
  const numbers = texts.map((text) => (text === undefined ? undefined : numberIn(text)));
  const isNumeric = numbers.every((number) => !Number.isNaN(number));
  if (isNumeric && distinct.size > 2) return numeric(name, "column", numbers);
  if (distinct.size > mostKinds && distinct.size * 3 > known.length) return undefined;
  return kinds(
    name,
    "column",
    texts.map((text) => text ?? ""),
  );
}

/** A number, or a date as one; NaN for other texts. */
function numberIn(text: string): number {
  const number = Number(text.replace(",", "."));
  if (!Number.isNaN(number)) return number;
  return /^\d{4}-\d{2}-\d{2}/.test(text) ? Date.parse(text) : Number.NaN;
}

/**
 * The last number in each file's name, which follows the order of acquisition where all files are named alike. Where every
 * class has names or a numbering of its own it says nothing of the images, so then there is none.
 */
function fileNumbers(images: readonly Surveyed[]): (number | undefined)[] {
  const nothing = images.map(() => undefined);
  const patterns = new Map<string, Set<number>>();
  const numbers: (number | undefined)[] = [];
  const seen = new Set<string>();
  for (const { dataset, index, labels } of images) {
    const name = dataset.name(index).split(/[\\/]/).at(-1) ?? "";
    if (!/\.\w+$/.test(name) || seen.has(name)) return nothing;
    seen.add(name);
    const stem = name.replace(/\.\w+$/, "");
    const digits = /(\d{1,15})\D*$/.exec(stem)?.[1];
    if (digits === undefined) return nothing;
    const pattern = stem.replaceAll(/\d+/g, "#");
    const classes = patterns.get(pattern) ?? new Set<number>();
    for (const label of labels) classes.add(label);
    patterns.set(pattern, classes);
    numbers.push(Number(digits));
  }
  const all = new Set(images.flatMap(({ labels }) => labels));
  return [...patterns.values()].every(({ size }) => size === all.size) ? numbers : nothing;
}
