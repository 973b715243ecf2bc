/** How a process ends whose job has ended. */
import { writeSync } from "node:fs";
import { loadAddon } from "../native/load.js";

/** What a process ends with that may be started again: EX_TEMPFAIL of sysexits.h. */
export const tryAgain = 75;

/** Milliseconds in which the others hear of it. */
const grace = 100;

/**
 * Says why, and ends the process at once: neither destructors nor handlers run, which would wait for a rank that is not there
 * any more (`process.exit` does not end a process that waits in MPI). Works in any thread.
 */
export function endProcess(rank: number, reason: string, code = tryAgain): void {
  setTimeout(() => {
    try {
      writeSync(2, `\nmedmamba: rank ${rank}: ${reason}\n`);
    } catch {
      // Nobody reads it any more.
    }
    exitNow(code);
  }, grace);
}

/** Ends the process with a code, and nothing else. */
export function exitNow(code: number): void {
  loadAddon().exitNow(code);
}
