/**
 * The safetensors format: 8 bytes of header length (little-endian), a JSON header, then the bytes of all tensors.
 * The header maps each name to `{ dtype, shape, data_offsets: [begin, end) }`, counted from the end of the header, and
 * `__metadata__` to a map of strings. The tensors must cover the bytes exactly: no overlap, no hole, nothing after.
 *
 * A file may come from anywhere, so nothing in it is believed before it is checked against the file's size, and
 * nothing is allocated that the file does not hold. This file knows bytes only; tensors on devices are made elsewhere.
 *
 * @see https://github.com/huggingface/safetensors#format
 */
import { type FileHandle, open, stat } from "node:fs/promises";
import { ArgumentError, WeightsError } from "../errors.js";
import { optionsOf } from "../settings/given.js";
import { type Path, pathOf } from "../settings/paths.js";
import { readFully, replaceFile, writeFully } from "./atomic-file.js";
import { dtypeBytes, dtypeCode, dtypeOfCode, dtypeOrder, isStoredDtype, type StoredDtype } from "./dtypes.js";
import { weightsError } from "./file-errors.js";
import { refuseByKind } from "./impostors.js";
import { parseStrictJson, type StrictJson, TooManyKeys } from "./strict-json.js";

/** What the header says about one tensor. */
export interface TensorEntry {
  /** Type of the elements in the file. */
  readonly dtype: StoredDtype;
  /** Extents of the axes. */
  readonly shape: readonly number[];
  /** First byte, and the byte after the last, counted from the end of the header. */
  readonly begin: number;
  /** See `begin`. */
  readonly end: number;
}

/** What the header of a file says about all of it. */
export interface SafetensorsHeader {
  /** Has no prototype, so that any key is safe to look up. */
  readonly metadata: Record<string, string>;
  /** In the order of the bytes. */
  readonly tensors: Map<string, TensorEntry>;
}

export interface StoredTensor {
  readonly dtype: StoredDtype;
  readonly shape: readonly number[];
  /** Little-endian elements, row-major, in a buffer of their own: any typed array can view it. */
  readonly data: Uint8Array<ArrayBuffer>;
}

/** What {@link writeTensors} takes: the elements of `data` are only bytes to it. */
export interface TensorToStore {
  readonly dtype: StoredDtype;
  readonly shape: readonly number[];
  readonly data: ArrayBufferView;
}

/** What bounds the reading of a file. */
export interface HeaderLimit {
  /**
   * Bytes that a header may have, and for every 160 of them the name of a tensor; 16,000,000 or MEDMAMBA_MAX_HEADER_BYTES
   * unless told.
   */
  readonly maxHeaderBytes?: number | undefined;
}

const lengthBytes = 8;
/** The largest networks' headers have a tenth of it; more is parsed for seconds. */
const ordinaryHeaderBytes = 16_000_000;
/** As a header takes at least for a tensor with a name of its own. */
const bytesOfName = 160;
const howToRaise = "raise the option maxHeaderBytes or MEDMAMBA_MAX_HEADER_BYTES if it is whole";
const metadataKey = "__metadata__";

/**
 * Reads and checks the header only; cheap however large the file is.
 *
 * @throws WeightsError naming the file, if it is missing, truncated, or not a well-formed safetensors file
 */
export async function readHeader(path: Path, limit: HeaderLimit = {}): Promise<SafetensorsHeader> {
  optionsOf("safetensors.readHeader", limit, { maxHeaderBytes: true });
  return withFile(pathOf("safetensors", path), limit, async (_file, { metadata, tensors }) => ({
    metadata,
    tensors,
  }));
}

/**
 * Reads every tensor, in the order of the bytes. Peak memory is the size of the file.
 *
 * @throws WeightsError as {@link readHeader}
 */
