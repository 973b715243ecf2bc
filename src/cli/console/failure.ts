/** Turning what was thrown into the one sentence that a user reads. */
import { ArgumentError } from "../../errors.js";
import { weightsError } from "../../weights/file-errors.js";

/** Options that contradict each other or cannot be; exit code 2. */
export class UsageError extends Error {}

/** A command that cannot be done as asked, for a reason that its message tells in full; exit code 1. */
export class CommandError extends Error {}

/** Whether what was asked for cannot be, rather than something having gone wrong on the way. */
export const isUsage = (error: unknown): boolean =>
  error instanceof UsageError || error instanceof ArgumentError;

/** What went wrong is said by another process. */
export class SaidElsewhere extends Error {
  readonly isUsage: boolean;

  constructor(error: unknown) {
    super("another process says what was wrong", { cause: error });
    this.isUsage = isUsage(error);
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
