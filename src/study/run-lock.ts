/**
 * One process a run: while a run is carried out, its folder holds `run.lock` with the process that does. Two of them would
 * mix their files, and the verdict of one would be about the weights of the other.
 */
import { join } from "node:path";
import { StudyError } from "../errors.js";
import { isOccupied, takeLock } from "./file-lock.js";
import { writableFolder } from "./writable-folder.js";

const lockFile = "run.lock";

/** A run's folder that this process alone may write to, until it is released. */
export interface RunLock {
  /** Removes the lock, and the folder where nothing came to be in it that was not there before. */
  release(): Promise<void>;
}

/**
 * Makes the folder if need be, and takes it for this process; that of a process that is gone is taken over.
 *
 * @throws StudyError if another process carries out a run there, or the folder cannot be written to
 */
export async function lockRun(directory: string): Promise<RunLock> {
  const folder = await writableFolder(directory, "--out");
  const path = join(directory, lockFile);
  const lock = await takeLock(path);
  if (isOccupied(lock)) {
    const { owner } = lock;
    const who = owner ? `process ${owner.pid} on ${owner.host} (since ${owner.since})` : "another process";
    throw new StudyError(
      `a run is being carried out in ${directory} by ${who}: wait for it, or choose another --out. If that process is gone, remove ${path}.`,
    );
  }
  return {
    async release() {
      await lock.release();
      await folder.removeEmpty();
    },
  };
}
