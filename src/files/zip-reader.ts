/**
 * Reading pieces of a zip file for yauzl. Zip files say themselves where their pieces are, and a place beyond 2^53 makes
 * Node throw where nobody can catch it, so places are checked against the file's size here before anything is read.
 */
import { type FileHandle, open } from "node:fs/promises";
import { Readable } from "node:stream";
import yauzl, { type ZipFile } from "yauzl";

/** @throws Error saying why it is no zip file, or what the system says of it */
export async function openZipFile(path: string): Promise<ZipFile> {
  const file = await open(path, "r");
  try {
    const { size } = await file.stat();
    const reader = new CheckedReader(file, size);
    return await yauzl.fromRandomAccessReaderPromise(reader, size, { lazyEntries: true, autoClose: false });
  } catch (error) {
    await file.close();
    throw error;
  }
}

class CheckedReader extends yauzl.RandomAccessReader {
  constructor(
    private readonly file: FileHandle,
    private readonly size: number,
  ) {
    super();
  }

  override _readStreamForRange(start: number, end: number): Readable {
    const problem = this.problemOf(start, end);
    if (problem) return new Readable({ read: (_) => {} }).destroy(problem);
    return Readable.from(this.pieces(start, end), { objectMode: false });
  }

  override read(
    buffer: Buffer,
    offset: number,
    length: number,
    position: number,
    callback: (error: Error | null) => void,
  ): void {
    const problem = this.problemOf(position, position + length);
    if (problem) process.nextTick(callback, problem);
    else this.fill(buffer.subarray(offset, offset + length), position).then(() => callback(null), callback);
  }

  override close(callback: (error: Error | null) => void): void {
    this.file.close().then(() => callback(null), callback);
  }

  private async *pieces(start: number, end: number): AsyncGenerator<Uint8Array> {
    for (let at = start; at < end; ) {
      const piece = new Uint8Array(Math.min(1 << 16, end - at));
      await this.fill(piece, at);
      yield piece;
      at += piece.length;
    }
  }

  private async fill(target: Uint8Array, position: number): Promise<void> {
    for (let done = 0; done < target.length; ) {
      const { bytesRead } = await this.file.read(target, done, target.length - done, position + done);
      if (bytesRead === 0) throw new Error("the file became shorter while it was read");
      done += bytesRead;
    }
  }

  private problemOf(start: number, end: number): Error | undefined {
    if (Number.isSafeInteger(start) && start >= 0 && end >= start && end <= this.size) return undefined;
    return new Error(`it has a piece at byte ${start}, but only ${this.size} bytes are there`);
  }
}
