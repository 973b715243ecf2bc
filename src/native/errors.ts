/**
 * Errors of the package. Each carries a stable `code`; the message says what was wrong, where, and what to do.
 */
export class MedMambaError extends Error {
  /** Stable identifier such as "MEDMAMBA_SHAPE". */
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
  }
}

/** A tensor's shape does not fit the operation. */
export class ShapeError extends MedMambaError {
  constructor(message: string) {
    super("MEDMAMBA_SHAPE", message);
  }
}

/** A tensor's element type does not fit the operation. */
export class DTypeError extends MedMambaError {
  constructor(message: string) {
    super("MEDMAMBA_DTYPE", message);
  }
}

/** An argument other than a tensor is out of range or contradictory. */
export class ArgumentError extends MedMambaError {
  constructor(message: string) {
    super("MEDMAMBA_ARGUMENT", message);
  }
}

/** A device is not there, or cannot do what was asked. */
export class DeviceError extends MedMambaError {
  constructor(message: string, options?: ErrorOptions) {
    super("MEDMAMBA_NO_DEVICE", message, options);
  }
}

/** A tensor was used after its memory had been given back. */
export class DisposedError extends MedMambaError {
  constructor(message: string) {
    super("MEDMAMBA_DISPOSED", message);
  }
}

/** A device has no memory left for a tensor. */
export class OutOfMemoryError extends MedMambaError {
  constructor(message: string, options?: ErrorOptions) {
    super("MEDMAMBA_OUT_OF_MEMORY", message, options);
  }
}

/** Queued work failed on the device; `operation` names the call that did. */
export class OperationError extends MedMambaError {
  /** Name of the call that failed, such as "crossEntropy". */
  readonly operation: string;

  constructor(code: string, operation: string, message: string, options?: ErrorOptions) {
    super(code, message, options);
    this.operation = operation;
  }
}

/** The package's class for an error that the addon threw. */
export function fromNative(error: unknown): Error {
  if (error instanceof MedMambaError) return error;
  if (!(error instanceof Error) || !("code" in error) || typeof error.code !== "string") {
    return error instanceof Error ? error : new Error(String(error));
  }
  const { code, message } = error;
  if (!code.startsWith("MEDMAMBA_")) return error;
  if (code === "MEDMAMBA_OUT_OF_MEMORY") return new OutOfMemoryError(message, { cause: error });
  if (code === "MEDMAMBA_NO_DEVICE") return new DeviceError(message, { cause: error });
  if (code === "MEDMAMBA_DISPOSED") return new DisposedError(message);
  const operation = "operation" in error ? String(error.operation) : "";
  return new OperationError(code, operation, message, { cause: error });
}