export async function readTensors(
  location: Path,
  limit: HeaderLimit = {},
): Promise<Map<string, StoredTensor>> {
  const path = pathOf("safetensors", location);
  return withFile(path, limit, async (file, { tensors, dataStart }) => {
    const result = new Map<string, StoredTensor>();
    for (const [name, { dtype, shape, begin, end }] of tensors) {
      const data = new Uint8Array(end - begin);
      if ((await readFully(file, data, dataStart + begin)) < data.byteLength) {
        throw new WeightsError(`${path}: the file became shorter while tensor ${quoted(name)} was read.`);
      }
      result.set(name, { dtype, shape, data });
    }
    return result;
  });
}

/**
 * Writes a file that holds `entries`, replacing an existing one only when the new one is complete on the disk.
 *
 * The order of tensors and keys is fixed (element type as in the reference implementation, then name; metadata by
 * key), so equal contents give equal bytes. Data is written from where it lies, without a copy, and must not change
 * until the promise settles.
 *
 * @param metadata  strings by key; default none
 * @throws WeightsError if a name occurs twice or is reserved, a shape or dtype does not fit its data, or the file
 *   cannot be written; then an existing file is left as it was
 */
export async function writeTensors(
  location: Path,
  entries: Iterable<readonly [string, TensorToStore]>,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  const path = pathOf("safetensors", location);
  const tensors = [...entries].sort(inFileOrder);
  const header = encodeHeader(path, tensors, metadata);
  try {
    await replaceFile(path, async (file) => {
      await writeFully(file, header);
      for (const [, { data }] of tensors) {
        await writeFully(file, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
      }
    });
  } catch (error) {
    throw weightsError(path, error);
  }
}

// ---- reading ----------------------------------------------------------------------------------------------------

interface OpenedFile extends SafetensorsHeader {
  /** Where in the file the tensors' bytes begin. */
  readonly dataStart: number;
}

/** Says in one sentence why the file is refused. */
type Refuse = (reason: string) => never;

async function withFile<T>(
  path: string,
  limit: HeaderLimit,
  use: (file: FileHandle, opened: OpenedFile) => Promise<T>,
): Promise<T> {
  const allowed = headerBytesAllowed(limit);
  try {
    // Asked before opening, because opening a pipe for reading waits for its writer.
    const kind = await stat(path);
    if (kind.isDirectory()) throw new WeightsError(`${path}: is a directory, not a file.`);
    if (!kind.isFile()) throw new WeightsError(`${path}: is not a regular file.`);
    const file = await open(path, "r");
    try {
      return await use(
        file,
        await openHeader(path, file, allowed).catch((error) => refuseByKind(path, file, error)),
      );
    } finally {
      await file.close();
    }
  } catch (error) {
    throw weightsError(path, error);
  }
}

/** @throws ArgumentError if a bound is none */
function headerBytesAllowed({ maxHeaderBytes }: HeaderLimit = {}): number {
  const variable = process.env.MEDMAMBA_MAX_HEADER_BYTES;
  const [name, value] =
    maxHeaderBytes === undefined && variable
      ? (["MEDMAMBA_MAX_HEADER_BYTES", Number(variable)] as const)
      : (["maxHeaderBytes", maxHeaderBytes ?? ordinaryHeaderBytes] as const);
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new ArgumentError(`${name} ${value} is not a whole number of bytes above 0.`);
}

async function openHeader(path: string, file: FileHandle, allowed: number): Promise<OpenedFile> {
  const refuse: Refuse = (reason) => {
    throw new WeightsError(`${path}: ${reason}.`);
  };
  const { size } = await file.stat();
  if (size === 0) refuse("the file is empty");
  if (size < lengthBytes) refuse(`not a safetensors file: it has only ${size} bytes`);
  const prefix = new Uint8Array(lengthBytes);
  await readFully(file, prefix, 0);
  const headerBytes = Number(new DataView(prefix.buffer).getBigUint64(0, true));
  if (headerBytes > allowed) {
    const most = allowed === ordinaryHeaderBytes ? "16 MB" : allowed;
    const advice = lengthBytes + headerBytes <= size ? `: ${howToRaise}` : "";
    refuse(
      `not a safetensors file: its header would have ${headerBytes} bytes, and at most ${most} are read${advice}`,
    );
  }
  const dataStart = lengthBytes + headerBytes;
  if (dataStart > size) {
    refuse(
      `truncated: the header should have ${headerBytes} bytes, but only ${size - lengthBytes} are there`,
    );
  }
  const encoded = new Uint8Array(headerBytes);
  if ((await readFully(file, encoded, lengthBytes)) < headerBytes)
    refuse("the file became shorter while it was read");
  const header = decodeHeader(encoded, allowed, refuse);
  checkCoverage(header.tensors, size - dataStart, refuse);
  return { ...header, dataStart };
}

function decodeHeader(encoded: Uint8Array, allowed: number, refuse: Refuse): SafetensorsHeader {
  let root: StrictJson;
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(encoded);
    root = parseStrictJson(text, { maximumKeys: Math.max(1000, Math.floor(allowed / bytesOfName)) });
  } catch (error) {
    if (error instanceof TooManyKeys) return refuse(`the header has ${error.message}: ${howToRaise}`);
    return refuse(`the header is not valid JSON: ${(error as Error).message}`);
  }
  if (!(root instanceof Map)) return refuse("the header is not a JSON object");
  const metadata = decodeMetadata(root.get(metadataKey), refuse);
  root.delete(metadataKey);
  const tensors = [...root].map(([name, value]) => [name, decodeEntry(name, value, refuse)] as const);
  tensors.sort(([, a], [, b]) => a.begin - b.begin || a.end - b.end);
  return { metadata, tensors: new Map(tensors) };
}

