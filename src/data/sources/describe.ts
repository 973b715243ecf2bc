/** What an archive, a table or a folder holds, before anything of it is decoded. */
import { basename, extname } from "node:path";
import type { Entry, ZipFile } from "yauzl";
import { DataError } from "../../errors.js";
import { openZipFile } from "../../files/zip-reader.js";
import type { Facts } from "../facts.js";
import { type SplitName, splitNames } from "../splitting/split-names.js";
import { listFolder } from "./folder.js";
import { tableIn } from "./folder-table.js";
import { listManifest } from "./manifest.js";
import { type NpyHeader, npyElementSize, parseNpyHeader, readNpyNumbers } from "./npy.js";
import type { Listing, SourceOptions } from "./source.js";
import { readTable } from "./table.js";
import { searchFolder } from "./walk.js";

/** Arrays that are described; archives of images have six. */
const mostArrays = 64;
/** Bytes of labels that are counted. */
const mostLabelBytes = 2 ** 24;
/** Labels that are told apart; numbers of more kinds are none. */
const mostLabels = 1000;
/** What deflate makes of a byte at most. */
const mostDeflated = 1032;

/** Why something is no data set may name files and folders, and those may be called after patients. */
const refused = "no, or not without options: `medmamba audit` says why";

/** Nobody is told of what is odd: it is said when the data set is opened. */
const quietly: SourceOptions = {
  classes: undefined,
  split: undefined,
  onWarning: () => {},
  signal: undefined,
};

/**
 * An .npz file: its arrays, and where it is a data set, images and labels of its splits.
 *
 * @throws DataError if it is no zip file, or damaged
 */
export async function describeArchive(path: string): Promise<Facts> {
  const zip = await openZipFile(path).catch((cause: Error) => {
    throw new DataError(`${path} is not a whole .npz file: ${cause.message}.`, { cause });
  });
  try {
    const entries: Entry[] = [];
    for await (const entry of zip.eachEntry())
      if (entry.fileName.endsWith(".npy") && entries.length < mostArrays) entries.push(entry);
    const arrays: Record<string, string> = {};
    const labels: Record<string, Facts | undefined> = {};
    for (const entry of entries) {
      const name = entry.fileName.replace(/\.npy$/, "");
      const { header, elements } = await readEntry(zip, entry, name.endsWith("_labels"));
      arrays[name] = `${header.shape.join(" x ") || "1"} ${typeName(header.dtype)}`;
      if (elements) labels[name.replace(/_labels$/, "")] = countedLabels(header, elements);
    }
    return { arrays, ...(Object.keys(labels).length > 0 && { labels }) };
  } catch (error) {
    if (error instanceof DataError) throw error;
    throw new DataError(`${path} is damaged: ${(error as Error).message}.`, { cause: error });
  } finally {
    zip.close();
  }
}

/** NumPy's name of a type, such as "uint8" for "|u1"; other types as they are written. */
function typeName(dtype: string): string {
  const [, kind = "", bytes] = /^[<>|=]([buif])(\d+)$/.exec(dtype) ?? [];
  const name = { b: "bool", u: "uint", i: "int", f: "float" }[kind];
  return name === undefined ? dtype : name === "bool" ? name : `${name}${8 * Number(bytes)}`;
}

/** The header of an array; and its elements if they are wanted, few enough, and there. */
async function readEntry(
  zip: ZipFile,
  entry: Entry,
  wanted: boolean,
): Promise<{ header: NpyHeader; elements?: Uint8Array }> {
  const isSmall =
    entry.uncompressedSize <= Math.min(mostLabelBytes, entry.compressedSize * mostDeflated + 64);
  const chunks: Uint8Array[] = [];
  let header: NpyHeader | undefined;
  for await (const chunk of await zip.openReadStreamPromise(entry)) {
    chunks.push(chunk as Uint8Array);
    header ??= parseNpyHeader(Buffer.concat(chunks));
    if (header && !(wanted && isSmall)) return { header };
  }
  if (!header) throw new Error(`${entry.fileName} ends too early`);
  const size = header.shape.reduce((product, extent) => product * extent, npyElementSize(header.dtype) ?? 0);
  const elements = Buffer.concat(chunks).subarray(header.length);
  return size > 0 && elements.length === size ? { header, elements } : { header };
}

/** Images of each class; where an image has several labels, of each label. */
function countedLabels({ shape, dtype }: NpyHeader, elements: Uint8Array): Facts | undefined {
  const [, width = 1] = shape;
  const numbers = readNpyNumbers(dtype, elements);
  const counts = new Map<number, number>();
  for (let i = 0; i < numbers.length; ++i) {
    const value = numbers[i] as number;
    if (width > 1 && value === 0) continue;
    const label = width > 1 ? i % width : value;
    counts.set(label, (counts.get(label) ?? 0) + 1);
    if (counts.size > mostLabels) return undefined;
  }
  const sorted = [...counts].sort(([a], [b]) => a - b);
  return Object.fromEntries(sorted.map(([label, count]) => [String(label), count]));
}

/**
 * A table: its columns and lines, and where it is a manifest, its classes and splits.
 *
 * @throws DataError naming the file, and the line where it has one, if it is no table
 */
export async function describeTable(path: string): Promise<Facts> {
  let columns: readonly string[] | undefined;
  let lines = 0;
  for await (const { cells } of readTable(path)) {
    if (columns) lines += 1;
    else columns = cells;
  }
  const facts = { columns: columns ?? [], lines };
  try {
    return { ...facts, ...listed(await listManifest(path, quietly)) };
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    return { ...facts, dataSet: refused };
  }
}

/**
 * A folder: its images, and where it is a data set, its classes and splits, and the table in it that says so.
 *
 * @throws what the file system says of it
 */
export async function describeFolder(path: string): Promise<Facts> {
  try {
    const table = await tableIn(path);
    if (table === undefined) return listed(await listFolder(path, quietly));
    return { table: basename(table), ...listed(await listManifest(table, quietly)) };
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    const { images, others } = await searchFolder(path);
    const endings = [...new Set(images.map((file) => extname(file).toLowerCase()))].sort();
    return { images: images.length, endings, otherFiles: others.length, dataSet: refused };
  }
}

function listed({ classes, splits, undivided }: Listing): Facts {
  const divided = splitNames.filter((name) => splits[name]);
  const images: Facts = Object.fromEntries(
    divided.map((name: SplitName) => [name, splits[name]?.length ?? 0]),
  );
  return { classes, images: undivided ? undivided.length : images, divided: !undivided };
}
