/**
 * Which images a data set holds, whatever their files are called and wherever they are: a hash of each image, and one of all.
 * By them a run notices images that were replaced and goes on with a data set that was moved, a checkpoint knows the data
 * that it was trained on, and copies in two splits are found.
 */
import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import type { LabelledImages } from "./dataset.js";
import { type SplitName, splitNames } from "./splitting/split-names.js";

/** What tells the images of a split from others; plain JSON, from which no image, name or path can be had. */
export interface SplitIdentity {
  readonly images: number;
  /** CRC-32 of the labels in their order. */
  readonly labelsChecksum: number;
  /** Hash of all images in their order. */
  readonly contents: string;
}

/** What tells a data set from others. */
export interface DataIdentity extends Readonly<Record<SplitName, SplitIdentity>> {
  readonly classes: readonly string[];
}

/** Whether what a file holds can be an identity; files are edited, too. */
export function isDataIdentity(value: unknown): value is DataIdentity {
  const { classes, ...splits } = (value ?? {}) as Partial<DataIdentity>;
  const parts = splitNames.map((name) => splits[name] as Partial<SplitIdentity> | null | undefined);
  return (
    Array.isArray(classes) &&
    parts.every(
      (part) =>
        typeof part?.images === "number" &&
        typeof part.labelsChecksum === "number" &&
        typeof part.contents === "string",
    )
  );
}

const atOnce = 16;
const digits = 16; // Of a hash, 4 bits each: enough for a billion images.
const known = new WeakMap<LabelledImages, Promise<readonly string[]>>();

/** A hash of each image: of the bytes that it is read from where the data set has them, of the sample otherwise. */
export function contentsOf(dataset: LabelledImages, signal?: AbortSignal): Promise<readonly string[]> {
  const found = known.get(dataset);
  if (found) return found;
  const hashes = hashAll(dataset, signal);
  known.set(dataset, hashes);
  hashes.catch(() => known.delete(dataset));
  return hashes;
}

async function hashAll(dataset: LabelledImages, signal?: AbortSignal): Promise<readonly string[]> {
  const hashes: string[] = [];
  while (hashes.length < dataset.length) {
    signal?.throwIfAborted();
    const length = Math.min(atOnce, dataset.length - hashes.length);
    hashes.push(...(await Promise.all(Array.from({ length }, (_, i) => hashOf(dataset, hashes.length + i)))));
  }
  return hashes;
}

async function hashOf(dataset: LabelledImages, index: number): Promise<string> {
  const known = dataset.contentHash?.(index);
  if (known !== undefined) return known.slice(0, digits);
  return contentHash((await dataset.content?.(index)) ?? (await dataset.sample(index)).data).slice(0, digits);
}

/** SHA-256 of bytes in hexadecimal digits, and of a number behind them where a file has several pictures. */
export function contentHash({ buffer, byteOffset, byteLength }: ArrayBufferView, frame = 0): string {
  const hash = createHash("sha256").update(new Uint8Array(buffer, byteOffset, byteLength));
  return (frame === 0 ? hash : hash.update(frameMark(frame))).digest("hex");
}

/** What tells the content of a later picture of a file from that of the first. */
export const frameMark = (frame: number): Buffer => Buffer.from(`frame ${frame}`);

/** CRC-32 of the bytes of labels or weights: as a checkpoint and a run's record both keep it. */
export function checksum({ buffer, byteOffset, byteLength }: ArrayBufferView): number {
  return crc32(new Uint8Array(buffer, byteOffset, byteLength));
}

export async function splitIdentity(dataset: LabelledImages, signal?: AbortSignal): Promise<SplitIdentity> {
  const { length, labels } = dataset;
  const hash = createHash("sha256").update((await contentsOf(dataset, signal)).join());
  return {
    images: length,
    labelsChecksum: checksum(labels),
    contents: hash.digest("hex").slice(0, digits),
  };
}

export async function dataIdentity(
  dataset: Readonly<Record<SplitName, LabelledImages>> & { readonly classes: readonly string[] },
  signal?: AbortSignal,
): Promise<DataIdentity> {
  const { classes } = dataset;
  const [train, val, test] = await Promise.all(
    splitNames.map((name) => splitIdentity(dataset[name], signal)),
  );
  return { classes, train, val, test } as DataIdentity;
}

export function isSameSplit(a: SplitIdentity, b: SplitIdentity): boolean {
  return a.images === b.images && a.labelsChecksum === b.labelsChecksum && a.contents === b.contents;
}

/** Says which images are there more than once where that matters: in two splits, or under two labels. */
export async function warnOfCopies(
  path: string,
  splits: Partial<Record<SplitName, LabelledImages>>,
  { onWarning, signal }: { onWarning: (message: string) => void; signal?: AbortSignal | undefined },
): Promise<void> {
  const earlier = new Map<string, SplitName>();
  const labelled = new Map<string, { labels: string; name: string }>();
  const torn = new Set<string>();
  let example = "";
  for (const split of splitNames) {
    const dataset = splits[split];
    if (!dataset) continue;
    const contents = await contentsOf(dataset, signal);
    const copies = new Map<SplitName, number>();
    for (const [index, content] of contents.entries()) {
      const other = earlier.get(content) ?? split;
      if (other !== split) copies.set(other, (copies.get(other) ?? 0) + 1);
      const own = { labels: labelsAt(dataset, index), name: dataset.name(index) };
      const first = labelled.get(content) ?? own;
      if (first.labels !== own.labels) {
        if (torn.size === 0) example = `${first.name} and ${own.name}`;
        torn.add(content);
      }
      labelled.set(content, first);
    }
    for (const content of contents) if (!earlier.has(content)) earlier.set(content, split);
    for (const [other, count] of copies) {
      onWarning(
        `${path}: ${count} of ${dataset.length} ${split} images ${count === 1 ? "is" : "are"} identical to images of ${other}: what is measured on them is too good. Keep one of each.`,
      );
    }
  }
  if (torn.size > 0) {
    const images = torn.size === 1 ? "1 image is" : `${torn.size} images are`;
    onWarning(`${path}: ${images} there under two classes, as identical files: ${example}, for one.`);
  }
}

function labelsAt({ labels, length }: LabelledImages, index: number): string {
  const width = labels.length / length;
  return labels.subarray(index * width, (index + 1) * width).join();
}
