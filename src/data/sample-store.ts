/**
 * Decoded images on disk, so that the next process need not decode them. A sample is found by what it was made of and how: the
 * bytes of its file, the number of the picture, the preprocessing, and the version of this package. So nothing in there is ever
 * out of date, and no name is in it, of a file or of a patient; the pictures themselves are, hence only their owner may read.
 *
 * A sample is written beside its place and renamed into it, and carries a checksum: what a crash left half is no sample, and
 * two processes that write the same one write the same bytes. Files of other names are never touched.
 */
import { createHash, randomBytes } from "node:crypto";
import { mkdir, readdir, readFile, rm, stat, statfs, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { ArgumentError } from "../errors.js";
import { renameFile } from "../files/held-files.js";
import { packageVersion } from "../native/package-version.js";
import type { Sample } from "./dataset.js";
import type { Preprocessing } from "./preprocessing.js";

const version = 1;
const folderName = `medmamba-samples-${version}`;
const headerBytes = 32;
const magic = 0x504d534d; // "MSMP"
const staleAfter = 3_600_000; // ms; a file that is being written takes moments
/** Where a store is full, this much of it stays. */
const keptShare = 0.8;

/** A file's samples, by what tells it and its preprocessing from others. */
export type ContentKey = string;

/** What is asked for: a picture, or how many there are. */
export type Slot = number | "count";

export class SampleStore {
  readonly #folder: string;
  readonly #onWarning: (message: string) => void;
  #left: number;

  private constructor(folder: string, left: number, onWarning: (message: string) => void) {
    this.#folder = folder;
    this.#left = left;
    this.#onWarning = onWarning;
  }

  /**
   * The store in a folder, which is made if need be. Of a store that has grown larger than it may be, what was written first
   * is removed.
   *
   * @param bytes  that it may hold; unless given, half of what would be free without it
   * @throws ArgumentError if the folder cannot be written to
   */
  static async open(
    folder: string,
    { bytes, onWarning }: { bytes?: number | undefined; onWarning: (message: string) => void },
  ): Promise<SampleStore> {
    const own = join(folder, folderName);
    try {
      await mkdir(own, { recursive: true, mode: 0o700 });
      const probe = join(own, temporaryName("probe"));
      await writeFile(probe, "", { flag: "wx", mode: 0o600 });
      await rm(probe);
    } catch (cause) {
      const why = (cause as Error).message;
      throw new ArgumentError(`cache: ${folder} cannot be written to: ${why}. Choose another folder.`);
    }
    const files = await storedFiles(own);
    let held = files.reduce((sum, { size }) => sum + size, 0);
    const { bavail, bsize } = await statfs(own);
    const most = bytes ?? (bavail * bsize + held) / 2;
    if (held > most) {
      for (const { path, size } of files.sort((a, b) => a.written - b.written)) {
        if (held <= keptShare * most) break;
        await rm(path, { force: true });
        held -= size;
      }
    }
    return new SampleStore(own, most - held, onWarning);
  }

  /**
   * What tells the samples of a file from others. Mean and std are the device's business.
   *
   * @param content  hash of the file's bytes
   */
  keyOf(content: string, { mean: _, std: __, ...reading }: Preprocessing): ContentKey {
    const how = JSON.stringify([version, packageVersion, Object.entries(reading).sort(), content]);
    return createHash("sha256").update(how).digest("hex");
  }

  /** A sample that was kept; undefined if there is none, or it is damaged. */
  async sample(key: ContentKey, frame: number): Promise<Sample | undefined> {
    const record = await this.#read(key, frame);
    return (
      record && { channels: record.channels, height: record.height, width: record.width, data: record.data }
    );
  }

  async count(key: ContentKey): Promise<number | undefined> {
    return (await this.#read(key, "count"))?.count;
  }

  /** Keeps a sample, if there is room. */
  async keep(key: ContentKey, frame: number, sample: Sample): Promise<void> {
    await this.#write(key, frame, { ...sample, count: 0 });
  }

  async keepCount(key: ContentKey, count: number): Promise<void> {
    await this.#write(key, "count", { channels: 0, height: 0, width: 0, data: new Uint8Array(0), count });
  }

  #place(key: ContentKey, slot: Slot): { folder: string; name: string } {
    const name = createHash("sha256").update(`${key} ${slot}`).digest("hex");
    return { folder: join(this.#folder, name.slice(0, 2)), name: `${name}.sample` };
  }

  async #read(key: ContentKey, slot: Slot): Promise<SampleRecord | undefined> {
    const { folder, name } = this.#place(key, slot);
    const bytes = await readFile(join(folder, name)).catch(() => undefined);
    return bytes && decoded(bytes);
  }

  async #write(key: ContentKey, slot: Slot, record: SampleRecord): Promise<void> {
    const bytes = encoded(record);
    if (bytes.length > this.#left) return;
    this.#left -= bytes.length;
    const { folder, name } = this.#place(key, slot);
    const temporary = join(folder, temporaryName(name));
    try {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      await writeFile(temporary, bytes, { flag: "wx", mode: 0o600 });
      await renameFile(temporary, join(folder, name));
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => {});
      if (this.#left > 0)
        this.#onWarning(`cache: no more images are kept on disk: ${(error as Error).message}.`);
      this.#left = 0;
    }
  }
}

interface SampleRecord extends Sample {
  /** Pictures of the file. */
  readonly count: number;
}

const temporaryName = (name: string): string =>
  `${name}.${process.pid}-${randomBytes(6).toString("hex")}.tmp`;

/** Magic word, checksum of all that follows, channels, height, width, whether floats, pictures, nothing; then the values. */
function encoded({ channels, height, width, data, count }: SampleRecord): Buffer {
  const values = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  const bytes = Buffer.alloc(headerBytes + values.length);
  const fields = [magic, 0, channels, height, width, Number(data instanceof Float32Array), count];
  for (const [i, field] of fields.entries()) bytes.writeUInt32LE(field, 4 * i);
  bytes.set(values, headerBytes);
  bytes.writeUInt32LE(crc32(bytes.subarray(8)), 4);
  return bytes;
}

function decoded(bytes: Buffer): SampleRecord | undefined {
  if (bytes.length < headerBytes || bytes.readUInt32LE(0) !== magic) return undefined;
  if (bytes.readUInt32LE(4) !== crc32(bytes.subarray(8))) return undefined;
  const [channels = 0, height = 0, width = 0, floats = 0, count = 0] = [8, 12, 16, 20, 24].map((at) =>
    bytes.readUInt32LE(at),
  );
  const size = channels * height * width * (floats ? 4 : 1);
  if (bytes.length !== headerBytes + size) return undefined;
  // A copy of its own: floats are aligned, and no more is kept alive than is used.
  const { buffer } = new Uint8Array(bytes.subarray(headerBytes));
  return { channels, height, width, count, data: floats ? new Float32Array(buffer) : new Uint8Array(buffer) };
}

interface StoredFile {
  readonly path: string;
  readonly size: number;
  /** ms */
  readonly written: number;
}

/** The samples in a store; what crashed processes left half is removed. */
async function storedFiles(folder: string): Promise<StoredFile[]> {
  const found: StoredFile[] = [];
  for (const part of await readdir(folder)) {
    if (!/^[0-9a-f]{2}$/.test(part)) continue;
    for (const name of await readdir(join(folder, part))) {
      const path = join(folder, part, name);
      const isSample = /^[0-9a-f]{64}\.sample$/.test(name);
      if (!isSample && !/^[0-9a-f]{64}\.sample\.\d+-[0-9a-f]{12}\.tmp$/.test(name)) continue;
      const { size, mtimeMs } = await stat(path).catch(() => ({ size: 0, mtimeMs: Infinity }));
      if (isSample) found.push({ path, size, written: mtimeMs });
      else if (Date.now() - mtimeMs > staleAfter) await rm(path, { force: true });
    }
  }
  return found;
}
