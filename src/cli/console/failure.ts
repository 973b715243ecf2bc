/** Turning what was thrown into the one sentence that a user reads. */
import { ArgumentError } from "../../errors.js";
import { weightsError } from "../../weights/file-errors.js";

/** Options that contradict each other or cannot be; exit code 2. */
export class UsageError extends Error {}

/** A command that cannot be done as asked, for a reason that its message tells in full; exit code 1. */
export class CommandError extends Error {}

/** Runs a check of options that throws ArgumentError, as wrong usage. */
export function asUsage<T>(check: () => T): T {
  try {
    return check();
  } catch (error) {
    if (error instanceof ArgumentError) throw new UsageError(error.message, { cause: error });
    throw error;
  }
}

/** The sentence. Errors of the file system get the path and plain words, others have said it themselves. */
export function explain(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if ("syscall" in error && "code" in error && !("command" in error)) {
    const path = "path" in error ? String(error.path) : "a file of this command";
    return weightsError(path, error).message;
  }
  return error.message;
}
