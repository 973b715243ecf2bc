/**
 * MedMNIST archives: a zip of train, val and test images and labels as .npy arrays.
 *
 * The archive is read entry by entry in pieces, decompressed on zlib's threads, straight into the memory it stays in:
 * the 224-pixel sets run to 13 GB, more than one buffer can hold and far more than should pass through twice. Hence
 * images lie in blocks of whole images.
 */
import { crc32 } from "node:zlib";
import type { Entry, ZipFile } from "yauzl";
import { DataError } from "../../errors.js";
import { openZipFile } from "../../files/zip-reader.js";
import { messageOf } from "../../settings/realms.js";
import { breathe } from "../concurrency.js";
import { classNumbers, zerosAndOnes } from "../labels.js";
import { type SplitName, splitNames } from "../splitting/split-names.js";
import type { PixelBlocks } from "./arrays.js";
import { medMnistOf } from "./medmnist/files.js";
import { type NpyHeader, npyElementSize, parseNpyHeader, readNpyNumbers } from "./npy.js";
import { type Archive, expectSeveralClasses, type LabelledPixels, type SourceOptions } from "./source.js";

/** What deflate makes of a byte at most. */
const mostDeflated = 1032;

/** More than any archive of images has; labels of more would swell to gigabytes before an image is read. */
const mostImages = 2 ** 26;

const blockBytes = 64 << 20;

const keysOf = (split: SplitName): [images: string, labels: string] => [`${split}_images`, `${split}_labels`];

export async function readArchive(
  path: string,
  { classes, split, signal }: Pick<SourceOptions, "classes" | "split" | "signal">,
): Promise<Archive> {
  const zip = await openZip(path);
  try {
    const entries = await listEntries(path, zip);
    // Labels of all splits are read even if one is wanted: they are small, and together they tell the classes.
    const labels = new Map<SplitName, ArchiveLabels>();
    const present = splitNames.filter((name) => entries.has(keysOf(name)[0]));
    if (split === undefined && !present.includes("train")) throw incomplete(path, entries);
    for (const name of present) {
      const [images, own] = keysOf(name).map((key) => new ArraySource(path, zip, key, entries, signal));
      if (images && own) labels.set(name, await readLabels(own, await countImages(images), classes?.length));
    }
    const { task, classes: names } = describeLabels(path, labels, classes);
    expectSeveralClasses(path, names);
    const arrays: Partial<Record<SplitName, LabelledPixels>> = {};
    // Where val or test have none, they are drawn from train, which all three depend on then.
    const isDrawn = present.includes("train") && present.length < splitNames.length;
    const wanted = present.filter((name) => split === undefined || split === name || isDrawn);
    for (const name of wanted) {
      const [imagesKey] = keysOf(name);
      const pixels = await readPixels(new ArraySource(path, zip, imagesKey, entries, signal));
      const own = labels.get(name)?.values ?? new Int32Array(0);
      arrays[name] = { pixels, labels: own };
    }
    return { classes: names, ...(task && { task }), arrays };
  } finally {
    zip.close();
  }
}

async function openZip(path: string): Promise<ZipFile> {
  try {
    return await openZipFile(path);
  } catch (error) {
    throw new DataError(
      `${path} is not a whole .npz file; it may have been cut off in transfer: get it again.`,
      {
        cause: error,
      },
    );
  }
}

async function listEntries(path: string, zip: ZipFile): Promise<Map<string, Entry>> {
  const entries = new Map<string, Entry>();
  try {
    for await (const entry of zip.eachEntry()) entries.set(entry.fileName.replace(/\.npy$/, ""), entry);
  } catch (error) {
    throw new DataError(`${path} is damaged: ${reason(error)}; get it again.`, { cause: error });
  }
  // Whoever judges a model may have test images alone; images without labels, or the reverse, are a mistake.
  const halves = splitNames.map((name) => keysOf(name).filter((key) => entries.has(key)).length);
  if (halves.includes(1) || !halves.includes(2)) throw incomplete(path, entries);
  return entries;
}

function incomplete(path: string, entries: ReadonlyMap<string, Entry>): DataError {
  const found = entries.size > 0 ? [...entries.keys()].join(", ") : "nothing";
  const expected = splitNames.flatMap(keysOf).join(", ");
  return new DataError(
    `${path}: found the arrays ${found}; expected ${expected}, as in MedMNIST; to judge a model, those of test alone will do.`,
  );
}

const reason = (error: unknown): string => messageOf(error).replace(/\.$/, "");

/** One array of an archive, on its way in. */
class ArraySource {
  constructor(
    readonly path: string,
    private readonly zip: ZipFile,
    readonly key: string,
    private readonly entries: ReadonlyMap<string, Entry>,
    private readonly signal: AbortSignal | undefined,
  ) {}