function decodeMetadata(value: StrictJson | undefined, refuse: Refuse): Record<string, string> {
  const metadata = Object.create(null) as Record<string, string>;
  if (value === undefined) return metadata;
  if (!(value instanceof Map)) return refuse(`${metadataKey} is not a JSON object`);
  for (const [key, text] of value) {
    if (typeof text !== "string") return refuse(`${metadataKey} holds ${quoted(key)}, which is not a string`);
    metadata[key] = text;
  }
  return metadata;
}

function decodeEntry(name: string, value: StrictJson, refuse: Refuse): TensorEntry {
  const tensor = `tensor ${quoted(name)}`;
  if (!(value instanceof Map)) return refuse(`${tensor} is not described by a JSON object`);
  for (const field of ["dtype", "shape", "data_offsets"]) {
    if (!value.has(field)) return refuse(`${tensor} has no "${field}"`);
  }
  const code = value.get("dtype");
  const dtype = typeof code === "string" ? dtypeOfCode(code) : undefined;
  if (dtype === undefined) return refuse(`${tensor} has the unknown dtype ${quoted(code)}`);
  const shape = value.get("shape");
  if (!isCounts(shape))
    return refuse(`${tensor} has the shape ${quoted(shape)}, which is not a list of sizes`);
  const offsets = value.get("data_offsets");
  if (!isCounts(offsets) || offsets.length !== 2) {
    return refuse(`${tensor} has the data_offsets ${quoted(offsets)}, which are not two positions`);
  }
  const [begin, end] = offsets as [number, number];
  const bytes = byteLength(dtype, shape);
  if (end - begin !== bytes) {
    return refuse(
      `${tensor} is ${describe(dtype, shape)} and needs ${bytes} bytes, but its data_offsets span ${end - begin}`,
    );
  }
  return { dtype, shape, begin, end };
}

