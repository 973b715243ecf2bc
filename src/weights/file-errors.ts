/** What the operating system says about a file, in words. */
import { mkdir } from "node:fs/promises";
import { WeightsError } from "../errors.js";
import { messageOf } from "../settings/realms.js";

/** What the operating system's error codes mean to somebody who asked to read or write a file. */
const reasons: Record<string, string> = {
  ENOENT: "no such file or directory",
  ENOTDIR: "a part of the path is not a directory",
  EACCES: "permission denied",
  EPERM:
    process.platform === "win32"
      ? "not permitted to this user, or another program has the file open"
      : "the operation is not permitted",
  EBUSY: "another program has the file open",
  EISDIR: "is a directory, not a file",
  ENOSPC: "no space is left on the device",
  EDQUOT: "the disk quota is used up",
  EFBIG: "the file is larger than the file system or a limit of this process allows",
  EEXIST: "there is a file in its place",
  EROFS: "the file system is read-only",
  EMFILE: "this process has too many open files",
  ENAMETOOLONG: "the file name is too long",
  EIO: "the device reported an input/output error",
};

/** Turns whatever a file operation threw into a WeightsError that names `path`; a WeightsError passes unchanged. */
export function weightsError(path: string, cause: unknown): WeightsError {
  if (cause instanceof WeightsError) return cause;
  const { code } = Object(cause) as NodeJS.ErrnoException;
  return new WeightsError(`${path}: ${(code !== undefined && reasons[code]) || messageOf(cause)}.`, {
    cause,
  });
}

/** Makes a folder, and those above it, if it is not there. @throws WeightsError naming it */
export async function makeFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true }).catch((error: unknown) => {
    throw weightsError(path, error);
  });
}