  error(message: string, cause?: unknown): DataError {
    return new DataError(`${this.path}: ${this.key} ${message}.`, { cause });
  }

  /** What the array says of itself, without the elements. */
  async header(): Promise<NpyHeader> {
    let found: NpyHeader | undefined;
    await this.stream((header) => {
      found = header;
      return undefined;
    });
    if (!found) throw this.error("is damaged: it ends too early");
    return found;
  }

  /** Streams the array: `allocate` sees the header and returns the memory that the elements fill in turn. */
  async read(allocate: (header: NpyHeader) => readonly Uint8Array[]): Promise<void> {
    const target = await this.stream((header) => {
      this.expectSize(header);
      return new Target(allocate(header));
    });
    if (!target?.full) throw this.error("is damaged: it ends too early");
  }

  /** What the header declares is compared with what the archive holds before memory is taken for it. */
  private expectSize({ shape, dtype, length }: NpyHeader): void {
    const entry = this.entries.get(this.key);
    const size = npyElementSize(dtype);
    if (!entry || size === undefined) return; // refused by whoever allocates
    const declared = shape.reduce((product, extent) => product * extent, size) + length;
    if (declared > entry.uncompressedSize) {
      throw this.error(
        `is damaged: it ends too early: its header declares ${declared} bytes, but ${entry.uncompressedSize} are there`,
      );
    }
    if (declared < entry.uncompressedSize) throw this.error("is damaged: it is longer than its header says");
    if (entry.uncompressedSize > entry.compressedSize * mostDeflated + 64)
      throw this.error("is damaged: no data of its size can be packed into so few bytes");
  }

  private async stream(begin: (header: NpyHeader) => Target | undefined): Promise<Target | undefined> {
    let target: Target | undefined;
    let head = new Uint8Array(0);
    try {
      for await (const chunk of this.chunks()) {
        if (target) {
          target.write(chunk);
          continue;
        }
        head = Buffer.concat([head, chunk]);
        const header = parseNpyHeader(head);
        if (!header) continue;
        target = begin(header);
        if (!target) return undefined;
        target.write(head.subarray(header.length));
      }
    } catch (error) {
      this.signal?.throwIfAborted();
      if (error instanceof DataError) throw error;
      throw this.error(`is damaged: ${reason(error)}`, error);
    }
    return target;
  }

  private async *chunks(): AsyncGenerator<Uint8Array> {
    const entry = this.entries.get(this.key);
    if (!entry) return;
    let sum = 0;
    for await (const item of await this.zip.openReadStreamPromise(entry)) {
      this.signal?.throwIfAborted();
      const chunk = item as Uint8Array;
      sum = crc32(chunk, sum);
      yield chunk;
      await breathe();
    }
    if (sum !== entry.crc32) throw new Error("its checksum is wrong");
  }
}

/** Memory in several pieces, written from front to back. */
class Target {
  private piece = 0;
  private at = 0;

  constructor(private readonly pieces: readonly Uint8Array[]) {}

  get full(): boolean {
    return this.piece === this.pieces.length;
  }

  write(bytes: Uint8Array): void {
    let rest = bytes;
    while (rest.length > 0) {
      const piece = this.pieces[this.piece];
      if (!piece) throw new Error("it is longer than its header says");
      const part = rest.subarray(0, piece.length - this.at);
      piece.set(part, this.at);
      this.at += part.length;
      rest = rest.subarray(part.length);
      if (this.at < piece.length) continue;
      this.piece += 1;
      this.at = 0;
    }
  }
}

async function countImages(source: ArraySource): Promise<number> {
  const header = await source.header();
  expectImages(source, header);
  return header.shape[0] ?? 0;
}

/** The labels of a split: class numbers, or of several labels an image a 0 or 1 for each. */
interface ArchiveLabels {
  /** Labels of an image. */
  readonly width: number;
  readonly values: Int32Array;
}

async function readLabels(
  source: ArraySource,
  images: number,
  classCount: number | undefined,
): Promise<ArchiveLabels> {
  let dtype = "";
  let width = 1;
  let bytes = new Uint8Array(0);
  await source.read((header) => {
    const [count = 0, ...widths] = header.shape;
    width = widths[0] ?? 1;
    if (header.shape.length === 0 || widths.length > 1 || width < 1) {
      throw source.error(
        `has shape (${header.shape.join(", ")}), but one label an image is expected, (n) or (n, 1), or several, (n, labels)`,
      );
    }
    const size = npyElementSize(header.dtype);
    if (size === undefined) throw source.error(`is of type ${header.dtype}; labels must be integers`);
    if (count !== images) {
      const labelsKey = source.key;
      const imagesKey = labelsKey.replace("_labels", "_images");
      throw new DataError(
        `${source.path}: ${imagesKey} has ${images} images but ${labelsKey} has ${count} labels.`,
      );
    }
    if (width > 1 && header.fortranOrder)
      throw source.error("is in Fortran order; save it with numpy.ascontiguousarray");
    if (count * width > mostImages)
      throw source.error(`has ${count * width} labels, and at most ${mostImages} are read`);
    dtype = header.dtype;
    bytes = new Uint8Array(count * width * size);
    return [bytes];
  });
  const problem = (message: string) => source.error(message);
  const numbers = readNpyNumbers(dtype, bytes);
  const values =
    width > 1 ? zerosAndOnes(numbers, width, problem) : classNumbers(numbers, classCount, problem);
  return { width, values };
}

