/**
 * Replacing a file so that a crash, a full disk or a second writer leaves either the old contents or the new ones,
 * never a mixture: write beside it, flush to the disk, rename over it, flush the directory that holds the name.
 */
import { randomBytes } from "node:crypto";
import { type FileHandle, open, readdir, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { renameFile } from "../files/held-files.js";
import { weightsError } from "./file-errors.js";

/** A write call may be limited to 2 GiB by the system; smaller pieces also let other file work take turns. */
const pieceBytes = 64 * 2 ** 20;

/**
 * Gives `path` the contents that `write` produces. If anything fails, the temporary file is removed, the old file
 * stays as it was, and the error is passed on. Temporary files of writers that were killed are removed first.
 *
 * @throws what `write` or the file system threw; an Error if `path` exists and is not a regular file, because the
 *   rename would put a file in the place of a directory or device
 */
export async function replaceFile(path: string, write: (file: FileHandle) => Promise<void>): Promise<void> {
  const present = await stat(path).catch(() => undefined);
  if (present !== undefined && !present.isFile()) {
    throw new Error(
      present.isDirectory() ? "is a directory, not a file" : "exists and is not a regular file",
    );
  }
  await removeAbandoned(path);
  const temporary = join(
    dirname(path),
    `.${basename(path)}.${process.pid}.${randomBytes(6).toString("hex")}.tmp`,
  );
  const file = await open(temporary, "wx");
  try {
    try {
      await write(file);
      await file.sync();
    } finally {
      await file.close();
    }
    await renameFile(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw error;
  }
  await flushDirectory(dirname(path));
}

/**
 * Removes what writers of `path` have left behind that were killed: temporary files whose process is gone. One with the
 * number of this process is from before it, if it is older: in containers numbers come again.
 */
export async function removeAbandoned(path: string): Promise<void> {
  const prefix = `.${basename(path)}.`;
  const begun = Date.now() - process.uptime() * 1000;
  for (const name of await readdir(dirname(path)).catch(() => [])) {
    if (!name.startsWith(prefix)) continue;
    const writer = /^(\d+)\.[0-9a-f]+\.tmp$/.exec(name.slice(prefix.length))?.[1];
    if (writer === undefined) continue;
    const file = join(dirname(path), name);
    const { mtimeMs = begun } = (await stat(file).catch(() => undefined)) ?? {};
    const abandoned = Number(writer) === process.pid ? mtimeMs < begun : !isRunning(Number(writer));
    if (abandoned) await rm(file, { force: true }).catch(() => undefined);
  }
}

/** Whether there is a process of that number on this machine. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/**
 * As `replaceFile`, for text.
 *
 * @throws WeightsError naming the file, if it cannot be written
 */
export async function replaceText(path: string, text: string): Promise<void> {
  await replaceFile(path, (file) => writeFully(file, Buffer.from(text))).catch((error) => {
    throw weightsError(path, error);
  });
}

/** Appends all of `bytes` at the file's position, in pieces and however little a single call accepts. */
export async function writeFully(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let offset = 0; offset < bytes.byteLength; ) {
    const { bytesWritten } = await file.write(bytes, offset, Math.min(pieceBytes, bytes.byteLength - offset));
    offset += bytesWritten;
  }
}

/** Fills `bytes` from `position` on, and returns how many bytes the file had: fewer only where it ends. */
export async function readFully(file: FileHandle, bytes: Uint8Array, position: number): Promise<number> {
  let offset = 0;
  while (offset < bytes.byteLength) {
    const length = Math.min(pieceBytes, bytes.byteLength - offset);
    const { bytesRead } = await file.read(bytes, offset, length, position + offset);
    if (bytesRead === 0) break;
    offset += bytesRead;
  }
  return offset;
}

/** Windows and some network file systems cannot flush a directory; there the rename itself is all one can ask. */
async function flushDirectory(path: string): Promise<void> {
  const directory = await open(path, "r").catch(() => undefined);
  await directory?.sync().catch(() => undefined);
  await directory?.close();
}
