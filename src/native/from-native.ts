/** The addon's errors as the package's. */
import {
  DeviceError,
  DisposedError,
  MedMambaError,
  type MemoryShortage,
  OperationError,
  OutOfMemoryError,
} from "../errors.js";

/** The package's class for an error that the addon threw. */
export function fromNative(error: unknown): Error {
  if (error instanceof MedMambaError) return error;
  if (!(error instanceof Error) || !("code" in error) || typeof error.code !== "string") {
    return error instanceof Error ? error : new Error(String(error));
  }
  const { code, message } = error;
  if (!code.startsWith("MEDMAMBA_")) return error;
  if (code === "MEDMAMBA_OUT_OF_MEMORY")
    return new OutOfMemoryError(message, { ...(error as MemoryShortage), cause: error });
  if (code === "MEDMAMBA_NO_DEVICE") return new DeviceError(message, { cause: error });
  if (code === "MEDMAMBA_DISPOSED") return new DisposedError(message);
  const operation = "operation" in error ? String(error.operation) : "";
  return new OperationError(code, operation, message, { cause: error });
}