/** The tensors, sorted by where they begin, must follow each other from the first byte to the last. */
function checkCoverage(tensors: ReadonlyMap<string, TensorEntry>, dataBytes: number, refuse: Refuse): void {
  let covered = 0;
  for (const [name, { begin, end }] of tensors) {
    if (end > dataBytes) {
      refuse(
        `truncated: tensor ${quoted(name)} ends at byte ${end} of the data, but only ${dataBytes} bytes are there`,
      );
    }
    if (begin < covered)
      refuse(`tensor ${quoted(name)} begins at byte ${begin} and overlaps the one that ends at ${covered}`);
    if (begin > covered)
      refuse(`bytes ${covered} to ${begin} before tensor ${quoted(name)} belong to no tensor`);
    covered = end;
  }
  if (covered !== dataBytes) refuse(`${dataBytes - covered} bytes after the last tensor belong to no tensor`);
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
const isCounts = (value: unknown): value is number[] => Array.isArray(value) && value.every(isCount);

// ---- writing ----------------------------------------------------------------------------------------------------

type NamedTensor = readonly [string, TensorToStore];

/** Names are compared by their UTF-8 bytes, as the reference implementation does. */
function inFileOrder([nameA, a]: NamedTensor, [nameB, b]: NamedTensor): number {
  return dtypeOrder(b.dtype) - dtypeOrder(a.dtype) || Buffer.compare(Buffer.from(nameA), Buffer.from(nameB));
}

/** The length, the header and the spaces that make the data begin at a multiple of 8. */
function encodeHeader(
  path: string,
  tensors: NamedTensor[],
  metadata: Readonly<Record<string, string>>,
): Uint8Array {
  const members: string[] = [];
  const add = (key: string, value: unknown) =>
    members.push(`${JSON.stringify(key)}:${JSON.stringify(value)}`);
  const texts = Object.entries(metadata).sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  for (const [key, text] of texts) {
    if (typeof text !== "string") throw new WeightsError(`${path}: metadata ${quoted(key)} is not a string.`);
  }
  if (texts.length > 0) {
    members.push(
      `"${metadataKey}":{${texts.map((pair) => pair.map((text) => JSON.stringify(text)).join(":")).join(",")}}`,
    );
  }
  const names = new Set<string>([metadataKey]);
  let offset = 0;
  for (const [name, tensor] of tensors) {
    if (names.has(name)) {
      throw new WeightsError(
        `${path}: the name ${quoted(name)} is ${name === metadataKey ? "reserved" : "given twice"}.`,
      );
    }
    names.add(name);
    const bytes = checkedBytes(path, name, tensor);
    add(name, {
      dtype: dtypeCode(tensor.dtype),
      shape: tensor.shape,
      data_offsets: [offset, offset + bytes],
    });
    offset += bytes;
  }
  const json = Buffer.from(`{${members.join(",")}}`);
  const padded = Math.ceil(json.byteLength / 8) * 8;
  const allowed = headerBytesAllowed();
  if (padded > allowed) {
    throw new WeightsError(
      `${path}: the header would have ${padded} bytes, and at most ${allowed} are written: raise MEDMAMBA_MAX_HEADER_BYTES.`,
    );
  }
  const header = Buffer.alloc(lengthBytes + padded, " ");
  header.writeBigUInt64LE(BigInt(padded));
  json.copy(header, lengthBytes);
  return header;
}

function checkedBytes(path: string, name: string, { dtype, shape, data }: TensorToStore): number {
  const tensor = `${path}: tensor ${quoted(name)}`;
  if (!isStoredDtype(dtype)) throw new WeightsError(`${tensor} has the unknown dtype ${quoted(dtype)}.`);
  if (!isCounts(shape))
    throw new WeightsError(`${tensor} has the shape ${quoted(shape)}, which is not a list of sizes.`);
  const bytes = byteLength(dtype, shape);
  if (bytes !== data.byteLength) {
    throw new WeightsError(
      `${tensor} is ${describe(dtype, shape)} and needs ${bytes} bytes, but its data has ${data.byteLength}.`,
    );
  }
  return bytes;
}

// ---- both -------------------------------------------------------------------------------------------------------

/** Past 2^53 this is inexact, but then no file can match it either. */
const byteLength = (dtype: StoredDtype, shape: readonly number[]): number =>
  shape.reduce((product, size) => product * size, dtypeBytes(dtype));

const describe = (dtype: StoredDtype, shape: readonly number[]): string => `${dtype} (${shape.join(", ")})`;

/** A value from the file as a message shows it: quoted, and cut where it is long. */
function quoted(value: unknown): string {
  const text = JSON.stringify(value instanceof Map ? Object.fromEntries(value) : value) ?? "undefined";
  return text.length > 120 ? `${text.slice(0, 117)}...` : text;
}
