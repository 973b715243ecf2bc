/** The addon's errors as the package's. */
import {
  DeviceError,
  DisposedError,
  MedMambaError,
  type MemoryShortage,
  OperationError,
  OutOfMemoryError,
} from "../errors.js";
import { isError } from "../settings/realms.js";

/**
 * The package's class for an error that the addon threw. The addon's errors are recognised by their `code`, not by their
 * class: where a test runner gives each file globals of its own, as Jest does, `Error` here is not the addon's.
 */
export function fromNative(error: unknown): Error {
  if (error instanceof MedMambaError) return error;
  if (!isCoded(error)) return isError(error) ? error : new Error(String(error));
  const { code, message } = error;
  if (code === "MEDMAMBA_OUT_OF_MEMORY")
    return new OutOfMemoryError(message, { ...(error as MemoryShortage), cause: error });
  if (code === "MEDMAMBA_NO_DEVICE") return new DeviceError(message, { cause: error });
  if (code === "MEDMAMBA_DISPOSED") return new DisposedError(message);
  const operation = "operation" in error ? String(error.operation) : "";
  return new OperationError(code, operation, message, { cause: error });
}

function isCoded(error: unknown): error is Error & { code: string } {
  if (typeof error !== "object" || error === null || !("code" in error) || !("message" in error))
    return false;
  return typeof error.code === "string" && error.code.startsWith("MEDMAMBA_");
}
