/**
 * Which images a data set holds, whatever their files are called and wherever they are: a hash of each image, and one of all.
 * By them a run notices images that were replaced and goes on with a data set that was moved, and a checkpoint knows the data
 * that it was trained on. Copies are found by another hash, of what was decoded (`splitting/leaks.ts`).
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
  return Array.isArray(classes) && splitNames.every((name) => isSplitIdentity(splits[name]));
}

/** The same of one split. */
export function isSplitIdentity(value: unknown): value is SplitIdentity {
  const { images, labelsChecksum, contents } = (value ?? {}) as Partial<SplitIdentity>;
  return typeof images === "number" && typeof labelsChecksum === "number" && typeof contents === "string";
}

const atOnce = 16;
const digits = 16; // Of a hash, 4 bits each: enough for a billion images.

/** A hash of each image: of the bytes that it is read from where the data set has them, of the sample otherwise. */
export const contentsOf = rememberedHashes(
  async (dataset, index) =>
    dataset.contentHash?.(index)?.slice(0, digits) ??
    hashOf((await dataset.content?.(index)) ?? (await dataset.sample(index)).data),
);

/** A hash of each picture as it is decoded to its working size: the same for the same picture in files of two formats. */
export const fingerprintsOf = rememberedHashes(
  async (dataset, index) =>
    (await dataset.fingerprint?.(index)) ?? hashOf((await dataset.sample(index)).data),
);

type Hashes = (dataset: LabelledImages, signal?: AbortSignal) => Promise<readonly string[]>;

/** All hashes of a data set, made once. */
function rememberedHashes(hash: (dataset: LabelledImages, index: number) => Promise<string>): Hashes {
  const known = new WeakMap<LabelledImages, Promise<readonly string[]>>();
  const all = async (dataset: LabelledImages, signal?: AbortSignal): Promise<readonly string[]> => {
    const hashes: string[] = [];
    while (hashes.length < dataset.length) {
      signal?.throwIfAborted();
      const length = Math.min(atOnce, dataset.length - hashes.length);
      const next = Array.from({ length }, (_, i) => hash(dataset, hashes.length + i));
      hashes.push(...(await Promise.all(next)));
    }
    return hashes;
  };
  return (dataset, signal) => {
    const found = known.get(dataset);
    if (found) return found;
    const hashes = all(dataset, signal);
    known.set(dataset, hashes);
    hashes.catch(() => known.delete(dataset));
    return hashes;
  };
}

/** 16 digits of the SHA-256 of some bytes. */
export const hashOf = (data: ArrayBufferView): string => contentHash(data).slice(0, digits);

/** SHA-256 of bytes in hexadecimal digits, and of a number behind them where a file has several pictures. */
export function contentHash({ buffer, byteOffset, byteLength }: ArrayBufferView, frame = 0): string {
  const hash = createHash("sha256").update(new Uint8Array(buffer, byteOffset, byteLength));
  return (frame === 0 ? hash : hash.update(frameMark(frame))).digest("hex");
}

/** The same for several pictures of one file, whose bytes are gone through once. */
export function contentHashes({
  buffer,
  byteOffset,
  byteLength,
}: ArrayBufferView): (frame: number) => string {
  const hash = createHash("sha256").update(new Uint8Array(buffer, byteOffset, byteLength));
  return (frame) => {
    const own = hash.copy();
    return (frame === 0 ? own : own.update(frameMark(frame))).digest("hex");
  };
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