/** What the labels mean: the names that were asked for, those of MedMNIST where the file is of it, or numbers. */
function describeLabels(
  path: string,
  labels: ReadonlyMap<SplitName, ArchiveLabels>,
  classes: readonly string[] | undefined,
): Pick<Archive, "classes" | "task"> {
  const [first = 1, ...others] = [...labels.values()].map(({ width }) => width);
  if (others.some((width) => width !== first))
    throw new DataError(`${path}: its splits have ${[first, ...others].join(", ")} labels an image.`);
  const several = first > 1;
  if (several && classes !== undefined && classes.length !== first)
    throw new DataError(`${path} has ${first} labels an image, and ${classes.length} classes are expected.`);
  const numbered = several
    ? Array.from({ length: first }, (_, label) => String(label))
    : (classes ?? nameClasses(path, new Map([...labels].map(([split, { values }]) => [split, values]))));
  const set = medMnistOf(path)?.set;
  const isOfSet = set?.classes.length === numbered.length && (set.task === "multi-label") === several;
  // Of two classes or more that exclude each other, their number says all there is to say.
  const task = several ? "multi-label" : isOfSet && set.task === "ordinal" ? "ordinal" : undefined;
  return { classes: classes ?? (isOfSet ? set.classes : numbered), ...(task === undefined ? {} : { task }) };
}

/** "0", "1", ... up to the largest label of the training images, or what there is; a label beyond those is a mistake. */
function nameClasses(path: string, labels: ReadonlyMap<SplitName, Int32Array>): string[] {
  const largest = (of: Int32Array): number => of.reduce((a, b) => Math.max(a, b), 0);
  const [first, own = new Int32Array(0)] = [...labels][0] ?? ["train"]; // train, if it is there
  const last = largest(own);
  if (last >= own.length) {
    throw new DataError(
      `${path}: ${first}_labels is out of range: it holds ${last}, but there are only ${own.length} images.`,
    );
  }
  for (const [split, values] of labels) {
    const beyond = largest(values);
    if (beyond <= last) continue;
    throw new DataError(
      `${path}: ${split}_labels is out of range: it holds ${beyond}, but ${first}_labels holds only 0 to ${last}.`,
    );
  }
  return Array.from({ length: last + 1 }, (_, label) => String(label));
}

/** @throws DataError if an array is none of images */
function expectImages(source: ArraySource, { dtype, shape, fortranOrder }: NpyHeader): void {
  if (dtype !== "|u1") throw source.error(`is of type ${dtype}; images must be of type uint8`);
  const [count = 0, height = 0, width = 0, channels = 1, ...rest] = shape;
  if (shape.length < 3 || rest.length > 0 || height * width === 0 || (channels !== 1 && channels !== 3)) {
    throw source.error(
      `has shape (${shape.join(", ")}), but images are (n, height, width) or (n, height, width, 3)`,
    );
  }
  if (fortranOrder) throw source.error("is in Fortran order; save it with numpy.ascontiguousarray");
  if (count === 0) throw source.error("is empty");
  if (count > mostImages) {
    throw source.error(
      `has ${count} images, and at most ${mostImages} are read: divide it, or use data.fromArrays`,
    );
  }
}

async function readPixels(source: ArraySource): Promise<PixelBlocks> {
  let pixels: PixelBlocks | undefined;
  await source.read((header) => {
    expectImages(source, header);
    const [count = 0, height = 0, width = 0, channels = 1] = header.shape;
    const imageBytes = height * width * channels;
    const imagesPerBlock = Math.max(1, Math.floor(blockBytes / imageBytes));
    const blocks: Uint8Array[] = [];
    for (let first = 0; first < count; first += imagesPerBlock) {
      blocks.push(new Uint8Array(Math.min(imagesPerBlock, count - first) * imageBytes));
    }
    pixels = { count, height, width, channels: channels as 1 | 3, imagesPerBlock, blocks };
    return blocks;
  });
  if (!pixels) throw source.error("is damaged: it has no header");
  return pixels;
}
