/**
 * Windows lets nobody rename, replace or remove a file that somebody has open, and virus scanners, indexers and backups open each
 * new file for a moment. What is refused for that is tried again until they are done.
 */
import { rename } from "node:fs/promises";
import { setTimeout } from "node:timers/promises";

/** What Windows says of such a file; the first also where there is no right to write, so trying has to have an end. */
const refusals = new Set(["EPERM", "EACCES", "EBUSY"]);
const patience = 5000; // milliseconds
const longestPause = 200;

/** How long to try, and on which system; for tests. */
export interface Patience {
  readonly system?: string;
  /** Milliseconds. */
  readonly patience?: number;
}

/**
 * Does something to a file; on Windows, again and again while it is refused as it would be of a file that is held.
 *
 * @throws what `action` threw the last time
 */
export async function whileHeld<T>(
  action: () => Promise<T>,
  { system = process.platform, patience: longest = patience }: Patience = {},
): Promise<T> {
  const end = performance.now() + longest;
  for (let pause = 10; ; pause = Math.min(2 * pause, longestPause)) {
    try {
      return await action();
    } catch (error) {
      const { code = "" } = Object(error) as NodeJS.ErrnoException;
      if (system !== "win32" || !refusals.has(code) || performance.now() + pause > end) throw error;
    }
    await setTimeout(pause);
  }
}

/** As Node's `rename`, which replaces what is there, with the patience that Windows asks for. */
export function renameFile(from: string, to: string): Promise<void> {
  return whileHeld(() => rename(from, to));
}
