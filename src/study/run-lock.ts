/**
 * One process a run: while a run is carried out, its folder holds `run.lock` with the process that does. Two of them would
 * mix their files, and the verdict of one would be about the weights of the other.
 */
import { randomBytes } from "node:crypto";
import type { Stats } from "node:fs";
import { link, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { hostname, uptime } from "node:os";
import { join } from "node:path";
import { StudyError } from "../errors.js";
import { isRunning } from "../weights/atomic-file.js";
import { writableFolder } from "./writable-folder.js";

const lockFile = "run.lock";

interface Owner {
  readonly pid: number;
  readonly host: string;
  readonly since: string;
}

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
  const owner: Owner = { pid: process.pid, host: hostname(), since: new Date().toISOString() };
  const text = `${JSON.stringify(owner)}\n`;
  while (!(await create(path, text))) await removeStale(directory, path);
  return {
    async release() {
      if ((await readFile(path, "utf8").catch(() => undefined)) === text) await rm(path, { force: true });
      await folder.removeEmpty();
    },
  };
}

/** @returns false if there is one already */
async function create(path: string, text: string): Promise<boolean> {
  try {
    await writeFile(path, text, { flag: "wx" });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

/** @throws StudyError if the lock's process is there, or may be */
async function removeStale(directory: string, path: string): Promise<void> {
  const [found, written] = await Promise.all([
    readFile(path, "utf8").catch(() => undefined),
    stat(path).catch(() => undefined),
  ]);
  if (found === undefined || !written) return; // It was released in the meantime.
  const owner = ownerIn(found);
  if (!isGone(owner, written)) {
    const who = owner ? `process ${owner.pid} on ${owner.host} (since ${owner.since})` : "another process";
    throw new StudyError(
      `a run is being carried out in ${directory} by ${who}: wait for it, or choose another --out. If that process is gone, remove ${path}.`,
    );
  }
  // Another process may have taken it over between the look and now: what was moved has to be what was seen.
  const aside = `${path}.${randomBytes(6).toString("hex")}`;
  await rename(path, aside).catch(() => undefined);
  const moved = await readFile(aside, "utf8").catch(() => found);
  if (moved !== found) await link(aside, path).catch(() => undefined);
  await rm(aside, { force: true });
}

function ownerIn(text: string): Owner | undefined {
  try {
    const { pid, host, since } = JSON.parse(text) as Partial<Owner>;
    return Number.isSafeInteger(pid) && typeof host === "string"
      ? { pid: pid!, host, since: since ?? "?" }
      : undefined;
  } catch {
    return undefined;
  }
}

/** Whether nobody can be at work: numbers of processes come again after a start of the machine, and in containers. */
function isGone(owner: Owner | undefined, { mtimeMs }: Stats): boolean {
  const now = Date.now();
  if (!owner) return mtimeMs < now - 10_000; // Cut off by a full disk; a young one is still being written.
  if (owner.host !== hostname()) return false;
  if (mtimeMs < now - uptime() * 1000) return true;
  if (owner.pid === process.pid) return mtimeMs < now - process.uptime() * 1000;
  return !isRunning(owner.pid);
}
