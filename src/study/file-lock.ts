/**
 * A file that says which process is at work at something: made by one process at a time, and taken over from one that is gone.
 */
import { randomBytes } from "node:crypto";
import type { Stats } from "node:fs";
import { link, readFile, rm, stat, writeFile } from "node:fs/promises";
import { hostname, uptime } from "node:os";
import { renameFile, whileHeld } from "../files/held-files.js";
import { isRunning } from "../weights/atomic-file.js";

/** Who has a lock. */
export interface Owner {
  readonly pid: number;
  readonly host: string;
  readonly since: string;
}

/** A lock that this process has, until it is released. */
export interface FileLock {
  release(): Promise<void>;
}

/** A lock that another process has, or another part of this one. */
export interface Occupied {
  /** Undefined where the file does not say. */
  readonly owner: Owner | undefined;
}

/**
 * Makes the file if there is none, or its process is gone.
 *
 * @throws what the file system says, if it cannot be made
 */
export async function takeLock(path: string): Promise<FileLock | Occupied> {
  const owner: Owner = { pid: process.pid, host: hostname(), since: new Date().toISOString() };
  const text = `${JSON.stringify({ ...owner, key: randomBytes(6).toString("hex") })}\n`;
  while (!(await create(path, text))) {
    const occupied = await removeStale(path);
    if (occupied) return occupied;
  }
  return {
    async release() {
      if ((await readFile(path, "utf8").catch(() => undefined)) === text)
        await whileHeld(() => rm(path, { force: true }));
    },
  };
}

export const isOccupied = (lock: FileLock | Occupied): lock is Occupied => !("release" in lock);

/** @returns false if there is one already */
async function create(path: string, text: string): Promise<boolean> {
  try {
    await whileHeld(() => writeFile(path, text, { flag: "wx" }));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

/**
 * @returns who has the lock, if that process is there, or may be
 * @throws what the file system says, if a lock of nobody cannot be removed
 */
async function removeStale(path: string): Promise<Occupied | undefined> {
  const written = await stat(path).catch(unlessMissing);
  if (!written) return undefined; // It was released in the meantime.
  if (!written.isFile()) return { owner: undefined };
  const found = await readFile(path, "utf8").catch(unlessMissing);
  if (found === undefined) return undefined;
  const owner = ownerIn(found);
  if (!isGone(owner, written)) return { owner };
  // Another process may have taken it over between the look and now: what was moved has to be what was seen.
  const aside = `${path}.${randomBytes(6).toString("hex")}`;
  await renameFile(path, aside).catch(unlessMissing);
  const moved = await readFile(aside, "utf8").catch(() => found);
  if (moved !== found) await link(aside, path).catch(() => undefined);
  await whileHeld(() => rm(aside, { force: true }));
  return undefined;
}

function unlessMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== "ENOENT") throw error;
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
