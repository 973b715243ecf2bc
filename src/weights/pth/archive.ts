/**
 * The zip file around a pickle that torch.save writes: `NAME/data.pkl`, and a record `NAME/data/KEY` for each storage. Records
 * are stored as they are, so that what they declare can be compared with what the file has before anything is read.
 *
 * @see https://docs.pytorch.org/docs/stable/notes/serialization.html
 */
import { stat } from "node:fs/promises";
import { crc32 } from "node:zlib";
import type { Entry, ZipFile } from "yauzl";
import { printable } from "./pickle.js";

/** The program is a hundred kilobytes for the largest networks, and a few times that with their optimiser. */
const mostProgramBytes = 16 * 2 ** 20;
const mostRecords = 100_000;

/** A file of torch.save, opened. */
export class TorchArchive {
  private constructor(
    private readonly zip: ZipFile,
    /** By their names without the folder that all are in. */
    private readonly records: ReadonlyMap<string, Entry>,
    /** Whether the machine that wrote the storages was. */
    readonly bigEndian: boolean,
  ) {}

  /** @throws Error saying in a sentence without its end why this is no such file, or not to be trusted */
  static async open(path: string): Promise<TorchArchive> {
    const { openZipFile } = await import("../../files/zip-reader.js");
    const { size } = await stat(path);
    const zip = await openZipFile(path);
    try {
      const records = await listRecords(zip, size);
      const archive = new TorchArchive(zip, records, false);
      if (!records.has("byteorder")) return archive;
      const order = Buffer.from(await archive.read("byteorder", 6)).toString("latin1");
      if (order !== "little" && order !== "big")
        throw new Error(`its byte order is ${printable(order)}, which is neither little nor big`);
      return new TorchArchive(zip, records, order === "big");
    } catch (error) {
      zip.close();
      throw error;
    }
  }

  close(): void {
    this.zip.close();
  }

  /** The pickle. */
  program(): Promise<Uint8Array<ArrayBuffer>> {
    return this.read("data.pkl", mostProgramBytes);
  }

  /** Bytes of a storage's record; undefined if there is none. */
  storageBytes(key: string): number | undefined {
    return this.records.get(`data/${key}`)?.uncompressedSize;
  }

  /** All storages together. */
  get dataBytes(): number {
    let sum = 0;
    for (const [name, { uncompressedSize }] of this.records)
      if (name.startsWith("data/")) sum += uncompressedSize;
    return sum;
  }

  storage(key: string): Promise<Uint8Array<ArrayBuffer>> {
    return this.read(`data/${key}`, Number.MAX_SAFE_INTEGER);
  }

  private async read(name: string, mostBytes: number): Promise<Uint8Array<ArrayBuffer>> {
    const entry = this.records.get(name);
    if (!entry) throw new Error(`it has no record ${printable(name)}`);
    const { uncompressedSize } = entry;
    if (uncompressedSize > mostBytes)
      throw new Error(
        `its record ${printable(name)} has ${uncompressedSize} bytes, and at most ${mostBytes} are read`,
      );
    const bytes = new Uint8Array(uncompressedSize);
    let [at, sum] = [0, 0];
    for await (const item of await this.zip.openReadStreamPromise(entry)) {
      const piece = item as Uint8Array;
      bytes.set(piece, at);
      sum = crc32(piece, sum);
      at += piece.length;
    }
    if (at !== bytes.length) throw new Error(`its record ${printable(name)} is cut off`);
    if (sum !== entry.crc32) throw new Error(`the checksum of its record ${printable(name)} is wrong`);
    return bytes;
  }
}

/** All records, none twice and none larger than the file. */
async function listRecords(zip: ZipFile, size: number): Promise<Map<string, Entry>> {
  const entries = new Map<string, Entry>();
  let total = 0;
  for await (const entry of zip.eachEntry()) {
    const { fileName, compressedSize } = entry;
    if (entries.has(fileName)) throw new Error(`it has the record ${printable(fileName)} twice`);
    entries.set(fileName, entry);
    if (entries.size > mostRecords) throw new Error(`it has more than ${mostRecords} records`);
    total += compressedSize;
    if (total > size) throw new Error(`its records have ${total} bytes together, and the file has ${size}`);
  }
  const program = [...entries.keys()].filter((name) => /^[^/]+\/data\.pkl$/.test(name));
  if (program.length !== 1)
    throw new Error("it is a zip file, but none that torch.save wrote (there is no data.pkl in it)");
  const folder = (program[0] as string).slice(0, -"data.pkl".length);
  if (entries.has(`${folder}constants.pkl`)) {
    throw new Error(
      "it is a program of TorchScript: load it in Python with torch.jit.load and save its state_dict() with torch.save",
    );
  }
  const records = new Map<string, Entry>();
  for (const [name, entry] of entries) {
    if (!name.startsWith(folder)) continue;
    if (entry.compressionMethod !== 0 || entry.uncompressedSize !== entry.compressedSize)
      throw new Error(`its record ${printable(name)} is compressed, which torch.save does not do`);
    records.set(name.slice(folder.length), entry);
  }
  return records;
}
